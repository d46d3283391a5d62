// One idempotency key at two server processes on one Redis, at the same time: one run, whoever asks.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { createRun, finish, post, scripted } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';

let redis: RedisProcess;
let servers: readonly TestServer[] = [];

beforeAll(async () => {
  redis = await startRedis();
  const env = { DIFY_AGENT_STORE_URL: redis.url };
  const strict = { ...env, DIFY_AGENT_IDEMPOTENCY: 'strict' };
  servers = await Promise.all([startServer({ env }), startServer({ env }), startServer({ env: strict })]);
}, 180_000);

afterAll(async () => {
  for (const server of servers) await server.dispose();
  await redis?.dispose();
});

const keyed = (key: string, text = 'x') => ({ ...scripted([[{ text }]]), idempotency_key: key });

test('a hundred concurrent requests at two processes are one run', async () => {
  const runIds = await Promise.all(
    Array.from({ length: 100 }, (_, index) => createRun(servers[index % 2]?.url ?? '', keyed('hundred'))),
  );
  expect(new Set(runIds).size).toBe(1);
  expect((await finish(servers[0]?.url ?? '', runIds[0] ?? '')).terminal.output).toBe('x');
  const records = await redis.admin((client) => client.keys('*:record'));
  expect(records).toHaveLength(1);
  // Also when it is over.
  expect(await createRun(servers[1]?.url ?? '', keyed('hundred'))).toBe(runIds[0] ?? '');
});

test('another request with the key is another run; strict: 409', async () => {
  const [first, second, strict] = servers;
  const runId = await createRun(first?.url ?? '', keyed('other', 'a'));
  const other = await createRun(second?.url ?? '', keyed('other', 'b'));
  expect(other).not.toBe(runId);
  const refused = await post(strict?.url ?? '', keyed('other', 'c'));
  expect(refused.status).toBe(409);
  expect(await createRun(strict?.url ?? '', keyed('other', 'b'))).toBe(other);
});

test('the key itself is not in Redis', async () => {
  await createRun(servers[0]?.url ?? '', keyed('a-key-that-tells-something'));
  await redis.admin(async (client) => {
    for (const key of await client.keys('*')) {
      expect(key).not.toContain('tells-something');
      if ((await client.type(key)) === 'string') expect(await client.get(key)).not.toContain('tells-something');
    }
  });
});
