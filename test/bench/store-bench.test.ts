// The benches of the stores in small, on both; no figure is asserted.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { floor } from './redis-floor.ts';
import { onServer } from './steady.ts';
import { commands, connections, replay, streaming } from './store-measures.ts';
import { type BenchStore, type RedisBenchStore, sqliteStore, startRedisStore } from './stores.ts';

let redis: RedisBenchStore;

beforeAll(async () => {
  redis = await startRedisStore();
});

afterAll(() => redis?.dispose());

describe('measures something', () => {
  for (const [name, store] of [
    ['sqlite', () => sqliteStore],
    ['redis', () => redis],
  ] as const) {
    test(`streaming, runs and replay on ${name}`, async () => {
      const used: BenchStore = store();
      const { eventsPerSecond, frames } = await streaming(used, { runs: 4, chunks: 50, concurrency: 2 });
      expect(eventsPerSecond).toBeGreaterThan(0);
      expect(frames).toBe(54);
      const small = await onServer(used, 'scripted', (block) => block({ runs: 20, concurrency: 5 }));
      expect(small.perSecond).toBeGreaterThan(0);
      expect(await replay(used, 500)).toBeGreaterThan(0);
    }, 180_000);
  }

  test('commands and connections of Redis, and its floor', async () => {
    const { sent, events, calls } = await commands(redis, { runs: 3, chunks: 100, concurrency: 3 });
    expect(events).toBe(312);
    expect(sent).toBeGreaterThan(3);
    expect(calls.xadd).toBe(events);
    const [one = 0, many = 0] = await connections(redis, [1, 20]);
    expect(one).toBeGreaterThan(0);
    expect(many).toBe(one);
    const { pipelined, scripted } = await floor(redis.redis, 2_000);
    expect(Math.min(pipelined, scripted)).toBeGreaterThan(0);
  }, 60_000);
});
