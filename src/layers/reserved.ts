// The shape rule of layer types that exist once, under a reserved name (spec 02 §8.1, §9.1).

import { CompositionError } from '../compositor/errors.ts';
import type { RunLayerSpec } from '../protocol/runs.ts';

/** The one layer of the type, or null. @throws CompositionError when there are more, or it has another name. */
export function reservedLayer(layers: readonly RunLayerSpec[], typeId: string, name: string): RunLayerSpec | null {
  const [found, ...others] = layers.filter(({ type }) => type === typeId);
  if (found === undefined) return null;
  if (others.length > 0) {
    const names = [found, ...others].map((layer) => layer.name).join(', ');
    throw new CompositionError(`Only one '${typeId}' layer is supported, named '${name}'. Found layers: ${names}.`);
  }
  if (found.name === name) return found;
  throw new CompositionError(`Layer type '${typeId}' must use reserved layer name '${name}', got '${found.name}'.`);
}
