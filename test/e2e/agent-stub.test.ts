// The Agent Stub of the compiled binary between a sandbox and a fake Dify API: tokens made without our code or its library, every
// route, rotation by restart, the life of a job's token, and what never reaches the log.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createCipheriv, hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { type FakeDifyApi, referenceOf, startFakeDifyApi } from '../fakes/dify-api.ts';
import { type Answer, ask } from '../stub/kit.ts';
import { type ServerOptions, startProcess, startServer, type TestServer, withServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { runs, withShellServer } from './shell-kit.ts';

const SECRET = randomBytes(32).toString('base64url');
const NEXT_SECRET = randomBytes(32).toString('base64url');
const INNER_KEY = 'inner-key-that-nobody-may-see';
const PUBLIC_URL = 'https://agent.example.com/agent-stub';
const CONNECT = { argv: ['ls'] };

let api: FakeDifyApi;
let server: TestServer;

const stubEnv = (change: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  DIFY_AGENT_SERVER_SECRET_KEY: SECRET,
  DIFY_AGENT_STUB_URL: PUBLIC_URL,
  DIFY_AGENT_DIFY_API_BASE_URL: api.url,
  DIFY_AGENT_DIFY_API_INNER_API_KEY: INNER_KEY,
  DIFY_AGENT_LOG_LEVEL: 'debug',
  ...change,
});

beforeAll(async () => {
  api = startFakeDifyApi({ innerKey: INNER_KEY });
  server = await startServer({ env: stubEnv() });
}, 180_000);
afterAll(async () => {
  await server.dispose();
  await api.stop();
});

const b64 = (data: string | Uint8Array): string => Buffer.from(data).toString('base64url');

/** A token by spec 05 §2 alone. `header`: as the reference writes it. */
function mint(secret = SECRET, claims: object = {}, header = '{"alg": "dir", "enc": "A256GCM"}'): string {
  const key = hkdfSync(
    'sha256',
    Buffer.from(secret, 'base64url'),
    Buffer.alloc(32),
    'dify-agent:agent-stub:jwe:v1',
    32,
  );
  const now = Math.floor(Date.now() / 1000);
  const text = JSON.stringify({
    iss: 'dify-agent-server',
    aud: 'dify-agent-agent-stub',
    iat: now,
    nbf: now,
    exp: now + 300,
    jti: randomUUID(),
    scope: ['agent_stub:connect'],
    execution_context: {
      tenant_id: 't-1',
      user_id: 'u-1',
      user_from: 'account',
      agent_id: 'a-1',
      agent_config_version_id: 'v-1',
      agent_config_version_kind: 'build_draft',
      agent_mode: 'workflow_run',
      invoke_from: 'service-api',
    },
    shell: { session_id: 'abc12ff' },
    ...claims,
  });
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', new Uint8Array(key), iv);
  cipher.setAAD(Buffer.from(b64(header)));
  const ciphertext = Buffer.concat([cipher.update(text), cipher.final()]);
  return [b64(header), '', b64(iv), b64(ciphertext), b64(cipher.getAuthTag())].join('.');
}

const call = (to: TestServer, method: string, path: string, token: string, body?: unknown): Promise<Answer> =>
  ask(to.port, method, `/agent-stub${path}`, { token, body });
const accepts = async (to: TestServer, token: string): Promise<number> =>
  (await call(to, 'POST', '/connections', token, CONNECT)).status;
const later = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

describe('a token of somebody else’s making', () => {
  test('is accepted, and what it says counts', async () => {
    expect(await accepts(server, mint())).toBe(200);
    expect(await accepts(server, mint(SECRET, {}, '{"enc":"A256GCM","alg":"dir"}'))).toBe(200);
    const { status } = await call(server, 'POST', '/files/upload-request', mint(), { filename: 'a', mimetype: 'b' });
    expect(status).toBe(200);
    expect(api.requests.at(-1)?.body).toMatchObject({ tenant_id: 't-1', user_id: 'u-1' });
  });

  test.each<[string, () => string]>([
    ['of another secret', () => mint(NEXT_SECRET)],
    ['that has expired', () => mint(SECRET, { exp: later(0) })],
    ['that begins later', () => mint(SECRET, { nbf: later(60) })],
    ['for somebody else', () => mint(SECRET, { aud: 'x' })],
    ['without the scope', () => mint(SECRET, { scope: [] })],
    ['with a claim more', () => mint(SECRET, { admin: true })],
    ['with `zip`', () => mint(SECRET, {}, '{"alg":"dir","enc":"A256GCM","zip":"DEF"}')],
    ['with `kid`', () => mint(SECRET, {}, '{"alg":"dir","enc":"A256GCM","kid":"1"}')],
  ])('%s is refused', async (_, make) => {
    const answer = await call(server, 'POST', '/connections', make(), CONNECT);
    expect([answer.status, answer.json]).toEqual([401, { detail: 'invalid or missing Agent Stub authorization' }]);
  });
});

test('every route answers', async () => {
  const config = api.state.addConfig('a-1');
  config.skills.set('greeter', new TextEncoder().encode('PK'));
  config.files.set('n ü.txt', new TextEncoder().encode('hello'));
  const file = api.state.addFile({ tenantId: 't-1', filename: 'f', mimetype: null, bytes: new Uint8Array(3) });
  const token = mint();
  const ref = { kind: 'tool_file', id: file.id };
  const name = encodeURIComponent('n ü.txt');
  const mapping = { transfer_method: 'tool_file', reference: referenceOf(file.id) };
  const calls: readonly [string, string, unknown, unknown][] = [
    ['POST', '/connections', CONNECT, { connection_id: expect.any(String), status: 'connected' }],
    ['POST', '/files/upload-request', { filename: 'a', mimetype: 'b' }, { upload_url: expect.any(String) }],
    [
      'POST',
      '/files/download-request',
      { file: mapping },
      { filename: 'f', mime_type: null, size: 3, download_url: expect.any(String) },
    ],
    [
      'POST',
      '/drive/commit',
      { items: [{ key: 'files/f', file_ref: ref }] },
      { items: [expect.objectContaining({ key: 'files/f' })] },
    ],
    [
      'GET',
      '/drive/manifest?include_download_url=true',
      undefined,
      { items: [expect.objectContaining({ key: 'files/f', size: 3 })] },
    ],
    ['GET', '/config/manifest', undefined, expect.objectContaining({ agent_id: 'a-1' })],
    ['GET', '/config/skills/greeter/inspect', undefined, { name: 'greeter', entries: ['SKILL.md'] }],
    ['POST', '/config/push', { files: [{ name: 'new', file_ref: ref }] }, expect.objectContaining({ agent_id: 'a-1' })],
    ['PATCH', '/config/env', { env_text: 'A=1' }, { env_keys: ['A'] }],
    ['PUT', '/config/note', { note: 'n' }, { note: 'n' }],
  ];
  for (const [method, path, body, expected] of calls) {
    const { status, json } = await call(server, method, path, token, body);
    expect({ path, status, json }).toEqual({ path, status: 200, json: expected });
  }
  expect((await call(server, 'GET', '/config/skills/greeter/pull', token)).bytes.toString()).toBe('PK');
  expect((await call(server, 'GET', `/config/files/${name}/pull`, token)).bytes.toString()).toBe('hello');
  const asset = { config: { kind: 'file', name: 'n ü.txt' }, for_frontend: false };
  const { json } = await call(server, 'POST', '/files/download-request', token, asset);
  const { download_url: url } = json as { download_url: string }; // a 200 has one
  expect(url).toStartWith(`${PUBLIC_URL}/config/downloads/`);
  expect((await ask(server.port, 'GET', new URL(url).pathname)).bytes.toString()).toBe('hello');
  expect(api.violations).toEqual([]);
});

describe('beside the routes', () => {
  test.each([
    ['GET', '/agent-stub/connections', 405, 'POST'],
    ['HEAD', '/agent-stub/drive/manifest', 405, 'GET'],
    ['OPTIONS', '/agent-stub/connections', 405, 'POST'],
    ['GET', '/agent-stub', 404, undefined],
    ['GET', '/agent-stub/config/files/a%2Fb/pull', 404, undefined],
    ['POST', '/agent-stub/connections/', 307, undefined],
  ])('%s %s is %d', async (method, path, status, allow) => {
    const answer = await ask(server.port, method, path, { token: mint() });
    expect([answer.status, answer.headers.allow]).toEqual([status, allow]);
  });

  test('the document has the three of the seed', async () => {
    const { json } = await ask(server.port, 'GET', '/openapi.json');
    const { paths } = json as { paths: Readonly<Record<string, unknown>> }; // OpenAPI
    expect(Object.keys(paths).filter((path) => path.startsWith('/agent-stub'))).toEqual([
      '/agent-stub/connections',
      '/agent-stub/files/upload-request',
      '/agent-stub/files/download-request',
    ]);
  });

  test('a caller who leaves takes the inner call along, whatever host it named', async () => {
    for (const host of ['localhost', 'x', 'a b']) {
      api.misbehave({ kind: 'hang' });
      const socket = connectTcp(server.port, '127.0.0.1', () =>
        socket.write(
          `GET /agent-stub/drive/manifest HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${mint()}\r\n\r\n`,
        ),
      );
      socket.on('error', () => {});
      await until(`the inner call of ${host}`, () => api.hanging() === 1);
      socket.destroy();
      await until(`its end of ${host}`, () => api.hanging() === 0);
    }
  });
});

describe('the secret', () => {
  test('is rotated by restarts: first both, then the new one alone', async () => {
    const [old, fresh] = [mint(SECRET), mint(NEXT_SECRET)];
    const both = { DIFY_AGENT_SERVER_SECRET_KEY: NEXT_SECRET, DIFY_AGENT_SERVER_SECRET_KEY_PREVIOUS: SECRET };
    await withServer({ env: stubEnv(both) }, async (rotated) => {
      expect([await accepts(rotated, old), await accepts(rotated, fresh)]).toEqual([200, 200]);
    });
    await withServer({ env: stubEnv({ DIFY_AGENT_SERVER_SECRET_KEY: NEXT_SECRET }) }, async (rotated) => {
      expect([await accepts(rotated, old), await accepts(rotated, fresh)]).toEqual([401, 200]);
    });
  }, 60_000);

  test('that is missing keeps the server from starting, and says so', async () => {
    const said = async (env: ServerOptions['env']): Promise<readonly [number | null, string]> => {
      const running = await startProcess({ env: env ?? {} });
      try {
        const { code } = await running.exited;
        return [code, running.stderrLines.join('\n')];
      } finally {
        await running.dispose();
      }
    };
    expect(await said({ DIFY_AGENT_STUB_URL: PUBLIC_URL })).toEqual([
      1,
      expect.stringContaining('DIFY_AGENT_SERVER_SECRET_KEY is required when DIFY_AGENT_STUB_URL is set.'),
    ]);
    expect(await said({ DIFY_AGENT_SERVER_SECRET_KEY_PREVIOUS: SECRET })).toEqual([
      1,
      expect.stringContaining('DIFY_AGENT_SERVER_SECRET_KEY is required when'),
    ]);
    const [code, text] = await said({ DIFY_AGENT_SERVER_SECRET_KEY: `${SECRET}=` });
    expect([code, text.includes(SECRET)]).toEqual([1, false]);
  });
});

describe('beside a server token', () => {
  test('neither opens the other’s doors', async () => {
    const apiToken = 'server-token-of-this-test-0123456789';
    await withServer({ env: stubEnv({ DIFY_AGENT_API_TOKEN: apiToken }) }, async (guarded) => {
      const token = mint();
      expect(await accepts(guarded, token)).toBe(200);
      expect(await accepts(guarded, apiToken)).toBe(401);
      expect((await ask(guarded.port, 'GET', '/runs/x', { token })).status).toBe(401);
    });
  }, 60_000);
});

test('a URL that no client can use, and a missing Dify API, are told at the start', async () => {
  const env = { DIFY_AGENT_SERVER_SECRET_KEY: SECRET, DIFY_AGENT_STUB_URL: 'https://agent.example.com' };
  await withServer({ env }, async (odd) => {
    const warnings = odd.stderrLines.filter((line) => line.includes('"warn"')).join('\n');
    expect(warnings).toContain('DIFY_AGENT_STUB_URL does not end in /agent-stub');
    expect(warnings).toContain('DIFY_AGENT_DIFY_API_BASE_URL and DIFY_AGENT_DIFY_API_INNER_API_KEY are not set');
    const answer = await call(odd, 'POST', '/files/upload-request', mint(), { filename: 'a', mimetype: 'b' });
    expect([answer.status, answer.json]).toEqual([503, { detail: 'Agent Stub file API is not configured' }]);
  });
}, 60_000);

test('a job is given everything; its token is good while its run goes on, and not after it', async () => {
  await withShellServer({ env: stubEnv() }, async (world) => {
    const at = (name: string): string => join(world.shellctl.home, name);
    world.play(
      runs(
        'env | grep ^DIFY_AGENT_ | sort > ~/given.tmp; mv ~/given.tmp ~/given; while [ ! -e ~/go ]; do sleep 0.02; done',
      ),
      runs('printf %s "$DIFY_AGENT_STUB_AUTH_JWE" > ~/second; printf "%s" "$DIFY_AGENT_STUB_AUTH_JWE"'),
    );
    const runId = await world.start();
    await until('the job', () => existsSync(at('given')));
    const given = Object.fromEntries(
      readFileSync(at('given'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    const token = given.DIFY_AGENT_STUB_AUTH_JWE ?? '';
    expect(given).toEqual({
      DIFY_AGENT_STUB_API_BASE_URL: PUBLIC_URL,
      DIFY_AGENT_STUB_AUTH_JWE: token,
      DIFY_AGENT_STUB_DRIVE_BASE: '/mnt/drive',
      DIFY_AGENT_STUB_URL: PUBLIC_URL,
    });
    expect(await accepts(world.server, token)).toBe(200);
    const upload = { filename: 'a', mimetype: 'b' };
    expect((await call(world.server, 'POST', '/files/upload-request', token, upload)).status).toBe(200);
    expect(api.requests.at(-1)?.body).toEqual({ tenant_id: 't-1', user_id: 'u-1', ...upload });
    // What the context lacks is told; the sandbox cannot add it.
    const manifest = await call(world.server, 'GET', '/drive/manifest', token);
    expect([manifest.status, manifest.json]).toEqual([
      400,
      { detail: 'execution context agent_id is required for drive operations' },
    ]);
    writeFileSync(at('go'), '');
    const run = await world.follow(runId);
    const second = readFileSync(at('second'), 'utf8');
    expect(second).not.toBe(token);
    expect([await accepts(world.server, token), await accepts(world.server, second)]).toEqual([401, 401]);
    // A token of another run of the same session is good as ever.
    expect(await accepts(world.server, mint())).toBe(200);
    for (const text of [run.text, world.server.stderrLines.join('\n'), JSON.stringify(run.snapshot)]) {
      for (const secret of [token, second]) expect(text).not.toContain(secret.slice(60, 120));
    }
  });
}, 60_000);

test('half of a configuration gives a job nothing', async () => {
  await withShellServer({ env: { DIFY_AGENT_SERVER_SECRET_KEY: SECRET } }, async (world) => {
    world.play(runs('env | grep -c ^DIFY_AGENT_'));
    const { results } = await world.run();
    expect(results).toMatchObject([{ output: '0\n' }]);
  });
}, 60_000);

test('no key, secret, token or ticket is in the log, at its chattiest', async () => {
  const token = mint();
  api.misbehave(
    { kind: 'answer', status: 500, body: JSON.stringify({ message: `key ${INNER_KEY} unknown` }) },
    { kind: 'answer', status: 401, body: JSON.stringify({ message: INNER_KEY }) },
  );
  for (let i = 0; i < 2; i++) await call(server, 'GET', '/drive/manifest', token);
  await call(server, 'POST', '/connections', `${token.slice(0, -2)}AA`, CONNECT);
  const log = server.stderrLines.join('\n');
  expect(log).toContain('agent stub: token refused');
  expect(log).toContain('"upstream_status":401');
  for (const secret of [INNER_KEY, SECRET, token.slice(60, 120), '/config/downloads/ey']) {
    expect(log).not.toContain(secret);
  }
});
