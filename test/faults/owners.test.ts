// Several processes on one Redis, of which some die, sleep or are cut off (owners.ts); `npm run test:faults` has more runs.

import { describe, expect, test } from 'bun:test';
import { LEASE_MS } from './kill-points.ts';
import { OWNER_FAULTS } from './owners.ts';
import { withSite } from './site.ts';

/** Half a dozen scenes share the machine with other suites. */
const SLACK_MS = 2_000;

describe.concurrent('processes on one Redis', () => {
  for (const fault of OWNER_FAULTS) {
    test(fault.name, async () => {
      const took = await withSite('redis', {}, (site) => fault.play(site, 3));
      expect(took).toBeLessThan(2 * LEASE_MS + SLACK_MS);
    }, 120_000);
  }
});
