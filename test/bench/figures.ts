// What a measurement is once it has been taken: a figure with its blocks, the conditions it was taken under, and what was asked of it.
// Pure; run.ts prints figures, document.ts writes them down.

import { percentile } from './driver.ts';

/** What a figure must be: at least, at most, or less than. */
export interface Limit {
  readonly least?: number;
  readonly most?: number;
  readonly below?: number;
}

/** What answers the model's requests. */
export type Model = 'scripted model' | 'fake daemon' | 'no model';

/** Where the server keeps its runs. `none`: the figure is about no store. */
export type StoreName = 'sqlite' | 'redis' | 'none';

/** The conditions of a figure. Text deltas are never joined (coalescing off): stores.ts sees to it. */
export interface Conditions {
  readonly model: Model;
  /** What the driver does, in a few words. */
  readonly driver: string;
}

/** A measured figure. */
export interface Figure extends Conditions {
  /** Unique together with `store`, e.g. `runs50.daemon`. */
  readonly id: string;
  readonly name: string;
  readonly store: StoreName;
  readonly unit: string;
  readonly median: number;
  readonly blocks: readonly number[];
  /** What an issue asks for; null: nothing. */
  readonly limit: Limit | null;
  /** The figure that is the machine's limit for this one, of the same store or of none; null: there is none. */
  readonly floor: string | null;
  readonly note: string | null;
}

/** A figure before its section's store is known. */
export interface Draft extends Conditions {
  readonly id: string;
  readonly name: string;
  readonly unit: string;
  readonly blocks: readonly number[];
  readonly limit?: Limit | null;
  readonly floor?: string;
  readonly note?: string;
  /** Default: of `blocks`. */
  readonly median?: number;
}

/** A figure of a store from a draft. */
export function figureOf(draft: Draft, store: StoreName): Figure {
  const { limit = null, floor = null, note = null } = draft;
  const blocks = draft.blocks.map(rounded);
  return { ...draft, store, blocks, limit, floor, note, median: rounded(draft.median ?? middle(draft.blocks)) };
}

/** The middle of the values; of an even number of them, the mean of the two in the middle. */
export function middle(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low = Number.NaN, high = Number.NaN] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return (low + high) / 2;
}

/** Milliseconds of many samples: the median, and as blocks their quartiles and the worst. */
export function ofSamples(samples: readonly number[]): Pick<Draft, 'blocks' | 'median' | 'note'> {
  const blocks = [0.25, 0.5, 0.75, 0.95, 1].map((share) => percentile(samples, share));
  return { blocks, median: percentile(samples, 0.5), note: `25, 50, 75, 95 and 100 % of ${samples.length} samples` };
}

/** Three digits that mean something. */
export function rounded(value: number): number {
  if (!Number.isFinite(value) || value === 0) return value;
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toFixed(Math.min(digits, 4)));
}

/** Whether a value holds its limit. A value that is not a number holds none. */
export function holds(value: number, { least, most, below }: Limit): boolean {
  if (!Number.isFinite(value)) return false;
  return (least ?? value) <= value && value <= (most ?? value) && (below === undefined || value < below);
}

/** `≥ 53,000`, `≤ 2`, `< 12`. */
export function limitText({ least, most, below }: Limit): string {
  const parts = [
    ['≥', least],
    ['≤', most],
    ['<', below],
  ] as const;
  return parts.flatMap(([sign, value]) => (value === undefined ? [] : [`${sign} ${number(value)}`])).join(', ');
}

/** With separators of thousands. */
export function number(value: number): string {
  return Number.isFinite(value) ? value.toLocaleString('en-US', { maximumFractionDigits: 4 }) : '–';
}

/** Reached share of the machine's limit: of a rate its part, of a time the limit's part of it. Null: there is no such limit. */
export function shareOfFloor(figure: Figure, all: readonly Figure[]): number | null {
  const { floor, store, unit } = figure;
  if (floor === null) return null;
  const found = all.find(({ id, store: of }) => id === floor && (of === store || of === 'none'));
  if (found === undefined) return null;
  return unit.endsWith('/s') ? figure.median / found.median : found.median / figure.median;
}

/** Under which conditions: model, store, driver; text deltas are never joined. */
export function conditionsText({ model, store, driver }: Pick<Figure, 'model' | 'store' | 'driver'>): string {
  const stored = store === 'none' ? 'no store' : store === 'redis' ? 'Redis' : 'SQLite';
  return `${model} · ${stored} · ${driver} · coalescing off`;
}
