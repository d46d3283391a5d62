// Three hundred random histories; each takes a few milliseconds. To look at one: playHistory(seed, …).

import { expect, test } from 'bun:test';
import { drivenClock, openSqlite } from '../store/helpers.ts';
import { playHistory } from './live-model.ts';

const SEEDS = 300;

test(`the store and its fan-out agree with the model in ${SEEDS} random histories`, async () => {
  const failures: string[] = [];
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const clock = drivenClock();
    const open = () => ({
      store: openSqlite(':memory:', { clock, retentionSeconds: 1_000_000 }),
      moveClock: (seconds: number) => {
        clock.micros += seconds * 1_000_000;
      },
    });
    try {
      await playHistory(seed, open);
    } catch (error) {
      failures.push(`seed ${seed}: ${error instanceof Error ? error.message : error}`);
      if (failures.length === 3) break;
    }
  }
  expect(failures).toEqual([]);
}, 60_000);
