// Small runs on one server that stays up: what its first ones cost, and then what they cost once its code has been compiled. The
// engine compiles what is called often, in threads of its own: some thousand runs cost half as much again as all that follow.

import { plugin, scripted } from '../support/runs.ts';
import { startDaemonProcess } from './daemon-process.ts';
import { type DriverResult, driveApart } from './driver.ts';
import { cpuMs } from './proc.ts';
import { type BenchStore, withStore } from './stores.ts';

/** Runs after which more of them change nothing, seen in CPU time per run of blocks of 5,000. */
export const STEADY_AFTER_RUNS = 15_000;
/** Runs that the driver makes before it measures: its own code is slow at first too. */
const DRIVER_WARM_UP = 1_000;
/** What the fake daemon can be asked for in all, where it takes part. */
const REPLIES = 200_000;

/** `daemon`: one chunk of the fake daemon; `scripted`: one of the scripted model; `failing`: no model, so the run fails at once. */
export type SmallRun = 'daemon' | 'scripted' | 'failing';

/** What a block came to. `cpuMsPerRun`: of the server's process, with its threads. */
export type SmallRuns = DriverResult & { readonly cpuMsPerRun: number };

/** Makes so many runs, `concurrency` at once, each `POST` and SSE to the end. */
export type SmallBlock = (size: { readonly runs: number; readonly concurrency: number }) => Promise<SmallRuns>;

/** A server for the length of `use`. */
export async function onServer<T>(
  store: BenchStore,
  kind: SmallRun,
  use: (block: SmallBlock) => Promise<T>,
): Promise<T> {
  const daemon = kind === 'daemon' ? await startDaemonProcess(1, REPLIES) : null;
  const env = daemon === null ? {} : { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url };
  const job = { body: bodyOf(kind), end: kind === 'failing' ? 'run_failed' : 'run_succeeded' } as const;
  try {
    return await withStore(store, env, ({ url, pid }) =>
      use(async ({ runs, concurrency }) => {
        const before = cpuMs(pid);
        const warmUp = Math.min(runs, DRIVER_WARM_UP);
        const result = await driveApart({ url, ...job, concurrency, runs, warmUp });
        return { ...result, cpuMsPerRun: (cpuMs(pid) - before) / (runs + warmUp) };
      }),
    );
  } finally {
    daemon?.stop();
  }
}

/** The first runs of a server, and `blocks` blocks of those after STEADY_AFTER_RUNS (or after `warmUp`). */
export async function firstAndSteady(
  block: SmallBlock,
  size: { readonly runs: number; readonly concurrency: number },
  blocks: number,
  warmUp = STEADY_AFTER_RUNS,
): Promise<{ readonly first: SmallRuns; readonly steady: readonly SmallRuns[] }> {
  const first = await block({ ...size, runs: Math.ceil(size.runs / 2) });
  await block({ ...size, runs: warmUp });
  const steady: SmallRuns[] = [];
  while (steady.length < blocks) steady.push(await block(size));
  return { first, steady };
}

function bodyOf(kind: SmallRun): string {
  if (kind === 'daemon') return JSON.stringify(plugin());
  if (kind === 'scripted') return JSON.stringify(scripted([[{ text: 'x' }]]));
  const layers = [{ name: 'prompt', type: 'plain.prompt', config: { user: 'Hello?' } }];
  return JSON.stringify({ composition: { layers } });
}
