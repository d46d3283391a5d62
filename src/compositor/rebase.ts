// What a snapshot gives to the layers of a composition, one by one; and which of its entries find a layer when the names no
// longer match (spec 07 §4.3 rule 4). The snapshot does not say what type a layer was of: what its state fits is its type.

import type { LayerSessionSnapshot, LifecycleState, SessionSnapshot } from '../protocol/runs.ts';
import { CompositionError } from './errors.ts';
import type { LayerType } from './layer.ts';
import type { RunPlan } from './plan.ts';
import { validState } from './validated.ts';

/** What a layer starts from. */
export interface StoredEntry {
  readonly lifecycle: LifecycleState;
  /** Validated. */
  readonly state: unknown;
}

/** A snapshot laid over a plan. */
export interface RebasedSnapshot {
  /** One for each layer of the plan, in its order. */
  readonly entries: readonly StoredEntry[];
  /** What no layer took over, in the snapshot's order. */
  readonly leftovers: readonly LayerSessionSnapshot[];
}

/** Of a layer that nothing is stored for. */
export function freshEntry(type: LayerType): StoredEntry {
  return { lifecycle: 'new', state: validState(type, null) };
}

/** @throws CompositionError when the entry cannot be entered (spec 02 §3 step 4). */
export function storedEntry(type: LayerType, entry: LayerSessionSnapshot | undefined): StoredEntry {
  if (entry === undefined) return freshEntry(type);
  checkEnterable(entry.name, entry.lifecycle_state);
  return { lifecycle: entry.lifecycle_state, state: validState(type, entry.runtime_state) };
}

/** @throws CompositionError for a state that cannot be entered. */
export function checkEnterable(name: string, state: LifecycleState): void {
  if (state === 'closed') throw new CompositionError(`Layer '${name}' is closed; CLOSED snapshots cannot be entered.`);
  if (state === 'active') {
    throw new CompositionError(`Layer '${name}' is already active; ACTIVE snapshots are not allowed.`);
  }
}

/**
 * Entries whose name the plan has and whose state fits the type there stay with their layer; layers without one start
 * fresh; the rest is left over. Of entries with one name the first counts, and no other is left over beside it: it may
 * name what that one holds.
 * @throws CompositionError when an entry that stays is closed or active, as without a rebase.
 */
export function rebaseSnapshot(plan: RunPlan, snapshot: SessionSnapshot): RebasedSnapshot {
  const byName = new Map<string, LayerSessionSnapshot>();
  for (const layer of snapshot.layers) if (!byName.has(layer.name)) byName.set(layer.name, layer);
  const taken = new Set<string>();
  const entries = plan.layers.map(({ name, type }) => {
    const layer = byName.get(name);
    const entry = layer === undefined ? null : fittingEntry(type, layer);
    if (entry === null) return freshEntry(type);
    taken.add(name);
    return entry;
  });
  return { entries, leftovers: snapshot.layers.filter(({ name }) => !taken.has(name)) };
}

/** Null: the state is not one of the type. */
function fittingEntry(type: LayerType, layer: LayerSessionSnapshot): StoredEntry | null {
  const state = fittingState(type, layer);
  if (state === null) return null;
  checkEnterable(layer.name, layer.lifecycle_state);
  return { lifecycle: layer.lifecycle_state, state: state.value };
}

function fittingState(type: LayerType, layer: LayerSessionSnapshot): { readonly value: unknown } | null {
  try {
    return { value: validState(type, layer.runtime_state) };
  } catch (error) {
    if (error instanceof CompositionError) return null;
    throw error;
  }
}
