// Strict reading of what the server sends, by hand-written checks: an unknown type of event, an unknown key or a mistyped
// one is an error, as for the Python client (spec 01 §5, §8.3). Of an agent's event what this library reads is checked; kinds
// that it does not know are passed on, because newer servers have more of them.

import { mayRound, parseExactly } from './exact.ts';
import type {
  CancelRunResponse,
  CreateRunResponse,
  RunEvent,
  RunEventsResponse,
  RunStatusResponse,
  TerminalEvent,
} from './types.ts';

type Json = { readonly [key: string]: unknown };
type Keys = ReadonlySet<string>;

const DATA_KEYS: ReadonlyMap<string, Keys> = new Map([
  ['run_started', new Set()],
  ['run_succeeded', new Set(['session_snapshot', 'output', 'deferred_tool_call', 'usage'])],
  ['run_failed', new Set(['error', 'error_type', 'reason', 'session_snapshot', 'usage'])],
  ['run_cancelled', new Set(['reason', 'message', 'session_snapshot', 'usage'])],
]);
const SNAPSHOT_KEYS: Keys = new Set(['schema_version', 'layers']);
const LAYER_KEYS: Keys = new Set(['name', 'lifecycle_state', 'runtime_state']);
const CALL_KEYS: Keys = new Set(['tool_call_id', 'tool_name', 'args', 'metadata']);
const STATUSES: ReadonlySet<unknown> = new Set(['running', 'succeeded', 'failed', 'cancelled']);

/** An event, from parsed JSON and its text. `id`: the frame's, for a payload without one. Throws an Error that says why not. */
export function readEvent(value: unknown, text: string, id: string | null = null): RunEvent {
  const event = checkedEvent(value, id);
  return hasSnapshot(event) && mayRound(text) ? withSnapshot(event, parseExactly(text)) : event;
}

export function readPage(value: unknown, text: string): RunEventsResponse {
  const answer = objectOf(value, 'answer');
  const next_cursor = nullableText(answer, 'next_cursor');
  const run_id = textOf(answer, 'run_id');
  const events = listOf(answer, 'events').map((event) => checkedEvent(event, null));
  if (!(events.some(hasSnapshot) && mayRound(text))) return { run_id, events, next_cursor };
  // The same text, so the same places.
  const { events: exact } = parseExactly(text) as { readonly events: readonly unknown[] };
  const kept = events.map((event, index) => (hasSnapshot(event) ? withSnapshot(event, exact[index]) : event));
  return { run_id, events: kept, next_cursor };
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
  return { ...answer, error: nullableText(answer, 'error') } as unknown as RunStatusResponse; // checked above
}

export function readCancelled(value: unknown): CancelRunResponse {
  const answer = objectOf(value, 'answer');
  textOf(answer, 'run_id');
  if (answer.status !== 'cancelled') throw new Error("status must be 'cancelled'");
  return answer as unknown as CancelRunResponse; // checked above
}

function checkedEvent(value: unknown, id: string | null): RunEvent {
  const event = objectOf(value, 'event');
  const type = textOf(event, 'type');
  const streamed = type === 'pydantic_ai_event';
  for (const key in event) if (!isEventKey(key, streamed)) throw unknownKey(key, 'event');
  textOf(event, 'run_id');
  textOf(event, 'created_at');
  const data = objectOf(event.data, 'data');
  if (streamed) {
    nullableText(event, 'agent_message_delta');
    nullableText(event, 'terminal_output_delta');
    checkStreamed(data);
  } else checkData(type, data);
  // An empty one is none: as a cursor it would mean the beginning.
  if (nullableText(event, 'id')) return event as unknown as RunEvent; // every member was checked above
  if (!id) throw new Error('an event without id');
  return { ...event, id } as unknown as RunEvent; // as above
}

/** A switch, because this is asked for every key of every event. */
function isEventKey(key: string, streamed: boolean): boolean {
  switch (key) {
    case 'id':
    case 'run_id':
    case 'created_at':
    case 'type':
    case 'data':
      return true;
    case 'agent_message_delta':
    case 'terminal_output_delta':
      return streamed;
    default:
      return false;
  }
}

function checkData(type: string, data: Json): void {
  const keys = DATA_KEYS.get(type);
  if (keys === undefined) throw new Error(`unknown event type ${JSON.stringify(type)}`);
  onlyKeys(data, keys, type);
  if (type === 'run_started') return;
  if (type === 'run_failed') textOf(data, 'error');
  for (const key of ['reason', 'message', 'error_type']) nullableText(data, key);
  if (data.usage !== undefined && data.usage !== null) objectOf(data.usage, 'usage');
  if (type === 'run_succeeded') checkSuccess(data);
  else if (data.session_snapshot !== undefined && data.session_snapshot !== null) checkSnapshot(data.session_snapshot);
}

function checkSuccess(data: Json): void {
  checkSnapshot(data.session_snapshot);
  if ('output' in data === 'deferred_tool_call' in data) {
    throw new Error('Exactly one of output or deferred_tool_call must be set');
  }
  if (!('deferred_tool_call' in data)) return;
  const call = objectOf(data.deferred_tool_call, 'deferred_tool_call');
  onlyKeys(call, CALL_KEYS, 'deferred_tool_call');
  textOf(call, 'tool_call_id');
  textOf(call, 'tool_name');
}

function checkSnapshot(value: unknown): void {
  const snapshot = objectOf(value, 'session_snapshot');
  onlyKeys(snapshot, SNAPSHOT_KEYS, 'session_snapshot');
  for (const entry of listOf(snapshot, 'layers')) {
    const layer = objectOf(entry, 'layer');
    onlyKeys(layer, LAYER_KEYS, 'layer');
    textOf(layer, 'name');
    textOf(layer, 'lifecycle_state');
    objectOf(layer.runtime_state, 'runtime_state');
  }
}

function checkStreamed(data: Json): void {
  switch (textOf(data, 'event_kind')) {
    case 'part_delta': {
      indexOf(data);
      const delta = objectOf(data.delta, 'delta');
      if (textOf(delta, 'part_delta_kind') === 'text') textOf(delta, 'content_delta');
      else nullableText(delta, 'content_delta');
      return;
    }
    case 'part_start':
    case 'part_end': {
      indexOf(data);
      const part = objectOf(data.part, 'part');
      const kind = textOf(part, 'part_kind');
      if (kind === 'text' || kind === 'thinking') textOf(part, 'content');
      return;
    }
    case 'function_tool_call':
    case 'output_tool_call': {
      const part = objectOf(data.part, 'part');
      textOf(part, 'tool_name');
      textOf(part, 'tool_call_id');
      return;
    }
    // Older servers say `result`, newer ones `part`.
    case 'function_tool_result':
    case 'output_tool_result': {
      const part = objectOf(data.part ?? data.result, 'result');
      textOf(part, 'part_kind');
      textOf(part, 'tool_call_id');
      nullableText(part, 'tool_name');
    }
  }
}

function hasSnapshot(event: RunEvent): event is TerminalEvent {
  return event.type !== 'pydantic_ai_event' && event.type !== 'run_started' && event.data.session_snapshot != null;
}

/** The event with the snapshot of the same event that was parsed exactly. */
function withSnapshot(event: TerminalEvent, exact: unknown): RunEvent {
  const { data } = exact as TerminalEvent; // the text was checked as `event`; only numbers differ
  return { ...event, data: { ...event.data, session_snapshot: data.session_snapshot } } as RunEvent; // as above
}

function objectOf(value: unknown, what: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${what} must be an object`);
  return value as Json; // a JSON object
}

function listOf(object: Json, key: string): readonly unknown[] {
  const value = object[key];
  if (!Array.isArray(value)) throw new Error(`${key} must be a list`);
  return value;
}

function textOf(object: Json, key: string): string {
  const value = object[key];
  if (typeof value !== 'string') throw new Error(`${key} must be a string`);
  return value;
}

function nullableText(object: Json, key: string): string | null {
  return object[key] == null ? null : textOf(object, key);
}

function indexOf(object: Json): void {
  if (typeof object.index !== 'number') throw new Error('index must be a number');
}

function statusOf(answer: Json): void {
  if (!STATUSES.has(answer.status)) throw new Error('status is unknown');
}

function onlyKeys(object: Json, keys: Keys, where: string): void {
  for (const key in object) if (!keys.has(key)) throw unknownKey(key, where);
}

function unknownKey(key: string, where: string): Error {
  return new Error(`unknown key ${JSON.stringify(key)} in ${where}`);
}
