// The `data` of a run's stream events (spec 06 §3, §4), as a reader of any vintage sees it: members that the client checks
// are there, the others may be missing. Written out instead of derived from the server's schemas, so that users do not get
// those with it; test/client/wire.types.ts holds the two together.

import type { JsonObject, JsonValue } from './json.ts';

/** Where a part comes from. */
interface Provided {
  readonly id?: string | null;
  readonly provider_name?: string | null;
  readonly provider_details?: JsonObject | null;
}

export interface TextPart extends Provided {
  readonly part_kind: 'text';
  readonly content: string;
}

export interface ThinkingPart extends Provided {
  readonly part_kind: 'thinking';
  readonly content: string;
  readonly signature?: string | null;
}

export interface ToolCallPart extends Provided {
  readonly part_kind: 'tool-call';
  readonly tool_name: string;
  readonly tool_call_id: string;
  /** JSON text, or an object. */
  readonly args?: string | JsonObject | null;
}

export interface FilePart extends Provided {
  readonly part_kind: 'file';
  /** Base64 in `data`. */
  readonly content: { readonly data: string; readonly media_type: string; readonly [other: string]: JsonValue };
}

/** Parts that models behind the plugin daemon do not produce. */
export interface OtherPart extends Provided {
  readonly part_kind: 'builtin-tool-call' | 'builtin-tool-return' | 'compaction';
}

export type ResponsePart = TextPart | ThinkingPart | ToolCallPart | FilePart | OtherPart;
export type PartKind = ResponsePart['part_kind'];

export interface ToolReturnPart {
  readonly part_kind: 'tool-return';
  readonly tool_name: string;
  readonly tool_call_id: string;
  readonly content: JsonValue;
  readonly metadata?: JsonValue;
  readonly timestamp?: string;
  readonly outcome?: 'success' | 'failed' | 'denied';
}

/** The model is asked to correct a call. */
export interface RetryPromptPart {
  readonly part_kind: 'retry-prompt';
  readonly tool_name?: string | null;
  readonly tool_call_id: string;
  /** What was wrong, as a text or as a list of faults. */
  readonly content: JsonValue;
  readonly timestamp?: string;
}

export interface TextPartDelta {
  readonly part_delta_kind: 'text';
  readonly content_delta: string;
  readonly provider_name?: string | null;
  readonly provider_details?: JsonObject | null;
}

export interface ThinkingPartDelta {
  readonly part_delta_kind: 'thinking';
  readonly content_delta?: string | null;
  readonly signature_delta?: string | null;
  readonly provider_name?: string | null;
  readonly provider_details?: JsonObject | null;
}

/** A piece of a tool call. Models behind the plugin daemon call tools in one piece; others may not. */
export interface ToolCallPartDelta {
  readonly part_delta_kind: 'tool_call';
  readonly tool_name_delta?: string | null;
  readonly args_delta?: string | JsonObject | null;
  readonly tool_call_id?: string | null;
  /** Never there; so that a reader of text need not ask for the kind. */
  readonly content_delta?: never;
}

export interface PartStartEvent {
  readonly event_kind: 'part_start';
  /** Of the part in the model's present answer. */
  readonly index: number;
  readonly part: ResponsePart;
  readonly previous_part_kind?: PartKind | null;
}

export interface PartDeltaEvent {
  readonly event_kind: 'part_delta';
  readonly index: number;
  readonly delta: TextPartDelta | ThinkingPartDelta | ToolCallPartDelta;
}

export interface PartEndEvent {
  readonly event_kind: 'part_end';
  readonly index: number;
  readonly part: ResponsePart;
  readonly next_part_kind?: PartKind | null;
}

/** From here on the answer is the run's output. */
export interface FinalResultEvent {
  readonly event_kind: 'final_result';
  readonly tool_name?: string | null;
  readonly tool_call_id?: string | null;
}

export interface ToolCallEvent {
  /** `output_tool_call`: newer servers, for a tool that the model answers through. */
  readonly event_kind: 'function_tool_call' | 'output_tool_call';
  readonly part: ToolCallPart;
  /** Null when the arguments were not validated. */
  readonly args_valid?: boolean | null;
}

/** What came of a tool call: under `result` from older servers, under `part` from newer ones (spec 01 §8.3). */
export type ToolResultEvent = {
  readonly event_kind: 'function_tool_result' | 'output_tool_result';
  readonly content?: JsonValue;
} & (
  | { readonly result: ToolReturnPart | RetryPromptPart; readonly part?: never }
  | { readonly part: ToolReturnPart | RetryPromptPart; readonly result?: never }
);

/** The `data` of a stream event. Newer servers may send kinds that are not listed: have a default branch. */
export type StreamEventData =
  | PartStartEvent
  | PartDeltaEvent
  | PartEndEvent
  | FinalResultEvent
  | ToolCallEvent
  | ToolResultEvent;
