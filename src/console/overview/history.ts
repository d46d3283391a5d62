// The points of the charts: a bounded history of readings and of what the lines say at each of them.

import { CHARTS } from './charts.ts';
import type { Reading } from './prometheus.ts';

/** Five minutes at one reading in two seconds. */
export const MAX_POINTS = 150;
/** How far back a quantile looks, ms. */
const WINDOW_MS = 30_000;

export interface Point {
  readonly reading: Reading;
  /** Per chart, per line. */
  readonly values: readonly (readonly (number | null)[])[];
}

/** The history with one more reading; the old one is not changed. */
export function withReading(history: readonly Point[], now: Reading): readonly Point[] {
  const before = history.at(-1)?.reading ?? null;
  const old = history.findLast(({ reading }) => now.at - reading.at >= WINDOW_MS) ?? history[0];
  const recent = { now, before, earlier: old?.reading ?? null };
  const values = CHARTS.map(({ lines }) => lines.map(({ at }) => at(recent)));
  // Readings are large: only those that a quantile may still look at are kept.
  const kept = history.map((point) =>
    now.at - point.reading.at > WINDOW_MS * 2 && point.reading.metrics.size > 0
      ? { ...point, reading: { at: point.reading.at, metrics: new Map() } }
      : point,
  );
  return [...kept, { reading: now, values }].slice(-MAX_POINTS);
}
