// `npm run test:faults`: the fault suites at length. Arguments: rounds of the kill loop (default 50), rounds of each fault
// of Redis (default 5). Ends with 1 at the first round that fails.

import { killRound } from './kill-loop.ts';
import { faults, killWithEverysec } from './redis-faults.ts';
import { redisRound } from './redis-loop.ts';

/** How long Redis stands still, in the long suite. */
const FREEZE_MS = 10_000;

void main(Number(process.argv[2] ?? 50), Number(process.argv[3] ?? 5));

async function main(killRounds: number, redisRounds: number): Promise<void> {
  const started = performance.now();
  for (let round = 1; round <= killRounds; round += 1) {
    const runs = 1 + ((round * 7) % 20);
    const killAfterEvents = 1 + ((round * 37) % 400);
    const report = await killRound({ runs, killAfterEvents });
    console.log(
      `kill -9, round ${round}/${killRounds}: ${report.orphans} orphans, killed after ${report.killedAfterEvents} events`,
    );
  }
  for (let round = 1; round <= redisRounds; round += 1) {
    for (const fault of [...faults(FREEZE_MS), killWithEverysec]) {
      // Slow streams, fast ones, and as fast as they go.
      const size = { runs: 50, chunks: 200, gapMs: [20, 5, 1][round % 3] ?? 5 };
      const report = await redisRound(fault, size);
      console.log(
        `Redis ${fault.name}, round ${round}/${redisRounds}: ${report.events} events, ` +
          `${report.seenBefore} seen before and ${report.seenAfter} by the end of it, ${report.connections} streams`,
      );
    }
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${killRounds} + ${redisRounds} rounds in ${seconds} s: every run ended once, nothing was lost`);
}
