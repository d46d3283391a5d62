// How long an event is under way, from the daemon's socket to a subscriber's: of many runs with a reader each, and of one run with
// many readers. Daemon and readers are processes of their own; both read the machine's wall clock.

import { plugin } from '../support/runs.ts';
import { percentile } from './driver.ts';
import { cpuMs } from './proc.ts';
import { type BenchStore, withStore } from './stores.ts';
import type { Followed, SubscriberJob } from './subscribers.ts';
import { startAddressed, startWorker } from './worker.ts';

/** Who streams how much to how many. */
export interface LiveLoad {
  readonly runs: number;
  readonly streamsPerRun: number;
  readonly chunks: number;
  /** Between two chunks of a run, ms. */
  readonly gapMs: number;
}

/** What came of it. Ages in ms, without the first quarter of each stream. */
export interface LiveResult {
  readonly p50: number;
  readonly p99: number;
  readonly framesPerSecond: number;
  /** Of the server, per frame at a subscriber. */
  readonly cpuMicrosPerFrame: number;
}

/** Streams a load once. */
export async function live(store: BenchStore, load: LiveLoad): Promise<LiveResult> {
  const { runs, streamsPerRun, chunks, gapMs } = load;
  const script = new URL('../fakes/bench-clock-daemon.ts', import.meta.url).pathname;
  const daemon = await startAddressed(script, [runs, chunks, gapMs].map(String));
  const readers = startWorker(new URL('subscribers.ts', import.meta.url).pathname);
  const env = { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url, DIFY_AGENT_PLUGIN_DAEMON_MAX_CONNECTIONS: String(runs + 10) };
  try {
    return await withStore(store, env, async ({ url, pid }) => {
      const body = JSON.stringify(plugin());
      await readers.ask({ do: 'open', url, body, runs, streamsPerRun } satisfies SubscriberJob);
      const before = cpuMs(pid);
      const ignored = Math.floor(chunks / 4);
      const job: SubscriberJob = { do: 'follow', daemon: daemon.url, ignored };
      const { ages, frames, seconds } = await readers.ask<Followed>(job);
      if (ages.length === 0) throw new Error('no chunk carried a time');
      return {
        p50: percentile(ages, 0.5),
        p99: percentile(ages, 0.99),
        framesPerSecond: frames / seconds,
        cpuMicrosPerFrame: ((cpuMs(pid) - before) * 1000) / frames,
      };
    });
  } finally {
    await readers.stop();
    await daemon.stop();
  }
}
