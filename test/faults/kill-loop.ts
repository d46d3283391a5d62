// kill -9 in the middle of runs, restart on the same file, look: what every accepted run must look like afterwards.
// One round is a test of `npm test`; many are `npm run test:faults`.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRun, FOREVER, finish, get, type RunStatus, scripted } from '../support/runs.ts';
import { startProcess, startServer, type TestServer } from '../support/server.ts';
import { openSse, type SseFrame } from '../support/sse.ts';
import { until, within } from '../support/until.ts';

/** What a round was about. */
export interface RoundReport {
  readonly finishedBefore: number;
  readonly orphans: number;
  readonly killedAfterEvents: number;
}

/**
 * Starts a server on a file, lets `runs` runs stream while some finish, kills it with SIGKILL after a number of events,
 * restarts it and checks every run. Throws with what was wrong.
 */
export async function killRound({
  runs,
  killAfterEvents,
}: {
  readonly runs: number;
  readonly killAfterEvents: number;
}): Promise<RoundReport> {
  const folder = mkdtempSync(join(tmpdir(), 'dify-agent-kill-'));
  const env = {
    DIFY_AGENT_STORE_URL: `sqlite:${join(folder, 'runs.db')}`,
    DIFY_AGENT_PORT: String(await freePort()),
  };
  let first: TestServer | null = null;
  try {
    const server = await startServer({ env });
    first = server;
    const finished = await finish(server.url, await createRun(server.url, scripted([[{ text: 'done' }]])));
    const runIds = await Promise.all(
      Array.from({ length: runs }, () =>
        createRun(
          server.url,
          scripted([[{ text: 'a' }, { text: 'b', delay_ms: 1, repeat: killAfterEvents }, FOREVER]]),
        ),
      ),
    );
    const seen = new Map<string, SseFrame[]>(runIds.map((runId) => [runId, []]));
    const following = Promise.allSettled(
      runIds.map(async (runId) => {
        const { frames } = await openSse(server.url, runId);
        for await (const frame of frames) seen.get(runId)?.push(frame);
      }),
    );
    const total = () => [...seen.values()].reduce((sum, frames) => sum + frames.length, 0);
    await until(`${killAfterEvents} events`, () => total() >= killAfterEvents, { timeoutMs: 30_000, everyMs: 1 });
    server.kill('SIGKILL');
    await server.exited;
    await following;
    const killedAfterEvents = total();

    const second = await startProcess({ env });
    try {
      const url = `http://127.0.0.1:${env.DIFY_AGENT_PORT}`;
      // The very first answer of the new process must already show the run as over.
      const early = await until('the first answer', async () => (await get(`${url}/runs/${runIds[0]}`)).text, {
        everyMs: 1,
      });
      mustBeLost(JSON.parse(early) as RunStatus); // spec 01 §1.5
      for (const runId of runIds) await checkOrphan(url, runId, seen.get(runId) ?? []);
      const again = await finish(url, finished.runId);
      mustEqual('a finished run', JSON.stringify(again), JSON.stringify(finished));
      const after = await within('a new run', finish(url, await createRun(url, scripted([[{ text: 'new' }]]))));
      mustEqual('a new run', String(after.terminal.output), 'new');
      second.kill('SIGTERM');
      const exit = await within('the exit', second.exited);
      mustEqual('the exit', JSON.stringify(exit), JSON.stringify({ code: 0, signal: null }));
    } finally {
      await second.dispose();
    }
    return { finishedBefore: 1, orphans: runIds.length, killedAfterEvents };
  } finally {
    await first?.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function checkOrphan(url: string, runId: string, seen: readonly SseFrame[]): Promise<void> {
  const run = await finish(url, runId);
  mustBeLost(run.status);
  mustEqual('the terminal event', run.types.at(-1) ?? '', 'run_failed');
  mustEqual('its reason', String(run.terminal.reason), 'worker_lost');
  mustEqual('its error', String(run.terminal.error), String(run.status.error));
  const before = seen.map((frame) => frame.data).join('\n');
  const kept = run.frames
    .slice(0, seen.length)
    .map((frame) => frame.data)
    .join('\n');
  mustEqual(`the ${seen.length} events that were seen before the kill`, kept, before);
}

function mustBeLost(status: RunStatus): void {
  if (status.status !== 'failed' || status.error === null || status.error === '') {
    throw new Error(`an orphaned run after the restart: ${JSON.stringify(status)}`);
  }
}

function mustEqual(what: string, actual: string, expected: string): void {
  if (actual !== expected) throw new Error(`${what}: ${actual.slice(0, 500)} instead of ${expected.slice(0, 500)}`);
}

/** Below the ports that systems give to connections, so that none of those takes it meanwhile. */
const PORTS = { first: 20_000, count: 12_000 } as const;

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    try {
      Bun.listen({ hostname: '127.0.0.1', port, socket: { data() {} } }).stop(true);
      return port;
    } catch {
      // Somebody has it.
    }
  }
}
