// Events: what a run publishes (spec 01 §4, §5; 06 §4). Field order is print order; every field is always printed,
// null included, because strict clients reject what they do not know and nothing else may vary.

import type { JsonValue } from '../base/json.ts';
import type {
  FilePart,
  PartKind,
  ResponsePart,
  RetryPromptPart,
  TextPart,
  ThinkingPart,
  ToolCallPart,
  ToolReturnPart,
} from './messages.ts';
import type { SessionSnapshot } from './runs.ts';

export interface TextPartDelta {
  readonly content_delta: string;
  readonly provider_name: null;
  readonly provider_details: null;
  readonly part_delta_kind: 'text';
}

export interface ThinkingPartDelta {
  readonly content_delta: string;
  readonly signature_delta: null;
  readonly provider_name: null;
  readonly provider_details: null;
  readonly part_delta_kind: 'thinking';
}

export interface PartStartEvent {
  readonly index: number;
  readonly part: ResponsePart;
  readonly previous_part_kind: PartKind | null;
  readonly event_kind: 'part_start';
}

export interface PartDeltaEvent {
  readonly index: number;
  readonly delta: TextPartDelta | ThinkingPartDelta;
  readonly event_kind: 'part_delta';
}

export interface PartEndEvent {
  readonly index: number;
  readonly part: TextPart | ThinkingPart | ToolCallPart;
  readonly next_part_kind: PartKind | null;
  readonly event_kind: 'part_end';
}

export interface FinalResultEvent {
  readonly tool_name: string | null;
  readonly tool_call_id: string | null;
  readonly event_kind: 'final_result';
}

export interface FunctionToolCallEvent {
  readonly part: ToolCallPart;
  /** True, false, or null when the arguments were not validated. */
  readonly args_valid: boolean | null;
  readonly event_kind: 'function_tool_call';
}

/** Dialect A of spec 06 §0: the key is `result`. `Wire` renames it to `part` for vintage 2026-08. */
export interface FunctionToolResultEvent {
  readonly result: ToolReturnPart | RetryPromptPart;
  readonly content: null;
  readonly event_kind: 'function_tool_result';
}

/** The `data` of a `pydantic_ai_event`. */
export type AgentStreamEvent =
  | PartStartEvent
  | PartDeltaEvent
  | PartEndEvent
  | FinalResultEvent
  | FunctionToolCallEvent
  | FunctionToolResultEvent;

export type { FilePart };

/** A call that a human (or another system) answers before the agent goes on. */
export interface DeferredToolCall {
  readonly tool_call_id: string;
  readonly tool_name: string;
  readonly args: JsonValue;
  readonly metadata: JsonValue;
}

/** How a successful run ended: exactly one of the two. */
export type RunResult = { readonly output: JsonValue } | { readonly deferred_tool_call: DeferredToolCall };

/** Token totals of a run; printed only in vintage 2026-08 (spec 01 §5.3). */
export interface RunUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** What a run can publish, before it is encoded for a vintage. */
export type RunEvent =
  | { readonly type: 'run_started' }
  | { readonly type: 'pydantic_ai_event'; readonly data: AgentStreamEvent }
  | {
      readonly type: 'run_succeeded';
      readonly snapshot: SessionSnapshot;
      readonly result: RunResult;
      readonly usage: RunUsage | null;
    }
  | {
      readonly type: 'run_failed';
      readonly error: string;
      readonly reason: string | null;
      readonly errorType: string | null;
      readonly snapshot: SessionSnapshot | null;
      readonly usage: RunUsage | null;
    }
  | {
      readonly type: 'run_cancelled';
      readonly reason: string | null;
      readonly message: string | null;
      readonly snapshot: SessionSnapshot | null;
      readonly usage: RunUsage | null;
    };

export type RunEventType = RunEvent['type'];
export const TERMINAL_EVENT_TYPES = ['run_succeeded', 'run_failed', 'run_cancelled'] as const;
export type TerminalEvent = Extract<RunEvent, { type: (typeof TERMINAL_EVENT_TYPES)[number] }>;
