// What answering tool calls needs, and how a failed call is counted. Shared by the calls' groups and the queue.

import type { AgentStreamEvent } from '../protocol/events.ts';
import type { FinishReason, ToolCallPart } from '../protocol/messages.ts';
import type { RetryCounters } from './retry-counters.ts';
import type { Toolset } from './toolset.ts';

/** What answering the calls of one response needs. */
export interface ToolCallDeps {
  readonly toolset: Toolset;
  readonly counters: RetryCounters;
  readonly finishReason: FinishReason | null;
  /** The `max_tokens` setting for error texts, or null. */
  readonly maxTokens: string | null;
  /** RFC 3339 of now. */
  readonly now: () => string;
  readonly emit: (events: readonly AgentStreamEvent[]) => Promise<void>;
  readonly signal: AbortSignal;
}

/** The deps, and how a failed call is counted. */
export interface CallContext extends ToolCallDeps {
  /**
   * Counts a failure of the call's tool. When it has no retry left, runs `announce` and throws what ends the run; a
   * response that was cut at its token limit is told apart and not announced (spec 06 §8.1, §8.3).
   */
  noteFailure(call: ToolCallPart, announce: () => void): void;
}
