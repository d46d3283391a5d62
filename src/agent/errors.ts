// What ends an agent run other than an answer. The texts are the reference's (spec 06 §16); peers show them to people.

import { CodedError } from '../base/errors.ts';

/** The loop cannot go on; `message` is `run_failed.error`. */
export class AgentError extends CodedError {}

/** Spec 06 §10: model requests per run. */
export const REQUEST_LIMIT = 50;

/** Calls in one response (spec 06 §18.8). Ours: the reference has no limit; no model comes near. */
export const MAX_CALLS_PER_RESPONSE = 128;

/** Messages of a stored history (spec 06 §18.8). Ours: a session of hundreds of turns with tools stays below. */
export const MAX_HISTORY_MESSAGES = 20_000;

const RAISE_MAX_TOKENS =
  'Increase the `max_tokens` model setting, or simplify the prompt to result in a shorter response that will fit within the limit.';

export const agentErrors = {
  requestLimit: () =>
    new AgentError('request_limit', `The next request would exceed the request_limit of ${REQUEST_LIMIT}`),
  outputRetries: () => new AgentError('output_retries', 'Exceeded maximum retries (1) for output validation'),
  toolRetries: (tool: string) => new AgentError('tool_retries', `Tool '${tool}' exceeded max retries count of 1`),
  /** `maxTokens`: the setting, or null for the provider's default. */
  lengthBeforeResponse: (maxTokens: string | null) =>
    new AgentError(
      'token_limit',
      `Model token limit (${maxTokens ?? 'provider default'}) exceeded before any response was generated. ${RAISE_MAX_TOKENS}`,
    ),
  lengthInToolCall: (maxTokens: string | null) =>
    new AgentError(
      'token_limit',
      `Model token limit (${maxTokens ?? 'provider default'}) exceeded while generating a tool call, resulting in incomplete arguments. ${RAISE_MAX_TOKENS}`,
    ),
  contentFilter: (body: string) => new AgentError('content_filter', `Content filter triggered., body:\n${body}`),
  unprocessedToolCalls: () =>
    new AgentError(
      'unprocessed_tool_calls',
      'Cannot provide a new user prompt when the message history contains unprocessed tool calls.',
    ),
  duplicateTools: (names: readonly string[]) =>
    new AgentError(
      'duplicate_tools',
      `Agent run requires unique tool names across all layers, got duplicates: ${[...names].sort().join(', ')}.`,
    ),
  tooManyCalls: (count: number) =>
    new AgentError(
      'too_many_calls',
      `The model made ${count} tool calls in one response; at most ${MAX_CALLS_PER_RESPONSE} are allowed.`,
    ),
  historyTooLong: (count: number) =>
    new AgentError(
      'history_too_long',
      `The stored history has ${count} messages; at most ${MAX_HISTORY_MESSAGES} are allowed.`,
    ),
  resume: (text: string) => new AgentError('deferred_results', text),
} as const;
