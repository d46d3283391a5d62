// `npm run soak`: as many runs as asked for (default 20,000) at the admission limit, one store after the other (default both):
// more clients than the limit lets in, each of which obeys `Retry-After`. Every accepted run is followed to its end and looked up
// again when all is over; resident memory is read all the time. Arguments: runs, `sqlite`, `redis` or `both`.

import { readFileSync } from 'node:fs';
import { percentile } from '../bench/driver.ts';
import { Connection, getRequest } from '../bench/http1.ts';
import { agent, call } from '../support/agent-runs.ts';
import { post } from '../support/runs.ts';
import { mustEqual } from './checks.ts';
import { STORES, type StoreName, withSite } from './site.ts';

/** Runs that the process takes at once. */
const LIMIT = 200;
/** More than it takes: the limit is always met. */
const CLIENTS = 230;
/** Between two readings of the memory, ms. */
const READING_MS = 100;

/** What a soak was about. */
export interface SoakReport {
  readonly store: StoreName;
  readonly runs: number;
  readonly seconds: number;
  /** Requests that were refused with 503 and tried again. */
  readonly refused: number;
  /** The most runs that clients had accepted and not ended at once. */
  readonly mostActive: number;
  /** Medians of resident memory while the first, second and last third of the runs were executed, MB. */
  readonly thirds: readonly number[];
}

/** A run with a tool call, a history and a pause, so that runs overlap. */
const BODY = JSON.stringify(
  agent(
    [
      [{ thinking: 'hm' }, call('c1', 'echo', { n: 1 })],
      [{ text: 'a' }, { text: 'b', delay_ms: 60 }],
    ],
    {
      tools: [{ name: 'echo' }],
      history: true,
    },
  ),
);

/** Plays one. Throws when a run was lost, ended twice or did not succeed. */
export function soak(store: StoreName, runs: number): Promise<SoakReport> {
  const env = { DIFY_AGENT_MAX_ACTIVE_RUNS: String(LIMIT), DIFY_AGENT_LOG_LEVEL: 'info' };
  return withSite(store, { env }, async (site) => {
    const { url, pid } = await site.start();
    const accepted: string[] = [];
    const readings: (readonly [ended: number, megabytes: number])[] = [];
    let [left, ended, active, mostActive, refused] = [runs, 0, 0, 0, 0];

    async function client(): Promise<void> {
      const connection = new Connection(url);
      while (left > 0) {
        left -= 1;
        const runId = await create();
        accepted.push(runId);
        active += 1;
        mostActive = Math.max(mostActive, active);
        mustEndOnce(runId, (await connection.send(getRequest(`/runs/${runId}/events/sse`))).body);
        active -= 1;
        ended += 1;
      }
      connection.close();
    }

    async function create(): Promise<string> {
      for (;;) {
        const answer = await post(url, BODY);
        const body = await answer.text();
        const runId = /"run_id":"([^"]+)"/.exec(body)?.[1];
        if (answer.status === 202 && runId !== undefined) return runId;
        const retryAfter = Number(answer.headers.get('retry-after') ?? 0);
        if (answer.status !== 503 || !(retryAfter > 0)) throw new Error(`POST /runs: ${answer.status} ${body}`);
        refused += 1;
        await Bun.sleep(retryAfter * 1000); // as it was told
      }
    }

    const started = performance.now();
    const timer = setInterval(() => readings.push([ended, megabytes(pid)]), READING_MS);
    try {
      await Promise.all(Array.from({ length: CLIENTS }, client));
    } finally {
      clearInterval(timer);
    }
    const seconds = (performance.now() - started) / 1000;
    mustEqual('accepted runs', [String(new Set(accepted).size)], [String(runs)]);
    const connection = new Connection(url);
    for (const runId of accepted) {
      const { body } = await connection.send(getRequest(`/runs/${runId}`));
      if (!body.includes('"status":"succeeded"')) throw new Error(`${runId}: ${body}`);
    }
    connection.close();
    return { store, runs, seconds, refused, mostActive, thirds: thirdsOf(readings, runs) };
  });
}

function mustEndOnce(runId: string, stream: string): void {
  const events = stream.match(/^event: run_\w+$/gm) ?? [];
  mustEqual(`the events of ${runId}`, events, ['event: run_started', 'event: run_succeeded']);
  if (!/\nevent: run_succeeded\ndata: [^\n]*\n\n(?:[0-9a-f]*\s*)*$/.test(stream))
    throw new Error(`${runId} goes on after its end`);
}

function thirdsOf(readings: readonly (readonly [number, number])[], runs: number): readonly number[] {
  return [0, 1, 2].map((third) => {
    const within = readings.filter(([ended]) => Math.min(2, Math.floor((3 * ended) / runs)) === third);
    return Math.round(
      percentile(
        within.map(([, size]) => size),
        0.5,
      ),
    );
  });
}

function megabytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

async function main(runs: number, which: string): Promise<void> {
  for (const store of STORES.filter((name) => which === 'both' || which === name)) {
    const { seconds, refused, mostActive, thirds } = await soak(store, runs);
    console.log(
      `${store}: ${runs} runs at a limit of ${LIMIT} in ${seconds.toFixed(1)} s (${Math.round(runs / seconds)}/s), ${refused} times 503, ` +
        `at most ${mostActive} at once, none lost; resident ${thirds.join(', ')} MB in the thirds`,
    );
  }
}

if (import.meta.main) void main(Number(process.argv[2] ?? 20_000), process.argv[3] ?? 'both');
