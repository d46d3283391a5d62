// One short round of every fault of Redis (redis-faults.ts); `npm run test:faults` plays them longer.

import { describe, expect, test } from 'bun:test';
import { type Fault, faults } from './redis-faults.ts';
import { redisRound } from './redis-loop.ts';

const FAULTS = faults(4_000);

function play(fault: Fault): void {
  test(fault.name, async () => {
    const size = { runs: 50, chunks: 60, gapMs: 20 };
    const report = await redisRound(fault, size);
    expect(report.events).toBe(51 * (size.chunks + 4));
    // The fault came in the middle.
    expect(report.seenBefore).toBeGreaterThanOrEqual(1_000);
    expect(report.seenAfter).toBeLessThan(report.events);
  }, 90_000);
}

describe('fifty streaming runs lose nothing, repeat nothing and end once when Redis has', () => {
  for (const fault of FAULTS.filter(({ slow }) => slow !== true)) play(fault);
});

describe.concurrent('likewise when it has', () => {
  for (const fault of FAULTS.filter(({ slow }) => slow === true)) play(fault);
});
