// Who may call, over what, with how much: which combinations refuse to start, and which are warned about.

import { describe, expect, test } from 'bun:test';
import { accessProblems, accessWarnings, isLoopback } from '../../src/config/access.ts';
import { loadSettings } from '../../src/config/load.ts';
import type { Settings } from '../../src/config/settings.ts';

type Env = Readonly<Record<string, string>>;

const named = (env: Env) =>
  Object.fromEntries(Object.entries(env).map(([name, value]) => [`DIFY_AGENT_${name}`, value]));

function problemsOf(env: Env): readonly string[] {
  const loaded = loadSettings(named(env), null);
  return loaded.ok ? [] : loaded.problems;
}

function settingsOf(env: Env): Settings {
  const loaded = loadSettings(named(env), null);
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return loaded.settings;
}

test.each([
  ['127.0.0.1', true],
  ['127.255.255.254', true],
  ['::1', true],
  ['0:0:0:0:0:0:0:1', true],
  ['::ffff:127.0.0.1', true],
  ['localhost', true],
  ['LOCALHOST', true],
  ['localhost.', true],
  ['0.0.0.0', false],
  ['::', false],
  ['0', false],
  ['127.1', false],
  ['2130706433', false],
  ['128.0.0.1', false],
  ['::ffff:10.0.0.1', false],
  ['::ffff:0.0.0.0', false],
  ['fe80::1', false],
  ['agent.example.com', false],
  ['localhost.example.com', false],
  ['127.0.0.1.example.com', false],
])('%s is loopback: %p', (host, loopback) => {
  expect(isLoopback(host)).toBe(loopback);
});

describe('an address that others can reach', () => {
  test.each(['0.0.0.0', '::', '[::]', '10.1.2.3', 'agent.internal'])(
    '%s needs a token, or the word that none is meant',
    (host) => {
      const [problem = '', ...rest] = problemsOf({ HOST: host });
      expect(rest).toEqual([]);
      expect(problem).toStartWith('DIFY_AGENT_HOST: ');
      expect(problem).toContain('DIFY_AGENT_API_TOKEN');
      expect(problem).toContain('DIFY_AGENT_ALLOW_ANONYMOUS=true');
      expect(problem).not.toContain('\n');
      expect(problemsOf({ HOST: host, API_TOKEN: 'secret-token' })).toEqual([]);
      expect(problemsOf({ HOST: host, ALLOW_ANONYMOUS: 'true' })).toEqual([]);
      expect(problemsOf({ HOST: host, API_TOKEN: '  ' })).toEqual([problem]);
    },
  );

  test('is warned about when everybody may call', () => {
    expect(accessWarnings(settingsOf({ HOST: '0.0.0.0', ALLOW_ANONYMOUS: 'true' })).join()).toContain('0.0.0.0');
    expect(accessWarnings(settingsOf({ HOST: '0.0.0.0', API_TOKEN: 'secret-token', ALLOW_ANONYMOUS: 'true' }))).toEqual(
      [],
    );
    expect(accessWarnings(settingsOf({ ALLOW_ANONYMOUS: 'true' }))).toEqual([]);
  });
});

test('older tokens without a token are a mistake, not an open server', () => {
  expect(problemsOf({ API_TOKEN_PREVIOUS: 'old-token' })).toEqual([
    'DIFY_AGENT_API_TOKEN is required when DIFY_AGENT_API_TOKEN_PREVIOUS is set.',
  ]);
  expect(problemsOf({ API_TOKEN_PREVIOUS: 'old-token', API_TOKEN: ' ', HOST: '0.0.0.0' })).toHaveLength(1);
});

test('tokens are trimmed, lists of them are split, and the brief name of the variable is read too', () => {
  expect(settingsOf({ API_TOKEN: ' new\n', API_TOKEN_PREVIOUS: ' a ,b,, ' }).access).toEqual({
    apiToken: 'new',
    apiTokensPrevious: ['a', 'b'],
    allowAnonymous: false,
  });
  expect(settingsOf({ RUN_API_TOKEN: 'brief' }).access.apiToken).toBe('brief');
  expect(problemsOf({ API_TOKEN: 'pässword' }).join()).not.toContain('pässword');
});

test('certificate and key come together', () => {
  const problem = ['DIFY_AGENT_TLS_CERT and DIFY_AGENT_TLS_KEY must be set together.'];
  expect(problemsOf({ TLS_CERT: '/c.pem' })).toEqual(problem);
  expect(problemsOf({ TLS_KEY: '/k.pem' })).toEqual(problem);
  expect(problemsOf({ TLS_CERT: '/c.pem', TLS_KEY: ' ' })).toEqual(problem);
  expect(problemsOf({ TLS_CERT: '/c.pem', TLS_KEY: '/k.pem' })).toEqual([]);
});

test('all bodies together have room for one', () => {
  const [problem = ''] = problemsOf({ MAX_REQUEST_BYTES: '500_000_000' });
  expect(problem).toBe(
    'DIFY_AGENT_MAX_PENDING_REQUEST_BYTES must be at least DIFY_AGENT_MAX_REQUEST_BYTES, which is 500000000.',
  );
  expect(problemsOf({ MAX_REQUEST_BYTES: '500_000_000', MAX_PENDING_REQUEST_BYTES: '500_000_000' })).toEqual([]);
});

describe('origins', () => {
  test('are normalised as browsers write them', () => {
    const CORS_ORIGINS = 'https://App.example.com/, http://localhost:3000,https://a.example:443';
    expect(settingsOf({ CORS_ORIGINS }).corsOrigins).toEqual([
      'https://app.example.com',
      'http://localhost:3000',
      'https://a.example',
    ]);
  });

  test.each(['app.example.com', 'https://a.example/path', 'https://u@a.example', 'null', 'https://*.example.com/x'])(
    '%s is refused',
    (text) => {
      expect(problemsOf({ CORS_ORIGINS: text })).toEqual([
        'DIFY_AGENT_CORS_ORIGINS: must be origins like https://app.example.com, or *',
      ]);
    },
  );

  test('have no wildcards in them: they would match nothing', () => {
    expect(problemsOf({ CORS_ORIGINS: 'https://*.example.com' })).toEqual([
      'DIFY_AGENT_CORS_ORIGINS: * means any origin and cannot be a part of one.',
    ]);
  });

  test('any origin without a token is warned about', () => {
    expect(accessWarnings(settingsOf({ CORS_ORIGINS: '*' })).join()).toContain('DIFY_AGENT_CORS_ORIGINS');
    expect(accessWarnings(settingsOf({ CORS_ORIGINS: '*', API_TOKEN: 'secret-token' }))).toEqual([]);
  });
});

test('the defaults are in order', () => {
  expect(accessProblems(settingsOf({}))).toEqual([]);
  expect(accessWarnings(settingsOf({}))).toEqual([]);
});
