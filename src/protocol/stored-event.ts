// From a stored event to the text that readers get: the id is spliced in front of the payload without parsing it when
// the payload starts exactly as our encoder writes it (design §3). Another implementation may share the store, so
// anything else is parsed, put in order or given up (spec 01 §6, §10.16). Framing as SSE is server/'s.

import { rfc3339 } from '../base/clock.ts';
import type { EventId } from '../base/cursor.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { parseJson, stringifyJson } from '../wiretext/json.ts';
import type { RunEventType } from './events.ts';
import type { Wire } from './wire.ts';

const EVENT_TYPES: ReadonlySet<string> = new Set<RunEventType>([
  'run_started',
  'pydantic_ai_event',
  'run_succeeded',
  'run_failed',
  'run_cancelled',
]);

/** Our time texts have 20 or 27 characters (spec 01 §1.5); Python's with an offset up to 32. */
const MAX_TIME_LENGTH = 40;
/** The longest event type. */
const MAX_TYPE_LENGTH = 20;

/** An event as readers see it. */
export interface EventText {
  readonly type: RunEventType;
  /** One line of JSON with `id` in front; no raw U+0085, U+2028, U+2029. */
  readonly json: string;
}

/** Reads the stored events of one run. */
export interface StoredEventReader {
  /** Null: the payload is no event; skip it and log its id. */
  read(event: { readonly id: EventId; readonly payload: string }): EventText | null;
}

/**
 * A reader for the events of `runId`; make one per page or stream. `wire`: whose clients read. What newer vintages add to
 * payloads is left out where they would refuse it.
 */
export function storedEventReader(runId: string, wire: Pick<Wire, 'newerKeys'>): StoredEventReader {
  const runKey = `"run_id":${JSON.stringify(runId)}`;
  const ours = `{${runKey},"created_at":"`;
  return {
    read({ id, payload }) {
      if (payload.startsWith(ours)) {
        const type = typeAfter(payload, ours.length);
        if (type !== null && (wire.newerKeys || !hasNewerKeys(type, payload))) {
          return { type, json: escapeLineBreaks(`{"id":"${id}",${payload.slice(1)}`) };
        }
      }
      return repair(id, runKey, payload, wire.newerKeys);
    },
  };
}

/** The keys of `data` that clients of the seed know, where later vintages have more (spec 01 §5.1). */
const SEED_KEYS: Readonly<Partial<Record<RunEventType, readonly string[]>>> = {
  run_succeeded: ['session_snapshot', 'output', 'deferred_tool_call'],
  run_failed: ['error', 'reason'],
  run_cancelled: ['reason', 'message'],
};
/** Longer than any `usage` object (spec 01 §5.2). */
const USAGE_TAIL = 1_000;

/** Whether a payload may hold keys behind `data`, or in it, that the seed does not have. Never false for one that does. */
function hasNewerKeys(type: RunEventType, payload: string): boolean {
  if (!payload.endsWith('}}')) return true;
  if (type === 'run_failed' || type === 'run_cancelled')
    return /"(?:error_type|session_snapshot|usage)":/.test(payload);
  return type === 'run_succeeded' && /,"usage":(?:null|\{[^{}]*\})\}\}$/.test(payload.slice(-USAGE_TAIL));
}

/** The type of a stored payload, null when it is no event. For those who need no text, such as a subscription. */
export function storedEventType(payload: string): RunEventType | null {
  const at = payload.indexOf('","created_at":"');
  if (payload.startsWith('{"run_id":"') && at !== -1 && payload.lastIndexOf('"', at - 1) === 10) {
    const type = typeAfter(payload, at + 16);
    if (type !== null) return type;
  }
  return repair('0-0', '"run_id":""', payload, true)?.type ?? null;
}

/** True for the events that end a run. */
export function isTerminalType(type: RunEventType): boolean {
  return type !== 'pydantic_ai_event' && type !== 'run_started';
}

/** Writes U+0085, U+2028 and U+2029 as escapes: clients of the seed split lines at them (spec 01 §8.3). JSON text only. */
export function escapeLineBreaks(json: string): string {
  return /[\u0085\u2028\u2029]/.test(json) ? json.replace(/[\u0085\u2028\u2029]/g, escapeUnit) : json;
}

function escapeUnit(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** `…created_at":"` ends at `start`; expects `<time>","type":"<type>","data":{…}`. */
function typeAfter(payload: string, start: number): RunEventType | null {
  const timeEnd = payload.indexOf('"', start);
  // `Z`, as we and the reference print it; other offsets are put right by `repair`.
  if (timeEnd - start > MAX_TIME_LENGTH || !payload.startsWith('Z","type":"', timeEnd - 1)) return null;
  const typeStart = timeEnd + 10;
  const typeEnd = payload.indexOf('"', typeStart);
  if (typeEnd === -1 || typeEnd - typeStart > MAX_TYPE_LENGTH) return null;
  const type = payload.slice(typeStart, typeEnd);
  if (!isEventType(type) || !payload.startsWith('","data":{', typeEnd) || !payload.endsWith('}')) return null;
  return type;
}

function isEventType(type: unknown): type is RunEventType {
  return typeof type === 'string' && EVENT_TYPES.has(type);
}

/**
 * What another implementation wrote: ids overridden, keys in the wire's order, unknown ones dropped, times in UTC with
 * `Z`, a missing time taken from the event id. Null when there is no known type or no data.
 */
function repair(id: EventId, runKey: string, payload: string, newerKeys: boolean): EventText | null {
  const parsed = parseJson(payload);
  if (!parsed.ok || !isJsonObject(parsed.value)) return null;
  const { type, data, created_at: createdAt, agent_message_delta: delta } = parsed.value;
  if (!isEventType(type)) return null;
  const body = data ?? (type === 'run_started' ? {} : null);
  const time = createdAt === undefined ? timeOfId(id) : utcTime(createdAt);
  if (!isJsonObject(body) || time === null) return null;
  const known = newerKeys ? body : onlyKeys(body, SEED_KEYS[type]);
  const tail: JsonObject = !newerKeys || delta === undefined || delta === null ? {} : { agent_message_delta: delta };
  const rest = stringifyJson({ created_at: time, type, data: known, ...tail });
  return { type, json: escapeLineBreaks(`{"id":${JSON.stringify(id)},${runKey},${rest.slice(1)}`) };
}

function onlyKeys(object: JsonObject, keys: readonly string[] | undefined): JsonObject {
  if (keys === undefined) return object;
  return Object.fromEntries(keys.flatMap((key) => (object[key] === undefined ? [] : [[key, object[key]]])));
}

/** RFC 3339 of the store's clock, which an id begins with. */
function timeOfId(id: EventId): string {
  const millis = Number(id.slice(0, id.indexOf('-')));
  return rfc3339(Math.min(millis, MAX_MILLIS) * 1000);
}

/** 9999-12-31T23:59:59Z: the last second that clients can read. */
const MAX_MILLIS = 253_402_300_799_000;

const TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+-]\d\d:?\d\d)$/;

/** RFC 3339 in UTC with `Z`; null when it is no time. */
function utcTime(value: JsonValue): string | null {
  const match = typeof value === 'string' && value.length <= MAX_TIME_LENGTH ? TIME.exec(value) : null;
  if (match === null) return null;
  const [, date, time, zone = 'Z'] = match;
  if (zone === 'Z' || /^[+-]00:?00$/.test(zone)) return `${date}T${time}Z`;
  const millis = Date.parse(`${date}T${time}${zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone}`);
  return Number.isNaN(millis) ? null : rfc3339(millis * 1000);
}
