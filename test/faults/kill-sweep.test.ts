// A short sweep of kills over the life of a process (kill-sweep.ts); `npm run test:faults` does long ones.

import { describe, expect, test } from 'bun:test';
import { killSweep } from './kill-sweep.ts';
import { STORES } from './site.ts';

describe.concurrent('processes that are killed at any moment leave only runs that ended, as their callers were told', () => {
  for (const store of STORES) {
    test(store, async () => {
      const { runs, ends } = await killSweep(store, 6);
      expect(runs).toBeGreaterThan(0);
      expect(ends.worker_lost).toBeGreaterThan(0);
    }, 120_000);
  }
});
