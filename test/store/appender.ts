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
  // Synchronous: what the parent reads was acknowledged.
  writeSync(1, `${round} ${ids.join(' ')}\n`);
}
