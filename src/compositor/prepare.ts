// From a plan and a snapshot to bound layers, without side effects (spec 02 §3 steps 1–7): nothing has happened outside
// this process when one of these checks throws.

import type { LayerSessionSnapshot, SessionSnapshot } from '../protocol/runs.ts';
import { numberRepr } from '../wiretext/numbers.ts';
import { CompositionError } from './errors.ts';
import type { Layer, LayerType } from './layer.ts';
import type { Slot } from './lifecycle.ts';
import type { PlannedLayer, RunPlan } from './plan.ts';
import { freshEntry, type RebasedSnapshot, rebaseSnapshot, storedEntry } from './rebase.ts';
import { validConfig } from './validated.ts';

/** Layers that are ready to enter. */
export interface Prepared<L extends Layer = Layer> {
  readonly slots: readonly Slot<L>[];
  /** Entries of the snapshot that no layer took over, in snapshot order; without a rebase there are none. */
  readonly leftovers: readonly LayerSessionSnapshot[];
}

/**
 * Validates all configs, then the snapshot and all states, then runs the factories and binds dependencies.
 * @throws CompositionError with the texts of spec 02 §3; or what a factory throws.
 */
export function prepareSlots<L extends Layer>(
  plan: RunPlan<L>,
  snapshot: SessionSnapshot | null,
  rebase = false,
): Prepared<L> {
  const configs = plan.layers.map(({ type, config }) => validConfig(type, config));
  const { entries, leftovers } = storedEntries(plan, snapshot, rebase);
  const slots = plan.layers.map(
    ({ name, type }, i): Slot<L> => ({
      name,
      layer: type.create({ name, config: configs[i], state: entries[i]?.state }),
      state: entries[i]?.lifecycle ?? 'new',
      intent: 'delete',
      resumed: false,
      close: null,
    }),
  );
  bindAll(plan.layers, slots);
  return { slots, leftovers };
}

function storedEntries(plan: RunPlan, snapshot: SessionSnapshot | null, rebase: boolean): RebasedSnapshot {
  if (snapshot === null) return { entries: plan.layers.map(({ type }) => freshEntry(type)), leftovers: [] };
  checkVersion(snapshot);
  if (rebase && !namesMatch(plan, snapshot)) return rebaseSnapshot(plan, snapshot);
  checkNames(plan, snapshot);
  return { entries: plan.layers.map(({ type }, i) => storedEntry(type, snapshot.layers[i])), leftovers: [] };
}

function checkVersion({ schema_version }: SessionSnapshot): void {
  if (schema_version === 1) return;
  throw new CompositionError(`Unsupported compositor session snapshot schema_version: ${numberRepr(schema_version)}.`);
}

function namesMatch({ layers }: RunPlan, snapshot: SessionSnapshot): boolean {
  return layers.length === snapshot.layers.length && layers.every(({ name }, i) => name === snapshot.layers[i]?.name);
}

function checkNames(plan: RunPlan, snapshot: SessionSnapshot): void {
  if (namesMatch(plan, snapshot)) return;
  const names = (layers: readonly { readonly name: string }[]) => layers.map(({ name }) => name).join(', ');
  throw new CompositionError(
    'CompositorSessionSnapshot layer names must match compositor layers in order. ' +
      `Expected [${names(plan.layers)}], got [${names(snapshot.layers)}].`,
  );
}

function bindAll<L extends Layer>(planned: readonly PlannedLayer<L>[], slots: readonly Slot<L>[]): void {
  const byName = new Map(slots.map(({ name, layer }) => [name, layer]));
  planned.forEach(({ type, deps }, i) => {
    const bound = resolveDependencies(type, deps, byName);
    slots[i]?.layer.bind?.(bound);
  });
}

function resolveDependencies(
  type: LayerType,
  deps: Readonly<Record<string, string>>,
  byName: ReadonlyMap<string, Layer>,
): Readonly<Record<string, Layer>> {
  const bound: Record<string, Layer> = {};
  for (const [key, { classNames, required }] of Object.entries(type.deps)) {
    const target = Object.hasOwn(deps, key) ? byName.get(deps[key] ?? '') : undefined;
    if (target !== undefined) {
      if (!classNames.includes(target.className)) {
        throw new CompositionError(
          `Dependency '${key}' should be of type '${classNames[0]}', but got type '${target.className}'.`,
        );
      }
      bound[key] = target;
    } else if (required) {
      throw new CompositionError(`Dependency '${key}' is required for layer '${type.className}' but not provided.`);
    }
  }
  return bound;
}
