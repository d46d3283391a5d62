// kill -9 at each step of a run that can be hit exactly (kill-points.ts), on both stores; `npm run test:faults` repeats them,
// and kills at any moment.

import { describe, expect, test } from 'bun:test';
import { KILL_POINTS, killAt, LEASE_MS } from './kill-points.ts';
import { STORES } from './site.ts';

for (const store of STORES) {
  describe.concurrent(`a process on ${store} is killed`, () => {
    for (const point of KILL_POINTS.filter(({ stores }) => stores.includes(store))) {
      test(point.name, async () => {
        const { overAfterMs } = await killAt(point, store);
        expect(overAfterMs).toBeLessThan(2 * LEASE_MS + SLACK_MS);
      }, 120_000);
    }
  });
}

/** A dozen scenes share the machine with other suites. */
const SLACK_MS = 2_000;
