// The load, in a process of its own: posts runs and follows each over SSE to its terminal event. Its one argument is a
// DriverJob as JSON; it prints a DriverResult as JSON. run.ts and bench.test.ts start it.

import { Connection, getRequest, postRequest } from './http1.ts';
import { cpuMs } from './proc.ts';

/** What to do. */
export interface DriverJob {
  readonly url: string;
  /** The body of `POST /runs`, or with `direct` of a request to the daemon. */
  readonly body: string;
  /** Posts here and reads the answer as a stream, instead of run and SSE: the fake daemon's own time. */
  readonly direct?: { readonly path: string; readonly headers: Readonly<Record<string, string>> };
  /** How every run must end. Default `run_succeeded`. */
  readonly end?: 'run_succeeded' | 'run_failed';
  readonly concurrency: number;
  /** Runs in all, after the warm-up. */
  readonly runs: number;
  readonly warmUp: number;
}

/** What came of it. Milliseconds. */
export interface DriverResult {
  readonly runs: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p95: number;
  /** Frames of each run; every run had the same number. */
  readonly frames: number;
}

/** Runs a job in this process. Throws when a run does not end as it should or two runs differ in length. */
export async function drive(job: DriverJob): Promise<DriverResult> {
  await work(job, job.warmUp);
  const started = performance.now();
  const { times, frames } = await work(job, job.runs);
  const seconds = (performance.now() - started) / 1000;
  return {
    runs: times.length,
    seconds,
    perSecond: times.length / seconds,
    p50: percentile(times, 0.5),
    p95: percentile(times, 0.95),
    frames,
  };
}

async function work(job: DriverJob, runs: number): Promise<{ times: number[]; frames: number }> {
  const times: number[] = [];
  const lengths = new Set<number>();
  const post = postRequest(job.direct?.path ?? '/runs', job.body, job.direct?.headers);
  let left = runs;
  const slot = async (): Promise<void> => {
    const connection = new Connection(job.url);
    while (left > 0) {
      left -= 1;
      const started = performance.now();
      const stream =
        job.direct === undefined ? await runOnce(connection, post, job.end) : (await connection.send(post)).body;
      times.push(performance.now() - started);
      lengths.add(count(stream, job.direct === undefined ? '\nevent: ' : 'data: '));
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: Math.min(job.concurrency, Math.max(runs, 1)) }, slot));
  if (lengths.size > 1) throw new Error(`runs of different lengths: ${[...lengths].join(', ')} frames`);
  return { times, frames: [...lengths][0] ?? 0 };
}

async function runOnce(connection: Connection, post: string, end = 'run_succeeded'): Promise<string> {
  const created = await connection.send(post);
  const runId = /"run_id":"([^"]+)"/.exec(created.body)?.[1];
  if (created.status !== 202 || runId === undefined) throw new Error(`POST: ${created.status} ${created.body}`);
  const stream = await connection.send(getRequest(`/runs/${runId}/events/sse`));
  if (!stream.body.includes(`\nevent: ${end}\n`)) throw new Error(`no ${end}: ${stream.body.slice(-500)}`);
  return stream.body;
}

function count(text: string, part: string): number {
  let found = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) found += 1;
  return found;
}

/** The value below which a share of the values lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Runs a job in a new process. */
export async function driveApart(job: DriverJob): Promise<DriverResult> {
  const child = Bun.spawn([process.execPath, new URL(import.meta.url).pathname, JSON.stringify(job)], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const [text, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (code !== 0) throw new Error(`the driver ended with ${code}`);
  return JSON.parse(text) as DriverResult; // printed below
}

/**
 * The same on a server that the whole warm-up has made fast before, with its CPU time per run, ms: what a start and code that is
 * still slow cost is not in it. The driver warms up by itself with a run per connection.
 */
export async function driveWarm(pid: number, job: DriverJob): Promise<DriverResult & { readonly cpuMsPerRun: number }> {
  const { warmUp, concurrency, runs } = job;
  if (warmUp > 0) await driveApart({ ...job, runs: warmUp, warmUp: 0 });
  const before = cpuMs(pid);
  const own = Math.min(warmUp, concurrency);
  const result = await driveApart({ ...job, warmUp: own });
  return { ...result, cpuMsPerRun: (cpuMs(pid) - before) / (runs + own) };
}

/** How many runs `driveWarm` makes of a job. */
export function warmRuns({ runs, warmUp, concurrency }: Pick<DriverJob, 'runs' | 'warmUp' | 'concurrency'>): number {
  return runs + warmUp + Math.min(warmUp, concurrency);
}

if (import.meta.main) {
  void drive(JSON.parse(process.argv[2] ?? '{}') as DriverJob).then((result) => {
    console.log(JSON.stringify(result));
  });
}
