// The tool calls of one response (spec 06 §7, §8). Each call is resolved to what handles it; a name that nothing handles is
// answered with a retry prompt. Retry counters live here: only consecutive failing steps of a tool count.

import { isJsonObject } from '../base/json.ts';
import type { AgentStreamEvent } from '../protocol/events.ts';
import type { FinishReason, RequestPart, RetryPromptPart, ToolCallPart } from '../protocol/messages.ts';
import { parseJson } from '../wiretext/json.ts';
import { agentErrors } from './errors.ts';

/** Retries of one tool, counted over consecutive steps (spec 06 §8.1). */
export interface RetryCounters {
  /** Notes a failure in this step; false when the tool has no retry left. */
  fail(tool: string): boolean;
  /** Ends the step: tools that did not fail in it start from zero again. */
  nextStep(): void;
}

export function createRetryCounters(): RetryCounters {
  let counts = new Map<string, number>();
  let failed = new Set<string>();
  return {
    fail(tool) {
      if ((counts.get(tool) ?? 0) >= 1) return false;
      failed.add(tool);
      return true;
    },
    nextStep() {
      counts = new Map([...failed].map((tool) => [tool, (counts.get(tool) ?? 0) + 1]));
      failed = new Set();
    },
  };
}

/** What the calls of one response need to know. */
export interface ToolCallContext {
  readonly counters: RetryCounters;
  readonly finishReason: FinishReason | null;
  /** The `max_tokens` setting for error texts, or null. */
  readonly maxTokens: string | null;
  /** RFC 3339 of now. */
  readonly now: () => string;
  /** Publishes events; awaited before the next step of work. */
  readonly emit: (events: readonly AgentStreamEvent[]) => Promise<void>;
}

/** Answers every call of a response; returns the parts of the next request, in queue order. */
export async function answerToolCalls(
  calls: readonly ToolCallPart[],
  context: ToolCallContext,
): Promise<readonly RequestPart[]> {
  const events: AgentStreamEvent[] = [];
  const parts: RetryPromptPart[] = [];
  try {
    for (const call of calls) parts.push(refuseUnknown(call, calls, context, events));
    for (const part of parts) events.push({ result: part, content: null, event_kind: 'function_tool_result' });
  } finally {
    await context.emit(events);
  }
  return parts;
}

function refuseUnknown(
  call: ToolCallPart,
  calls: readonly ToolCallPart[],
  context: ToolCallContext,
  events: AgentStreamEvent[],
): RetryPromptPart {
  const retry = context.counters.fail(call.tool_name);
  if (!retry && truncated(calls, context.finishReason)) throw agentErrors.lengthInToolCall(context.maxTokens);
  events.push({ part: call, args_valid: false, event_kind: 'function_tool_call' });
  if (!retry) throw agentErrors.toolRetries(call.tool_name);
  return {
    content: `Unknown tool name: '${call.tool_name}'. No tools available.`,
    tool_name: call.tool_name,
    tool_call_id: call.tool_call_id,
    timestamp: context.now(),
    part_kind: 'retry-prompt',
  };
}

/** The response ended at the token limit inside its last call (spec 06 §8.3). */
function truncated(calls: readonly ToolCallPart[], finishReason: FinishReason | null): boolean {
  if (finishReason !== 'length') return false;
  const args = calls.at(-1)?.args ?? '';
  if (typeof args !== 'string') return false;
  const parsed = parseJson(args);
  return !parsed.ok || !isJsonObject(parsed.value);
}
