// What a layer is to the compositor: a type with schemas and dependencies, and an instance with a state and hooks.
// The compositor knows no concrete layer (spec 02 §2.1, §4).

import type { JsonObject } from '../base/json.ts';
import type { Schema } from '../protocol/dialect.ts';

/** A dependency that a layer type declares. */
export interface DependencySpec {
  /** The class name its target must have, one of these (spec 02 §3 step 7 prints the first). */
  readonly classNames: readonly string[];
  readonly required: boolean;
}

/** What the factory gets. */
export interface LayerInit<Config = unknown, State extends JsonObject = JsonObject> {
  readonly name: string;
  readonly config: Config;
  /** Hydrated from the snapshot, or the state schema's defaults. */
  readonly state: State;
}

/** A type of layer: `plain.prompt`, `dify.plugin.llm` … */
export interface LayerType<Config = unknown, State extends JsonObject = JsonObject> {
  readonly typeId: string;
  /** The reference's class name; it appears in error texts. */
  readonly className: string;
  readonly config: Schema<Config>;
  readonly state: Schema<State>;
  readonly deps: Readonly<Record<string, DependencySpec>>;
  /** Builds an instance. No side effects outside it; may throw to refuse the composition. */
  create(init: LayerInit<Config, State>): Layer;
}

/** An instance of a layer in one run. Every hook is optional; each gets the run's signal. */
export interface Layer {
  readonly className: string;
  /** Dumped into the snapshot after exit. Replace it to change it. */
  state: JsonObject;
  /** Called once, in graph order, before any hook: the layer's dependencies by key (absent optional ones are missing). */
  bind?(deps: Readonly<Record<string, Layer>>): void;
  /** Opens the layer's resource scope; the returned function closes it after the exit hook. */
  open?(signal: AbortSignal): Promise<() => Promise<void>>;
  onCreate?(signal: AbortSignal): Promise<void>;
  onResume?(signal: AbortSignal): Promise<void>;
  onSuspend?(signal: AbortSignal): Promise<void>;
  onDelete?(signal: AbortSignal): Promise<void>;
}
