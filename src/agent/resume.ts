// Starting from deferred tool results: the stored conversation must end in the calls that the results answer (spec 06 §11).

import type { AgentStreamEvent } from '../protocol/events.ts';
import type { ModelMessage, ModelRequest, ModelResponse, ToolReturnPart } from '../protocol/messages.ts';
import type { DeferredToolResults } from '../protocol/runs.ts';
import { pyRepr } from '../wiretext/repr.ts';
import { agentErrors } from './errors.ts';
import { isAnswer, toolCallsOf } from './messages.ts';

/** The parts and events of the first step of a resumed run. */
export interface ResumedCalls {
  readonly parts: readonly ToolReturnPart[];
  readonly events: readonly AgentStreamEvent[];
}

/** Checks the results against the open calls of the history and turns them into tool returns, in the order given. */
export function resumeCalls(
  messages: readonly ModelMessage[],
  results: DeferredToolResults,
  now: () => string,
): ResumedCalls {
  const { response, answered } = openCalls(messages);
  const calls = new Map(toolCallsOf(response.parts).map((call) => [call.tool_call_id, call]));
  const given = Object.keys(results.calls);
  const repeated = given.find((id) => answered.has(id));
  if (repeated !== undefined) {
    throw agentErrors.resume(`Tool call '${repeated}' was already executed and its result cannot be overridden.`);
  }
  const supplied = new Set([...given, ...answered]);
  if (supplied.size !== calls.size || [...supplied].some((id) => !calls.has(id))) {
    throw agentErrors.resume(
      `Tool call results need to be provided for all deferred tool calls. Expected: ${pythonSet(calls.keys())}, got: ${pythonSet(supplied)}`,
    );
  }
  const parts: ToolReturnPart[] = [];
  const events: AgentStreamEvent[] = [];
  for (const [id, call] of calls) {
    const content = results.calls[id];
    if (content === undefined) continue; // answered in the stored history
    const part: ToolReturnPart = {
      tool_name: call.tool_name,
      content,
      tool_call_id: id,
      metadata: null,
      timestamp: now(),
      outcome: 'success',
      part_kind: 'tool-return',
    };
    parts.push(part);
    events.push({ part: call, args_valid: null, event_kind: 'function_tool_call' });
    events.push({ result: part, content: null, event_kind: 'function_tool_result' });
  }
  return { parts, events };
}

function openCalls(messages: readonly ModelMessage[]): { response: ModelResponse; answered: ReadonlySet<string> } {
  if (messages.length === 0) {
    throw agentErrors.resume('Tool call results were provided, but the message history is empty.');
  }
  const index = messages.findLastIndex((message) => message.kind === 'response');
  const response = messages[index];
  if (response?.kind !== 'response') {
    throw agentErrors.resume(
      'Tool call results were provided, but the message history does not contain a `ModelResponse`.',
    );
  }
  if (toolCallsOf(response.parts).length === 0) {
    throw agentErrors.resume(
      'Tool call results were provided, but the message history does not contain any unprocessed tool calls.',
    );
  }
  const after = messages[index + 1] as ModelRequest | undefined; // what follows the last response is a request
  const answered = (after?.parts ?? [])
    .filter(isAnswer)
    .map((part) => ('tool_call_id' in part ? part.tool_call_id : ''));
  return { response, answered: new Set(answered) };
}

/** A Python set of strings; sorted, where the reference's order is arbitrary (spec 06 §18.7). */
function pythonSet(ids: Iterable<string>): string {
  const sorted = [...ids].sort();
  return sorted.length === 0 ? 'set()' : `{${sorted.map((id) => pyRepr(id)).join(', ')}}`;
}
