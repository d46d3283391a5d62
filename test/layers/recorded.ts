// What the recorded traces say about tools that layers bring: definitions as the daemon got them, the model's calls, and
// what became of each call.

import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import { isJsonObject } from '../../src/base/json.ts';
import { parseJson } from '../../src/wiretext/json.ts';

const FOLDER = new URL('../fixtures/reference/', import.meta.url);

/** A call and its end: `valid` as in the event, `retry` what the model was told. */
export interface RecordedCall {
  readonly args: string;
  readonly valid: boolean | null;
  readonly retry: JsonValue;
}

export interface RecordedRun {
  readonly name: string;
  /** Config by layer type, of the run's composition. */
  config(type: string): JsonValue;
  /** The definition of a tool in the last request to the model, or null. */
  definition(tool: string): JsonValue;
  /** The calls of a tool that events tell of. */
  calls(tool: string): readonly RecordedCall[];
  /** The data of the terminal event. */
  readonly end: JsonObject;
}

/** Reads a trace. Numbers and key order are those of the file. */
export async function recordedRun(name: string): Promise<RecordedRun> {
  const parsed = parseJson(await Bun.file(new URL(`${name}.json`, FOLDER)).text());
  if (!parsed.ok) throw new Error(`${name} is not JSON`);
  const trace = parsed.value;
  const request = requestOf(trace);
  const events = list(get(trace, 'events'));
  return {
    name,
    config: (type) =>
      get(
        list(get(request, 'composition', 'layers')).find((layer) => get(layer, 'type') === type),
        'config',
      ),
    definition(tool) {
      const last = list(get(trace, 'daemon', 'llm_requests')).at(-1);
      return list(get(last, 'body', 'data', 'tools')).find((each) => get(each, 'name') === tool) ?? null;
    },
    calls: (tool) => callsOf(events, tool),
    end: object(get(events.at(-1), 'data')),
  };
}

function requestOf(trace: JsonValue): JsonValue {
  const request = get(trace, 'request');
  if (typeof request !== 'string') return request;
  const parsed = parseJson(request);
  return parsed.ok ? parsed.value : null;
}

function callsOf(events: readonly JsonValue[], tool: string): readonly RecordedCall[] {
  const data = events.map((event) => get(event, 'data'));
  const retries = data.filter((each) => get(each, 'event_kind') === 'function_tool_result');
  return data
    .filter((each) => get(each, 'event_kind') === 'function_tool_call' && get(each, 'part', 'tool_name') === tool)
    .map((each) => {
      const id = get(each, 'part', 'tool_call_id');
      const result = retries.find((retry) => get(retry, 'result', 'tool_call_id') === id);
      return {
        args: String(get(each, 'part', 'args')),
        valid: get(each, 'args_valid') as boolean | null, // as events are written
        retry: get(result, 'result', 'content'),
      };
    });
}

function get(value: JsonValue | undefined, ...path: readonly string[]): JsonValue {
  let found: JsonValue = value ?? null;
  for (const key of path) found = isJsonObject(found) ? (found[key] ?? null) : null;
  return found;
}

function list(value: JsonValue): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}

function object(value: JsonValue): JsonObject {
  if (!isJsonObject(value)) throw new Error('not an object');
  return value;
}
