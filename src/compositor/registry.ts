// Type id → layer type (spec 02 §2.1). An explicitly empty registry is honoured: every type is then unknown.

import { CodedError } from '../base/errors.ts';
import type { Layer, LayerType } from './layer.ts';

/** The layer types that a composition may name. */
export interface LayerRegistry<L extends Layer = Layer> {
  get(typeId: string): LayerType<unknown, unknown, L> | undefined;
  readonly typeIds: readonly string[];
}

/** @throws CodedError `layer_registry` when a type has no id or an id is listed twice: a bug of the server, not of a caller. */
export function createLayerRegistry<L extends Layer>(
  types: readonly LayerType<unknown, unknown, L>[],
): LayerRegistry<L> {
  const byId = new Map<string, LayerType<unknown, unknown, L>>();
  for (const type of types) {
    if (type.typeId === '') {
      throw new CodedError('layer_registry', `Layer provider for '${type.className}' must declare a type_id.`);
    }
    if (byId.has(type.typeId)) {
      throw new CodedError('layer_registry', `Layer type id '${type.typeId}' is already registered.`);
    }
    byId.set(type.typeId, type);
  }
  return { get: (typeId) => byId.get(typeId), typeIds: [...byId.keys()] };
}
