// The event union of a strict client of June 2026 (spec 01 §5.1, §8.3; 06 §0.1, §3.1, §3.2, §4): exactly these keys,
// in exactly this order, whatever the values. Anything else would be a fatal parse error at the consumer.

type Plain = null | boolean | number | string | readonly Plain[] | { readonly [key: string]: Plain };
type PlainObject = { readonly [key: string]: Plain };

const PROVIDER = 'id,provider_name,provider_details';
const PARTS: Readonly<Record<string, string>> = {
  text: `content,${PROVIDER},part_kind`,
  thinking: 'content,id,signature,provider_name,provider_details,part_kind',
  'tool-call': `tool_name,args,tool_call_id,${PROVIDER},part_kind`,
  file: `content,${PROVIDER},part_kind`,
};
const RESULT_PARTS: Readonly<Record<string, string>> = {
  'tool-return': 'tool_name,content,tool_call_id,metadata,timestamp,outcome,part_kind',
  'retry-prompt': 'content,tool_name,tool_call_id,timestamp,part_kind',
};
const DELTAS: Readonly<Record<string, string>> = {
  text: 'content_delta,provider_name,provider_details,part_delta_kind',
  thinking: 'content_delta,signature_delta,provider_name,provider_details,part_delta_kind',
};
const STREAM_EVENTS: Readonly<Record<string, string>> = {
  part_start: 'index,part,previous_part_kind,event_kind',
  part_delta: 'index,delta,event_kind',
  part_end: 'index,part,next_part_kind,event_kind',
  final_result: 'tool_name,tool_call_id,event_kind',
  function_tool_call: 'part,args_valid,event_kind',
  function_tool_result: 'result,content,event_kind',
};
const SNAPSHOT = 'schema_version,layers';
const SNAPSHOT_LAYER = 'name,lifecycle_state,runtime_state';

/** The types that end a run. */
export const TERMINAL_TYPES: readonly string[] = ['run_succeeded', 'run_failed', 'run_cancelled'];

/** Throws when a frame would be fatal for a strict client. */
export function checkEvent(frame: { readonly id: string; readonly event: string; readonly data: string }): void {
  const event = JSON.parse(frame.data) as Plain; // JSON.parse yields exactly this
  const envelope = object('event', event, 'id,run_id,created_at,type,data');
  if (envelope.id !== frame.id) throw new Error(`payload id ${envelope.id} in frame ${frame.id}`);
  if (envelope.type !== frame.event) {
    throw new Error(`SSE event field '${frame.event}' does not match payload type '${envelope.type}'`);
  }
  checkTime('created_at', envelope.created_at);
  switch (envelope.type) {
    case 'run_started':
      object('data', envelope.data, '');
      return;
    case 'pydantic_ai_event':
      checkStreamEvent(envelope.data);
      return;
    case 'run_succeeded':
      checkSuccess(envelope.data);
      return;
    case 'run_failed':
      object('data', envelope.data, 'error,reason');
      return;
    case 'run_cancelled':
      object('data', envelope.data, 'reason,message');
      return;
    default:
      throw new Error(`unknown event type ${String(envelope.type)}`);
  }
}

function checkStreamEvent(data: Plain | undefined): void {
  const event = tagged('data', data, 'event_kind', STREAM_EVENTS);
  if (event.part !== undefined) tagged('part', event.part, 'part_kind', PARTS);
  if (event.delta !== undefined) tagged('delta', event.delta, 'part_delta_kind', DELTAS);
  if (event.result !== undefined) tagged('result', event.result, 'part_kind', RESULT_PARTS);
}

function checkSuccess(data: Plain | undefined): void {
  const keys = isObject(data) && 'output' in data ? 'output' : 'deferred_tool_call';
  const success = object('data', data, `session_snapshot,${keys}`);
  if (keys === 'deferred_tool_call') {
    object('deferred_tool_call', success.deferred_tool_call, 'tool_call_id,tool_name,args,metadata');
  }
  const snapshot = object('session_snapshot', success.session_snapshot, SNAPSHOT);
  if (!Array.isArray(snapshot.layers)) throw new Error('session_snapshot.layers is not a list');
  for (const layer of snapshot.layers as readonly Plain[]) object('layer', layer, SNAPSHOT_LAYER);
}

/** RFC 3339, UTC, six fraction digits or none (spec 01 §1.5). */
export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z$/;

/** Throws unless `value` is printed as every time on this wire. */
export function checkTime(what: string, value: unknown): void {
  if (typeof value !== 'string' || !TIME.test(value)) throw new Error(`${what} is not a time: ${String(value)}`);
}

function isObject(value: Plain | undefined): value is PlainObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function tagged(
  what: string,
  value: Plain | undefined,
  tag: string,
  choices: Readonly<Record<string, string>>,
): PlainObject {
  const kind = isObject(value) ? value[tag] : undefined;
  const keys = typeof kind === 'string' ? choices[kind] : undefined;
  if (keys === undefined) throw new Error(`${what} has the unknown ${tag} ${String(kind)}`);
  return object(`${what} (${kind})`, value, keys);
}

function object(what: string, value: Plain | undefined, keys: string): PlainObject {
  if (!isObject(value)) throw new Error(`${what} is not an object`);
  const actual = Object.keys(value).join(',');
  if (actual !== keys) throw new Error(`${what} has the keys ${actual} instead of ${keys}`);
  return value;
}
