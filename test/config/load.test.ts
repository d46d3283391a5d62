// Environment and files → settings, or one line for each problem.

import { describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSettings, readConfiguration } from '../../src/config/load.ts';
import { configuredSecrets } from '../../src/config/secrets.ts';
import type { Settings } from '../../src/config/settings.ts';
import type { Environment } from '../../src/config/sources.ts';

const KEY = 'A'.repeat(43);

function settingsOf(env: Environment, cwd: string | null = null): Settings {
  const loaded = loadSettings(env, cwd);
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return loaded.settings;
}

function problemsOf(env: Environment): readonly string[] {
  const loaded = loadSettings(env, null);
  return loaded.ok ? [] : loaded.problems;
}

function inFolder(files: Readonly<Record<string, string>>, use: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'dify-agent-config-'));
  try {
    mkdirSync(join(folder, 'dify-agent'));
    for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, path), text);
    use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('an empty environment gives the defaults of the reference (spec 01 §7.7) and ours', () => {
  expect(settingsOf({})).toEqual({
    host: '127.0.0.1',
    port: 8000,
    access: { apiToken: null, apiTokensPrevious: [], allowAnonymous: false },
    tls: { certFile: null, keyFile: null },
    corsOrigins: [],
    storeUrl: 'redis://localhost:6379/0',
    storeUrlVariable: 'DIFY_AGENT_REDIS_URL',
    redisPrefix: 'dify-agent',
    sqliteSynchronous: 'normal',
    runRetentionSeconds: 259_200,
    storeOutageSeconds: 30,
    runLeaseSeconds: 30,
    runTimeoutSeconds: null,
    maxActiveRuns: 10_000,
    idempotency: 'on',
    shutdownGraceSeconds: 30,
    textDeltaCoalescing: { enabled: false, flushIntervalMs: 100, maxChars: 4096 },
    eventStream: { maxEvents: null, maxBytes: null },
    pluginDaemon: {
      url: 'http://localhost:5002',
      apiKey: '',
      connectTimeoutSeconds: 10,
      readTimeoutSeconds: 600,
      writeTimeoutSeconds: 30,
      poolTimeoutSeconds: 10,
      requestTimeoutSeconds: null,
      maxConnections: 100,
      maxKeepaliveConnections: 20,
      keepaliveExpirySeconds: 30,
    },
    shellctl: {
      entrypoint: null,
      authToken: null,
      maxConnections: 64,
      bootstrapTimeoutSeconds: 300,
      redactPatterns: [],
    },
    stub: {
      url: null,
      apiBaseUrl: null,
      grpcBindAddress: null,
      grpcTls: { certFile: null, keyFile: null },
      tokenTtlSeconds: 86_400,
      rateLimitPerSecond: 100,
    },
    difyApi: {
      baseUrl: null,
      innerApiKey: null,
      inner: { url: 'http://localhost:5001', apiKey: null },
      connectTimeoutSeconds: 10,
      readTimeoutSeconds: 600,
      poolTimeoutSeconds: 10,
      fileTimeoutSeconds: 30,
      maxConnections: 32,
    },
    serverSecretKey: null,
    serverSecretKeysPrevious: [],
    logLevel: 'info',
    logFormat: 'text',
    wireVintage: '2026-06',
    maxRequestBytes: 33_554_432,
    maxPendingRequestBytes: 268_435_456,
    enableScriptedModel: false,
    metricsEnabled: true,
    runIndexEnabled: null,
    consoleEnabled: true,
    managedSessions: { ttlSeconds: 604_800, maxBytes: 8_388_608 },
    traces: null,
  });
});

test('settings are frozen all the way down', () => {
  const settings = settingsOf({});
  expect(Object.isFrozen(settings)).toBe(true);
  expect(Object.isFrozen(settings.pluginDaemon)).toBe(true);
});

describe('sources', () => {
  test('the second file overrides the first, the real environment overrides both', () => {
    const files = {
      '.env': 'DIFY_AGENT_PORT=1\nDIFY_AGENT_HOST=127.0.0.2\nDIFY_AGENT_REDIS_PREFIX=one\n',
      'dify-agent/.env': 'DIFY_AGENT_PORT=2\nDIFY_AGENT_HOST=127.0.0.3\n',
    };
    inFolder(files, (folder) => {
      const loaded = loadSettings({ DIFY_AGENT_PORT: '3' }, folder);
      if (!loaded.ok) throw new Error(loaded.problems.join());
      const { host, port, redisPrefix } = loaded.settings;
      expect({ host, port, redisPrefix }).toEqual({ host: '127.0.0.3', port: 3, redisPrefix: 'one' });
      expect(loaded.sources.get('DIFY_AGENT_PORT')).toBe('environment');
      expect(loaded.sources.get('DIFY_AGENT_HOST')).toBe('dify-agent/.env');
      expect(loaded.sources.get('DIFY_AGENT_REDIS_PREFIX')).toBe('.env');
      expect(loaded.sources.get('DIFY_AGENT_LOG_LEVEL')).toBe('default');
    });
  });

  test('files change nothing in the environment of the process', () => {
    inFolder({ '.env': 'DIFY_AGENT_TEST_MARK=1\nOTHER_TEST_MARK=2' }, (folder) => {
      settingsOf(process.env, folder);
      expect(process.env.DIFY_AGENT_TEST_MARK).toBeUndefined();
      expect(process.env.OTHER_TEST_MARK).toBeUndefined();
    });
  });

  test('names are matched without case; of two spellings the upper-case one wins', () => {
    expect(settingsOf({ dify_agent_port: '9' }).port).toBe(9);
    expect(settingsOf({ DIFY_AGENT_PORT: '1', dify_agent_port: '2' }).port).toBe(1);
    expect(settingsOf({ dify_agent_port: '2', DIFY_AGENT_PORT: '1' }).port).toBe(1);
  });

  test('unknown variables change nothing, and are reported with the name that was probably meant', () => {
    const { settings, unknown } = readConfiguration(
      { DIFY_AGENT_PROT: '1', DIFY_AGENT_ZZZZZZZZZZ: '1', PORT: '1' },
      null,
    );
    expect(settings).not.toBeNull();
    expect(unknown).toEqual([
      { name: 'DIFY_AGENT_PROT', source: 'environment', suggestion: 'DIFY_AGENT_PORT' },
      { name: 'DIFY_AGENT_ZZZZZZZZZZ', source: 'environment', suggestion: null },
    ]);
  });

  test('the address that run, watch and cancel read is not reported', () => {
    expect(readConfiguration({ DIFY_AGENT_URL: 'http://agent:8000' }, null).unknown).toEqual([]);
  });

  test('a bad previous key is told by the name of its own variable', () => {
    const loaded = loadSettings({ DIFY_AGENT_SERVER_SECRET_KEY_PREVIOUS: 'short' }, null);
    expect(loaded.ok ? [] : loaded.problems).toEqual([
      'DIFY_AGENT_SERVER_SECRET_KEY_PREVIOUS: each key must be valid unpadded base64url text',
    ]);
  });

  test('a file that is too large is a problem, a folder in its place is none', () => {
    inFolder({ '.env': `#${'x'.repeat(300_000)}` }, (folder) => {
      const loaded = loadSettings({}, folder);
      expect(loaded.ok ? [] : loaded.problems).toEqual(['.env: cannot be read: larger than 262144 bytes']);
    });
    inFolder({}, (folder) => {
      mkdirSync(join(folder, '.env'));
      expect(settingsOf({}, folder).port).toBe(8000);
    });
  });

  test('the executable may lie in the current directory under its own name', () => {
    inFolder({ '.env': 'DIFY_AGENT_PORT=9' }, (folder) => {
      rmSync(join(folder, 'dify-agent'), { recursive: true });
      writeFileSync(join(folder, 'dify-agent'), 'a binary');
      expect(settingsOf({}, folder).port).toBe(9);
    });
  });
});

describe('numbers', () => {
  test.each([
    ['DIFY_AGENT_PORT', '', 'DIFY_AGENT_PORT: is empty; must be a whole number, 0 to 65535'],
    ['DIFY_AGENT_PORT', 'eighty', 'DIFY_AGENT_PORT: "eighty" is not a whole number, 0 to 65535'],
    ['DIFY_AGENT_PORT', '65536', 'DIFY_AGENT_PORT: "65536" is not a whole number, 0 to 65535'],
    ['DIFY_AGENT_PORT', '80.5', 'DIFY_AGENT_PORT: "80.5" is not a whole number, 0 to 65535'],
    ['DIFY_AGENT_PORT', '1e3', 'DIFY_AGENT_PORT: "1e3" is not a whole number, 0 to 65535'],
    [
      'DIFY_AGENT_RUN_RETENTION_SECONDS',
      '0',
      'DIFY_AGENT_RUN_RETENTION_SECONDS: "0" is not a whole number of seconds, 1 to 7000000000',
    ],
    [
      'DIFY_AGENT_SHUTDOWN_GRACE_SECONDS',
      'nan',
      'DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: "nan" is not a number of seconds, at most 2147483',
    ],
    [
      'DIFY_AGENT_PLUGIN_DAEMON_READ_TIMEOUT',
      '-1',
      'DIFY_AGENT_PLUGIN_DAEMON_READ_TIMEOUT: "-1" is not a number of seconds, 0 to 2147483',
    ],
    [
      'DIFY_AGENT_PLUGIN_DAEMON_MAX_CONNECTIONS',
      '0',
      'DIFY_AGENT_PLUGIN_DAEMON_MAX_CONNECTIONS: "0" is not a whole number, 1 to 65535',
    ],
    [
      'DIFY_AGENT_MAX_REQUEST_BYTES',
      '1023',
      'DIFY_AGENT_MAX_REQUEST_BYTES: "1023" is not a whole number of bytes, 1024 to 1073741824',
    ],
  ])('%s=%j is refused', (name, text, problem) => {
    expect(problemsOf({ [name]: text })).toEqual([problem]);
  });

  test('are read as the reference reads them', () => {
    expect(settingsOf({ DIFY_AGENT_PORT: ' +8_080.0 ' }).port).toBe(8080);
    expect(settingsOf({ DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '-1' }).shutdownGraceSeconds).toBe(-1);
    expect(settingsOf({ DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '.5' }).shutdownGraceSeconds).toBe(0.5);
    expect(settingsOf({ DIFY_AGENT_PLUGIN_DAEMON_READ_TIMEOUT: '1e2' }).pluginDaemon.readTimeoutSeconds).toBe(100);
  });
});

describe('words', () => {
  test('case and blanks do not matter', () => {
    expect(settingsOf({ DIFY_AGENT_LOG_LEVEL: ' WARN ' }).logLevel).toBe('warn');
    for (const yes of ['true', 'YES', '1', 'on', 't', 'y']) {
      expect(settingsOf({ DIFY_AGENT_ENABLE_SCRIPTED_MODEL: yes }).enableScriptedModel).toBe(true);
    }
    for (const no of ['false', 'No', '0', 'off', 'f', 'n']) {
      expect(settingsOf({ DIFY_AGENT_ENABLE_SCRIPTED_MODEL: no }).enableScriptedModel).toBe(false);
    }
  });

  test.each([
    ['DIFY_AGENT_LOG_LEVEL', 'loud', 'DIFY_AGENT_LOG_LEVEL: "loud" is not debug or info or warn or error'],
    ['DIFY_AGENT_WIRE_VINTAGE', '2026-07', 'DIFY_AGENT_WIRE_VINTAGE: "2026-07" is not 2026-06 or 2026-08'],
    ['DIFY_AGENT_ENABLE_SCRIPTED_MODEL', '', 'DIFY_AGENT_ENABLE_SCRIPTED_MODEL: "" is not true or false'],
    ['DIFY_AGENT_LOG_FORMAT', 'a\nb', 'DIFY_AGENT_LOG_FORMAT: "a\\nb" is not text or json'],
  ])('%s=%j is refused on one line', (name, text, problem) => {
    expect(problemsOf({ [name]: text })).toEqual([problem]);
  });
});

describe('the store', () => {
  test.each([
    ['sqlite::memory:', 'sqlite::memory:'],
    ['sqlite:./x.db', 'sqlite:./x.db'],
    ['SQLite:/var/x y.db', 'sqlite:/var/x y.db'],
    ['sqlite:///var/x.db', 'sqlite:///var/x.db'],
    ['rediss://u:p@h:1/3', 'rediss://u:p@h:1/3'],
    [' ', 'redis://fallback:6379/1'],
  ])('%j is %j', (text, expected) => {
    const env = { DIFY_AGENT_STORE_URL: text, DIFY_AGENT_REDIS_URL: 'redis://fallback:6379/1' };
    expect(settingsOf(env).storeUrl).toBe(expected);
  });

  test.each([
    ['postgres://h/x', 'must be sqlite:PATH, sqlite::memory:, a redis:// or a rediss:// URL'],
    ['x.db', 'must be sqlite:PATH, sqlite::memory:, a redis:// or a rediss:// URL'],
    ['sqlite:', 'must name a file: sqlite:PATH, e.g. sqlite:./dify-agent.db'],
    ['sqlite://x.db', 'must be written as sqlite:PATH, without //'],
    ['redis://:hunter2@h/abc', 'must end in a database number, as in redis://localhost:6379/0'],
    ['redis://:hunter2@h:99999/0', 'must be a redis:// or rediss:// URL'],
  ])('%j is refused without being repeated', (text, problem) => {
    expect(problemsOf({ DIFY_AGENT_STORE_URL: text })).toEqual([`DIFY_AGENT_STORE_URL: ${problem}`]);
  });
});

describe('the rules between variables', () => {
  const stub = 'https://h/agent-stub';
  test.each([
    [{ STUB_URL: stub }, 'DIFY_AGENT_SERVER_SECRET_KEY is required when DIFY_AGENT_STUB_URL is set.'],
    [
      { STUB_GRPC_BIND_ADDRESS: 'h:1' },
      'DIFY_AGENT_STUB_URL is required when DIFY_AGENT_STUB_GRPC_BIND_ADDRESS is set.',
    ],
    [
      { STUB_URL: stub, SERVER_SECRET_KEY: KEY, STUB_GRPC_BIND_ADDRESS: 'h:1' },
      'DIFY_AGENT_STUB_GRPC_BIND_ADDRESS requires a grpc:// DIFY_AGENT_STUB_URL.',
    ],
    [
      { DIFY_API_BASE_URL: 'http://h' },
      'DIFY_AGENT_DIFY_API_BASE_URL and DIFY_AGENT_DIFY_API_INNER_API_KEY must be set together.',
    ],
    [
      { DIFY_API_INNER_API_KEY: 'k' },
      'DIFY_AGENT_DIFY_API_BASE_URL and DIFY_AGENT_DIFY_API_INNER_API_KEY must be set together.',
    ],
    [
      { DIFY_API_BASE_URL: 'http://h/?a=1', DIFY_API_INNER_API_KEY: 'k' },
      'DIFY_AGENT_DIFY_API_BASE_URL must not include a query string or fragment',
    ],
    [{ SERVER_SECRET_KEY: `${KEY}=` }, 'DIFY_AGENT_SERVER_SECRET_KEY must be valid unpadded base64url text'],
    [{ SERVER_SECRET_KEY: 'A'.repeat(45) }, 'DIFY_AGENT_SERVER_SECRET_KEY must be valid unpadded base64url text'],
    [{ SERVER_SECRET_KEY: 'AAAA' }, 'DIFY_AGENT_SERVER_SECRET_KEY must decode to exactly 32 decoded bytes'],
  ])('%j', (partial, problem) => {
    const env = Object.fromEntries(Object.entries(partial).map(([name, value]) => [`DIFY_AGENT_${name}`, value]));
    expect(problemsOf(env)).toEqual([problem]);
  });

  test('blank optional values are unset', () => {
    const names = [
      'STUB_URL',
      'STUB_GRPC_BIND_ADDRESS',
      'SERVER_SECRET_KEY',
      'DIFY_API_BASE_URL',
      'SHELLCTL_AUTH_TOKEN',
    ];
    const env = Object.fromEntries(names.map((name) => [`DIFY_AGENT_${name}`, '  ']));
    expect(settingsOf(env)).toEqual(settingsOf({}));
  });

  test('the Dify API URL is normalised and loses its trailing slashes', () => {
    const env = {
      DIFY_AGENT_DIFY_API_BASE_URL: ' HTTP://Api.Example.com:80/x// ',
      DIFY_AGENT_DIFY_API_INNER_API_KEY: 'k ',
    };
    expect(settingsOf(env).difyApi).toMatchObject({ baseUrl: 'http://api.example.com/x', innerApiKey: 'k' });
  });
});

describe('the later vintage', () => {
  test('joins deltas and bounds the events of a run, unless told otherwise', () => {
    const { textDeltaCoalescing, eventStream } = settingsOf({ DIFY_AGENT_WIRE_VINTAGE: '2026-08' });
    expect([textDeltaCoalescing.enabled, eventStream.maxEvents]).toEqual([true, 5000]);
    const told = settingsOf({
      DIFY_AGENT_WIRE_VINTAGE: '2026-08',
      DIFY_AGENT_STREAM_TEXT_DELTA_COALESCING_ENABLED: 'no',
      DIFY_AGENT_RUN_EVENT_STREAM_MAX_LENGTH: '7000',
    });
    expect([told.textDeltaCoalescing.enabled, told.eventStream.maxEvents]).toEqual([false, 7000]);
  });
});

describe('secrets', () => {
  test('no problem repeats a secret', () => {
    const env = {
      DIFY_AGENT_SERVER_SECRET_KEY: 'hunter2=',
      DIFY_AGENT_PLUGIN_DAEMON_API_KEY: 'hunter2\u0007',
      DIFY_AGENT_PLUGIN_DAEMON_URL: 'ftp://u:hunter2@h',
      DIFY_AGENT_REDIS_URL: 'http://:hunter2@h',
    };
    const problems = problemsOf(env);
    expect(problems).toHaveLength(4);
    for (const problem of problems) expect(problem).not.toContain('hunter2');
  });

  test('the redactor is told keys, tokens and the passwords of URLs', () => {
    const settings = settingsOf({
      DIFY_AGENT_PLUGIN_DAEMON_API_KEY: 'daemon-key',
      DIFY_AGENT_SHELLCTL_AUTH_TOKEN: 'shell-token',
      DIFY_AGENT_REDIS_URL: 'redis://:p%40ss@h:6379/0',
      DIFY_AGENT_SERVER_SECRET_KEY: KEY,
      DIFY_AGENT_API_TOKEN: 'api-token',
      DIFY_AGENT_API_TOKEN_PREVIOUS: 'older-token, oldest-token',
    });
    expect(configuredSecrets(settings).toSorted()).toEqual(
      ['p%40ss', 'p@ss', 'daemon-key', 'shell-token', KEY, 'api-token', 'older-token', 'oldest-token'].toSorted(),
    );
  });
});
