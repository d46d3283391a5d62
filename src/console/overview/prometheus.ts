// Reads the text that /metrics answers with, and what two readings say together: rates of counters, quantiles of histograms.

/** One line: a name, its labels, its value. */
export interface Metric {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A reading, by name. */
export interface Reading {
  /** ms since the epoch. */
  readonly at: number;
  readonly metrics: ReadonlyMap<string, readonly Metric[]>;
}

/** More lines than that are not looked at. */
const MAX_LINES = 50_000;

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES: Readonly<Record<string, string>> = { '\\n': '\n', '\\"': '"', '\\\\': '\\' };

/** Parses the text format; lines that are none are left out. */
export function parseMetrics(text: string, at: number): Reading {
  const metrics = new Map<string, Metric[]>();
  for (const line of text.split('\n', MAX_LINES)) {
    if (line === '' || line.startsWith('#')) continue;
    const [, name = '', labels = '', number = ''] = LINE.exec(line.trim()) ?? [];
    const value = numberOf(number);
    if (name === '' || value === null) continue;
    const list = metrics.get(name) ?? [];
    list.push({ labels: labelsOf(labels), value });
    metrics.set(name, list);
  }
  return { at, metrics };
}

function labelsOf(text: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = Object.create(null);
  for (const [, name = '', value = ''] of text.matchAll(LABEL)) {
    labels[name] = value.replace(/\\[n"\\]/g, (sequence) => ESCAPES[sequence] ?? sequence);
  }
  return labels;
}

function numberOf(text: string): number | null {
  if (text === '+Inf' || text === 'Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  const value = text === '' ? Number.NaN : Number(text);
  return Number.isNaN(value) ? null : value;
}

/** Which label sets count; default: all. */
export type Wanted = Readonly<Record<string, string>>;

/** The sum of a metric's values; null: it is not there. */
export function sumOf({ metrics }: Reading, name: string, wanted: Wanted = {}): number | null {
  const list = metrics.get(name)?.filter(({ labels }) => fits(labels, wanted));
  if (list === undefined || list.length === 0) return null;
  return list.reduce((sum, { value }) => sum + value, 0);
}

/** How fast a counter grew, per second; null: not known. A restart of the server begins at zero again. */
export function rateOf(before: Reading, now: Reading, name: string, wanted: Wanted = {}): number | null {
  // A label set that nothing has happened to is not printed.
  const to = sumOf(now, name, wanted) ?? (now.metrics.has(name) ? 0 : null);
  const seconds = (now.at - before.at) / 1000;
  // A label set that is new since then began at zero.
  const from = before.metrics.has(name) || to === null ? (sumOf(before, name, wanted) ?? 0) : null;
  if (to === null || from === null || seconds <= 0) return null;
  return (to >= from ? to - from : to) / seconds;
}

/** The quantile (0 to 1) of what a histogram saw between two readings; null: nothing. Linear inside a bucket. */
export function quantileOf(
  before: Reading,
  now: Reading,
  name: string,
  quantile: number,
  wanted: Wanted = {},
): number | null {
  const then = bucketsOf(before, name, wanted);
  const buckets = [...bucketsOf(now, name, wanted)]
    .map(([bound, total]) => ({ bound, total: Math.max(0, total - (then.get(bound) ?? 0)) }))
    .sort((a, b) => a.bound - b.bound);
  const all = buckets.at(-1)?.total ?? 0;
  if (all <= 0) return null;
  const rank = quantile * all;
  let lower = 0;
  let below = 0;
  for (const { bound, total } of buckets) {
    if (total >= rank && total > below) {
      return Number.isFinite(bound) ? lower + ((rank - below) / (total - below)) * (bound - lower) : lower;
    }
    lower = Number.isFinite(bound) ? bound : lower;
    below = total;
  }
  return lower;
}

/** Cumulated counts by upper bound. */
function bucketsOf({ metrics }: Reading, name: string, wanted: Wanted): Map<number, number> {
  const buckets = new Map<number, number>();
  for (const { labels, value } of metrics.get(`${name}_bucket`) ?? []) {
    const bound = numberOf(labels.le ?? '');
    if (bound === null || !fits(labels, wanted)) continue;
    buckets.set(bound, (buckets.get(bound) ?? 0) + value);
  }
  return buckets;
}

function fits(labels: Readonly<Record<string, string>>, wanted: Wanted): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}
