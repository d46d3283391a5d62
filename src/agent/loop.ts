// The agent loop: model request ⇄ tool calls until the run has its output (spec 06 §6). It knows messages, a model and
// where to publish events; no HTTP, no layer, no store.

import { newToolCallId } from '../base/ids.ts';
import type { JsonValue } from '../base/json.ts';
import type { AgentStreamEvent, RunUsage } from '../protocol/events.ts';
import type { ModelMessage, ModelResponse, RequestPart, UserPromptPart } from '../protocol/messages.ts';
import type { DeferredToolResults } from '../protocol/runs.ts';
import { agentErrors, REQUEST_LIMIT } from './errors.ts';
import { mergeRequests, newRequest, textOf, toolCallsOf } from './messages.ts';
import type { AgentModel } from './model.ts';
import { createPartCollector, type FinalResultRule } from './parts.ts';
import { resumeCalls } from './resume.ts';
import { answerToolCalls, createRetryCounters } from './tool-calls.ts';

/** What an agent run starts from and works with. */
export interface AgentRunOptions {
  readonly model: AgentModel;
  /** Rendered system prompts in order; they reach the model and are never stored. */
  readonly systemPrompts: readonly string[];
  /** The stored conversation. */
  readonly history: readonly ModelMessage[];
  /** The user's turn: one string, or a list of items. Ignored when `deferredResults` is given. */
  readonly userPrompt: UserPromptPart['content'];
  readonly deferredResults: DeferredToolResults | null;
  /** Stamped on this run's messages (base/ids.ts). */
  readonly messageRunId: string;
  /** RFC 3339 of now. */
  readonly now: () => string;
  /** Publishes events in order; the promise holds the loop back while too many are not yet durable. */
  readonly emit: (events: readonly AgentStreamEvent[]) => Promise<void>;
  readonly signal: AbortSignal;
}

/** How an agent run ended well. */
export interface AgentOutcome {
  readonly output: JsonValue;
  /** The messages of this run, to be appended to the stored ones (spec 06 §12). */
  readonly newMessages: readonly ModelMessage[];
  readonly usage: RunUsage;
}

/** Text is an allowed output: the first text part of a response announces it (spec 06 §5). */
const textIsFinal: FinalResultRule = (part) =>
  part.part_kind === 'text' ? { tool_name: null, tool_call_id: null } : null;

/** Runs the agent to its output. Throws what ended it otherwise: AgentError, the model's error, or the abort reason. */
export async function runAgent(options: AgentRunOptions): Promise<AgentOutcome> {
  const { model, now, emit, signal, messageRunId } = options;
  const messages = startingMessages(options);
  const firstNew = messages.length;
  const counters = createRetryCounters();
  let outputRetries = 0;
  let promptTokens = 0;
  let completionTokens = 0;

  function retryOutput(): void {
    outputRetries += 1;
    if (outputRetries > 1) throw agentErrors.outputRetries();
  }

  let parts = await firstParts(options, messages);
  for (let step = 1; ; step += 1) {
    messages.push(newRequest(parts, now(), messageRunId));
    if (step > REQUEST_LIMIT) throw agentErrors.requestLimit();
    const response = await request(options, messages);
    messages.push(response);
    promptTokens += Number(response.usage.input_tokens);
    completionTokens += Number(response.usage.output_tokens);
    signal.throwIfAborted();

    const calls = toolCallsOf(response.parts);
    if (calls.length > 0) {
      const { finish_reason: finishReason } = response;
      parts = await answerToolCalls(calls, { counters, finishReason, maxTokens: model.maxTokens, now, emit });
      counters.nextStep();
      continue;
    }
    counters.nextStep();
    const output = textOf(response.parts) || earlierText(response, messages.slice(firstNew));
    if (output !== '') {
      return { output, newMessages: messages.slice(firstNew), usage: { promptTokens, completionTokens } };
    }
    refuseTruncated(response, model);
    retryOutput();
    parts = response.parts.length === 0 ? [] : [pleaseReturnText(options)];
  }
}

/** The working history: one transient request with the system prompts, then what is stored (spec 06 §6.1). */
function startingMessages(options: AgentRunOptions): ModelMessage[] {
  const { systemPrompts, history, now } = options;
  const system: RequestPart[] = systemPrompts.map((content) => ({
    content,
    timestamp: now(),
    dynamic_ref: null,
    part_kind: 'system-prompt',
  }));
  return mergeRequests(system.length === 0 ? history : [newRequest(system, null, null), ...history]);
}

/** The parts of the first request: the answers to deferred calls, or the user's turn. */
async function firstParts(
  options: AgentRunOptions,
  messages: readonly ModelMessage[],
): Promise<readonly RequestPart[]> {
  if (options.deferredResults !== null) {
    const resumed = resumeCalls(messages, options.deferredResults, options.now);
    await options.emit(resumed.events);
    return resumed.parts;
  }
  const last = messages.at(-1);
  if (last?.kind === 'response' && toolCallsOf(last.parts).length > 0) throw agentErrors.unprocessedToolCalls();
  return [{ content: options.userPrompt, timestamp: options.now(), part_kind: 'user-prompt' }];
}

/** One model request: streams the answer, publishes its events and builds the response. */
async function request(options: AgentRunOptions, messages: readonly ModelMessage[]): Promise<ModelResponse> {
  const { model, emit, signal } = options;
  const timestamp = options.now();
  const collector = createPartCollector(model.providerName, textIsFinal);
  for await (const deltas of model.stream({ messages: mergeRequests(messages), tools: [] }, signal)) {
    const events = collector.take(deltas);
    if (events.length > 0) await emit(events);
  }
  const ending = collector.end();
  if (ending.length > 0) await emit(ending);
  return {
    parts: collector.parts,
    usage: collector.usage,
    model_name: model.modelName,
    timestamp,
    kind: 'response',
    provider_name: model.providerName,
    provider_url: null,
    provider_details: null,
    provider_response_id: null,
    finish_reason: collector.finishReason,
    run_id: options.messageRunId,
    metadata: null,
  };
}

/**
 * An empty or thinking-only answer falls back to the newest text of this run (spec 06 §6.2). The reference also searches
 * earlier runs and so can repeat last turn's answer; we do not (06 §18.1).
 */
function earlierText(response: ModelResponse, ofThisRun: readonly ModelMessage[]): string {
  if (response.finish_reason === 'length' || !response.parts.every((part) => part.part_kind === 'thinking')) return '';
  if (response.parts.length === 0 && response.finish_reason === 'content_filter') return '';
  for (const message of ofThisRun.toReversed()) {
    const text = message.kind === 'response' ? textOf(message.parts) : '';
    if (text !== '') return text;
  }
  return '';
}

/** Failures that a retry would only repeat (spec 06 §6.2, first two rows). */
function refuseTruncated(response: ModelResponse, model: AgentModel): void {
  const { parts, finish_reason: reason } = response;
  if (reason === 'length' && parts.every((part) => part.part_kind === 'thinking')) {
    throw agentErrors.lengthBeforeResponse(model.maxTokens);
  }
  if (reason === 'content_filter' && parts.length === 0) {
    throw agentErrors.contentFilter(JSON.stringify([response], null, 2));
  }
}

/** Spec 06 §6.2: the retry prompt for an answer that is nothing we can use. No stream event goes with it. */
function pleaseReturnText(options: AgentRunOptions): RequestPart {
  return {
    content: 'Please return text.',
    tool_name: null,
    tool_call_id: newToolCallId(),
    timestamp: options.now(),
    part_kind: 'retry-prompt',
  };
}
