// The floor: what this Redis and node-redis can do without our store, on the payloads of a streaming run. Measured in the
// same run as the store, so that both saw the same machine.

import type { AdminClient, RedisProcess } from '../support/redis-process.ts';

const RUNS = 50;

/** Fences on a record, appends a batch, and returns the ids: the least that an append needs. */
const APPEND = `
local record = redis.call('GET', KEYS[1])
if not record or not string.find(record, '"status":"running"', 1, true) then return {} end
local ids = {}
for index = 1, #ARGV do ids[index] = redis.call('XADD', KEYS[2], '*', 'payload', ARGV[index]) end
return ids
`;

/** An event of one character, as the server stores it. */
export const BENCH_PAYLOAD = JSON.stringify({
  run_id: '4d1f3c0e-8a54-4c6b-9a53-0d6f5f1f7a10',
  created_at: '2026-06-02T08:15:30.209551Z',
  type: 'pydantic_ai_event',
  data: {
    index: 0,
    delta: { content_delta: 'x', provider_name: null, provider_details: null, part_delta_kind: 'text' },
    event_kind: 'part_delta',
  },
});

/** Events per second. */
export interface Floor {
  /** One XADD per event; 50 runs, each with `depth` on their way. */
  readonly pipelined: number;
  /** A fenced script of ten events at once; 50 runs, each with one on its way. */
  readonly scripted: number;
}

/** Measures both on `events` events each. */
export async function floor(redis: RedisProcess, events: number, depth = 20): Promise<Floor> {
  return redis.admin(async (client) => {
    const pipelined = await rate(client, events, depth, (key) =>
      client.xAdd(`${key}:events`, '*', { payload: BENCH_PAYLOAD }),
    );
    const sha = await client.scriptLoad(APPEND);
    const batch = new Array<string>(10).fill(BENCH_PAYLOAD);
    const scripted = await rate(client, events / batch.length, 1, (key) =>
      client.evalSha(sha, { keys: [`${key}:record`, `${key}:events`], arguments: batch }),
    );
    return { pipelined, scripted: scripted * batch.length };
  });
}

async function rate(
  client: AdminClient,
  writes: number,
  depth: number,
  write: (key: string) => Promise<unknown>,
): Promise<number> {
  const keys = Array.from({ length: RUNS }, (_, run) => `floor:${run}`);
  for (const key of keys) await client.set(`${key}:record`, '{"status":"running"}');
  let left = writes;
  const started = performance.now();
  await Promise.all(
    keys.map(async (key) => {
      while (left > 0) {
        const count = Math.min(depth, left);
        left -= count;
        await Promise.all(Array.from({ length: count }, () => write(key)));
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  await client.flushAll();
  return writes / seconds;
}
