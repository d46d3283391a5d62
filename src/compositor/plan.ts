// What can be known about a composition before anything is built: the checked graph and the exit policy
// (spec 02 §2.2 steps 4 and 5). A plan is data; it may be entered any number of times (run.ts).

import type { JsonValue } from '../base/json.ts';
import type { ExitIntent, LayerExitSignals, RunComposition, RunLayerSpec } from '../protocol/runs.ts';
import { numberRepr } from '../wiretext/numbers.ts';
import { CompositionError, keyErrorText } from './errors.ts';
import type { Layer, LayerType } from './layer.ts';
import { nameList, sortedNames } from './names.ts';
import type { LayerRegistry } from './registry.ts';

/** A node of a checked graph. */
export interface PlannedLayer<L extends Layer = Layer> {
  readonly name: string;
  readonly type: LayerType<unknown, unknown, L>;
  /** Dependency key → name of a preceding layer. */
  readonly deps: Readonly<Record<string, string>>;
  /** As submitted: an object, null, JSON text, or something that its schema will refuse. */
  readonly config: JsonValue;
  /** What happens to it when a run exits that was entered completely. */
  readonly exitIntent: ExitIntent;
}

/** A checked composition: layers in graph order, every dependency pointing backwards. */
export interface RunPlan<L extends Layer = Layer> {
  readonly layers: readonly PlannedLayer<L>[];
}

/**
 * Checks the graph, then the keys of the exit policy.
 * @throws CompositionError with the texts of spec 02 §2.2 (a)–(g) and §5.
 */
export function planRun<L extends Layer>(
  composition: RunComposition,
  onExit: LayerExitSignals,
  registry: LayerRegistry<L>,
): RunPlan<L> {
  if (composition.schema_version !== 1) {
    const version = numberRepr(composition.schema_version);
    throw new CompositionError(`Unsupported compositor config schema_version: ${version}.`);
  }
  const nodes = composition.layers.map((spec) => ({ spec, type: resolveType(spec, registry) }));
  const positions = checkUnique(composition.layers);
  nodes.forEach(({ spec, type }, position) => {
    checkDependencies(spec, type, position, positions);
  });
  checkExitKeys(onExit, positions);
  const layers = nodes.map(({ spec, type }) => ({
    name: spec.name,
    type,
    deps: spec.deps,
    config: spec.config,
    exitIntent: own(onExit.layers, spec.name) ?? onExit.default,
  }));
  return { layers };
}

function resolveType<L extends Layer>(
  { name, type }: RunLayerSpec,
  registry: LayerRegistry<L>,
): LayerType<unknown, unknown, L> {
  const found = registry.get(type);
  if (found === undefined) throw new CompositionError(keyErrorText(`Layer type id '${type}' is not registered.`));
  if (name === '') throw new CompositionError('Layer node name must not be empty.');
  return found;
}

function checkUnique(layers: readonly RunLayerSpec[]): ReadonlyMap<string, number> {
  const positions = new Map<string, number>();
  for (const { name } of layers) {
    if (positions.has(name)) throw new CompositionError(`Duplicate layer name '${name}'.`);
    positions.set(name, positions.size);
  }
  return positions;
}

function checkDependencies(
  { name, deps }: RunLayerSpec,
  type: LayerType,
  position: number,
  positions: ReadonlyMap<string, number>,
): void {
  const edges = Object.entries(deps);
  if (edges.length === 0) return;
  const unknown = edges.map(([key]) => key).filter((key) => !Object.hasOwn(type.deps, key));
  if (unknown.length > 0) {
    throw new CompositionError(`Layer '${name}' declares unknown dependency keys: ${nameList(unknown)}.`);
  }
  const undefinedTargets = new Set(edges.map(([, target]) => target).filter((target) => !positions.has(target)));
  if (undefinedTargets.size > 0) {
    throw new CompositionError(`Layer '${name}' depends on undefined layer names: ${nameList(undefinedTargets)}.`);
  }
  const forward = edges.filter(([, target]) => (positions.get(target) ?? 0) >= position).map(([key]) => key);
  if (forward.length > 0) {
    const arrows = sortedNames(forward).map((key) => `${key}->${deps[key]}`);
    throw new CompositionError(
      `Layer '${name}' dependencies must target preceding layer nodes in compositor order: ${arrows.join(', ')}.`,
    );
  }
}

function checkExitKeys(onExit: LayerExitSignals, positions: ReadonlyMap<string, number>): void {
  const unknown = Object.keys(onExit.layers).filter((name) => !positions.has(name));
  if (unknown.length > 0) {
    throw new CompositionError(`on_exit.layers references unknown layer ids: ${nameList(unknown)}.`);
  }
}

/** Names are the caller's: one may be called `constructor`. */
function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
