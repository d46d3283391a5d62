// What the client sends and receives. Requests are typed as callers write them (fields with defaults may be left out),
// events as a union that narrows by `type`. Types only: nothing of the server is in the bundle.

import type {
  AgentStreamEvent,
  FunctionToolCallEvent,
  FunctionToolResultEvent,
  PartDeltaEvent,
} from '../protocol/events.ts';
import type { LifecycleState, RunRecord, RunStatus, TerminalStatus } from '../protocol/runs.ts';

export type { RunStatus, TerminalStatus };

/** What JSON.parse yields. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/**
 * What resumes an agent. Opaque: keep it as it came, or as JSON. Integers beyond 2^53 in it are `JSON.rawJSON` objects, which
 * JSON.stringify prints as they were; structuredClone would spoil them.
 */
export interface SessionSnapshot {
  readonly schema_version: number;
  readonly layers: readonly {
    readonly name: string;
    readonly lifecycle_state: LifecycleState;
    readonly runtime_state: JsonObject;
  }[];
}

/** A question that a run ended with; its answer goes into the next run's `deferred_tool_results`. */
export interface DeferredToolCall {
  readonly tool_call_id: string;
  readonly tool_name: string;
  readonly args: JsonValue;
  readonly metadata: JsonValue;
}

export type ExitIntent = 'suspend' | 'delete';

/** One layer of a composition. builders.ts has a typed function for each type. */
export interface LayerSpec {
  readonly name: string;
  readonly type: string;
  readonly deps?: Readonly<Record<string, string>>;
  readonly metadata?: JsonObject;
  readonly config?: JsonValue;
}

export interface Composition {
  readonly schema_version?: 1;
  readonly layers: readonly LayerSpec[];
}

/** Answers to the questions that the previous run ended with, by tool call id. */
export interface DeferredToolResults {
  readonly calls?: Readonly<Record<string, JsonValue>>;
  readonly metadata?: Readonly<Record<string, JsonObject>>;
}

/** The body of `POST /runs`. */
export interface CreateRunRequest {
  readonly composition: Composition;
  readonly purpose?: 'workflow_node' | 'single_step' | 'agent_app' | 'babysit' | 'fasten_preview';
  /** The same key with the same request answers with the run that it created before. */
  readonly idempotency_key?: string | null;
  readonly metadata?: JsonObject;
  readonly session_snapshot?: SessionSnapshot | null;
  readonly deferred_tool_results?: DeferredToolResults | null;
  readonly on_exit?: { readonly default?: ExitIntent; readonly layers?: Readonly<Record<string, ExitIntent>> };
}

export interface CreateRunResponse {
  readonly run_id: string;
  readonly status: RunStatus;
}

/** Newer servers add `error_type`. */
export type RunStatusResponse = RunRecord & { readonly error_type?: string | null };

export interface CancelRunRequest {
  /** For programs. */
  readonly reason?: string | null;
  /** For people. */
  readonly message?: string | null;
}

export interface CancelRunResponse {
  readonly run_id: string;
  readonly status: 'cancelled';
}

/** What a run's model calls cost; newer servers only. Prices are decimal texts. */
export interface Usage {
  readonly prompt_tokens?: number;
  readonly completion_tokens?: number;
  readonly total_tokens?: number;
  readonly [other: string]: JsonValue | undefined;
}

interface Envelope {
  /** The cursor after this event. */
  readonly id: string;
  readonly run_id: string;
  /** RFC 3339, the producer's clock. */
  readonly created_at: string;
}

/** The event of a tool's result, under the key of either dialect (spec 01 §8.3). */
export type ToolResultEvent = FunctionToolResultEvent | Newer<FunctionToolResultEvent>;
type Newer<T extends { readonly result: unknown }> = Omit<T, 'result'> & { readonly part: T['result'] };

/** A piece of a tool call. Models behind the plugin daemon call tools in one piece; others may not. */
export interface ToolCallPartDelta {
  readonly part_delta_kind: 'tool_call';
  readonly tool_name_delta?: string | null;
  readonly args_delta?: string | JsonObject | null;
  readonly tool_call_id?: string | null;
  /** Never there; so that a reader of text need not ask for the kind. */
  readonly content_delta?: never;
}

/** A piece of a part. */
export type PartDelta = Omit<PartDeltaEvent, 'delta'> & {
  readonly delta: PartDeltaEvent['delta'] | ToolCallPartDelta;
};

/** Newer servers: the model answers through an output tool. */
export type OutputToolCallEvent = Omit<FunctionToolCallEvent, 'event_kind'> & {
  readonly event_kind: 'output_tool_call';
};
export type OutputToolResultEvent = {
  readonly part: FunctionToolResultEvent['result'];
  readonly event_kind: 'output_tool_result';
};

/** The `data` of a stream event. Newer servers may send kinds that are not listed: have a default branch. */
export type StreamEventData =
  | Exclude<AgentStreamEvent, FunctionToolResultEvent | PartDeltaEvent>
  | PartDelta
  | ToolResultEvent
  | OutputToolCallEvent
  | OutputToolResultEvent;

export interface RunStartedEvent extends Envelope {
  readonly type: 'run_started';
  readonly data: Readonly<Record<string, never>>;
}

export interface StreamEvent extends Envelope {
  readonly type: 'pydantic_ai_event';
  readonly data: StreamEventData;
  /** Newer servers: text spoken before or between tools, and of the final answer. */
  readonly agent_message_delta?: string | null;
  readonly terminal_output_delta?: string | null;
}

/** A success has an output, or a question that is to be answered: exactly one of the two keys is there. */
export interface RunSucceededEvent extends Envelope {
  readonly type: 'run_succeeded';
  readonly data: { readonly session_snapshot: SessionSnapshot; readonly usage?: Usage | null } & (
    | { readonly output: JsonValue; readonly deferred_tool_call?: never }
    | { readonly deferred_tool_call: DeferredToolCall; readonly output?: never }
  );
}

export interface RunFailedEvent extends Envelope {
  readonly type: 'run_failed';
  readonly data: {
    readonly error: string;
    readonly reason?: string | null;
    readonly error_type?: string | null;
    readonly session_snapshot?: SessionSnapshot | null;
    readonly usage?: Usage | null;
  };
}

export interface RunCancelledEvent extends Envelope {
  readonly type: 'run_cancelled';
  readonly data: {
    readonly reason?: string | null;
    readonly message?: string | null;
    readonly session_snapshot?: SessionSnapshot | null;
    readonly usage?: Usage | null;
  };
}

export type TerminalEvent = RunSucceededEvent | RunFailedEvent | RunCancelledEvent;
export type RunEvent = RunStartedEvent | StreamEvent | TerminalEvent;

export interface RunEventsResponse {
  readonly run_id: string;
  readonly events: readonly RunEvent[];
  readonly next_cursor: string | null;
}

/** Whether a run ends with this event. */
export function isTerminal(event: RunEvent): event is TerminalEvent {
  return event.type === 'run_succeeded' || event.type === 'run_failed' || event.type === 'run_cancelled';
}
