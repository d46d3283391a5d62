// The arguments of a call as the model sent them → a JSON object, or what to tell the model (spec 06 §7.1). Every tool
// begins with this; what it does with the object is its own.

import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { parseJiter } from '../wiretext/jiter.ts';
import type { ArgumentsResult, RawArguments } from './tools.ts';

/** Any JSON object will do, and no arguments are none; other JSON (06 §18.3), and what is no JSON, is a retry. Lossless. */
export function readArguments(args: RawArguments): ArgumentsResult {
  if (args === null || args === '') return { ok: true, value: {} };
  if (typeof args !== 'string') return { ok: true, value: args as JsonObject }; // an object that came as JSON
  const parsed = parseJiter(args);
  if (!parsed.ok) return refused('json_invalid', `Invalid JSON: ${parsed.message}`, args);
  if (!isJsonObject(parsed.value)) return refused('dict_type', 'Input should be an object', parsed.value);
  return { ok: true, value: parsed.value };
}

/** One fault, about the arguments as a whole. */
export function refused(type: string, msg: string, input: JsonValue): ArgumentsResult {
  return { ok: false, retry: [{ type, loc: [], msg, input }] };
}
