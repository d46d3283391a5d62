// What metrics and traces cost: three servers of one build, all up, under the same loads, block by block in turn, so that a comparison
// holds when the machine's speed drifts. Told as CPU time of the server per run, which the receiver of the traces and the driver
// do not disturb, and as runs per second of the whole machine, on which they run too.

import { loadSettings } from '../../src/config/load.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import type { Probe } from '../../src/observe/probe.ts';
import { startTraces } from '../../src/observe/traces/start.ts';
import { until } from '../support/until.ts';
import { type Block, type Load, type LoadResult, underLoad, warmUpRuns } from './reliability-measures.ts';
import type { BenchStore } from './stores.ts';
import { startAddressed } from './worker.ts';

/** Relative: 0.02 is two per cent more CPU time, or two per cent fewer runs. */
export interface Overhead {
  /** One value per pair of blocks. */
  readonly cpu: readonly number[];
  readonly throughput: readonly number[];
}

export interface Overheads {
  readonly metrics: Overhead;
  readonly traces: Overhead;
  /** Bytes of traces that were received, per run. */
  readonly tracedBytesPerRun: number;
}

const OFF = { DIFY_AGENT_METRICS_ENABLED: 'false' };
const METRICS = { DIFY_AGENT_METRICS_ENABLED: 'true' };

/** Measures both against neither, in `rounds` rounds of three blocks. Rejects when no trace arrives. */
export async function overheads(store: BenchStore, load: Load, rounds: number): Promise<Overheads> {
  const sink = await startAddressed(new URL('otlp-sink.ts', import.meta.url).pathname);
  const traced = { ...OFF, OTEL_EXPORTER_OTLP_ENDPOINT: sink.url };
  try {
    return await underLoad(
      store,
      load,
      rounds,
      (off) =>
        underLoad(
          store,
          load,
          rounds,
          (metrics) =>
            underLoad(
              store,
              load,
              rounds,
              (traces) => compare({ off, metrics, traces }, load, rounds, sink.url),
              traced,
            ),
          METRICS,
        ),
      OFF,
    );
  } finally {
    await sink.stop();
  }
}

/** What the spans of one-chunk runs cost by themselves, in µs of this process' CPU time per run: made, ended, sent; no server. */
export async function tracingAlone(runs: number): Promise<number> {
  const sink = await startAddressed(new URL('otlp-sink.ts', import.meta.url).pathname);
  const loaded = loadSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: sink.url }, null);
  if (!loaded.ok || loaded.settings.traces === null) throw new Error('tracing is not on');
  const traces = await startTraces(loaded.settings.traces, { logger: noopLogger, secrets: [] });
  try {
    const make = async (count: number): Promise<number> => {
      const before = process.cpuUsage();
      for (let i = 0; i < count; i += 1) {
        spansOfRun(traces.probe, `run-${i}`);
        // The queue must be emptied meanwhile, or spans are dropped.
        if (i % SPANS_AT_ONCE === 0) await Bun.sleep(1);
      }
      const { user, system } = process.cpuUsage(before);
      return (user + system) / count;
    };
    await make(runs);
    return await make(runs);
  } finally {
    await traces.close();
    await sink.stop();
  }
}

const SPANS_AT_ONCE = 50;

/** The six: `POST`, run, creation, model request, end, and the stream's `GET`. */
function spansOfRun(probe: Probe, runId: string): void {
  const header = { traceparent: null, tracestate: null, requestId: runId };
  const post = probe.request({ ...header, method: 'POST', route: '/runs' });
  post.within(() => {
    const run = probe.run({ runId, tenantId: null, layers: 2 });
    run.within(() => {
      probe.store('create').end({ failed: false });
      const content = () => '';
      run
        .modelRequest({ provider: 'scripted', model: 'scripted', step: 1, content })
        .end({ error: null, finishReason: 'stop', inputTokens: 1, outputTokens: 1, content });
      probe.store('finalise').end({ failed: false });
    });
    const counts = { events: 5, eventChars: 1_500, inputTokens: 1, outputTokens: 1 };
    run.end({ outcome: 'succeeded', reason: null, error: null, ...counts });
  });
  post.end({ status: 202 });
  probe.request({ ...header, method: 'GET', route: '/runs/:run_id/events/sse' }).end({ status: 200 });
}

type Kind = 'off' | 'metrics' | 'traces';

async function compare(
  blocks: Readonly<Record<Kind, Block>>,
  load: Load,
  rounds: number,
  sink: string,
): Promise<Overheads> {
  const kinds: Kind[] = ['off', 'metrics', 'traces'];
  const results: Record<Kind, LoadResult[]> = { off: [], metrics: [], traces: [] };
  for (let round = 0; round < rounds; round += 1) {
    // Each goes first in its turn.
    for (let turn = 0; turn < kinds.length; turn += 1) {
      const kind = kinds[(round + turn) % kinds.length] ?? 'off';
      results[kind].push(await blocks[kind]());
    }
  }
  // Traces are sent in batches, some seconds apart.
  const bytes = await until('traces at the receiver', () => receivedBytes(sink), { timeoutMs: 20_000, everyMs: 100 });
  const against = (of: readonly LoadResult[]): Overhead => ({
    cpu: of.map(({ cpuMsPerRun }, i) => cpuMsPerRun / (results.off[i]?.cpuMsPerRun ?? Number.NaN) - 1),
    throughput: of.map(({ perSecond }, i) => 1 - perSecond / (results.off[i]?.perSecond ?? Number.NaN)),
  });
  return {
    metrics: against(results.metrics),
    traces: against(results.traces),
    tracedBytesPerRun: bytes / (load.runs * rounds + warmUpRuns(load)),
  };
}

async function receivedBytes(sink: string): Promise<number | null> {
  const { bytes } = (await (await fetch(`${sink}/count`, { proxy: false })).json()) as { bytes: number }; // otlp-sink.ts
  return bytes === 0 ? null : bytes;
}
