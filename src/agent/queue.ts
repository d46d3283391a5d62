// The queue of function and unknown calls of one response (spec 06 §7 step 4): all are validated and announced first, then
// executed side by side; results are published as they complete, those of one tick in call order (06 §18.10).

import type { AgentStreamEvent } from '../protocol/events.ts';
import type { ToolCallPart } from '../protocol/messages.ts';
import { type AnswerPart, retryPrompt, toolReturn } from './answers.ts';
import type { CallContext } from './call-context.ts';
import { type FunctionTool, type RetryContent, ToolRetryError } from './tools.ts';

/** A call and what executes it; null: nothing does. */
export interface QueuedCall {
  readonly call: ToolCallPart;
  readonly tool: FunctionTool | null;
}

/** Answers the queue. Returns the answers in queue order. Throws what ends the run; sibling calls are then aborted. */
export async function runQueue(queue: readonly QueuedCall[], context: CallContext): Promise<readonly AnswerPart[]> {
  const jobs = await announce(queue, context);
  const abort = new AbortController();
  const signal = AbortSignal.any([context.signal, abort.signal]);
  try {
    if (queue.some(({ tool }) => tool?.sequential === true)) return await oneByOne(jobs, context, signal);
    return await sideBySide(jobs, context, signal);
  } finally {
    abort.abort(new Error('a call of the same response has ended the run'));
  }
}

type Job = (signal: AbortSignal) => Promise<AnswerPart>;

/** Validates every call and publishes `function_tool_call`; a call without retry left ends the run after its event. */
async function announce(queue: readonly QueuedCall[], context: CallContext): Promise<readonly Job[]> {
  const events: AgentStreamEvent[] = [];
  try {
    return queue.map(({ call, tool }) => prepare(call, tool, context, events));
  } finally {
    await context.emit(events);
  }
}

function prepare(call: ToolCallPart, tool: FunctionTool | null, context: CallContext, events: AgentStreamEvent[]): Job {
  const refuse = (retry: RetryContent): Job => {
    context.noteFailure(call, () => events.push({ part: call, args_valid: false, event_kind: 'function_tool_call' }));
    const part = retryPrompt(call, retry, context.now());
    return async () => part;
  };
  if (tool === null) return refuse(context.toolset.unknownText(call.tool_name));
  const result = tool.validate(call.args);
  if (!result.ok) return refuse(result.retry);
  events.push({ part: call, args_valid: true, event_kind: 'function_tool_call' });
  return (signal) => execute(call, tool, result.value, context, signal);
}

async function execute(
  call: ToolCallPart,
  tool: FunctionTool,
  args: Parameters<FunctionTool['call']>[0],
  context: CallContext,
  signal: AbortSignal,
): Promise<AnswerPart> {
  try {
    return toolReturn(call, await tool.call(args, signal), context.now());
  } catch (error) {
    if (!(error instanceof ToolRetryError)) throw error;
    context.noteFailure(call, () => {});
    return retryPrompt(call, error.message, context.now());
  }
}

async function oneByOne(jobs: readonly Job[], context: CallContext, signal: AbortSignal): Promise<AnswerPart[]> {
  const parts: AnswerPart[] = [];
  for (const job of jobs) {
    signal.throwIfAborted();
    const part = await job(signal);
    await context.emit([resultOf(part)]);
    parts.push(part);
  }
  return parts;
}

async function sideBySide(jobs: readonly Job[], context: CallContext, signal: AbortSignal): Promise<AnswerPart[]> {
  const parts: AnswerPart[] = [];
  let completed: { readonly index: number; readonly part: AnswerPart }[] = [];
  let failure: { readonly error: unknown } | null = null;
  let wake = Promise.withResolvers<void>();
  jobs.forEach((job, index) => {
    job(signal).then(
      (part) => {
        completed.push({ index, part });
        wake.resolve();
      },
      (error: unknown) => {
        failure ??= { error };
        wake.resolve();
      },
    );
  });
  const onAbort = () => wake.resolve();
  signal.addEventListener('abort', onAbort, { once: true });
  for (let left = jobs.length; left > 0; ) {
    await wake.promise;
    // What completes in the same turn of the event loop is published together, in call order.
    await new Promise((resolve) => setImmediate(resolve));
    wake = Promise.withResolvers();
    const batch = completed.sort((a, b) => a.index - b.index);
    completed = [];
    left -= batch.length;
    for (const { index, part } of batch) parts[index] = part;
    await context.emit(batch.map(({ part }) => resultOf(part)));
    throwIfFailed(failure);
    signal.throwIfAborted();
  }
  signal.removeEventListener('abort', onAbort);
  return parts;
}

function throwIfFailed(failure: { readonly error: unknown } | null): void {
  if (failure !== null) throw failure.error;
}

/** The event of an answer. */
export function resultOf(part: AnswerPart): AgentStreamEvent {
  return { result: part, content: null, event_kind: 'function_tool_result' };
}
