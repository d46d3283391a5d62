// Counters and histograms as plain fields: what is counted on hot paths costs an addition, and nothing is formatted before
// somebody asks (exposition.ts). Sets of label values are bounded here, whatever the caller counts by.

/** Sets of label values per table; what comes after them is counted as `OTHER` in every label. */
export const MAX_SERIES = 512;
/** Stands for label values beyond the bound. */
export const OTHER = 'other';

/** One sum with its label values, in the order of the table's labels. */
export interface Series<T> {
  readonly labels: readonly string[];
  readonly value: T;
}

/** A counter that may go up only. */
export class Count {
  total = 0;
}

/** How often values fell into which bucket. */
export class Distribution {
  /** Upper bounds, ascending; what is above the last one is in `count` alone. */
  readonly bounds: readonly number[];
  /** Per bound, not cumulated. */
  readonly buckets: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.buckets = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.sum += value;
    this.count += 1;
    const { bounds } = this;
    for (let i = 0; i < bounds.length; i++) {
      if (value <= (bounds[i] ?? 0)) {
        this.buckets[i] = (this.buckets[i] ?? 0) + 1;
        return;
      }
    }
  }
}

/** Sums by label values. */
export class Table<T> {
  readonly #make: () => T;
  readonly #width: number;
  readonly #max: number;
  readonly #series = new Map<string, Series<T>>();

  /** `width`: number of labels. `make`: an empty sum. */
  constructor(width: number, make: () => T, max = MAX_SERIES) {
    this.#width = width;
    this.#make = make;
    this.#max = max;
  }

  /** The sum of these label values; the shared one of `OTHER` when there are too many already. */
  of(...labels: readonly string[]): T {
    const key = labels.length === 1 ? (labels[0] ?? '') : labels.join('\u0000');
    const known = this.#series.get(key);
    if (known !== undefined) return known.value;
    if (this.#series.size >= this.#max) return this.#overflow();
    const value = this.#make();
    this.#series.set(key, { labels, value });
    return value;
  }

  /** In the order in which they were first seen. */
  get series(): readonly Series<T>[] {
    return [...this.#series.values()];
  }

  #overflow(): T {
    const labels = Array.from({ length: this.#width }, () => OTHER);
    const key = labels.join('\u0000');
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { labels, value: this.#make() };
      this.#series.set(key, series);
    }
    return series.value;
  }
}

/** A table of counters. */
export function counts(width: number): Table<Count> {
  return new Table(width, () => new Count());
}

/** A table of distributions. */
export function distributions(width: number, bounds: readonly number[]): Table<Distribution> {
  return new Table(width, () => new Distribution(bounds));
}

/** Bounds in seconds, by what is measured. */
export const BOUNDS = {
  /** From a quarter of a millisecond: the store, the event loop. */
  short: [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  /** Requests and peers. */
  middle: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
  /** Runs, up to hours. */
  long: [0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600],
} as const;
