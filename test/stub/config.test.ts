// The variables of the stub together (spec 05 §1): what contradicts, in which words and order; what is odd; both generations of
// names.

import { describe, expect, test } from 'bun:test';
import { loadSettings } from '../../src/config/load.ts';
import { configuredSecrets } from '../../src/config/secrets.ts';
import type { Settings } from '../../src/config/settings.ts';
import { difyApiAddress, stubAddresses, stubWarnings } from '../../src/config/stub.ts';
import { OTHER_SECRET, SECRET } from './kit.ts';

type Variables = Readonly<Record<string, string>>;

function load(variables: Variables): { readonly problems: readonly string[]; readonly settings: Settings | null } {
  const env = Object.fromEntries(Object.entries(variables).map(([name, value]) => [`DIFY_AGENT_${name}`, value]));
  const loaded = loadSettings(env, null);
  return loaded.ok ? { problems: [], settings: loaded.settings } : { problems: loaded.problems, settings: null };
}

function settingsOf(variables: Variables): Settings {
  const { settings, problems } = load(variables);
  if (settings === null) throw new Error(problems.join('\n'));
  return settings;
}

const WEB = 'https://h/agent-stub';
const GRPC = 'grpc://h:9091';
const PAIR = 'DIFY_AGENT_DIFY_API_BASE_URL and DIFY_AGENT_DIFY_API_INNER_API_KEY must be set together.';

describe('what contradicts', () => {
  test.each<[Variables, readonly string[]]>([
    [{ STUB_URL: WEB }, ['DIFY_AGENT_SERVER_SECRET_KEY is required when DIFY_AGENT_STUB_URL is set.']],
    [
      { STUB_API_BASE_URL: WEB },
      ['DIFY_AGENT_SERVER_SECRET_KEY is required when DIFY_AGENT_STUB_API_BASE_URL is set.'],
    ],
    [
      { STUB_URL: WEB, STUB_API_BASE_URL: WEB },
      ['DIFY_AGENT_SERVER_SECRET_KEY is required when DIFY_AGENT_STUB_URL is set.'],
    ],
    [
      { STUB_GRPC_BIND_ADDRESS: 'h:1' },
      ['DIFY_AGENT_STUB_URL is required when DIFY_AGENT_STUB_GRPC_BIND_ADDRESS is set.'],
    ],
    [
      { STUB_URL: WEB, SERVER_SECRET_KEY: SECRET, STUB_GRPC_BIND_ADDRESS: 'h:1' },
      ['DIFY_AGENT_STUB_GRPC_BIND_ADDRESS requires a grpc:// DIFY_AGENT_STUB_URL.'],
    ],
    [
      { STUB_API_BASE_URL: WEB, SERVER_SECRET_KEY: SECRET, STUB_GRPC_BIND_ADDRESS: 'h:1' },
      ['DIFY_AGENT_STUB_GRPC_BIND_ADDRESS requires a grpc:// DIFY_AGENT_STUB_API_BASE_URL.'],
    ],
    [
      { SERVER_SECRET_KEY_PREVIOUS: OTHER_SECRET },
      ['DIFY_AGENT_SERVER_SECRET_KEY is required when DIFY_AGENT_SERVER_SECRET_KEY_PREVIOUS is set.'],
    ],
    [{ DIFY_API_BASE_URL: 'http://h' }, [PAIR]],
    [{ DIFY_API_INNER_API_KEY: 'k' }, [PAIR]],
    [
      { DIFY_API_BASE_URL: 'http://h/?a', DIFY_API_INNER_API_KEY: 'k' },
      ['DIFY_AGENT_DIFY_API_BASE_URL must not include a query string or fragment'],
    ],
    [
      { DIFY_API_BASE_URL: 'h:80', DIFY_API_INNER_API_KEY: 'k' },
      ['DIFY_AGENT_DIFY_API_BASE_URL: must be an http:// or https:// URL'],
    ],
    [{ INNER_API_URL: ' ' }, ['DIFY_AGENT_INNER_API_URL must not be empty']],
    [{ INNER_API_URL: 'http://h#x' }, ['DIFY_AGENT_INNER_API_URL must not include a query string or fragment']],
    [{ INNER_API_URL: 'ftp://h' }, ['DIFY_AGENT_INNER_API_URL: must be an http:// or https:// URL']],
    [{ STUB_URL: 'ftp://h/agent-stub' }, ['DIFY_AGENT_STUB_URL: Agent Stub URL must use http, https, or grpc']],
    [
      { STUB_API_BASE_URL: 'https://h/x' },
      ['DIFY_AGENT_STUB_API_BASE_URL: HTTP Agent Stub API base URL path must be empty or /agent-stub'],
    ],
    [{ SERVER_SECRET_KEY: `"${SECRET}"` }, ['DIFY_AGENT_SERVER_SECRET_KEY must be valid unpadded base64url text']],
    [{ SERVER_SECRET_KEY: `${SECRET}=` }, ['DIFY_AGENT_SERVER_SECRET_KEY must be valid unpadded base64url text']],
    [
      { SERVER_SECRET_KEY: `${SECRET.slice(1)}!` },
      ['DIFY_AGENT_SERVER_SECRET_KEY must be valid unpadded base64url text'],
    ],
    [{ SERVER_SECRET_KEY: SECRET.slice(3) }, ['DIFY_AGENT_SERVER_SECRET_KEY must decode to exactly 32 decoded bytes']],
    [
      { STUB_GRPC_TLS_CERT: '/c' },
      ['DIFY_AGENT_STUB_GRPC_TLS_CERT and DIFY_AGENT_STUB_GRPC_TLS_KEY must be set together.'],
    ],
    [
      { STUB_URL: WEB, STUB_GRPC_BIND_ADDRESS: 'h:1', DIFY_API_BASE_URL: 'http://h' },
      [
        'DIFY_AGENT_SERVER_SECRET_KEY is required when DIFY_AGENT_STUB_URL is set.',
        'DIFY_AGENT_STUB_GRPC_BIND_ADDRESS requires a grpc:// DIFY_AGENT_STUB_URL.',
        PAIR,
      ],
    ],
  ])('%j', (variables, problems) => {
    expect(load(variables).problems).toEqual(problems);
  });

  test.each<[Variables]>([
    [{ SERVER_SECRET_KEY: SECRET }],
    [{ SERVER_SECRET_KEY: SECRET, STUB_URL: WEB }],
    [{ SERVER_SECRET_KEY: SECRET, STUB_URL: GRPC, STUB_GRPC_BIND_ADDRESS: '[::]:9091' }],
    [{ SERVER_SECRET_KEY: SECRET, STUB_URL: GRPC, STUB_API_BASE_URL: WEB, STUB_GRPC_BIND_ADDRESS: 'h:1' }],
    [{ SERVER_SECRET_KEY: SECRET, STUB_URL: WEB, STUB_API_BASE_URL: GRPC, STUB_GRPC_BIND_ADDRESS: 'h:1' }],
    [{ INNER_API_KEY: 'k' }],
    [{ INNER_API_URL: 'http://h' }],
    [{ DIFY_API_BASE_URL: 'http://h', INNER_API_KEY: 'k' }],
    [{ INNER_API_URL: 'http://h', DIFY_API_INNER_API_KEY: 'k' }],
  ])('%j does not', (variables) => {
    expect(load(variables).problems).toEqual([]);
  });
});

describe('the Dify API', () => {
  test.each<[Variables, readonly [string, string] | null]>([
    [{}, null],
    [{ INNER_API_URL: 'http://h' }, null],
    [{ INNER_API_KEY: 'k' }, ['http://localhost:5001', 'k']],
    [{ INNER_API_KEY: ' k ', INNER_API_URL: ' HTTP://Api.Example.com:80/x// ' }, ['http://api.example.com/x', 'k']],
    [{ DIFY_API_BASE_URL: 'http://a/', DIFY_API_INNER_API_KEY: 'k' }, ['http://a', 'k']],
    [
      { DIFY_API_BASE_URL: 'http://a', DIFY_API_INNER_API_KEY: 'k', INNER_API_URL: 'http://b', INNER_API_KEY: 'l' },
      ['http://a', 'k'],
    ],
    [{ DIFY_API_BASE_URL: 'http://a', INNER_API_KEY: 'l' }, ['http://a', 'l']],
    [{ INNER_API_URL: 'http://b', DIFY_API_INNER_API_KEY: 'k' }, ['http://b', 'k']],
  ])('%j', (variables, expected) => {
    const address = difyApiAddress(settingsOf(variables).difyApi);
    expect(address === null ? null : ([address.baseUrl, address.innerApiKey] as const)).toEqual(expected);
  });

  test('time-outs have the names of later vintages too', () => {
    const { difyApi } = settingsOf({ OUTBOUND_HTTP_READ_TIMEOUT: '7', OUTBOUND_HTTP_CONNECT_TIMEOUT: '3' });
    expect(difyApi).toMatchObject({
      connectTimeoutSeconds: 3,
      readTimeoutSeconds: 7,
      poolTimeoutSeconds: 10,
      fileTimeoutSeconds: 30,
      maxConnections: 32,
    });
  });
});

test('the URLs of the stub, and whether gRPC is wanted', () => {
  const addresses = (variables: Variables) =>
    stubAddresses(settingsOf({ SERVER_SECRET_KEY: SECRET, ...variables }).stub);
  expect(addresses({})).toBeNull();
  expect(addresses({ STUB_URL: WEB })?.grpcUrl).toBeNull();
  expect(addresses({ STUB_URL: GRPC })?.grpcUrl).toBe(GRPC);
  expect(addresses({ STUB_API_BASE_URL: GRPC, STUB_URL: WEB })?.grpcUrl).toBe(GRPC);
});

describe('what is odd', () => {
  const warnings = (variables: Variables): readonly string[] => stubWarnings(settingsOf(variables));
  const full = { SERVER_SECRET_KEY: SECRET, DIFY_API_BASE_URL: 'http://a', DIFY_API_INNER_API_KEY: 'k' };

  test('nothing, in a whole configuration and in none', () => {
    expect(warnings({})).toEqual([]);
    for (const url of [WEB, GRPC, 'https://gw/x/agent-stub']) expect(warnings({ ...full, STUB_URL: url })).toEqual([]);
    expect(warnings({ ...full, STUB_API_BASE_URL: 'https://h' })).toEqual([]);
  });

  test.each<[Variables, RegExp]>([
    [{ ...full, STUB_URL: 'https://h' }, /DIFY_AGENT_STUB_URL does not end in \/agent-stub/],
    [{ ...full, STUB_URL: 'https://h/other' }, /DIFY_AGENT_STUB_URL does not end in \/agent-stub/],
    [{ SERVER_SECRET_KEY: SECRET, STUB_URL: WEB }, /answers requests for files, drive and configuration with 503/],
    [full, /tokens are accepted, but shell jobs get none/],
    [{ ...full, STUB_URL: WEB, INNER_API_URL: 'http://b' }, /DIFY_AGENT_INNER_API_URL is ignored/],
    [{ ...full, STUB_URL: WEB, INNER_API_KEY: 'other' }, /DIFY_AGENT_INNER_API_KEY is ignored/],
  ])('%j', (variables, text) => {
    expect(warnings(variables)).toEqual([expect.stringMatching(text)]);
  });
});

test('every key is known to the redactor', () => {
  const settings = settingsOf({
    SERVER_SECRET_KEY: SECRET,
    SERVER_SECRET_KEY_PREVIOUS: `${OTHER_SECRET}, ${'B'.repeat(43)}`,
    DIFY_API_BASE_URL: 'http://u:pass-word@h',
    DIFY_API_INNER_API_KEY: 'first-key',
    INNER_API_KEY: 'second-key',
  });
  expect(configuredSecrets(settings)).toEqual(
    expect.arrayContaining([SECRET, OTHER_SECRET, 'B'.repeat(43), 'pass-word', 'first-key', 'second-key']),
  );
});
