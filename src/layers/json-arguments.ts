// What a model sent as arguments, as the JSON object that every tool of ours takes (spec 06 §7.1): absent arguments are
// none, and what is no JSON or no object is told to the model in pydantic's words.

import type { ArgumentsResult, RawArguments } from '../agent/tools.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { parseJiter } from '../wiretext/jiter.ts';

/** Reads arguments; numbers and key order stay as they were sent. */
export function readJsonArguments(args: RawArguments): ArgumentsResult {
  if (args === null || args === '') return { ok: true, value: {} };
  if (typeof args !== 'string') return { ok: true, value: args as JsonObject }; // it came as JSON; its members are typed unknown
  const parsed = parseJiter(args);
  if (!parsed.ok) return refused('json_invalid', `Invalid JSON: ${parsed.message}`, args);
  if (!isJsonObject(parsed.value)) return refused('dict_type', 'Input should be an object', parsed.value);
  return { ok: true, value: parsed.value };
}

/** One fault, about the arguments as a whole. */
export function refused(type: string, msg: string, input: JsonValue): ArgumentsResult {
  return { ok: false, retry: [{ type, loc: [], msg, input }] };
}
