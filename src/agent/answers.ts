// The parts that answer tool calls, and the texts of those that are not executed (spec 06 §7).

import type { JsonValue } from '../base/json.ts';
import type { RetryPromptPart, ToolCallPart, ToolReturnPart } from '../protocol/messages.ts';
import type { RetryContent } from './tools.ts';

/** An answer to a call. */
export type AnswerPart = ToolReturnPart | RetryPromptPart;

export const FINAL_RESULT_PROCESSED = 'Final result processed.';
export const OUTPUT_NOT_USED = 'Output tool not used - a final result was already processed.';
export const TOOL_NOT_EXECUTED = 'Tool not executed - a final result was already processed.';

/** What a tool returned, or the text that stands for it. */
export function toolReturn(call: ToolCallPart, content: JsonValue, timestamp: string): ToolReturnPart {
  return {
    tool_name: call.tool_name,
    content,
    tool_call_id: call.tool_call_id,
    metadata: null,
    timestamp,
    outcome: 'success',
    part_kind: 'tool-return',
  };
}

/** Asks the model to make the call again. */
export function retryPrompt(call: ToolCallPart, content: RetryContent, timestamp: string): RetryPromptPart {
  return {
    content,
    tool_name: call.tool_name,
    tool_call_id: call.tool_call_id,
    timestamp,
    part_kind: 'retry-prompt',
  };
}
