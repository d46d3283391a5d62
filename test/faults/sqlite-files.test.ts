// A SQLite file that was damaged or is held by somebody else (sqlite-files.ts); `npm run test:faults` damages it in more ways.

import { describe, expect, test } from 'bun:test';
import { damagedLogRound, damageRounds, lockedRound } from './sqlite-files.ts';

describe.concurrent('a SQLite file', () => {
  test('that is held by another program: one line, exit 1, and later everything is there', lockedRound, 60_000);
  test('whose log was damaged: what is before the damage is served, and every run is over', damagedLogRound, 60_000);
  test('that was damaged anywhere: a refusal on one line, or an honest server', async () => {
    const { refused, served } = await damageRounds(16);
    expect(refused + served).toBe(16);
  }, 120_000);
});
