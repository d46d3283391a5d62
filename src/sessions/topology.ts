// Whether a stored snapshot fits a composition, and what becomes of it when it does not (spec 07 §4.3 rule 4).

import type { LayerSpec, SessionSnapshot } from '../client/types.ts';
import { SessionConfigurationChangedError } from './errors.ts';
import type { SessionState, TopologyEntry } from './types.ts';

/**
 * What to do with a session whose layers are not those of the composition. `reject`: an error before anything is sent.
 * `rebase`: layers of the same name and type go on, new ones start, those that are gone are cleaned up. `reset`: starts
 * afresh and cleans up the old session.
 */
export type TopologyPolicy = 'reject' | 'rebase' | 'reset';

export interface Start {
  /** What to send; null: the run starts afresh. */
  readonly snapshot: SessionSnapshot | null;
  /** An active session is left behind. */
  readonly fresh: boolean;
}

/**
 * What a run starts from. `given`: the layers of its composition.
 * @throws SessionConfigurationChangedError under `reject`.
 */
export function startFrom(
  row: Pick<SessionState, 'snapshot' | 'topology'>,
  given: readonly TopologyEntry[],
  policy: TopologyPolicy,
): Start {
  const { snapshot, topology } = row;
  const same = topology.length === given.length && given.every((layer, i) => isSame(layer, topology[i]));
  if (same) return { snapshot, fresh: false };
  if (policy === 'reject') throw new SessionConfigurationChangedError(topology.map(textOf), given.map(textOf));
  if (policy === 'reset') return { snapshot: null, fresh: true };
  const staying = new Set(goingOn(topology, given));
  const layers = given.map(({ name }) => {
    const entry = staying.has(name) ? snapshot.layers.find((layer) => layer.name === name) : undefined;
    // A layer that a snapshot says nothing about has to be told so: names must be those of the composition.
    return entry ?? { name, lifecycle_state: 'new' as const, runtime_state: {} };
  });
  return { snapshot: { ...snapshot, layers }, fresh: false };
}

/** Names of stored layers that a composition does not go on with. */
export function removedLayers(stored: readonly TopologyEntry[], given: readonly TopologyEntry[]): readonly string[] {
  const staying = new Set(goingOn(stored, given));
  return stored.filter(({ name }) => !staying.has(name)).map(({ name }) => name);
}

function goingOn(stored: readonly TopologyEntry[], given: readonly TopologyEntry[]): readonly string[] {
  return stored.filter((layer) => given.some((other) => isSame(layer, other))).map(({ name }) => name);
}

function isSame(one: TopologyEntry, other: TopologyEntry | undefined): boolean {
  return one.name === other?.name && one.type === other.type;
}

function textOf({ name, type }: TopologyEntry): string {
  return `${name} (${type})`;
}

/** A spec list by name. */
export function byName(specs: readonly LayerSpec[]): ReadonlyMap<string, LayerSpec> {
  return new Map(specs.map((spec) => [spec.name, spec]));
}
