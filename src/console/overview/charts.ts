// Which charts the overview shows and what their lines say, computed from readings of /metrics. A line whose metrics the
// server does not have is left out, a chart without lines too.

import { quantileOf, type Reading, rateOf, sumOf } from './prometheus.ts';

/** A line of a chart. */
export interface LineSpec {
  readonly name: string;
  /** One of the five colours of the style sheet. */
  readonly colour: 'accent' | 'ok' | 'bad' | 'warn' | 'muted';
  /** Null: nothing is known at this moment. */
  readonly at: (recent: Recent) => number | null;
}

export interface ChartSpec {
  readonly title: string;
  readonly unit: '' | 'ms' | '/s' | 'B' | '%';
  readonly lines: readonly LineSpec[];
}

/** What a point is computed from. */
export interface Recent {
  readonly now: Reading;
  /** The reading before; null: this is the first. */
  readonly before: Reading | null;
  /** One of about half a minute ago: quantiles of two seconds would be noise. */
  readonly earlier: Reading | null;
}

const P = 'dify_agent_';

const gauge =
  (name: string, factor = 1) =>
  ({ now }: Recent): number | null => {
    const value = sumOf(now, name);
    return value === null ? null : value * factor;
  };

const rate =
  (name: string, wanted: Readonly<Record<string, string>> = {}) =>
  ({ before, now }: Recent): number | null =>
    before === null ? null : rateOf(before, now, name, wanted);

/** Seconds per second, as a share. */
const percent =
  (name: string) =>
  (recent: Recent): number | null => {
    const share = rate(name)(recent);
    return share === null ? null : share * 100;
  };

const quantile =
  (name: string, q: number) =>
  ({ earlier, now }: Recent): number | null => {
    const seconds = earlier === null ? null : quantileOf(earlier, now, name, q);
    return seconds === null ? null : seconds * 1000;
  };

const quantiles = (name: string): readonly LineSpec[] => [
  { name: 'p50', colour: 'accent', at: quantile(name, 0.5) },
  { name: 'p95', colour: 'warn', at: quantile(name, 0.95) },
];

export const CHARTS: readonly ChartSpec[] = [
  {
    title: 'Active runs',
    unit: '',
    lines: [{ name: 'active', colour: 'accent', at: gauge(`${P}runs_active`) }],
  },
  {
    title: 'Runs ended',
    unit: '/s',
    lines: [
      { name: 'succeeded', colour: 'ok', at: rate(`${P}runs_total`, { outcome: 'succeeded' }) },
      { name: 'failed', colour: 'bad', at: rate(`${P}runs_total`, { outcome: 'failed' }) },
      { name: 'cancelled', colour: 'muted', at: rate(`${P}runs_total`, { outcome: 'cancelled' }) },
    ],
  },
  {
    title: 'Events stored',
    unit: '/s',
    lines: [{ name: 'events', colour: 'accent', at: rate(`${P}events_stored_total`) }],
  },
  { title: 'Run duration', unit: 'ms', lines: quantiles(`${P}run_duration_seconds`) },
  { title: 'First event', unit: 'ms', lines: quantiles(`${P}run_first_event_seconds`) },
  { title: 'Model requests', unit: 'ms', lines: quantiles(`${P}model_request_duration_seconds`) },
  {
    title: 'Tokens',
    unit: '/s',
    lines: [
      { name: 'in', colour: 'accent', at: rate(`${P}model_tokens_total`, { direction: 'input' }) },
      { name: 'out', colour: 'warn', at: rate(`${P}model_tokens_total`, { direction: 'output' }) },
    ],
  },
  { title: 'Store', unit: 'ms', lines: quantiles(`${P}store_operation_duration_seconds`) },
  { title: 'HTTP', unit: 'ms', lines: quantiles(`${P}http_request_duration_seconds`) },
  { title: 'Event-loop delay', unit: 'ms', lines: quantiles(`${P}event_loop_delay_seconds`) },
  {
    title: 'Streams open',
    unit: '',
    lines: [{ name: 'SSE', colour: 'accent', at: gauge(`${P}sse_streams_open`) }],
  },
  {
    title: 'CPU',
    unit: '%',
    lines: [{ name: 'of one core', colour: 'accent', at: percent(`${P}process_cpu_seconds_total`) }],
  },
  {
    title: 'Memory',
    unit: 'B',
    lines: [{ name: 'resident', colour: 'accent', at: gauge(`${P}process_resident_memory_bytes`) }],
  },
];
