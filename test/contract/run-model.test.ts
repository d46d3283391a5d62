// Random histories of runs and their ends against the model; `npm run test:faults` plays ten thousand. To look at one:
// playSqliteHistories(1, seed), or playRedisHistories(server, 1, seed), where the network has a say too.

import { expect, test } from 'bun:test';
import { startRedis } from '../support/redis-process.ts';
import { playRedisHistories } from './redis-world.ts';
import type { Tally } from './run-model.ts';
import { playSqliteHistories } from './sqlite-world.ts';

const SQLITE_SEEDS = 200;
const REDIS_SEEDS = 40;

/** A model that plays nothing agrees with everything: each thing must have happened, `times` times. */
function mustHavePlayed(tally: Tally, times: number): void {
  for (const count of Object.values(tally)) expect(count).toBeGreaterThanOrEqual(times);
}

test(`SQLite agrees with the model in ${SQLITE_SEEDS} random histories`, async () => {
  mustHavePlayed(await playSqliteHistories(SQLITE_SEEDS), SQLITE_SEEDS / 10);
}, 120_000);

test(`Redis agrees with the model in ${REDIS_SEEDS} random histories`, async () => {
  const server = await startRedis();
  try {
    mustHavePlayed(await playRedisHistories(server, REDIS_SEEDS), 1);
  } finally {
    await server.dispose();
  }
}, 120_000);
