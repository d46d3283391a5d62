// What a layer is to the compositor: a type with schemas and dependencies, and an instance with a state and hooks.
// The compositor knows no concrete layer (spec 02 §2.1, §4); what else a layer offers is between it and the runner.

import type { JsonObject } from '../base/json.ts';
import type { Schema } from '../protocol/dialect.ts';

/** A dependency that a layer type declares. */
export interface DependencySpec {
  /** The class name its target must have, one of these (spec 02 §3 step 7 prints the first). */
  readonly classNames: readonly [string, ...string[]];
  readonly required: boolean;
}

/** What the factory gets. */
export interface LayerInit<Config = unknown, State = unknown> {
  readonly name: string;
  /** Validated, defaults filled in. */
  readonly config: Config;
  /** Hydrated from the snapshot, or the state schema's defaults. */
  readonly state: State;
}

/** A type of layer: `plain.prompt`, `dify.plugin.llm` … `L` is what its factory builds. */
export interface LayerType<Config = unknown, State = unknown, L extends Layer = Layer> {
  readonly typeId: string;
  /** The reference's class name; it appears in error texts. */
  readonly className: string;
  readonly config: Schema<Config>;
  readonly state: Schema<State>;
  readonly deps: Readonly<Record<string, DependencySpec>>;
  /**
   * Present on types whose layers hold something outside this process. Whether a stored state is of such a layer and names
   * something to delete. A rebase (rebase.ts) asks for entries whose layer is gone: the first type that recognises one
   * enters it by itself, with the default config and the dependencies that happen to be there, and exits it with `delete`.
   */
  recogniseState?(state: JsonObject): boolean;
  /** Builds an instance. No side effects outside it; may throw to refuse the composition. */
  create(init: LayerInit<Config, State>): L;
}

/** An instance of a layer in one run. Every hook is optional. */
export interface Layer {
  readonly className: string;
  /** The full dump of the state, as it goes into the snapshot after exit (spec 02 §6). */
  readonly state: JsonObject;
  /** Called once, in graph order, before any hook: the layer's dependencies by key (absent optional ones are missing). */
  bind?(deps: Readonly<Record<string, Layer>>): void;
  /** Opens the layer's resource scope; the returned function closes it after the exit hook. Gets the run's signal. */
  open?(signal: AbortSignal): Promise<CloseScope>;
  /** Both get the run's signal. */
  onCreate?(signal: AbortSignal): Promise<void>;
  onResume?(signal: AbortSignal): Promise<void>;
  /** Both get a signal of their own, which ends with the time that exit is given: a cancelled run still cleans up. */
  onSuspend?(signal: AbortSignal): Promise<void>;
  onDelete?(signal: AbortSignal): Promise<void>;
}

/** Closes a resource scope; bounded by the signal like the exit hooks. */
export type CloseScope = (signal: AbortSignal) => Promise<void>;
