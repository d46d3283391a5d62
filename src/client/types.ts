// What the client sends and receives. Requests are typed as callers write them (fields with defaults may be left out),
// events as a union that narrows by `type`. Nothing is imported from the server: test/client/wire.types.ts holds the two
// together.

import type { JsonObject, JsonValue } from './json.ts';
import type { StreamEventData } from './stream-events.ts';

export type { JsonObject, JsonValue } from './json.ts';
export type * from './stream-events.ts';

export type RunStatus = 'running' | TerminalStatus;
export type TerminalStatus = 'succeeded' | 'failed' | 'cancelled';
/** `active` is never in a snapshot. */
export type LifecycleState = 'new' | 'active' | 'suspended' | 'closed';

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

export interface RunStatusResponse {
  readonly run_id: string;
  readonly status: RunStatus;
  /** RFC 3339, as `updated_at`. */
  readonly created_at: string;
  readonly updated_at: string;
  /** Why a run failed or was cancelled. */
  readonly error: string | null;
  /** Newer servers. */
  readonly error_type?: string | null;
}

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
