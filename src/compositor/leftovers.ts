// Deleting what a rebase left over: layers that the composition no longer has, but that hold something outside this process
// (a workspace). Beside the run, bounded, and never a reason for it to fail.

import { errorText } from '../base/errors.ts';
import { within } from '../base/waiting.ts';
import type { LayerSessionSnapshot } from '../protocol/runs.ts';
import type { Layer, LayerType } from './layer.ts';
import { type ExitOptions, ExitTimeoutError, enterSlot, exitSlot, type Slot } from './lifecycle.ts';
import type { LayerRegistry } from './registry.ts';
import { validConfig, validState } from './validated.ts';

/** How leftovers are removed. */
export interface RemovalOptions<L extends Layer> extends ExitOptions {
  readonly registry: LayerRegistry<L>;
  /** The layers of the run, entered: a leftover binds to those of the right class. */
  readonly layers: Iterable<Layer>;
  /** Milliseconds for all; what is left then stays. */
  readonly totalMs: number;
}

/** Enters each leftover that a type recognises and exits it with `delete`, last to first. Never rejects. */
export async function removeLeftovers<L extends Layer>(
  leftovers: readonly LayerSessionSnapshot[],
  options: RemovalOptions<L>,
): Promise<void> {
  const end = performance.now() + options.totalMs;
  for (const leftover of leftovers.toReversed()) {
    try {
      const type = leftover.lifecycle_state === 'suspended' ? typeOf(leftover, options.registry) : null;
      if (type === null) continue;
      if (performance.now() > end) throw new Error('no time was left to delete it');
      await remove(leftover, type, options);
    } catch (error) {
      options.onError(leftover.name, new Error(`not deleted: ${errorText(error)}`, { cause: error }));
    }
  }
}

function typeOf<L extends Layer>(
  { runtime_state: state }: LayerSessionSnapshot,
  registry: LayerRegistry<L>,
): LayerType<unknown, unknown, L> | null {
  for (const typeId of registry.typeIds) {
    const type = registry.get(typeId);
    if (type?.recogniseState?.(state) === true) return type;
  }
  return null;
}

async function remove<L extends Layer>(
  { name, runtime_state }: LayerSessionSnapshot,
  type: LayerType<unknown, unknown, L>,
  options: RemovalOptions<L>,
): Promise<void> {
  const layer = type.create({ name, config: validConfig(type, null), state: validState(type, runtime_state) });
  layer.bind?.(boundByClass(type, options.layers));
  const slot: Slot<L> = { name, layer, state: 'suspended', intent: 'delete', resumed: false, close: null };
  const { timeoutMs } = options;
  await within(timeoutMs, new ExitTimeoutError(name, timeoutMs), (signal) => enterSlot(slot, signal, options));
  await exitSlot(slot, options);
}

function boundByClass(type: LayerType, layers: Iterable<Layer>): Readonly<Record<string, Layer>> {
  const bound: Record<string, Layer> = {};
  const candidates = [...layers];
  for (const [key, { classNames }] of Object.entries(type.deps)) {
    const target = candidates.find(({ className }) => classNames.includes(className));
    if (target !== undefined) bound[key] = target;
  }
  return bound;
}
