// The machine's limits, beside which the server's figures stand: what bare HTTP, SQLite and (redis-floor.ts) Redis do when nothing
// else is asked of them, with the same drivers in the same run.

import { Database } from 'bun:sqlite';
import { join } from 'node:path';
import { MIGRATIONS } from '../../src/store/schema.ts';
import { scripted } from '../support/runs.ts';
import { withFolder } from '../support/server.ts';
import { driveApart } from './driver.ts';
import { type Counted, readFrames } from './frames.ts';
import { BENCH_PAYLOAD } from './redis-floor.ts';
import { startAddressed } from './worker.ts';

/** What a bare server does per second. */
export interface BareHttp {
  /** Elysia: a POST, 50 at once. */
  readonly posts: number;
  /** Elysia: a POST and then an SSE stream of five frames, 50 at once. */
  readonly runs: number;
  /** From before the POST to the end of that stream, one at a time, ms. */
  readonly runMs: number;
  /** `Bun.serve`: frames of one long SSE stream. */
  readonly frames: number;
}

/** Measures bare HTTP once. */
export async function bareHttp(requests: number, frames: number): Promise<BareHttp> {
  const script = new URL('bare-server.ts', import.meta.url).pathname;
  const server = await startAddressed(script, [String(frames)]);
  const [elysia = '', bun = ''] = server.url.split(' ');
  try {
    const load = {
      body: JSON.stringify(scripted([[{ text: 'x' }]])),
      concurrency: 50,
      runs: requests,
      warmUp: requests / 5,
    };
    const posts = await driveApart({ ...load, url: elysia, direct: { path: '/runs', headers: {} } });
    const runs = await driveApart({ ...load, url: elysia });
    const one = await driveApart({ ...load, url: elysia, concurrency: 1, runs: Math.ceil(requests / 10), warmUp: 20 });
    const readings: Counted[] = [];
    for (let reading = 0; reading < 3; reading += 1) readings.push(await readFrames(bun, '/'));
    const best = Math.max(...readings.map(({ frames: count, seconds }) => count / seconds));
    return { posts: posts.perSecond, runs: runs.perSecond, runMs: one.p50, frames: best };
  } finally {
    await server.stop();
  }
}

/** Events per second that SQLite takes from one thread with our tables: 500 in a transaction, ten of each of 50 runs. */
export function sqliteInserts(events: number): Promise<number> {
  return withFolder(async (folder) => {
    const db = new Database(join(folder, 'floor.db'));
    for (const pragma of [
      'auto_vacuum = INCREMENTAL',
      'locking_mode = EXCLUSIVE',
      'journal_mode = WAL',
      'synchronous = 1',
    ]) {
      db.run(`PRAGMA ${pragma}`);
    }
    for (const statement of MIGRATIONS.flat()) db.run(statement);
    const [begin, commit] = [db.prepare('BEGIN IMMEDIATE'), db.prepare('COMMIT')];
    const insert = db.prepare('INSERT INTO events (run, ms, seq, payload) VALUES (?, ?, ?, ?)');
    const [runs, perRun] = [50, 10];
    const started = performance.now();
    for (let event = 0; event < events; event += runs * perRun) {
      begin.run();
      for (let i = 0; i < runs * perRun; i += 1) insert.run(i % runs, 1_780_388_130_204 + event + i, 0, BENCH_PAYLOAD);
      commit.run();
    }
    const seconds = (performance.now() - started) / 1000;
    db.close(true);
    return events / seconds;
  });
}
