// What the loop can do with a tool call: the doors between the loop and the layers that bring tools or an output contract.
// Who executes a tool, and how, is the layer's business (spec 06 §7).

import type { JsonObject, JsonValue } from '../base/json.ts';
import type { ErrorDetails, ToolCallPart } from '../protocol/messages.ts';
import type { ToolDefinition } from './model.ts';

/** What a model sent as arguments: text as received (maybe not JSON), an object, or null. */
export type RawArguments = ToolCallPart['args'];

/** What to tell the model about a call that it should make again (spec 06 §9): a text, or a list of what is wrong. */
export type RetryContent = string | readonly ErrorDetails[];

/** Validated arguments, or why not. */
export type ArgumentsResult =
  | { readonly ok: true; readonly value: JsonObject }
  | { readonly ok: false; readonly retry: RetryContent };

interface ToolBase {
  readonly definition: ToolDefinition;
  validate(args: RawArguments): ArgumentsResult;
}

/** A tool that this server executes. */
export interface FunctionTool extends ToolBase {
  readonly kind: 'function';
  /** One sequential tool among the calls of a response makes all of them run one by one (spec 06 §7 step 4). */
  readonly sequential: boolean;
  /**
   * Executes the call; resolves with the content of the tool return. Throws ToolRetryError to have the model try again;
   * anything else that it throws ends the run.
   */
  call(args: JsonObject, signal: AbortSignal): Promise<JsonValue>;
}

/** A tool that somebody else answers: a call of it ends the run (spec 06 §7 steps 5 and 6). */
export interface ExternalTool extends ToolBase {
  readonly kind: 'external';
}

export type AgentTool = FunctionTool | ExternalTool;

/** A tool's wish that the model try again with this hint; counted like invalid arguments. */
export class ToolRetryError extends Error {
  constructor(hint: string) {
    super(hint);
    this.name = 'ToolRetryError';
  }
}

/** A structured answer: the call of an output tool ends the run with its validated arguments (spec 06 §1.1). */
export interface OutputContract {
  /** Its name is `final_output`. */
  readonly definition: ToolDefinition;
  validate(args: RawArguments): ArgumentsResult;
}
