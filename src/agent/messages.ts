// Message lists: the merge pass that the model sees, and the requests that the loop writes (spec 06 §6.1, §12).

import type { ModelMessage, ModelRequest, RequestPart, ResponsePart, ToolCallPart } from '../protocol/messages.ts';

/**
 * The merge pass: consecutive requests become one (tool returns and retry prompts first, stable; no run id; the later
 * timestamp). Responses always name their model here, so they never merge (spec 06 §6.1 step 2).
 */
export function mergeRequests(messages: readonly ModelMessage[]): ModelMessage[] {
  const merged: ModelMessage[] = [];
  for (const message of messages) {
    const last = merged.at(-1);
    if (message.kind === 'request' && last?.kind === 'request') {
      merged[merged.length - 1] = joinRequests(last, message);
    } else {
      merged.push(message);
    }
  }
  return merged;
}

function joinRequests(first: ModelRequest, second: ModelRequest): ModelRequest {
  const parts = [...first.parts, ...second.parts];
  const answers = parts.filter(isAnswer);
  return {
    ...first,
    parts: answers.length === 0 ? parts : [...answers, ...parts.filter((part) => !isAnswer(part))],
    timestamp: second.timestamp ?? first.timestamp,
    instructions: second.instructions ?? first.instructions,
    run_id: null,
  };
}

/** A part that answers a tool call. */
export function isAnswer(part: RequestPart): boolean {
  return part.part_kind === 'tool-return' || part.part_kind === 'retry-prompt';
}

/** The tool calls of a response, in order. */
export function toolCallsOf(parts: readonly ResponsePart[]): ToolCallPart[] {
  return parts.filter((part): part is ToolCallPart => part.part_kind === 'tool-call');
}

/** All text of a response, without separator. */
export function textOf(parts: readonly ResponsePart[]): string {
  let text = '';
  for (const part of parts) if (part.part_kind === 'text') text += part.content;
  return text;
}

/** A request; `runId` null marks a transient one that is never stored. */
export function newRequest(
  parts: readonly RequestPart[],
  timestamp: string | null,
  runId: string | null,
): ModelRequest {
  return { parts, timestamp, instructions: null, kind: 'request', run_id: runId, metadata: null };
}
