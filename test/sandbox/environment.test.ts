// Where the stub is, by the environment of a shell job (spec 05 §3, §8), and what is said when it does not tell.

import { expect, test } from 'bun:test';
import { readStubAccess } from '../../src/sandbox/environment.ts';
import { SandboxEnvironmentError } from '../../src/sandbox/errors.ts';

function problem(env: Readonly<Record<string, string>>): string {
  try {
    readStubAccess(env);
  } catch (error) {
    if (error instanceof SandboxEnvironmentError) return error.message;
    throw error;
  }
  return 'none';
}

const TOKEN = { DIFY_AGENT_STUB_AUTH_JWE: 'a..b.c.d' };
const urlOf = (env: Readonly<Record<string, string>>) => readStubAccess({ ...TOKEN, ...env }).url;

test('what is missing is named', () => {
  const missing = 'missing required Agent Stub environment variables: ';
  expect(problem({})).toBe(`${missing}DIFY_AGENT_STUB_URL, DIFY_AGENT_STUB_AUTH_JWE`);
  expect(problem(TOKEN)).toBe(`${missing}DIFY_AGENT_STUB_URL`);
  expect(problem({ DIFY_AGENT_STUB_URL: 'https://h/agent-stub' })).toBe(`${missing}DIFY_AGENT_STUB_AUTH_JWE`);
  expect(problem({ DIFY_AGENT_STUB_URL: ' ', DIFY_AGENT_STUB_AUTH_JWE: '\n' })).toBe(
    `${missing}DIFY_AGENT_STUB_URL, DIFY_AGENT_STUB_AUTH_JWE`,
  );
});

test('both generations of names; the later one counts, which always speaks HTTP', () => {
  expect(urlOf({ DIFY_AGENT_STUB_URL: 'https://h/agent-stub' })).toBe('https://h/agent-stub');
  expect(urlOf({ DIFY_AGENT_STUB_API_BASE_URL: ' https://h/agent-stub/ ' })).toBe('https://h/agent-stub');
  const both = { DIFY_AGENT_STUB_URL: 'grpc://h:1', DIFY_AGENT_STUB_API_BASE_URL: 'https://h' };
  expect(readStubAccess({ ...TOKEN, ...both })).toEqual({
    url: 'https://h/agent-stub',
    transport: 'http',
    token: 'a..b.c.d',
  });
});

test('a bare origin means the routes below it; any other path is kept', () => {
  expect(urlOf({ DIFY_AGENT_STUB_URL: 'https://h' })).toBe('https://h/agent-stub');
  expect(urlOf({ DIFY_AGENT_STUB_URL: 'http://h:81/' })).toBe('http://h:81/agent-stub');
  expect(urlOf({ DIFY_AGENT_STUB_URL: 'https://gw/x/agent-stub' })).toBe('https://gw/x/agent-stub');
});

test('gRPC', () => {
  expect(readStubAccess({ ...TOKEN, DIFY_AGENT_STUB_URL: 'grpc://Host:9091/' })).toEqual({
    url: 'grpc://host:9091',
    transport: 'grpc',
    token: 'a..b.c.d',
  });
});

test('URLs and tokens that are none name their variable', () => {
  const of = (DIFY_AGENT_STUB_URL: string) => problem({ ...TOKEN, DIFY_AGENT_STUB_URL });
  expect(of('ftp://h')).toBe('invalid DIFY_AGENT_STUB_URL: Agent Stub URL must use http, https, or grpc');
  expect(of('grpc://h')).toBe('invalid DIFY_AGENT_STUB_URL: gRPC Agent Stub URL must include an explicit port');
  expect(of('https://u:p@h')).toBe('invalid DIFY_AGENT_STUB_URL: Agent Stub URL must not include user info');
  expect(problem({ ...TOKEN, DIFY_AGENT_STUB_API_BASE_URL: 'h' })).toStartWith(
    'invalid DIFY_AGENT_STUB_API_BASE_URL: ',
  );
  for (const token of ['a b', 'a\r\nX-Evil: 1', 'tökén', 'x'.repeat(8_193)]) {
    const text = problem({ DIFY_AGENT_STUB_URL: 'https://h', DIFY_AGENT_STUB_AUTH_JWE: token });
    expect(text).toBe('invalid DIFY_AGENT_STUB_AUTH_JWE: not a token');
  }
});
