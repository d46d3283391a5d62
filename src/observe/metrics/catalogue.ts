// Every metric: its name, what it means, its labels, and where its values are. docs/metrics.md has the same table, and a test
// compares them. Labels have few values each: no id, tenant, model or path is one.

import type { LoopDelay } from './event-loop.ts';
import type { Meter } from './meter.ts';
import type { RunPhase } from './runs.ts';
import type { SlotFigures, Sources, StreamFigures } from './sources.ts';
import type { Count, Distribution, Series, Table } from './tables.ts';

/** What a scrape looks at: the sums, and the state at this moment. */
export interface View {
  readonly meter: Meter;
  readonly sources: Sources;
  readonly loop: LoopDelay;
  readonly streams: StreamFigures;
  readonly slots: readonly SlotFigures[];
  readonly memory: { readonly rss: number; readonly heapUsed: number; readonly heapTotal: number };
  /** Microseconds since the start. */
  readonly cpu: { readonly user: number; readonly system: number };
}

/** One metric. */
export interface Metric {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: (view: View) => readonly Series<number | Distribution>[];
}

const PHASES: readonly RunPhase[] = ['queued', 'starting', 'model', 'tool', 'exiting'];

function one(value: number | Distribution): readonly Series<number | Distribution>[] {
  return [{ labels: [], value }];
}

function totals(table: Table<Count>): readonly Series<number>[] {
  return table.series.map(({ labels, value }) => ({ labels, value: value.total }));
}

function all(table: Table<Distribution>): readonly Series<Distribution>[] {
  return table.series;
}

type Read = Metric['read'];
const counter = (name: string, help: string, labels: readonly string[], read: Read): Metric => ({
  ...{ name, type: 'counter', help, labels, read },
});
const gauge = (name: string, help: string, labels: readonly string[], read: Read): Metric => ({
  ...{ name, type: 'gauge', help, labels, read },
});
const histogram = (name: string, help: string, labels: readonly string[], read: Read): Metric => ({
  ...{ name, type: 'histogram', help, labels, read },
});

const RUNS: readonly Metric[] = [
  gauge(
    'dify_agent_runs_active',
    'Runs of this process that are not over, by what they are doing.',
    ['phase'],
    (view) =>
      PHASES.map((phase) => {
        let value = 0;
        for (const run of view.meter.runs.active) if (run.phase === phase) value += 1;
        return { labels: [phase], value };
      }),
  ),
  gauge('dify_agent_runs_active_limit', 'Runs that this process executes at once.', [], (view) =>
    one(view.sources.maxActiveRuns),
  ),
  counter(
    'dify_agent_runs_total',
    'Runs that are over. `lost`: somebody else ended the run, or its end could not be stored.',
    ['outcome', 'reason'],
    (view) => totals(view.meter.runs.ended),
  ),
  counter('dify_agent_run_refusals_total', 'Creations that were refused before there was a run.', ['reason'], (view) =>
    totals(view.meter.runs.refused),
  ),
  counter(
    'dify_agent_run_repeats_total',
    'Creations that were answered with the earlier run of the same idempotency key.',
    [],
    (view) => one(view.meter.runs.repeated.total),
  ),
  histogram('dify_agent_run_duration_seconds', 'From the creation of a run to its end.', ['outcome'], (view) =>
    all(view.meter.runs.seconds),
  ),
  histogram(
    'dify_agent_run_first_event_seconds',
    'From the creation of a run to the moment when its first event is stored and visible.',
    [],
    (view) => one(view.meter.runs.firstEventSeconds),
  ),
  counter(
    'dify_agent_lost_runs_ended_total',
    'Runs of processes that died, which this process ended (reason `worker_lost`).',
    [],
    (view) => one(view.meter.runs.swept.total),
  ),
  histogram(
    'dify_agent_model_request_duration_seconds',
    'From a request to the model to the end of its answer, stored events included.',
    ['outcome'],
    (view) => all(view.meter.runs.modelSeconds),
  ),
  counter('dify_agent_model_tokens_total', 'Tokens as the models reported them.', ['direction'], ({ meter }) => [
    { labels: ['input'], value: meter.runs.inputTokens.total },
    { labels: ['output'], value: meter.runs.outputTokens.total },
  ]),
  histogram('dify_agent_tool_call_duration_seconds', 'Calls of tools that this server executes.', ['outcome'], (view) =>
    all(view.meter.runs.toolSeconds),
  ),
];

const STORE: readonly Metric[] = [
  counter('dify_agent_events_stored_total', 'Events of runs that the store has acknowledged.', [], (view) =>
    one(view.meter.runs.events.total),
  ),
  counter(
    'dify_agent_event_characters_stored_total',
    'Characters of these events as JSON; of ASCII text one is a byte.',
    [],
    (view) => one(view.meter.runs.chars.total),
  ),
  histogram(
    'dify_agent_event_store_duration_seconds',
    'From giving a batch of events to the store to its acknowledgement, waiting for a shared commit or round trip included.',
    [],
    (view) => one(view.meter.runs.storedSeconds),
  ),
  histogram(
    'dify_agent_store_operation_duration_seconds',
    'Other operations of the store that a request or a run waits for.',
    ['operation'],
    ({ meter }) =>
      meter.store.sums
        .filter(([operation]) => operation !== 'append')
        .map(([operation, { seconds }]) => ({ labels: [operation], value: seconds })),
  ),
  counter(
    'dify_agent_store_operation_failures_total',
    'Operations that the store did not do.',
    ['operation'],
    ({ meter }) =>
      meter.store.sums.map(([operation, { failures }]) => ({ labels: [operation], value: failures.total })),
  ),
  gauge(
    'dify_agent_lease_held',
    '1 while the lease of this process in a shared store is valid; absent where none is needed.',
    [],
    ({ sources }) => (sources.lease === null ? [] : one(sources.lease.held ? 1 : 0)),
  ),
  counter('dify_agent_lease_renewals_total', 'Renewals of the lease.', ['outcome'], ({ sources }) =>
    sources.lease === null
      ? []
      : [
          { labels: ['ok'], value: sources.lease.renewed },
          { labels: ['failed'], value: sources.lease.failed },
        ],
  ),
  counter(
    'dify_agent_lease_losses_total',
    'How often the lease turned out to have run out: others may have ended runs of this process.',
    [],
    ({ sources }) => (sources.lease === null ? [] : one(sources.lease.lost)),
  ),
];

const STREAMS: readonly Metric[] = [
  gauge('dify_agent_sse_streams_open', 'Open event streams.', [], (view) => one(view.streams.open)),
  counter('dify_agent_sse_streams_opened_total', 'Event streams that were opened.', [], (view) =>
    one(view.streams.opened),
  ),
  gauge(
    'dify_agent_sse_streams_behind',
    'Open streams that have not delivered everything that is stored.',
    [],
    (view) => one(view.streams.behind),
  ),
  gauge(
    'dify_agent_sse_events_behind_max',
    'Events that the slowest open stream is behind; 256 stands for more.',
    [],
    (view) => one(view.streams.maxBehind),
  ),
  gauge(
    'dify_agent_sse_streams_stuck',
    'Open streams whose client has taken nothing for at least five seconds although there is something.',
    [],
    (view) => one(view.streams.stuck),
  ),
  counter('dify_agent_sse_events_sent_total', 'Events sent to all streams together.', [], (view) =>
    one(view.streams.eventsSent),
  ),
  counter('dify_agent_sse_bytes_sent_total', 'Bytes of these events.', [], (view) => one(view.streams.bytesSent)),
];

const PEERS: readonly Metric[] = [
  counter(
    'dify_agent_peer_requests_total',
    'HTTP requests to a peer, by class of status (`none`: no answer).',
    ['peer', 'operation', 'status'],
    (view) => totals(view.meter.peers.requests),
  ),
  counter(
    'dify_agent_peer_errors_total',
    'Requests without a whole answer. `aborted`: the run or its caller did not want it any more.',
    ['peer', 'error'],
    (view) => totals(view.meter.peers.errors),
  ),
  histogram(
    'dify_agent_peer_request_duration_seconds',
    'From a request to a peer to the end of its answer: of a model, the whole stream.',
    ['peer', 'operation'],
    (view) => all(view.meter.peers.seconds),
  ),
  gauge(
    'dify_agent_peer_connections',
    'Requests that hold a connection to a peer (`active`) or wait for one.',
    ['peer', 'state'],
    ({ slots }) =>
      slots.flatMap(({ peer, active, waiting }) => [
        { labels: [peer, 'active'], value: active },
        { labels: [peer, 'waiting'], value: waiting },
      ]),
  ),
  gauge('dify_agent_peer_connections_limit', 'Connections to a peer at most.', ['peer'], ({ slots }) =>
    slots.map(({ peer, limit }) => ({ labels: [peer], value: limit })),
  ),
];

const PROCESS: readonly Metric[] = [
  counter(
    'dify_agent_http_requests_total',
    'Answers, by route (`none`: there is no such path), method and status.',
    ['route', 'method', 'status'],
    (view) => totals(view.meter.http.requests),
  ),
  histogram(
    'dify_agent_http_request_duration_seconds',
    'From a request to the head of its answer; an event stream goes on after it.',
    ['route'],
    (view) => all(view.meter.http.seconds),
  ),
  gauge('dify_agent_http_requests_in_flight', 'Requests that have no answer yet.', [], (view) =>
    one(view.meter.http.open),
  ),
  histogram(
    'dify_agent_event_loop_delay_seconds',
    'How much too late a timer came that falls due ten times a second.',
    [],
    (view) => one(view.loop.seconds),
  ),
  gauge('dify_agent_process_resident_memory_bytes', 'Resident memory.', [], (view) => one(view.memory.rss)),
  gauge('dify_agent_process_heap_bytes', 'The JavaScript heap.', ['kind'], ({ memory }) => [
    { labels: ['used'], value: memory.heapUsed },
    { labels: ['total'], value: memory.heapTotal },
  ]),
  counter('dify_agent_process_cpu_seconds_total', 'CPU time.', ['mode'], ({ cpu }) => [
    { labels: ['user'], value: cpu.user / 1e6 },
    { labels: ['system'], value: cpu.system / 1e6 },
  ]),
  gauge('dify_agent_process_start_time_seconds', 'When the server started, in seconds since 1970.', [], (view) =>
    one(view.sources.identity.startedAtMs / 1000),
  ),
  gauge('dify_agent_build_info', 'Always 1; says what runs.', ['version', 'bun', 'store', 'wire'], ({ sources }) => {
    const { version, store, wire } = sources.identity;
    return [{ labels: [version, Bun.version, store, wire], value: 1 }];
  }),
];

/** All metrics, in the order in which they are printed. */
export const METRICS: readonly Metric[] = [...RUNS, ...STORE, ...STREAMS, ...PEERS, ...PROCESS];
