// The load of the reference's profile, in a process of its own: prepares a run with the fake peers, posts it, follows it over SSE to
// its terminal event; afterwards checks every run against its replay and its ledger. Jobs come from block.ts.

import { type Ledger, mismatches } from '../../fakes/bench-ledger.ts';
import { budgetMs, type Phase, type Scenario, scenarioOf } from '../../fakes/bench-scenarios.ts';
import { type Answer, Connection, getRequest, postRequest } from '../http1.ts';
import { serveJobs } from '../worker.ts';
import { benchmarkRequest } from './request.ts';
import { EventStreams, type Reading, type Traffic } from './stream.ts';

/** What to do. `check` is about the runs of the last `work`. */
export type ProfileJob =
  | {
      readonly do: 'work';
      readonly url: string;
      readonly fakes: string;
      readonly scenario: string;
      readonly phase: Phase;
    }
  | { readonly do: 'check'; readonly url: string; readonly fakes: string };

/** Why a run does not count (spec 07 §6.1). */
export type FailureKind = 'admission_error' | 'stream_error' | 'terminal_failed' | 'cancelled' | 'validation_error';

/** One run, in ms from before its POST. */
export interface RunSample {
  readonly create_run_http_ms: number;
  readonly time_to_first_event_ms: number;
  readonly terminal_e2e_ms: number;
  readonly runtime_overhead_ms: number;
  readonly event_count: number;
  /** `type` of the terminal event. */
  readonly status: string | null;
  readonly failure: FailureKind | null;
}

export interface WorkResult {
  readonly samples: readonly RunSample[];
  readonly seconds: number;
  readonly maxActive: number;
  /** At the driver, in bytes, without the requests to the fakes. */
  readonly traffic: Traffic;
  /** What the failed runs said, at most ten. */
  readonly problems: readonly string[];
}

export interface CheckResult {
  readonly checked: number;
  /** Empty: SSE and replay agree everywhere, and so do the ledgers. */
  readonly problems: readonly string[];
  /** How long the fake took to start each answer of the model, ms. */
  readonly fakeLatencies: readonly number[];
}

interface DoneRun {
  readonly benchmarkId: string;
  readonly runId: string;
  readonly events: readonly string[];
}

const PAGE = 500;

/** A driver's memory between two jobs. */
export class ProfileDriver {
  #scenario: Scenario | undefined;
  #runs: DoneRun[] = [];

  async work(job: Extract<ProfileJob, { do: 'work' }>): Promise<WorkResult> {
    const scenario = scenarioOf(job.scenario);
    if (scenario === undefined) throw new Error(`no scenario ${job.scenario}`);
    this.#scenario = scenario;
    this.#runs = [];
    const traffic: Traffic = { received: 0, sent: 0 };
    const streams = new EventStreams(job.url, traffic);
    const samples: RunSample[] = [];
    const problems: string[] = [];
    const started = performance.now();
    let begun = 0;
    let active = 0;
    let maxActive = 0;
    const goesOn = () =>
      'runs' in job.phase ? begun < job.phase.runs : performance.now() - started < job.phase.seconds * 1000;
    const lane = async (): Promise<void> => {
      const server = new Connection(job.url);
      const fakes = new Connection(job.fakes);
      while (goesOn()) {
        begun += 1;
        active += 1;
        maxActive = Math.max(maxActive, active);
        const { sample, problem } = await this.#run(scenario, { server, fakes, streams, traffic });
        active -= 1;
        samples.push(sample);
        if (problem !== null && problems.length < 10) problems.push(problem);
      }
      server.close();
      fakes.close();
    };
    await Promise.all(Array.from({ length: scenario.concurrency }, lane));
    const seconds = (performance.now() - started) / 1000;
    streams.close();
    return { samples, seconds, maxActive, traffic, problems };
  }

  async #run(
    scenario: Scenario,
    {
      server,
      fakes,
      streams,
      traffic,
    }: { server: Connection; fakes: Connection; streams: EventStreams; traffic: Traffic },
  ): Promise<{ readonly sample: RunSample; readonly problem: string | null }> {
    const benchmarkId = crypto.randomUUID();
    const plan = { benchmark_run_id: benchmarkId, scenario_id: scenario.id, scenario_version: scenario.version };
    const prepared = await fakes.send(postRequest('/__bench/prepare', JSON.stringify(plan)));
    if (prepared.status !== 200) throw new Error(`the fakes: ${prepared.status} ${prepared.body}`);
    const request = postRequest(`${server.prefix}/runs`, benchmarkRequest(scenario, benchmarkId));
    traffic.sent += request.length;
    const started = performance.now();
    const failed = (failure: FailureKind, text: string) => ({
      sample: emptySample(failure),
      problem: `${failure}: ${text}`,
    });
    let created: Answer;
    try {
      created = await server.send(request);
    } catch (error) {
      return failed('admission_error', String(error));
    }
    const createdAt = performance.now();
    traffic.received += created.body.length;
    const runId = /"run_id": ?"([^"]+)"/.exec(created.body)?.[1];
    if (created.status === 422) return failed('validation_error', created.body);
    if (created.status !== 202 || runId === undefined)
      return failed('admission_error', `${created.status} ${created.body}`);
    let reading: Reading;
    try {
      reading = await streams.read(`${server.prefix}/runs/${runId}/events/sse`);
    } catch (error) {
      return failed('stream_error', String(error));
    }
    this.#runs.push({ benchmarkId, runId, events: reading.events });
    const failure = failureOf(reading.terminal);
    const e2e = reading.terminalAt - started;
    const sample: RunSample = {
      create_run_http_ms: createdAt - started,
      time_to_first_event_ms: reading.firstEventAt - started,
      terminal_e2e_ms: e2e,
      runtime_overhead_ms: e2e - budgetMs(scenario),
      event_count: reading.events.length,
      status: reading.terminal,
      failure,
    };
    return { sample, problem: failure === null ? null : `${failure}: ${reading.events.at(-1)?.slice(0, 500)}` };
  }

  /** Every run of the last work: its replay and its ledger. */
  async check({ url, fakes }: Extract<ProfileJob, { do: 'check' }>): Promise<CheckResult> {
    const scenario = this.#scenario;
    if (scenario === undefined) throw new Error('nothing to check');
    const server = new Connection(url);
    const ledgers = new Connection(fakes);
    const problems: string[] = [];
    const fakeLatencies: number[] = [];
    for (const run of this.#runs) {
      const seen = run.events.map(idOf);
      const replayed = await replayedIds(server, run.runId);
      if (seen.join() !== replayed.join())
        problems.push(`${run.runId}: ${seen.length} ids over SSE, ${replayed.length} others replayed`);
      const { status, body } = await ledgers.send(getRequest(`/__bench/ledgers/${run.benchmarkId}`));
      if (status !== 200) problems.push(`no ledger of ${run.benchmarkId}: ${status}`);
      if (status !== 200) continue;
      const ledger = JSON.parse(body) as Ledger; // bench-daemon.ts
      problems.push(...mismatches(ledger, scenario));
      fakeLatencies.push(...ledger.model_start_latencies_ms);
    }
    server.close();
    ledgers.close();
    return { checked: this.#runs.length, problems: problems.slice(0, 20), fakeLatencies };
  }
}

/** All ids through the pages. Throws when a page's cursor does not advance. */
async function replayedIds(server: Connection, runId: string): Promise<readonly string[]> {
  const ids: string[] = [];
  let after = '';
  for (;;) {
    const { status, body } = await server.send(
      getRequest(`${server.prefix}/runs/${runId}/events?limit=${PAGE}${after === '' ? '' : `&after=${after}`}`),
    );
    if (status !== 200) throw new Error(`events of ${runId}: ${status} ${body}`);
    const page = JSON.parse(body) as { events: readonly { id: string }[]; next_cursor: string | null }; // spec 01
    if (page.events.length === 0) return ids;
    ids.push(...page.events.map(({ id }) => id));
    if (page.next_cursor === null || page.next_cursor === after) throw new Error(`the cursor of ${runId} stands still`);
    after = page.next_cursor;
  }
}

/** The JSON itself has `id` and `type` (spec 07 §6.1). */
function idOf(event: string): string {
  const { id, type } = JSON.parse(event) as { id?: string; type?: string }; // checked here
  if (typeof id !== 'string' || typeof type !== 'string')
    throw new Error(`an event without id or type: ${event.slice(0, 200)}`);
  return id;
}

function failureOf(terminal: string | null): FailureKind | null {
  if (terminal === 'run_succeeded') return null;
  if (terminal === 'run_cancelled') return 'cancelled';
  return terminal === null ? 'stream_error' : 'terminal_failed';
}

function emptySample(failure: FailureKind): RunSample {
  return {
    ...{ create_run_http_ms: Number.NaN, time_to_first_event_ms: Number.NaN, terminal_e2e_ms: Number.NaN },
    ...{ runtime_overhead_ms: Number.NaN, event_count: 0, status: null, failure },
  };
}

if (import.meta.main) {
  const driver = new ProfileDriver();
  void serveJobs<ProfileJob>((job) => (job.do === 'work' ? driver.work(job) : driver.check(job)));
}
