// What a shell job gets (spec 05 §3, 04 §2.7): all of it or nothing, fresh each time.

import { expect, test } from 'bun:test';
import { noopLogger } from '../../src/observe/logger.ts';
import { createStub, type Stub } from '../../src/stub/stub.ts';
import { codec, contextOf, SECRET, settingsOf, testClock } from './kit.ts';

const stubOf = (variables: Readonly<Record<string, string>>, clock = testClock()): Stub =>
  createStub(settingsOf(variables), { clock, logger: noopLogger, userAgent: 'dify-agent/test' });

const request = { context: contextOf(), sessionId: 'abc12ff', driveRef: null };

async function urlsOf(variables: Readonly<Record<string, string>>): Promise<readonly unknown[]> {
  const { env } = (await stubOf({ SERVER_SECRET_KEY: SECRET, ...variables }).environments?.issue(request)) ?? {};
  return [env?.DIFY_AGENT_STUB_URL, env?.DIFY_AGENT_STUB_API_BASE_URL];
}

test('a job gets both names of the URL, a token of its session, and its drive', async () => {
  const clock = testClock();
  const stub = stubOf({ SERVER_SECRET_KEY: SECRET, STUB_URL: 'https://a.example.com/agent-stub' }, clock);
  const made = await stub.environments?.issue({ ...request, driveRef: ' agent-1/x ' });
  const token = made?.env.DIFY_AGENT_STUB_AUTH_JWE ?? '';
  expect(made?.env).toEqual({
    DIFY_AGENT_STUB_URL: 'https://a.example.com/agent-stub',
    DIFY_AGENT_STUB_API_BASE_URL: 'https://a.example.com/agent-stub',
    DIFY_AGENT_STUB_AUTH_JWE: token,
    DIFY_AGENT_STUB_DRIVE_BASE: '/mnt/drive/agent-1/x',
  });
  expect(made?.secrets).toEqual([token]);
  expect(await codec(clock).check(`Bearer ${token}`)).toMatchObject({
    ok: true,
    claims: { context: contextOf(), sessionId: 'abc12ff' },
  });
});

test('every job gets a token of its own', async () => {
  const { environments } = stubOf({ SERVER_SECRET_KEY: SECRET, STUB_URL: 'https://h/agent-stub' });
  const made = await Promise.all([1, 2, 3].map(() => environments?.issue(request)));
  expect(new Set(made.map((one) => one?.env.DIFY_AGENT_STUB_AUTH_JWE)).size).toBe(3);
});

test('without a URL or a secret there is nothing to give', () => {
  expect(stubOf({}).environments).toBeNull();
  expect(stubOf({ SERVER_SECRET_KEY: SECRET }).environments).toBeNull();
});

test('an unsafe drive gives nothing at all', async () => {
  const { environments } = stubOf({ SERVER_SECRET_KEY: SECRET, STUB_URL: 'https://h/agent-stub' });
  for (const driveRef of ['/etc', '../x', 'a//b', 'a/./b']) {
    await expect(environments?.issue({ ...request, driveRef })).rejects.toMatchObject({
      code: 'drive_ref_unsafe',
      message: 'Agent Stub drive_ref must be a safe relative path',
    });
  }
});

test('one URL stands in for the other, two go where they belong', async () => {
  const [web, grpc] = ['https://h/agent-stub', 'grpc://h:9091'];
  expect(await urlsOf({ STUB_API_BASE_URL: 'https://h' })).toEqual([web, web]);
  expect(await urlsOf({ STUB_URL: grpc })).toEqual([grpc, grpc]);
  expect(await urlsOf({ STUB_URL: grpc, STUB_API_BASE_URL: web })).toEqual([grpc, web]);
  // As written for the seed's clients; later ones add the path themselves.
  expect(await urlsOf({ STUB_URL: 'https://h' })).toEqual(['https://h', web]);
  expect(await urlsOf({ STUB_URL: 'https://h/x/agent-stub' })).toEqual([
    'https://h/x/agent-stub',
    'https://h/x/agent-stub',
  ]);
});

test('the bind address never changes what the sandbox is told', async () => {
  const urls = await urlsOf({ STUB_URL: 'grpc://public:9091', STUB_GRPC_BIND_ADDRESS: '127.0.0.1:1' });
  expect(urls[0]).toBe('grpc://public:9091');
});
