// A process to be killed or paused: owns runs in a Redis, writes some of them for ever, and prints what it is told as lines of
// JSON. argv: url, prefix, lease (seconds), ids of runs that it writes, ids of runs that it keeps silent about (both joined by
// commas), and how far its clock is off (days).

import { writeSync } from 'node:fs';
import { payloadOf, runningRecord } from '../contract/kit.ts';
import { openRedis } from './redis-kit.ts';

/** A line of this process. */
export type OwnerSays =
  | { readonly ready: true }
  | { readonly lost: readonly string[] }
  | { readonly cancelled: string; readonly reason: string | null }
  | { readonly ended: string }
  | { readonly refused: string; readonly status: string | null };

/** Between two appends, and two looks for lost runs, ms. */
const PACE_MS = 20;

const say = (line: OwnerSays) => void writeSync(1, `${JSON.stringify(line)}\n`);
const list = (ids = '') => ids.split(',').filter((id) => id !== '');

if (import.meta.main) {
  const [url = '', prefix = '', lease = '', writing, silent, days = '0'] = process.argv.slice(2);
  const trueNow = Date.now.bind(Date);
  Date.now = () => trueNow() + Number(days) * 86_400_000;
  const store = await openRedis(url, { prefix, leaseSeconds: Number(lease) });
  store.watchOwn({
    cancelRequested: (runId, { reason }) => say({ cancelled: runId, reason }),
    endedElsewhere: (runId) => say({ ended: runId }),
  });
  for (const runId of [...list(writing), ...list(silent)]) await store.create(runningRecord(runId));
  say({ ready: true });
  const going = new Set(list(writing));
  let known = '[]';
  for (let round = 0; ; round += 1) {
    for (const runId of going) {
      const outcome = await store.append(runId, [payloadOf(runId, round)]);
      if (outcome.appended) continue;
      going.delete(runId);
      say({ refused: runId, status: outcome.status });
    }
    const lost = await store.listLost();
    if (JSON.stringify(lost) !== known) say({ lost });
    known = JSON.stringify(lost);
    await Bun.sleep(PACE_MS); // its rhythm, not a wait for something
  }
}
