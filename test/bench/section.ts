// What a section of the bench is: one thing to be measured on one or several stores, in blocks, and how it hands over its figures.

import type { Draft } from './figures.ts';
import type { BenchStore } from './stores.ts';

/** What a section is run with. */
export interface Bench {
  readonly store: BenchStore;
  /** How often to measure, ≥ 1. */
  readonly blocks: number;
  /** Only to see whether the bench works. */
  readonly short: boolean;
  /** The size of a load: the real one, or the tiny one of a short bench. */
  size(full: number, tiny: number): number;
  report(draft: Draft): void;
  /** Measures `blocks` times. */
  repeat<T>(measure: () => Promise<T>): Promise<readonly T[]>;
}

/** A section. */
export interface Section {
  /** Where its figures are asked for. `none`: it needs no store, and is measured once. */
  readonly stores: readonly ('sqlite' | 'redis')[] | 'none';
  /** Only when it is named: its figures belong to other issues and take long. */
  readonly extra?: true;
  measure(bench: Bench): Promise<void>;
}

/** Sections by name, in the order in which they are run. */
export type Sections = Readonly<Record<string, Section>>;
