// The interface between the loop and whatever answers a model request. models/ implements it; the loop knows no peer.

import type { JsonObject } from '../base/json.ts';
import type { FinishReason, ModelMessage } from '../protocol/messages.ts';

/** A tool as the model sees it. */
export interface ToolDefinition {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the arguments, sent as it is. */
  readonly parameters: JsonObject;
}

/** One request to the model. */
export interface ModelCall {
  /** The merged list of spec 06 §6.1 step 5: consecutive requests are already one. */
  readonly messages: readonly ModelMessage[];
  /** Function and external tools in registration order, then output tools. */
  readonly tools: readonly ToolDefinition[];
}

/** What a model stream yields, in the order in which it happened (spec 03 §4.2, 06 §5). */
export type ModelDelta =
  /** Appends to the last part if it is text, else starts one. Never empty. */
  | { readonly kind: 'text'; readonly text: string }
  /** Appends to the last part if it is thinking, else starts one. Never empty. */
  | { readonly kind: 'thinking'; readonly text: string }
  /** A whole thinking part from a content list: always a new part, provider name null. */
  | { readonly kind: 'thinking_part'; readonly text: string }
  /** A whole file part: `data` is URL-safe base64 with padding. */
  | { readonly kind: 'file'; readonly data: string; readonly mediaType: string; readonly identifier: string }
  /** A tool call. The same `key` again replaces the part at its index (with the arguments given: the model layer has already joined fragments). */
  | {
      readonly kind: 'tool_call';
      readonly key: string;
      readonly id: string;
      readonly name: string;
      readonly args: string;
    }
  /** Replaces the usage of this response. */
  | { readonly kind: 'usage'; readonly inputTokens: number; readonly outputTokens: number }
  | { readonly kind: 'finish'; readonly reason: FinishReason };

/** Something that answers model requests. */
export interface AgentModel {
  /** `ModelResponse.model_name`. */
  readonly modelName: string;
  /** `provider_name` of responses and parts, e.g. `DifyPlugin/langgenius/openai`. */
  readonly providerName: string;
  /** The `max_tokens` setting as text for error messages, or null (`provider default`). */
  readonly maxTokens: string | null;
  /**
   * Streams one answer. Each item is everything that arrived together (one read of the socket): the loop persists it in
   * one step before it asks for more. Throws what the run's `error` should say. Aborting closes the upstream socket.
   */
  stream(call: ModelCall, signal: AbortSignal): AsyncIterable<readonly ModelDelta[]>;
}
