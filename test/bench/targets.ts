// The target table of issue FAST as data: which measured figures a row is about, and what the reference did on the same class of
// machine (`../shared/fixtures/reference-performance.md`). Its limits stand here alone; others are with their figures.

import { type Figure, holds, type Limit, limitText, number } from './figures.ts';

/** A row of the table. */
export interface Target {
  readonly what: string;
  /** The reference's figure, as the issue gives it. */
  readonly reference: string;
  readonly unit: string;
  /** In the order of the table's slashes. */
  readonly parts: readonly { readonly figure: `${string}.${'redis' | 'sqlite'}`; readonly limit: Limit }[];
}

export const TARGETS: readonly Target[] = [
  {
    what: 'events stored and streamed, 50 runs × 1,000 chunks, SSE readers',
    reference: '2,651',
    unit: 'events/s',
    parts: [{ figure: 'streaming.redis', limit: { least: 53_000 } }],
  },
  {
    what: 'own time added per chunk, one run of 1,000',
    reference: '474',
    unit: 'µs',
    parts: [{ figure: 'single_1000_chunks_c1.chunk.redis', limit: { below: 12 } }],
  },
  {
    what: 'one-chunk runs at 50 (POST + SSE to the terminal), Redis / SQLite',
    reference: '99',
    unit: 'runs/s',
    parts: [
      { figure: 'daemon.redis', limit: { least: 2_500 } },
      { figure: 'daemon.sqlite', limit: { least: 2_500 } },
    ],
  },
  {
    what: 'instantly failing runs at 50',
    reference: '300',
    unit: 'runs/s',
    parts: [{ figure: 'failing.redis', limit: { least: 5_000 } }],
  },
  {
    what: 'own overhead, `three_tool_rounds_100_chunks_c10`, p50 / p95',
    reference: '490 / 597',
    unit: 'ms',
    parts: [
      { figure: 'three_tool_rounds_100_chunks_c10.overhead.p50.redis', limit: { below: 8 } },
      { figure: 'three_tool_rounds_100_chunks_c10.overhead.p95.redis', limit: { below: 20 } },
    ],
  },
  {
    what: 'own overhead, `single_100_chunks_c1`, p50',
    reference: '11.2',
    unit: 'ms',
    parts: [{ figure: 'single_100_chunks_c1.overhead.p50.redis', limit: { below: 2.5 } }],
  },
  {
    what: 'first event after POST, one run, p50',
    reference: '5.4',
    unit: 'ms',
    parts: [{ figure: 'single_1000_chunks_c1.first.p50.redis', limit: { below: 1.2 } }],
  },
  {
    what: 'server CPU per one-chunk run',
    reference: '10',
    unit: 'ms',
    parts: [{ figure: 'daemon.cpu.redis', limit: { below: 0.4 } }],
  },
  {
    what: 'chunk at the daemon’s socket → event at the subscriber, 100 runs active, p50 / p99',
    reference: '–',
    unit: 'ms',
    parts: [
      { figure: 'live.p50.redis', limit: { below: 3 } },
      { figure: 'live.p99.redis', limit: { below: 15 } },
    ],
  },
  {
    what: 'start to first 200',
    reference: '922',
    unit: 'ms',
    parts: [{ figure: 'start.sqlite', limit: { below: 60 } }],
  },
  {
    what: 'RSS idle / per active run (scripted) / 1,000 SSE streams extra',
    reference: '104 MB / 150 KB / –',
    unit: 'MB, KB, MB',
    parts: [
      { figure: 'idle.sqlite', limit: { below: 75 } },
      { figure: 'active.sqlite', limit: { below: 30 } },
      { figure: 'streams.sqlite', limit: { below: 12 } },
    ],
  },
  {
    what: 'replay of 78,098 events over SSE',
    reference: '–',
    unit: 'events/s',
    parts: [{ figure: 'replay.redis', limit: { least: 200_000 } }],
  },
  {
    what: 'CPU per run at 10,000 active against 100 active',
    reference: '–',
    unit: '×',
    parts: [{ figure: 'growth.redis', limit: { most: 1.15 } }],
  },
];

/** What the table asks of a figure, or undefined. */
export function targetLimit(id: string, store: string): Limit | undefined {
  return TARGETS.flatMap(({ parts }) => parts).find(({ figure }) => figure === `${id}.${store}`)?.limit;
}

/** A row with what was measured. */
export interface JudgedTarget {
  readonly target: Target;
  /** In the order of the row; undefined: not measured. */
  readonly found: readonly (Figure | undefined)[];
  readonly limits: string;
  readonly medians: string;
  /** Empty: a part was not measured, and the others hold. */
  readonly verdict: 'pass' | 'MISS' | '';
}

/** The table with what was measured. */
export function judge(figures: readonly Figure[]): readonly JudgedTarget[] {
  const known = new Map(figures.map((figure) => [`${figure.id}.${figure.store}`, figure]));
  return TARGETS.map((target) => {
    const found = target.parts.map(({ figure }) => known.get(figure));
    const verdicts = target.parts.map(({ limit }, part) => {
      const figure = found[part];
      return figure === undefined ? undefined : holds(figure.median, limit);
    });
    return {
      target,
      found,
      limits: target.parts.map(({ limit }) => limitText(limit)).join(' / '),
      medians: found.map((figure) => (figure === undefined ? '–' : number(figure.median))).join(' / '),
      verdict: verdicts.includes(false) ? 'MISS' : verdicts.includes(undefined) ? '' : 'pass',
    };
  });
}
