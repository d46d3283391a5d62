// What the runner can ask of an entered layer. A layer offers a capability by having the member; the class name decides
// which reserved slot it may fill (spec 02 §12.1 step 7).

import type { AgentModel } from '../agent/model.ts';
import type { Layer } from '../compositor/layer.ts';
import type { ModelMessage } from '../protocol/messages.ts';

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
  /** Present on layers that may be named `llm`. Called once per run, after entry. */
  model?(): AgentModel;
  readonly history?: HistorySlot;
}
