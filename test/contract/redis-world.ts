// Where histories of run-model.ts take place on a real Redis: up to two processes at a time, each with a way there of its own that
// is cut for good when it dies, so that it can neither take leave nor write any more.

import { startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { freshPrefix, openRedis } from '../store/redis-kit.ts';
import type { RedisProcess } from '../support/redis-process.ts';
import type { Random } from './random.ts';
import { emptyTally, type ModelWorld, playRunHistory, type Tally } from './run-model.ts';

/** Short: histories wait for it. */
const LEASE_SECONDS = 1;
/** Histories that are played at the same time, so that their leases run out together. */
const AT_ONCE = 20;

export function openRedisWorld(server: RedisProcess, random: Random): ModelWorld {
  const prefix = freshPrefix();
  const bounded = random(2) === 0;
  const limits = bounded
    ? { maxEvents: random(2) === 0 ? null : 1 + random(30), maxBytes: random(2) === 0 ? null : 1 + random(5_000) }
    : { maxEvents: null, maxBytes: null };
  const opened: { close(): Promise<void> }[] = [];
  return {
    processes: 2,
    bounded,
    prompt: false,
    async start() {
      const proxy = await startCuttingProxy(server.port);
      const store = await openRedis(`redis://127.0.0.1:${proxy.port}`, {
        prefix,
        leaseSeconds: LEASE_SECONDS,
        retentionSeconds: 1_000,
        ...limits,
      });
      opened.push(store, proxy);
      return {
        store,
        tail: store.tail,
        async kill() {
          proxy.refusing = true;
          proxy.cut();
        },
      };
    },
    async close() {
      for (const each of opened) await each.close();
    },
  };
}

/**
 * Plays the histories of `count` seeds, some at a time.
 * @throws Error that names the first seeds that failed, and how.
 */
export async function playRedisHistories(server: RedisProcess, count: number, firstSeed = 1): Promise<Tally> {
  const tally = emptyTally();
  const failures: string[] = [];
  let next = firstSeed;
  const player = async () => {
    while (next < firstSeed + count && failures.length < 3) {
      const seed = next;
      next += 1;
      try {
        await playRunHistory(seed, async (random) => openRedisWorld(server, random), tally);
      } catch (error) {
        failures.push(`seed ${seed}: ${error instanceof Error ? error.stack : error}`);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, player));
  if (failures.length > 0) throw new Error(failures.join('\n'));
  return tally;
}
