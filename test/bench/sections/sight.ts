// What seeing costs: metrics and traces, on and off in one run (overhead-measures.ts).

import type { Draft } from '../figures.ts';
import { middle } from '../figures.ts';
import { type Overhead, overheads, tracingAlone } from '../overhead-measures.ts';
import type { Bench, Section, Sections } from '../section.ts';

const METRICS_LIMIT = { below: 3 };
const TRACES_LIMIT = { below: 8 };

function overheadOf(chunks: number, runs: number, roundsPerBlock: number): Section {
  return {
    stores: ['sqlite'],
    async measure(bench: Bench) {
      const { store, blocks, report, size } = bench;
      const load = { chunks: size(chunks, Math.min(chunks, 20)), runs: size(runs, 40) };
      const { metrics, traces, tracedBytesPerRun } = await overheads(store, load, size(roundsPerBlock * blocks, 1));
      const id = chunks === 0 ? 'runs' : chunks === 100 ? 'answers' : 'streams';
      const what = chunks === 0 ? 'one-chunk runs' : `runs of ${chunks.toLocaleString('en-US')} chunks`;
      const shared = {
        model: chunks === 0 ? 'scripted model' : 'fake daemon',
        driver: `${what}, 50 at once, POST + SSE to the end; servers with and without in turn`,
      } as const;
      const draft = (kind: string, name: string, { cpu, throughput }: Overhead, limit: Draft['limit']): Draft => ({
        ...{
          ...shared,
          id: `${kind}.${id}`,
          name: `${name}: more CPU time per run, ${what}`,
          unit: '%',
          limit: limit ?? null,
        },
        blocks: cpu.map(percent),
        note: `${percent(middle(throughput)).toFixed(1)} % fewer runs per second, receiver included`,
      });
      report(draft('metrics', 'metrics on', metrics, METRICS_LIMIT));
      const traced = draft('traces', 'traces on', traces, TRACES_LIMIT);
      report({ ...traced, note: `${traced.note}; ${(tracedBytesPerRun / 1000).toFixed(1)} KB of traces per run` });
    },
  };
}

export const sightSections: Sections = {
  sight: overheadOf(0, 10_000, 3),
  sightanswers: overheadOf(100, 500, 2),
  sightstreams: overheadOf(1_000, 50, 2),
  tracing: {
    stores: 'none',
    async measure({ repeat, report, size }) {
      report({
        ...{ id: 'traces.alone', name: 'OpenTelemetry alone: CPU of a one-chunk run’s six spans', unit: 'µs' },
        ...{ model: 'no model', driver: 'spans made, ended and posted in this process' },
        blocks: await repeat(() => tracingAlone(size(5_000, 20))),
      });
    },
  },
};

function percent(share: number): number {
  return share * 100;
}
