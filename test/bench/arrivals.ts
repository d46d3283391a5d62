// Runs that arrive at a fixed rate, whether or not earlier ones are over, in a process of its own: posts only, no readers. Jobs come
// from growth-measures.ts.

import { percentile } from './driver.ts';
import { Connection, getRequest, postRequest } from './http1.ts';
import { serveJobs } from './worker.ts';

/** What to do. `look` is about the first runs of the last `post`. */
export type ArrivalsJob =
  | {
      readonly do: 'post';
      readonly url: string;
      readonly body: string;
      readonly perSecond: number;
      readonly seconds: number;
    }
  | { readonly do: 'look'; readonly url: string; readonly runs: number };

export interface Posted {
  readonly runs: number;
  readonly seconds: number;
  /** Answers other than 202, and what the first of them said. */
  readonly refused: number;
  readonly refusal: string | null;
  /** From when a run was due until it was accepted, ms. */
  readonly p50: number;
  readonly p99: number;
}

/** How long runs took by their records, ms; `ended`: how many are over, and well. */
export interface Looked {
  readonly ended: number;
  readonly p50: number;
}

/** How often what is due is posted, ms. */
const TICK_MS = 4;

class Arrivals {
  readonly #free: Connection[] = [];
  #runIds: string[] = [];

  async post({ url, body, perSecond, seconds }: Extract<ArrivalsJob, { do: 'post' }>): Promise<Posted> {
    const request = postRequest('/runs', body);
    const wanted = Math.round(perSecond * seconds);
    const started = performance.now();
    const times: number[] = [];
    const underWay: Promise<void>[] = [];
    let refused = 0;
    let refusal: string | null = null;
    this.#runIds = [];
    const one = async (dueAt: number): Promise<void> => {
      const connection = this.#free.pop() ?? new Connection(url);
      const answer = await connection.send(request);
      this.#free.push(connection);
      const runId = /"run_id":"([^"]+)"/.exec(answer.body)?.[1];
      if (answer.status !== 202 || runId === undefined) {
        refused += 1;
        refusal ??= `${answer.status} ${answer.body}`;
        return;
      }
      this.#runIds.push(runId);
      times.push(performance.now() - dueAt);
    };
    for (let posted = 0; posted < wanted; ) {
      const due = Math.min(wanted, Math.floor(((performance.now() - started) * perSecond) / 1000));
      for (; posted < due; posted += 1) underWay.push(one(started + (posted * 1000) / perSecond));
      await Bun.sleep(TICK_MS);
    }
    const elapsed = (performance.now() - started) / 1000;
    await Promise.all(underWay);
    return {
      runs: wanted,
      seconds: elapsed,
      refused,
      refusal,
      p50: percentile(times, 0.5),
      p99: percentile(times, 0.99),
    };
  }

  async look({ url, runs }: Extract<ArrivalsJob, { do: 'look' }>): Promise<Looked> {
    const connection = new Connection(url);
    const took: number[] = [];
    let ended = 0;
    for (const runId of this.#runIds.slice(0, runs)) {
      const { body } = await connection.send(getRequest(`/runs/${runId}`));
      const record = JSON.parse(body) as { status: string; created_at: string; updated_at: string }; // spec 01 §1.5
      if (record.status !== 'succeeded') continue;
      ended += 1;
      took.push(Date.parse(record.updated_at) - Date.parse(record.created_at));
    }
    connection.close();
    return { ended, p50: percentile(took, 0.5) };
  }
}

if (import.meta.main) {
  const arrivals = new Arrivals();
  void serveJobs<ArrivalsJob>((job) => (job.do === 'post' ? arrivals.post(job) : arrivals.look(job)));
}
