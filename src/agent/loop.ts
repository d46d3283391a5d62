// The agent loop: model request ⇄ tool calls until the run has its output (spec 06 §6). It knows messages, a model, tools
// and where to publish events; no HTTP, no layer, no store.

import type { JsonValue } from '../base/json.ts';
import type { AgentStreamEvent } from '../protocol/events.ts';
import type { ModelMessage, ModelResponse, RequestPart, UserPromptPart } from '../protocol/messages.ts';
import type { DeferredToolResults } from '../protocol/runs.ts';
import { stringifyJson } from '../wiretext/json.ts';
import { agentErrors, MAX_HISTORY_MESSAGES, REQUEST_LIMIT } from './errors.ts';
import { mergeRequests, newRequest, toolCallsOf } from './messages.ts';
import type { AgentModel } from './model.ts';
import { createPartCollector } from './parts.ts';
import { type AgentProbe, faultOf, NO_AGENT_PROBE, streamWithin } from './probed.ts';
import { resumeCalls } from './resume.ts';
import { createRetryCounters } from './retry-counters.ts';
import { readAnswer } from './text-answer.ts';
import { answerToolCalls, type DeferredCall } from './tool-calls.ts';
import type { Toolset } from './toolset.ts';
import type { UsageMeter } from './usage.ts';

/** What an agent run starts from and works with. */
export interface AgentRunOptions {
  readonly model: AgentModel;
  readonly toolset: Toolset;
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
  /** Told of every response, whole or not: however the run ends, what it has used is known. */
  readonly usage: UsageMeter;
  /** Told of model requests and tool calls. Default: nobody. */
  readonly probe?: AgentProbe;
  readonly signal: AbortSignal;
}

/** How an agent run ended well. */
export interface AgentOutcome {
  /** The answer, or the calls that somebody else has to answer first. */
  readonly result: { readonly output: JsonValue } | { readonly deferred: readonly DeferredCall[] };
  /** The messages of this run, to be appended to the stored ones (spec 06 §12). */
  readonly newMessages: readonly ModelMessage[];
}

/** Runs the agent to its output. Throws what ended it otherwise: AgentError, the model's error, or the abort reason. */
export async function runAgent(options: AgentRunOptions): Promise<AgentOutcome> {
  const { model, toolset, now, signal, messageRunId } = options;
  const emit = async (events: readonly AgentStreamEvent[]) => {
    if (events.length > 0) await options.emit(events);
  };
  const messages = startingMessages(options);
  const firstNew = messages.length;
  const counters = createRetryCounters();
  let outputRetries = 0;

  function ended(result: AgentOutcome['result'], closing: readonly RequestPart[] = []): AgentOutcome {
    // The model is not asked again: this request only keeps the stored history free of open calls (spec 06 §6.2).
    if (closing.length > 0) messages.push(newRequest(closing, now(), messageRunId));
    return { result, newMessages: messages.slice(firstNew) };
  }

  let parts = await firstParts(options, messages, emit);
  for (let step = 1; ; step += 1) {
    messages.push(newRequest(parts, now(), messageRunId));
    if (step > REQUEST_LIMIT) throw agentErrors.requestLimit();
    const response = await request(options, messages, step, emit);
    messages.push(response);
    signal.throwIfAborted();

    const calls = toolCallsOf(response.parts);
    if (calls.length > 0) {
      const { finish_reason: finishReason } = response;
      const { maxTokens } = model;
      const deps = { toolset, counters, finishReason, maxTokens, now, emit, signal };
      const outcome = await answerToolCalls(calls, deps, options.probe);
      counters.nextStep();
      if (outcome.final !== null) return ended({ output: outcome.final }, outcome.parts);
      if (outcome.deferred.length > 0) return ended({ deferred: outcome.deferred }, outcome.parts);
      outputRetries += outcome.refusedOutputs;
      parts = outcome.parts;
      continue;
    }
    counters.nextStep();
    const answer = readAnswer(response, messages.slice(firstNew), { toolset, maxTokens: model.maxTokens, now });
    if ('output' in answer) return ended({ output: answer.output });
    outputRetries += 1;
    if (outputRetries > 1) throw agentErrors.outputRetries();
    parts = answer.retry;
  }
}

type Emit = AgentRunOptions['emit'];

/** The working history: one transient request with the system prompts, then what is stored (spec 06 §6.1). */
function startingMessages(options: AgentRunOptions): ModelMessage[] {
  const { systemPrompts, history, now } = options;
  if (history.length > MAX_HISTORY_MESSAGES) throw agentErrors.historyTooLong(history.length);
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
  emit: Emit,
): Promise<readonly RequestPart[]> {
  if (options.deferredResults !== null) {
    const resumed = resumeCalls(messages, options.deferredResults, options.now);
    await emit(resumed.events);
    return resumed.parts;
  }
  const last = messages.at(-1);
  if (last?.kind === 'response' && toolCallsOf(last.parts).length > 0) throw agentErrors.unprocessedToolCalls();
  return [{ content: options.userPrompt, timestamp: options.now(), part_kind: 'user-prompt' }];
}

/** One model request: streams the answer, publishes its events and builds the response. */
async function request(
  options: AgentRunOptions,
  messages: readonly ModelMessage[],
  step: number,
  emit: Emit,
): Promise<ModelResponse> {
  const { model, toolset, signal, probe = NO_AGENT_PROBE } = options;
  const timestamp = options.now();
  const collector = createPartCollector(model.providerName, toolset);
  const call = { messages: mergeRequests(messages), tools: toolset.definitions };
  const scope = probe.modelRequest({
    provider: model.providerName,
    model: model.modelName,
    step,
    content: () => stringifyJson(call.messages),
  });
  let fault: string | null = null;
  try {
    for await (const deltas of streamWithin(scope, () => model.stream(call, signal))) {
      await emit(collector.take(deltas));
      // A model that goes on after the abort is not listened to; leaving the loop closes its stream.
      signal.throwIfAborted();
    }
  } catch (error) {
    fault = faultOf(error, signal);
    throw error;
  } finally {
    const { usage, finishReason, parts } = collector;
    options.usage.add(usage);
    scope.end({
      error: fault,
      finishReason,
      inputTokens: Number(usage.input_tokens),
      outputTokens: Number(usage.output_tokens),
      content: () => stringifyJson(parts),
    });
  }
  await emit(collector.end());
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
