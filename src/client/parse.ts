// Strict reading of what the server sends, by hand-written checks: an unknown type of event, an unknown key or a mistyped
// one is an error, as for the Python client (spec 01 §5, §8.3). What an agent event holds is passed on as it is.

import type { CancelRunResponse, CreateRunResponse, RunEvent, RunEventsResponse, RunStatusResponse } from './types.ts';

/** Says what is wrong with an answer. */
export class MalformedError extends Error {}

type Json = { readonly [key: string]: unknown };

const EVENT_KEYS: ReadonlySet<string> = new Set(['id', 'run_id', 'created_at', 'type', 'data']);
const STREAM_KEYS: ReadonlySet<string> = new Set(['agent_message_delta', 'terminal_output_delta']);
const DATA_KEYS: Readonly<Record<string, ReadonlySet<string>>> = {
  run_started: new Set(),
  run_succeeded: new Set(['session_snapshot', 'output', 'deferred_tool_call', 'usage']),
  run_failed: new Set(['error', 'error_type', 'reason', 'session_snapshot', 'usage']),
  run_cancelled: new Set(['reason', 'message', 'session_snapshot', 'usage']),
};
const STATUSES: ReadonlySet<unknown> = new Set(['running', 'succeeded', 'failed', 'cancelled']);

/** An event, from parsed JSON. `id`: the frame's, for a payload without one. Throws MalformedError. */
export function readEvent(value: unknown, id: string | null = null): RunEvent {
  const event = objectOf(value, 'event');
  const type = textOf(event, 'type');
  for (const key in event) {
    if (!(EVENT_KEYS.has(key) || (type === 'pydantic_ai_event' && STREAM_KEYS.has(key))))
      throw unknownKey(key, 'event');
  }
  textOf(event, 'run_id');
  textOf(event, 'created_at');
  const data = objectOf(event.data, 'data');
  if (type === 'pydantic_ai_event') textOf(data, 'event_kind');
  else readData(type, data);
  if (typeof event.id === 'string') return event as unknown as RunEvent; // every member was checked above
  if (event.id !== null && event.id !== undefined) throw new MalformedError('id must be a string');
  if (id === null) throw new MalformedError('an event without id');
  return { ...event, id } as unknown as RunEvent; // as above
}

function readData(type: string, data: Json): void {
  const keys = DATA_KEYS[type];
  if (keys === undefined) throw new MalformedError(`unknown event type ${JSON.stringify(type)}`);
  for (const key in data) if (!keys.has(key)) throw unknownKey(key, type);
  if (type === 'run_failed') textOf(data, 'error');
  if (type !== 'run_succeeded') return;
  readSnapshot(data.session_snapshot);
  if ('output' in data === 'deferred_tool_call' in data) {
    throw new MalformedError('Exactly one of output or deferred_tool_call must be set');
  }
  if (!('deferred_tool_call' in data)) return;
  const call = objectOf(data.deferred_tool_call, 'deferred_tool_call');
  textOf(call, 'tool_call_id');
  textOf(call, 'tool_name');
}

function readSnapshot(value: unknown): void {
  const { layers } = objectOf(value, 'session_snapshot');
  if (!Array.isArray(layers)) throw new MalformedError('session_snapshot.layers must be a list');
}

export function readCreated(value: unknown): CreateRunResponse {
  const answer = objectOf(value, 'answer');
  textOf(answer, 'run_id');
  statusOf(answer);
  return answer as unknown as CreateRunResponse; // checked above
}

export function readStatus(value: unknown): RunStatusResponse {
  const answer = objectOf(value, 'answer');
  for (const key of ['run_id', 'created_at', 'updated_at']) textOf(answer, key);
  statusOf(answer);
  const { error = null } = answer;
  if (error !== null && typeof error !== 'string') throw new MalformedError('error must be a string or null');
  return { ...answer, error } as unknown as RunStatusResponse; // checked above
}

export function readCancelled(value: unknown): CancelRunResponse {
  const answer = objectOf(value, 'answer');
  textOf(answer, 'run_id');
  if (answer.status !== 'cancelled') throw new MalformedError("status must be 'cancelled'");
  return answer as unknown as CancelRunResponse; // checked above
}

export function readPage(value: unknown): RunEventsResponse {
  const answer = objectOf(value, 'answer');
  const { events, next_cursor = null } = answer;
  if (!Array.isArray(events)) throw new MalformedError('events must be a list');
  if (next_cursor !== null && typeof next_cursor !== 'string') throw new MalformedError('next_cursor must be a string');
  return { run_id: textOf(answer, 'run_id'), events: events.map((event) => readEvent(event)), next_cursor };
}

function objectOf(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MalformedError(`${what} must be an object`);
  }
  return value as Json; // a JSON object
}

function textOf(object: Json, key: string): string {
  const value = object[key];
  if (typeof value !== 'string') throw new MalformedError(`${key} must be a string`);
  return value;
}

function statusOf(answer: Json): void {
  if (!STATUSES.has(answer.status)) throw new MalformedError('status is unknown');
}

function unknownKey(key: string, where: string): MalformedError {
  return new MalformedError(`unknown key ${JSON.stringify(key)} in ${where}`);
}
