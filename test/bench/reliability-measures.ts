// The measurements of issue RELIABLE, one function each: how long a cancel takes to reach the daemon's socket, how long the runs
// of a killed process stay unended, and what two builds of the server make of the same load.

import { join } from 'node:path';
import { type FakeDaemon, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { freePort } from '../faults/kill-loop.ts';
import { cancel, untilSaid, watchRun } from '../faults/watching.ts';
import { createRun, FOREVER, plugin, runStatus, scripted } from '../support/runs.ts';
import { startProcess, type TestServer, withFolder, withServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { startDaemonProcess } from './daemon-process.ts';
import { driveApart } from './driver.ts';
import { cpuMs } from './proc.ts';
import { STEADY_AFTER_RUNS } from './steady.ts';
import { type BenchStore, withStore } from './stores.ts';

/** Milliseconds from sending a cancel until the daemon's socket is closed, sample by sample. */
export async function cancelTimes(store: BenchStore, samples: number): Promise<readonly number[]> {
  return withDaemon((daemon) =>
    withStore(store, { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url }, (server) =>
      sampled(samples, () => cancelOnce(daemon, server, server)),
    ),
  );
}

/** The same with the cancel sent to another process than the one that executes the run. */
export async function cancelTimesAcross(store: BenchStore, samples: number): Promise<readonly number[]> {
  return withDaemon((daemon) =>
    store.withPlace((place) => {
      // Two servers on one place.
      const shared: BenchStore = { ...store, withPlace: (use) => use(place) };
      const env = { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url };
      return withStore(shared, env, (owner) =>
        withStore(shared, env, (beside) => sampled(samples, () => cancelOnce(daemon, owner, beside))),
      );
    }),
  );
}

async function cancelOnce(daemon: FakeDaemon, owner: TestServer, asked: TestServer): Promise<number> {
  daemon.play({ llm: [['x', { hang: true }]] });
  const runId = await createRun(owner.url, plugin());
  await untilSaid(asked, runId, 'final_result');
  const closed = daemon.waitForAbort();
  const started = performance.now();
  const answer = cancel(asked.url, runId);
  await closed;
  const took = performance.now() - started;
  const { status } = await answer;
  if (status !== 200) throw new Error(`the cancel: ${status}`);
  return took;
}

/**
 * Milliseconds from `kill -9` of a process until another one has shown the end of each of its runs on an open stream, in
 * leases of `leaseSeconds`.
 */
export async function ownerDeath(store: BenchStore, leaseSeconds: number, runs: number): Promise<number> {
  return store.withPlace((place) => {
    const shared: BenchStore = { ...store, withPlace: (use) => use(place) };
    const env = { DIFY_AGENT_RUN_LEASE_SECONDS: String(leaseSeconds) };
    return withStore(shared, env, (beside) =>
      withStore(shared, env, async (owner) => {
        const runIds = await Promise.all(
          Array.from({ length: runs }, () => createRun(owner.url, scripted([[{ text: 'a' }, FOREVER]]))),
        );
        for (const runId of runIds) await untilSaid(beside, runId, 'final_result');
        const ends = runIds.map((runId) => watchRun(beside.url, runId));
        // Anywhere between two renewals.
        await Bun.sleep(Math.random() * leaseSeconds * 250);
        const started = performance.now();
        owner.kill('SIGKILL');
        await Promise.all(ends.map(({ over }) => over));
        const took = performance.now() - started;
        for (const { frames } of ends) {
          if (frames.at(-1)?.data.includes('worker_lost') !== true) throw new Error('a run that did not end as lost');
        }
        return took / (leaseSeconds * 1000);
      }),
    );
  });
}

/**
 * Milliseconds from `kill -9` of the only process of an SQLite file, which is started again at once, until the new one shows its
 * runs as over.
 */
export async function restartAfterDeath(runs: number): Promise<number> {
  return withFolder(async (folder) => {
    const env = { DIFY_AGENT_STORE_URL: `sqlite:${join(folder, 'runs.db')}` };
    const runIds = await withServer({ env }, async (owner) => {
      const created = await Promise.all(
        Array.from({ length: runs }, () => createRun(owner.url, scripted([[{ text: 'a' }, FOREVER]]))),
      );
      for (const runId of created) await untilSaid(owner, runId, 'final_result');
      owner.kill('SIGKILL');
      await owner.exited;
      return created;
    });
    const started = performance.now();
    const port = await freePort();
    const again = await startProcess({ env: { ...env, DIFY_AGENT_PORT: String(port) } });
    try {
      const url = `http://127.0.0.1:${port}`;
      for (const runId of runIds) {
        await until(`${runId} to be over`, async () => (await runStatus(url, runId)).status === 'failed', {
          everyMs: 1,
        });
      }
      return performance.now() - started;
    } finally {
      await again.dispose();
    }
  });
}

/** What a build makes of a load. */
export interface LoadResult {
  /** Runs per second, end to end. */
  readonly perSecond: number;
  /** CPU time of the server process per run, ms. */
  readonly cpuMsPerRun: number;
}

/** What fifty clients at once ask for. `chunks` 0: one-chunk runs of the scripted model; otherwise streams of the fake daemon. */
export interface Load {
  readonly chunks: number;
  /** Runs of a block. */
  readonly runs: number;
}

/** Smaller loads only show whether the bench works. */
const WARM_FROM = 1_000;

/** One block of a load on a server that is up. */
export type Block = () => Promise<LoadResult>;

/** The runs that a server of `underLoad` makes before its first block. */
export function warmUpRuns({ chunks, runs }: Load): number {
  return chunks === 0 && runs >= WARM_FROM ? STEADY_AFTER_RUNS : runs;
}

/** A server that is up and warm, for the length of `use`, which may ask for so many blocks. `settings`: of its environment. */
export async function underLoad<T>(
  store: BenchStore,
  { chunks, runs }: Load,
  blocks: number,
  use: (block: Block) => Promise<T>,
  settings: Readonly<Record<string, string>> = {},
): Promise<T> {
  const warmUp = warmUpRuns({ chunks, runs });
  const daemon = chunks === 0 ? null : await startDaemonProcess(chunks, runs * blocks + warmUp);
  try {
    const env = { ...settings, ...(daemon === null ? {} : { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url }) };
    const body = JSON.stringify(daemon === null ? scripted([[{ text: 'x' }]]) : plugin());
    return await withStore(store, env, async ({ url, pid }) => {
      const block: Block = async () => {
        const before = cpuMs(pid);
        const { perSecond } = await driveApart({ url, body, concurrency: 50, runs, warmUp: 0 });
        return { perSecond, cpuMsPerRun: (cpuMs(pid) - before) / runs };
      };
      await driveApart({ url, body, concurrency: 50, runs: warmUp, warmUp: 0 });
      return use(block);
    });
  } finally {
    daemon?.stop();
  }
}

async function sampled(count: number, measure: () => Promise<number>): Promise<readonly number[]> {
  const values: number[] = [];
  for (let sample = 0; sample < count; sample += 1) values.push(await measure());
  return values;
}

async function withDaemon<T>(use: (daemon: FakeDaemon) => Promise<T>): Promise<T> {
  const daemon = await startFakeDaemon();
  try {
    return await use(daemon);
  } finally {
    await daemon.stop();
  }
}
