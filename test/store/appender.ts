// A process to be killed: owns the store at argv[2], appends for ever, and prints the last acknowledged id of each round.

import { writeSync } from 'node:fs';
import { systemClock } from '../../src/base/clock.ts';
import { payloadOf, runningRecord } from '../contract/kit.ts';
import { openSqlite } from './helpers.ts';

const path = process.argv[2] ?? '';
const runIds = (process.argv[3] ?? '').split(',');
const store = openSqlite(path, { clock: systemClock() });
for (const runId of runIds) await store.create(runningRecord(runId));
for (let round = 0; ; round += 1) {
  const outcomes = await Promise.all(
    runIds.map((runId) => store.append(runId, [payloadOf(runId, round), payloadOf(runId, -round)])),
  );
  const ids = outcomes.map((outcome) => (outcome.appended ? outcome.events.at(-1)?.id : 'refused'));
  say(`${round} ${ids.join(' ')}\n`);
}

/** Synchronous: what the parent reads was acknowledged. A pipe that is full because the parent is busy is tried again. */
function say(line: string): void {
  for (let rest = Buffer.from(line); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }
}
