// One short round of every fault of Redis (redis-faults.ts); `npm run test:faults` plays them longer.

import { describe, expect, test } from 'bun:test';
import { faults } from './redis-faults.ts';
import { redisRound } from './redis-loop.ts';

describe('fifty streaming runs lose nothing, repeat nothing and end once when Redis has', () => {
  for (const fault of faults(4_000)) {
    test(fault.name, async () => {
      const size = { runs: 50, chunks: 60, gapMs: 20 };
      const report = await redisRound(fault, size);
      expect(report.events).toBe(51 * (size.chunks + 4));
      // The fault came in the middle.
      expect(report.seenBefore).toBeGreaterThanOrEqual(1_000);
      expect(report.seenAfter).toBeLessThan(report.events);
    }, 90_000);
  }
});
