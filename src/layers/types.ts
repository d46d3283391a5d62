// What the runner can ask of an entered layer. A layer offers a capability by having the member; the class name decides
// which reserved slot it may fill (slots.ts).

import type { AgentModel } from '../agent/model.ts';
import type { ExternalTool, FunctionTool, OutputContract } from '../agent/tools.ts';
import type { JsonValue } from '../base/json.ts';
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

/** What a human-question layer brings (spec 02 §10). */
export interface HumanInput {
  /** The tool that the model calls to ask; null when the layer is disabled. */
  readonly tool: ExternalTool | null;
  /** The `metadata` of the deferred call in `run_succeeded` (spec 02 §10.4). */
  readonly metadata: JsonValue;
}

/** A layer as the runner sees it. */
export interface AgentLayer extends Layer {
  readonly prompts?: LayerPrompts;
  /** Present on layers that may be named `llm`. Called once per run, after `bind` and perhaps before entry: no side effects. */
  model?(): AgentModel;
  readonly history?: HistorySlot;
  /** Function tools, in registration order. Called once per run, before entry; throws CompositionError. */
  tools?(): readonly FunctionTool[];
  /** Present on layers that may be named `output`. Called once per run, before entry; rejects with CompositionError. */
  outputContract?(): Promise<OutputContract>;
  readonly humanInput?: HumanInput;
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
