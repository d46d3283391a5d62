// A response without tool calls: the answer, or what to ask for instead (spec 06 §6.2).

import { newToolCallId } from '../base/ids.ts';
import type { ModelMessage, ModelResponse, RequestPart } from '../protocol/messages.ts';
import { agentErrors } from './errors.ts';
import { textOf } from './messages.ts';
import type { Toolset } from './toolset.ts';

/** The answer, or the parts of a request that asks again. */
export type TextAnswer = { readonly output: string } | { readonly retry: readonly RequestPart[] };

/** Reads a response without tool calls. `ofThisRun` are the run's messages so far. Throws what a retry would only repeat. */
export function readAnswer(
  response: ModelResponse,
  ofThisRun: readonly ModelMessage[],
  context: { readonly toolset: Toolset; readonly maxTokens: string | null; readonly now: () => string },
): TextAnswer {
  refuseHopeless(response, context.maxTokens);
  const wantsText = context.toolset.output === null;
  if (wantsText) {
    const output = textOf(response.parts) || earlierText(response, ofThisRun);
    if (output !== '') return { output };
  }
  if (response.parts.length === 0) return { retry: [] };
  return { retry: [pleaseReturn(context.toolset, context.now())] };
}

/**
 * An empty or thinking-only answer falls back to the newest text of this run (spec 06 §6.2). The reference also searches
 * earlier runs and so can repeat last turn's answer; we do not (06 §18.1).
 */
function earlierText(response: ModelResponse, ofThisRun: readonly ModelMessage[]): string {
  if (!isThinkingOnly(response)) return '';
  for (const message of ofThisRun.toReversed()) {
    const text = message.kind === 'response' ? textOf(message.parts) : '';
    if (text !== '') return text;
  }
  return '';
}

/** The first two rows of spec 06 §6.2's table. */
function refuseHopeless(response: ModelResponse, maxTokens: string | null): void {
  const { parts, finish_reason: reason } = response;
  if (reason === 'length' && isThinkingOnly(response)) throw agentErrors.lengthBeforeResponse(maxTokens);
  if (reason === 'content_filter' && parts.length === 0) {
    throw agentErrors.contentFilter(JSON.stringify([response], null, 2));
  }
}

function isThinkingOnly(response: ModelResponse): boolean {
  return response.parts.every((part) => part.part_kind === 'thinking');
}

/** The retry prompt for an answer that is nothing we can use. No stream event goes with it. */
function pleaseReturn(toolset: Toolset, timestamp: string): RequestPart {
  return {
    content: `Please ${wanted(toolset)}.`,
    tool_name: null,
    tool_call_id: newToolCallId(),
    timestamp,
    part_kind: 'retry-prompt',
  };
}

function wanted(toolset: Toolset): string {
  if (toolset.output !== null) return 'include your response in a tool call';
  return toolset.hasTools ? 'return text or call a tool' : 'return text';
}
