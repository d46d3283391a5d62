// A SQLite file that is not as it was left: damaged anywhere, cut short, replaced, or held by somebody else. A start refuses on
// one line, or the server serves what can be read and says 503 to the rest; it never hangs, crashes or makes things up.

import { Database } from 'bun:sqlite';
import {
  closeSync,
  copyFileSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { randomNumbers } from '../contract/random.ts';
import { refusal } from '../support/exit.ts';
import { createRun, FOREVER, finish, get, post, scripted } from '../support/runs.ts';
import { startProcess, startServer, type TestServer, withFolder } from '../support/server.ts';
import { until, within } from '../support/until.ts';
import { untilSaid } from './watching.ts';

const PAGE = 4096;

/** What a damaged file came to. */
export type Outcome = 'refused' | 'served';

/** A file with finished runs and orphans, and what the runs said. */
interface Original {
  readonly path: string;
  readonly runIds: readonly string[];
  readonly texts: ReadonlyMap<string, string>;
}

/** Makes a file as a killed process leaves it. `folded`: its log is in the database already. */
async function makeFile(folder: string, folded: boolean): Promise<Original> {
  const path = join(folder, 'runs.db');
  const env = { DIFY_AGENT_STORE_URL: `sqlite:${path}` };
  const server = await startServer({ env });
  const texts = new Map<string, string>();
  try {
    const say = [[{ text: 'x'.repeat(300), repeat: 20 }]];
    const finished = await Promise.all([1, 2, 3, 4, 5].map(() => createRun(server.url, scripted(say))));
    for (const runId of finished) {
      const { frames } = await finish(server.url, runId);
      texts.set(runId, frames.map(({ data }) => data).join('\n'));
    }
    const orphan = await createRun(server.url, scripted([[{ text: 'a' }, FOREVER]]));
    await untilSaid(server, orphan, 'final_result');
    server.kill('SIGKILL');
    await server.exited;
    if (folded) {
      using db = new Database(path);
      db.run('PRAGMA wal_checkpoint(TRUNCATE)');
    }
    return { path, runIds: [...finished, orphan], texts };
  } finally {
    await server.dispose();
  }
}

/** Damages copies of a file in `rounds` random ways and starts a server on each. Throws with what was wrong. */
export function damageRounds(rounds: number, seed = 1): Promise<Readonly<Record<Outcome, number>>> {
  return withFolder(async (folder) => {
    const folded = await makeFile(folder, true);
    const random = randomNumbers(seed);
    const outcomes: Record<Outcome, number> = { refused: 0, served: 0 };
    for (let round = 0; round < rounds; round += 1) {
      const path = join(folder, `damaged-${round}.db`);
      copyFileSync(folded.path, path);
      const what = damage(path, random);
      try {
        outcomes[await startOn(path, folded)] += 1;
      } catch (error) {
        throw new Error(`round ${round}, ${what}: ${error instanceof Error ? error.message : error}`, { cause: error });
      }
    }
    return outcomes;
  });
}

function damage(path: string, random: (below: number) => number): string {
  const { size } = statSync(path);
  const kind = random(4);
  if (kind === 0) {
    const left = random(size);
    truncateSync(path, left);
    return `cut to ${left} of ${size} bytes`;
  }
  const file = openSync(path, 'r+');
  try {
    if (kind === 1) {
      const page = random(Math.ceil(size / PAGE));
      writeSync(file, Buffer.alloc(PAGE, random(256)), 0, PAGE, page * PAGE);
      return `page ${page} overwritten`;
    }
    const at = kind === 2 ? random(100) : random(size);
    const bytes = Uint8Array.from({ length: 1 + random(64) }, () => random(256));
    writeSync(file, bytes, 0, bytes.length, at);
    return `${bytes.length} bytes at ${at} overwritten`;
  } finally {
    closeSync(file);
  }
}

/** Starts a server on the file, which must refuse on one line or serve nothing that is not so. */
async function startOn(path: string, original: Original): Promise<Outcome> {
  const env = { DIFY_AGENT_STORE_URL: `sqlite:${path}`, DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0' };
  const running = await startProcess({ env });
  try {
    const lines = () => running.stderrLines.filter((line) => line.trim() !== '');
    const url = () => /http:\/\/127\.0\.0\.1:\d+/.exec(lines().find((line) => line.includes('"listening"')) ?? '')?.[0];
    const exit = await Promise.race([running.exited, until('a start or an end', url)]);
    if (typeof exit !== 'string') {
      const said = lines();
      if (exit.code !== 1 || said.length !== 1 || said[0]?.includes('DIFY_AGENT_STORE_URL') !== true) {
        throw new Error(`ended with ${exit.code ?? exit.signal}, saying:\n${said.join('\n')}`);
      }
      return 'refused';
    }
    for (const runId of original.runIds) await checkServed(exit, runId, original);
    const { status } = await within('an answer', post(exit, scripted([[{ text: 'new' }]])));
    if (status !== 202 && status !== 503) throw new Error(`POST /runs: ${status}`);
    running.kill('SIGTERM');
    const { code, signal } = await within('the exit', running.exited, 20_000);
    if (code !== 0) throw new Error(`stopped with ${code ?? signal}`);
    return 'served';
  } finally {
    await running.dispose();
  }
}

/** 503 is an honest answer, 404 is one of a row that was overwritten; what is shown must have been there. */
async function checkServed(url: string, runId: string, { texts }: Original): Promise<void> {
  const answers = await within(
    'the answers',
    Promise.all(
      ['', '/events?limit=500', '/events/sse'].map((path) => get(`${url}/runs/${runId}${path}`).catch(() => null)),
    ),
  );
  for (const answer of answers) {
    if (answer !== null && ![200, 404, 503].includes(answer.status))
      throw new Error(`${answer.status}: ${answer.text}`);
  }
  const whole = texts.get(runId);
  const events = answers[2]?.text.match(/^data: .*$/gm) ?? [];
  if (whole === undefined) return;
  const known = new Set(whole.split('\n').map((data) => `data: ${data}`));
  const invented = events.filter((line) => !known.has(line)).length;
  if (invented > 1) throw new Error(`${invented} events that nobody wrote`);
}

/** A start while another program holds the file. */
export function lockedRound(): Promise<void> {
  return withFolder(async (folder) => {
    const { path, runIds } = await makeFile(folder, false);
    const env = { DIFY_AGENT_STORE_URL: `sqlite:${path}` };
    const db = new Database(path);
    db.run('BEGIN EXCLUSIVE');
    try {
      await refusal({ env }, 'DIFY_AGENT_STORE_URL', /owned by another/);
    } finally {
      db.close();
    }
    const next: TestServer = await startServer({ env });
    try {
      for (const runId of runIds) await finish(next.url, runId);
    } finally {
      await next.dispose();
    }
  });
}

/** A start on a file whose log was damaged: what is before the damage is there, and every run is over. */
export function damagedLogRound(): Promise<void> {
  return withFolder(async (folder) => {
    const { path, texts } = await makeFile(folder, false);
    const log = readFileSync(`${path}-wal`);
    log.fill(0xff, Math.floor(log.length / 2));
    writeFileSync(`${path}-wal`, log);
    const server = await startServer({ env: { DIFY_AGENT_STORE_URL: `sqlite:${path}` } });
    try {
      for (const [runId, whole] of texts) {
        if ((await get(`${server.url}/runs/${runId}`)).status === 404) continue;
        const { frames } = await finish(server.url, runId);
        const kept = frames.filter(({ data }) => !data.includes('worker_lost')).map(({ data }) => data);
        if (!whole.startsWith(kept.join('\n'))) throw new Error(`${runId} has what nobody wrote`);
      }
    } finally {
      await server.dispose();
    }
  });
}
