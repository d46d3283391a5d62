// `npm run test:faults`: the kill loop at length. Arguments: rounds (default 50). Ends with 1 at the first round that fails.

import { killRound } from './kill-loop.ts';

void main(Number(process.argv[2] ?? 50));

async function main(rounds: number): Promise<void> {
  const started = performance.now();
  for (let round = 1; round <= rounds; round += 1) {
    const runs = 1 + ((round * 7) % 20);
    const killAfterEvents = 1 + ((round * 37) % 400);
    const report = await killRound({ runs, killAfterEvents });
    console.log(`round ${round}/${rounds}: ${report.orphans} orphans, killed after ${report.killedAfterEvents} events`);
  }
  console.log(
    `${rounds} rounds in ${((performance.now() - started) / 1000).toFixed(1)} s: every run ended, nothing was lost`,
  );
}
