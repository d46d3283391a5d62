// One entry of a plan (spec 02 §4–§6): layers enter first to last and exit last to first, whatever happens between.
// What a single layer does is lifecycle.ts; checks before entry are prepare.ts.

import type { ExitIntent, LayerSessionSnapshot, SessionSnapshot } from '../protocol/runs.ts';
import { CompositionError, keyErrorText } from './errors.ts';
import type { Layer } from './layer.ts';
import { removeLeftovers } from './leftovers.ts';
import { type ExitOptions, enterSlot, exitSlot, type Slot } from './lifecycle.ts';
import type { RunPlan } from './plan.ts';
import { type Prepared, prepareSlots } from './prepare.ts';
import { checkEnterable } from './rebase.ts';
import type { LayerRegistry } from './registry.ts';

/** Milliseconds that each exit hook and each scope gets by default. The reference has no bound (spec 02 §14.14). */
export const DEFAULT_EXIT_TIMEOUT_MS = 10_000;
/** Times that: all hooks and scopes of a run together. Many layers that hang cannot keep it for hours … */
const EXIT_TIMES = 2.5;
/** … but each is still told, and gets this part of its time. */
const LATE_EXIT_PART = 0.01;

/** Options of a run. */
export interface RunOptions<L extends Layer = Layer> {
  /** Milliseconds that each exit hook and each scope gets, and all together 2.5 times. Default 10,000. */
  readonly exitTimeoutMs?: number;
  /**
   * What happens to a snapshot whose layer names differ from the plan's. Default: an error, as in the reference. With a
   * registry, a rebase (rebase.ts); its types recognise the layers that are left over, which are deleted.
   */
  readonly rebase?: LayerRegistry<L> | null;
  /** Told of every exit error that the run does not report because another one came first. */
  readonly onSuppressedError?: (layerName: string, error: unknown) => void;
}

/** A run of a plan. Build it with `prepareRun`. */
export interface CompositorRun<L extends Layer = Layer> {
  /** Layers by name, in graph order. Bound, whether entered or not. */
  readonly layers: ReadonlyMap<string, L>;
  /** Whether all layers have been entered (and perhaps exited since). */
  readonly entered: boolean;
  /** @throws CompositionError when no layer has the name. */
  get(name: string): L;
  /**
   * Enters first to last. When one fails, those before it are exited in reverse (resumed ones with suspend, created
   * ones with delete) and the failure is thrown; errors of that rollback are suppressed.
   */
  enter(signal: AbortSignal): Promise<void>;
  /** Gives every layer the intent of the plan's exit policy. Until then it is `delete`. */
  applyExitPolicy(): void;
  /** Deletes what a rebase left over; to be called once, after `enter`. Out of reach of the run's abort; never rejects. */
  removeLeftovers(): Promise<void>;
  /** @throws CompositionError unless the layer is there and active. */
  setExitIntent(name: string, intent: ExitIntent): void;
  /**
   * Exits last to first; every layer exits, whatever the others do, out of reach of the run's abort.
   * Throws the first error met; with `bodyFailed` none, because the caller reports the body's error (spec 02 §14.4).
   */
  exit(options?: FailureOptions & { readonly bodyFailed?: boolean }): Promise<void>;
  /** The states, in graph order (spec 02 §6). @throws CompositionError while a layer is active. */
  snapshot(): SessionSnapshot;
}

/**
 * Validates all configs, then the snapshot, then builds and binds the layers: nothing has happened outside when it throws.
 * @throws CompositionError with the texts of spec 02 §3; or what a factory throws.
 */
export function prepareRun<L extends Layer>(
  plan: RunPlan<L>,
  snapshot: SessionSnapshot | null,
  options: RunOptions<L> = {},
): CompositorRun<L> {
  return new LayerRun(plan, prepareSlots(plan, snapshot, (options.rebase ?? null) !== null), options);
}

/** What becomes of layers when the body fails. */
export interface FailureOptions {
  /**
   * Layers that were created in this run are deleted, whatever the exit policy says: the caller gets no snapshot of a failed
   * run, so nobody could ever come back to them (spec 02 §14.3). Resumed ones keep their intent: an older snapshot names them.
   */
  readonly discardCreated?: boolean;
}

/**
 * Enters, applies the exit policy, runs the body, exits. The body's error wins over errors of exit hooks (spec 02 §14.4).
 * Leftovers of a rebase are deleted beside the body: once the layers are entered, the session is theirs.
 */
export async function withinRun<L extends Layer, T>(
  run: CompositorRun<L>,
  signal: AbortSignal,
  body: () => Promise<T>,
  options: FailureOptions = {},
): Promise<T> {
  await run.enter(signal);
  run.applyExitPolicy();
  const removal = run.removeLeftovers();
  try {
    const result = await bodyOf(run, body, options);
    await run.exit();
    return result;
  } finally {
    await removal;
  }
}

async function bodyOf<T>(run: CompositorRun, body: () => Promise<T>, options: FailureOptions): Promise<T> {
  try {
    return await body();
  } catch (error) {
    await run.exit({ ...options, bodyFailed: true });
    throw error;
  }
}

class LayerRun<L extends Layer> implements CompositorRun<L> {
  readonly layers: ReadonlyMap<string, L>;
  readonly #plan: RunPlan<L>;
  readonly #slots: readonly Slot<L>[];
  readonly #byName: ReadonlyMap<string, Slot<L>>;
  readonly #leftovers: Prepared['leftovers'];
  readonly #registry: LayerRegistry<L> | null;
  readonly #timeoutMs: number;
  readonly #suppress: (layerName: string, error: unknown) => void;
  #entered = false;

  constructor(plan: RunPlan<L>, { slots, leftovers }: Prepared<L>, options: RunOptions<L>) {
    this.layers = new Map(slots.map(({ name, layer }) => [name, layer]));
    this.#plan = plan;
    this.#slots = slots;
    this.#byName = new Map(slots.map((slot) => [slot.name, slot]));
    this.#leftovers = leftovers;
    this.#registry = options.rebase ?? null;
    this.#timeoutMs = options.exitTimeoutMs ?? DEFAULT_EXIT_TIMEOUT_MS;
    this.#suppress = options.onSuppressedError ?? (() => {});
  }

  get entered(): boolean {
    return this.#entered;
  }

  get(name: string): L {
    const layer = this.layers.get(name);
    if (layer === undefined) throw new CompositionError(undefinedLayerText(name));
    return layer;
  }

  async enter(signal: AbortSignal): Promise<void> {
    for (const { name, state } of this.#slots) checkEnterable(name, state);
    const options: ExitOptions = { timeoutMs: this.#timeoutMs, onError: this.#suppress };
    for (const slot of this.#slots) {
      try {
        await enterSlot(slot, signal, options);
      } catch (error) {
        for (const entered of this.#slots) if (entered.resumed) entered.intent = 'suspend';
        await this.#exitActive(options);
        throw error;
      }
    }
    this.#entered = true;
  }

  async removeLeftovers(): Promise<void> {
    if (this.#registry === null || this.#leftovers.length === 0) return;
    await removeLeftovers(this.#leftovers, {
      registry: this.#registry,
      layers: this.layers.values(),
      timeoutMs: this.#timeoutMs,
      totalMs: EXIT_TIMES * this.#timeoutMs,
      onError: this.#suppress,
    });
  }

  applyExitPolicy(): void {
    for (const { name, exitIntent } of this.#plan.layers) this.setExitIntent(name, exitIntent);
  }

  setExitIntent(name: string, intent: ExitIntent): void {
    const slot = this.#byName.get(name);
    if (slot === undefined) throw new CompositionError(undefinedLayerText(name));
    if (slot.state !== 'active') {
      throw new CompositionError('Layer exit intent can only be changed while the run slot is active.');
    }
    slot.intent = intent;
  }

  async exit({
    bodyFailed = false,
    discardCreated = false,
  }: FailureOptions & { readonly bodyFailed?: boolean } = {}): Promise<void> {
    let first: { readonly error: unknown } | null = null;
    if (bodyFailed && discardCreated) {
      for (const slot of this.#slots) if (slot.state === 'active' && !slot.resumed) slot.intent = 'delete';
    }
    await this.#exitActive({
      timeoutMs: this.#timeoutMs,
      onError: (name, error) => {
        if (bodyFailed || first !== null) this.#suppress(name, error);
        else first = { error };
      },
    });
    rethrow(first);
  }

  snapshot(): SessionSnapshot {
    const active = this.#slots.filter(({ state }) => state === 'active').map(({ name }) => name);
    if (active.length > 0) {
      throw new CompositionError(`Cannot snapshot active compositor run layers: ${active.join(', ')}.`);
    }
    const layers = this.#slots.map(
      ({ name, state, layer }): LayerSessionSnapshot => ({
        name,
        lifecycle_state: state,
        runtime_state: layer.state,
      }),
    );
    return { schema_version: 1, layers };
  }

  async #exitActive(options: ExitOptions): Promise<void> {
    const end = performance.now() + EXIT_TIMES * options.timeoutMs;
    const least = LATE_EXIT_PART * options.timeoutMs;
    for (const slot of this.#slots.toReversed()) {
      if (slot.state !== 'active') continue;
      const left = Math.max(end - performance.now(), least);
      await exitSlot(slot, left < options.timeoutMs ? { ...options, timeoutMs: left } : options);
    }
  }
}

/** A function of its own, because the compiler does not see that a callback has assigned. */
function rethrow(first: { readonly error: unknown } | null): void {
  if (first !== null) throw first.error;
}

function undefinedLayerText(name: string): string {
  return keyErrorText(`Layer '${name}' is not defined in this compositor run.`);
}
