// Whether a run costs more when many others are active: runs of the scripted model arrive at one fixed rate and last longer and
// longer, so that more and more are active, and the server's CPU time per run is counted while as many end as begin.

import { scripted } from '../support/runs.ts';
import type { ArrivalsJob, Looked, Posted } from './arrivals.ts';
import { cpuMs, megabytes } from './proc.ts';
import { type BenchStore, withStore } from './stores.ts';
import { startWorker } from './worker.ts';

/** What to grow through. */
export interface Growth {
  /** Runs that begin, and end, per second. */
  readonly perSecond: number;
  /** Active runs of each point, in order. */
  readonly points: readonly number[];
  /** How long a point is measured. */
  readonly seconds: number;
}

/** One point of the curve. */
export interface GrowthPoint {
  readonly active: number;
  readonly cpuMsPerRun: number;
  /** Resident memory of the server at the end of the point, MB. */
  readonly megabytes: number;
  /** From when a run was due until its 202, ms. */
  readonly postP50: number;
  readonly postP99: number;
  /** How much longer than asked runs lasted by their records, ms (median of 50); NaN: none was over yet. */
  readonly lateMs: number;
}

const LOOKED_AT = 50;

/** The curve, on one server from its start to its end. Rejects when the server does not take every run: it is too slow for the rate. */
export async function growth(
  store: BenchStore,
  { perSecond, points, seconds }: Growth,
): Promise<readonly GrowthPoint[]> {
  const driver = startWorker(new URL('arrivals.ts', import.meta.url).pathname);
  const env = { DIFY_AGENT_MAX_ACTIVE_RUNS: String(2 * Math.max(...points)) };
  try {
    return await withStore(store, env, async ({ url, pid }) => {
      const post = async (lastMs: number, forSeconds: number): Promise<Posted> => {
        const job: ArrivalsJob = { do: 'post', url, body: bodyOf(lastMs), perSecond, seconds: forSeconds };
        const posted = await driver.ask<Posted>(job);
        const { refused, runs, refusal } = posted;
        if (refused > 0) throw new Error(`${refused} of ${runs} runs refused at ${perSecond} per second: ${refusal}`);
        return posted;
      };
      // Code gets fast with use: all points see the same server.
      await post(10, seconds);
      const found: GrowthPoint[] = [];
      for (const active of points) {
        const lastMs = (active * 1000) / perSecond;
        await post(lastMs, lastMs / 1000 + 0.2);
        const looked = await driver.ask<Looked>({ do: 'look', url, runs: LOOKED_AT } satisfies ArrivalsJob);
        const before = cpuMs(pid);
        const { runs, p50, p99 } = await post(lastMs, seconds);
        const cpu = cpuMs(pid) - before;
        found.push({
          active,
          cpuMsPerRun: cpu / runs,
          megabytes: megabytes(pid),
          postP50: p50,
          postP99: p99,
          lateMs: looked.ended === 0 ? Number.NaN : looked.p50 - lastMs,
        });
      }
      return found;
    });
  } finally {
    await driver.stop();
  }
}

/** A run that says one thing at once and another at its end. */
function bodyOf(lastMs: number): string {
  return JSON.stringify(scripted([[{ text: 'a' }, { text: 'b', delay_ms: Math.max(1, Math.round(lastMs)) }]]));
}
