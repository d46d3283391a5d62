// From a plan and a snapshot to bound layers, without side effects (spec 02 §3 steps 1–7): nothing has happened outside
// this process when one of these checks throws.

import type { LayerSessionSnapshot, LifecycleState, SessionSnapshot } from '../protocol/runs.ts';
import { numberRepr } from '../wiretext/numbers.ts';
import { CompositionError } from './errors.ts';
import type { Layer, LayerType } from './layer.ts';
import type { Slot } from './lifecycle.ts';
import type { PlannedLayer, RunPlan } from './plan.ts';
import { validConfig, validState } from './validated.ts';

/**
 * Validates all configs, then the snapshot and all states, then runs the factories and binds dependencies.
 * @throws CompositionError with the texts of spec 02 §3; or what a factory throws.
 */
export function prepareSlots<L extends Layer>(plan: RunPlan<L>, snapshot: SessionSnapshot | null): readonly Slot<L>[] {
  const configs = plan.layers.map(({ type, config }) => validConfig(type, config));
  const stored = snapshot === null ? null : matchingLayers(plan, snapshot);
  const states = plan.layers.map(({ type }, i) => validState(type, enterable(stored?.[i])?.runtime_state ?? null));
  const slots = plan.layers.map(
    ({ name, type }, i): Slot<L> => ({
      name,
      layer: type.create({ name, config: configs[i], state: states[i] }),
      state: stored?.[i]?.lifecycle_state ?? 'new',
      intent: 'delete',
      resumed: false,
      close: null,
    }),
  );
  bindAll(plan.layers, slots);
  return slots;
}

/** @throws CompositionError for a state that cannot be entered. */
export function checkEnterable(name: string, state: LifecycleState): void {
  if (state === 'closed') throw new CompositionError(`Layer '${name}' is closed; CLOSED snapshots cannot be entered.`);
  if (state === 'active') {
    throw new CompositionError(`Layer '${name}' is already active; ACTIVE snapshots are not allowed.`);
  }
}

function enterable(layer: LayerSessionSnapshot | undefined): LayerSessionSnapshot | undefined {
  if (layer !== undefined) checkEnterable(layer.name, layer.lifecycle_state);
  return layer;
}

function matchingLayers(plan: RunPlan, snapshot: SessionSnapshot): readonly LayerSessionSnapshot[] {
  if (snapshot.schema_version !== 1) {
    const version = numberRepr(snapshot.schema_version);
    throw new CompositionError(`Unsupported compositor session snapshot schema_version: ${version}.`);
  }
  const expected = plan.layers.map(({ name }) => name);
  const got = snapshot.layers.map(({ name }) => name);
  if (expected.length !== got.length || expected.some((name, i) => name !== got[i])) {
    throw new CompositionError(
      'CompositorSessionSnapshot layer names must match compositor layers in order. ' +
        `Expected [${expected.join(', ')}], got [${got.join(', ')}].`,
    );
  }
  return snapshot.layers;
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
