// What the runner can ask of an entered layer. A layer offers a capability by having the member; the class name decides
// which reserved slot it may fill (slots.ts).

import type { AgentModel } from '../agent/model.ts';
import type { Layer, LayerType } from '../compositor/layer.ts';
import type { ModelMessage } from '../protocol/messages.ts';
import type { RunLayerSpec } from '../protocol/runs.ts';

/** Prompts that a layer contributes (spec 02 §7.1). */
export interface LayerPrompts {
  readonly prefix: readonly string[];
  readonly user: readonly string[];
  readonly suffix: readonly string[];
}

/** The stored conversation. */
export interface HistorySlot {
  read(): readonly ModelMessage[];
  append(messages: readonly ModelMessage[]): void;
}

/** A layer as the runner sees it. */
export interface AgentLayer extends Layer {
  readonly prompts?: LayerPrompts;
  /** Present on layers that may be named `llm`. Called once per run, after `bind` and perhaps before entry: no side effects. */
  model?(): AgentModel;
  readonly history?: HistorySlot;
}

/** A type of layer as registry.ts lists it. */
export interface AgentLayerType<Config = unknown, State = unknown> extends LayerType<Config, State, AgentLayer> {
  /**
   * Rules about how the type may be used that need only the submitted list (types, names, dependencies). They are
   * checked before the graph is built, in registry order, and hold even when the type is not registered (spec 02 §2.2).
   * Throws CompositionError.
   */
  checkShape?(layers: readonly RunLayerSpec[]): void;
}
