// Where histories of run-model.ts take place on SQLite: one process at a time, on a file that the next one finds as it was when
// the one before died.

import { copyFileSync, existsSync } from 'node:fs';
import { drivenClock, openSqlite, tempDirectory } from '../store/helpers.ts';
import type { Random } from './random.ts';
import { emptyTally, type ModelWorld, playRunHistory, type Tally } from './run-model.ts';

export function openSqliteWorld(random: Random): ModelWorld {
  const clock = drivenClock();
  const directory = tempDirectory();
  const bounded = random(2) === 0;
  const eventStream = bounded
    ? { maxEvents: random(2) === 0 ? null : 1 + random(30), maxBytes: random(2) === 0 ? null : 1 + random(5_000) }
    : { maxEvents: null, maxBytes: null };
  const stores: { close(): Promise<void> }[] = [];
  let path = directory.file('0.db');
  return {
    processes: 1,
    bounded,
    prompt: true,
    async start() {
      const file = path;
      const store = openSqlite(file, { clock, retentionSeconds: 1_000_000, eventStream });
      stores.push(store);
      return {
        store,
        async kill() {
          // The dead one may go on writing into its own file; nobody looks there any more.
          path = directory.file(`${stores.length}.db`);
          for (const end of ['', '-wal']) if (existsSync(file + end)) copyFileSync(file + end, path + end);
        },
      };
    },
    moveClock(seconds) {
      clock.micros += seconds * 1_000_000;
    },
    async close() {
      for (const store of stores) await store.close();
      directory.remove();
    },
  };
}

/**
 * Plays the histories of `count` seeds, one after the other.
 * @throws Error that names the first seeds that failed, and how.
 */
export async function playSqliteHistories(count: number, firstSeed = 1): Promise<Tally> {
  const tally = emptyTally();
  const failures: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + count && failures.length < 3; seed += 1) {
    try {
      await playRunHistory(seed, async (random) => openSqliteWorld(random), tally);
    } catch (error) {
      failures.push(`seed ${seed}: ${error instanceof Error ? error.stack : error}`);
    }
  }
  if (failures.length > 0) throw new Error(failures.join('\n'));
  return tally;
}
