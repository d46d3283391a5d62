// One round of the kill loop (kill-loop.ts); `npm run test:faults` does many.

import { expect, test } from 'bun:test';
import { killRound } from './kill-loop.ts';

test('after kill -9 the next process ends the orphaned runs before it answers, and loses nothing that was seen', async () => {
  const report = await killRound({ runs: 5, killAfterEvents: 60 });
  expect(report.orphans).toBe(5);
  expect(report.killedAfterEvents).toBeGreaterThanOrEqual(60);
}, 180_000);
