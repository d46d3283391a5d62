// Runs sections one after the other, each on its stores in turn, and collects their figures. A section that fails is told and the
// others go on: a run takes minutes. The command line is run.ts's.

import type { Failure } from './document.ts';
import { type Figure, figureOf } from './figures.ts';
import type { Bench, Section, Sections } from './section.ts';
import { limitSections } from './sections/limits.ts';
import { peerSections } from './sections/peers.ts';
import { processSections } from './sections/process.ts';
import { profileSections } from './sections/profile.ts';
import { runSections } from './sections/runs.ts';
import { sightSections } from './sections/sight.ts';
import { type BenchStore, sqliteStore, startRedisStore } from './stores.ts';
import { targetLimit } from './targets.ts';

/** Everything that can be measured, in the order in which it is. */
export const SECTIONS: Sections = {
  ...limitSections,
  ...runSections,
  ...profileSections,
  ...processSections,
  ...sightSections,
  ...peerSections,
};

/** What to measure. */
export interface SuiteOptions {
  /** Names of sections; null: all that are not extra. */
  readonly only: readonly string[] | null;
  readonly stores: readonly ('sqlite' | 'redis')[];
  readonly blocks: number;
  readonly short: boolean;
}

export interface SuiteResult {
  readonly figures: readonly Figure[];
  readonly failures: readonly Failure[];
  /** `section.store` of all that was run, with or without success. */
  readonly tried: readonly string[];
}

/** Measures. Rejects when a name is no section's; `print` is told of every figure as it is there. */
export async function runSuite(options: SuiteOptions, print: (line: string) => void): Promise<SuiteResult> {
  const chosen = chosenSections(options.only);
  const needsRedis = chosen.some(([, { stores }]) => stores !== 'none' && storesOf(stores, options).includes('redis'));
  const redis = needsRedis ? await startRedisStore() : null;
  const figures: Figure[] = [];
  const failures: Failure[] = [];
  const tried: string[] = [];
  try {
    for (const [name, section] of chosen) {
      const stores: readonly BenchStore[] =
        section.stores === 'none'
          ? [sqliteStore]
          : storesOf(section.stores, options).flatMap((store) => (store === 'sqlite' ? sqliteStore : (redis ?? [])));
      for (const store of stores) {
        const shown = section.stores === 'none' ? 'none' : store.name;
        tried.push(`${name}.${shown}`);
        const started = performance.now();
        try {
          await section.measure(benchOf(store, shown, options, figures, print));
        } catch (error) {
          const text = error instanceof Error ? error.message : String(error);
          failures.push({ section: name, store: shown, error: text });
          print(`${name} on ${shown} FAILED: ${error instanceof Error ? error.stack : text}`);
        }
        print(`-- ${name} on ${shown}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
      }
    }
  } finally {
    await redis?.dispose();
  }
  return { figures, failures, tried };
}

/** An earlier result, as run.ts's --json wrote it, with the figures of a later one in the place of its own. */
export function merged(earlier: SuiteResult, later: SuiteResult): SuiteResult {
  const keyOf = ({ id, store }: Figure) => `${id}.${store}`;
  const newer = new Map(later.figures.map((figure) => [keyOf(figure), figure]));
  const kept = earlier.figures.map((figure) => newer.get(keyOf(figure)) ?? figure);
  const known = new Set(earlier.figures.map(keyOf));
  const tried = new Set(later.tried);
  return {
    figures: [...kept, ...later.figures.filter((figure) => !known.has(keyOf(figure)))],
    failures: [
      ...earlier.failures.filter(({ section, store }) => !tried.has(`${section}.${store}`)),
      ...later.failures,
    ],
    tried: [...new Set([...earlier.tried, ...later.tried])],
  };
}

function chosenSections(only: readonly string[] | null): readonly (readonly [string, Section])[] {
  const unknown = only?.find((name) => SECTIONS[name] === undefined);
  if (unknown !== undefined) throw new Error(`no section ${unknown}: ${Object.keys(SECTIONS).join(', ')}`);
  return Object.entries(SECTIONS).filter(([name, { extra }]) => (only === null ? extra !== true : only.includes(name)));
}

function storesOf(wanted: readonly ('sqlite' | 'redis')[], { stores }: SuiteOptions): readonly ('sqlite' | 'redis')[] {
  return wanted.filter((store) => stores.includes(store));
}

function benchOf(
  store: BenchStore,
  shown: 'sqlite' | 'redis' | 'none',
  { blocks, short }: SuiteOptions,
  figures: Figure[],
  print: (line: string) => void,
): Bench {
  return {
    store,
    blocks,
    short,
    size: (full, tiny) => (short ? tiny : full),
    report(draft) {
      const figure = figureOf({ ...draft, limit: draft.limit ?? targetLimit(draft.id, shown) ?? null }, shown);
      figures.push(figure);
      const note = figure.note === null ? '' : ` (${figure.note})`;
      print(`${shown}: ${figure.name}: ${figure.blocks.join(', ')} ${figure.unit}${note}`);
    },
    async repeat(measure) {
      const values: Awaited<ReturnType<typeof measure>>[] = [];
      for (let block = 0; block < blocks; block += 1) values.push(await measure());
      return values;
    },
  };
}
