// The tool calls of one response, by what handles them and in the reference's order of work: output calls, function calls,
// unknown names, external calls (spec 06 §7, strategy `early`).

import { isJsonObject, type JsonObject } from '../base/json.ts';
import type { AgentStreamEvent } from '../protocol/events.ts';
import type { FinishReason, ToolCallPart } from '../protocol/messages.ts';
import { parseJson } from '../wiretext/json.ts';
import {
  type AnswerPart,
  FINAL_RESULT_PROCESSED,
  OUTPUT_NOT_USED,
  retryPrompt,
  TOOL_NOT_EXECUTED,
  toolReturn,
} from './answers.ts';
import type { CallContext, ToolCallDeps } from './call-context.ts';
import { type AgentError, agentErrors, MAX_CALLS_PER_RESPONSE } from './errors.ts';
import { type AgentProbe, NO_AGENT_PROBE, toolWithin } from './probed.ts';
import { type QueuedCall, resultOf, runQueue } from './queue.ts';
import type { ExternalTool, OutputContract } from './tools.ts';
import type { Toolset } from './toolset.ts';

/** A call that ends the run because somebody else answers it. */
export interface DeferredCall {
  readonly call: ToolCallPart;
  /** Validated and normalised. */
  readonly args: JsonObject;
}

/** What came of the calls of one response. */
export interface CallsOutcome {
  /** For the next (or closing) request, in the order of work. */
  readonly parts: readonly AnswerPart[];
  /** The structured answer, if one of the calls gave it. */
  readonly final: JsonObject | null;
  /** Without a final answer, these end the run. */
  readonly deferred: readonly DeferredCall[];
  /** Output calls that were refused; each counts as an output retry (spec 06 §8.2). */
  readonly refusedOutputs: number;
}

/** Answers every call of a response. Throws what ends the run: an AgentError, or what a tool threw. */
export async function answerToolCalls(
  calls: readonly ToolCallPart[],
  deps: ToolCallDeps,
  probe: AgentProbe = NO_AGENT_PROBE,
): Promise<CallsOutcome> {
  if (calls.length > MAX_CALLS_PER_RESPONSE) throw agentErrors.tooManyCalls(calls.length);
  const context: CallContext = {
    ...deps,
    noteFailure(call, announce) {
      if (deps.counters.fail(call.tool_name)) {
        announce();
        return;
      }
      if (isTruncated(calls, deps.finishReason)) throw agentErrors.lengthInToolCall(deps.maxTokens);
      announce();
      throw agentErrors.toolRetries(call.tool_name);
    },
  };
  const groups = group(calls, deps.toolset, probe);
  const outputs = await answerOutputs(groups.output, context);
  const skipped = outputs.final === null ? [] : groups.queue.filter(({ tool }) => tool !== null);
  const queue = outputs.final === null ? groups.queue : groups.queue.filter(({ tool }) => tool === null);
  const parts: AnswerPart[] = [
    ...outputs.parts,
    ...skipped.map(({ call }) => toolReturn(call, TOOL_NOT_EXECUTED, deps.now())),
    ...(queue.length === 0 ? [] : await runQueue(queue, context)),
  ];
  const externals = await collectExternals(groups.external, outputs.final !== null, context);
  return { ...outputs, parts: [...parts, ...externals.parts], deferred: externals.deferred };
}

interface Groups {
  readonly output: { readonly call: ToolCallPart; readonly contract: OutputContract }[];
  /** Function calls in response order, then unknown ones. */
  readonly queue: QueuedCall[];
  readonly external: { readonly call: ToolCallPart; readonly tool: ExternalTool }[];
}

function group(calls: readonly ToolCallPart[], toolset: Toolset, probe: AgentProbe): Groups {
  const groups: Groups = { output: [], queue: [], external: [] };
  const unknown: QueuedCall[] = [];
  for (const call of calls) {
    const handler = toolset.handlerOf(call.tool_name);
    if (handler.kind === 'output') groups.output.push({ call, contract: handler.contract });
    else if (handler.kind === 'unknown') unknown.push({ call, tool: null });
    else if (handler.tool.kind === 'function') groups.queue.push({ call, tool: toolWithin(call, handler.tool, probe) });
    else groups.external.push({ call, tool: handler.tool });
  }
  groups.queue.push(...unknown);
  return groups;
}

/** Output calls (spec 06 §7 step 1): the first valid one is the answer, and only what is wrong with the others is announced. */
async function answerOutputs(
  calls: Groups['output'],
  context: CallContext,
): Promise<Pick<CallsOutcome, 'parts' | 'final' | 'refusedOutputs'>> {
  const events: AgentStreamEvent[] = [];
  const parts: AnswerPart[] = [];
  let final: JsonObject | null = null;
  let refusedOutputs = 0;
  const answer = (call: ToolCallPart, part: AnswerPart, argsValid: false | null) => {
    events.push({ part: call, args_valid: argsValid, event_kind: 'function_tool_call' }, resultOf(part));
    parts.push(part);
  };
  try {
    for (const { call, contract } of calls) {
      if (final !== null) {
        answer(call, toolReturn(call, OUTPUT_NOT_USED, context.now()), null);
        continue;
      }
      const result = contract.validate(call.args);
      if (result.ok) {
        final = result.value;
        parts.push(toolReturn(call, FINAL_RESULT_PROCESSED, context.now()));
        continue;
      }
      noteOutputFailure(call, context);
      refusedOutputs += 1;
      answer(call, retryPrompt(call, result.retry, context.now()), false);
    }
  } finally {
    await context.emit(events);
  }
  return { parts, final, refusedOutputs };
}

/** The output tool counts like any other, but its end is worded as that of the output, and not announced (spec 06 §8.1). */
function noteOutputFailure(call: ToolCallPart, context: CallContext): void {
  try {
    context.noteFailure(call, () => {});
  } catch (error) {
    throw (error as AgentError).code === 'tool_retries' ? agentErrors.outputRetries() : error; // noteFailure throws nothing else
  }
}

/** External calls (spec 06 §7 step 5): validated and collected, never executed. */
async function collectExternals(
  calls: Groups['external'],
  hasFinal: boolean,
  context: CallContext,
): Promise<Pick<CallsOutcome, 'parts' | 'deferred'>> {
  const events: AgentStreamEvent[] = [];
  const parts: AnswerPart[] = [];
  const deferred: DeferredCall[] = [];
  try {
    for (const { call, tool } of calls) {
      if (hasFinal) {
        parts.push(toolReturn(call, TOOL_NOT_EXECUTED, context.now()));
        continue;
      }
      const result = tool.validate(call.args);
      if (result.ok) {
        events.push({ part: call, args_valid: true, event_kind: 'function_tool_call' });
        deferred.push({ call, args: result.value });
        continue;
      }
      context.noteFailure(call, () => events.push({ part: call, args_valid: false, event_kind: 'function_tool_call' }));
      const part = retryPrompt(call, result.retry, context.now());
      events.push(resultOf(part));
      parts.push(part);
    }
  } finally {
    await context.emit(events);
  }
  return { parts, deferred };
}

/** The response ended at the token limit inside its last call (spec 06 §8.3). */
function isTruncated(calls: readonly ToolCallPart[], finishReason: FinishReason | null): boolean {
  if (finishReason !== 'length') return false;
  const args = calls.at(-1)?.args ?? '';
  if (typeof args !== 'string') return false;
  const parsed = parseJson(args);
  return !parsed.ok || !isJsonObject(parsed.value);
}
