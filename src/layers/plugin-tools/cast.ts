// A tool argument as its declared type wants it (spec 03 §5.1): Python's conversions, because plugins were written against
// them. Number texts are read more generously than Python's int() does (§10.15).

import { CodedError } from '../../base/errors.ts';
import { isJsonObject, type JsonValue } from '../../base/json.ts';
import { parseJson } from '../../wiretext/json.ts';
import { isJsonNumber, makeFloat, makeInt, toNumber } from '../../wiretext/numbers.ts';
import { pyRepr } from '../../wiretext/repr.ts';
import { pyStrip } from '../../wiretext/strip.ts';
import type { ToolParameter } from './config.ts';

/** An argument that a tool cannot be called with; the model is told the message. It never holds the value. */
export class ToolArgumentError extends CodedError {
  constructor(message: string) {
    super('tool_argument', message);
  }
}

/** The value as the parameter's type wants it. Throws ToolArgumentError. */
export function castArgument({ name, type }: Pick<ToolParameter, 'name' | 'type'>, value: JsonValue): JsonValue {
  switch (type) {
    case 'string':
    case 'secret-input':
    case 'select':
    case 'checkbox':
    case 'dynamic-select':
    case 'date':
    case 'date-range':
      return asString(value);
    case 'boolean':
      return asBoolean(value);
    case 'number':
      return asNumber(name, value);
    case 'file':
      return asFile(value);
    case 'files':
    case 'system-files':
      return Array.isArray(value) ? value : [value];
    case 'model-selector':
    case 'app-selector':
      if (!isJsonObject(value)) throw new ToolArgumentError('The selector must be a dictionary.');
      return value;
    case 'any':
      return value;
    case 'array':
      return asArray(value);
    case 'object':
      return asObject(value);
  }
}

/** `str()`: the repr of everything that is no text. */
function asString(value: JsonValue): string {
  if (typeof value === 'string') return value;
  return value === null ? '' : pyRepr(value);
}

const TRUE_WORDS: ReadonlySet<string> = new Set(['true', 'yes', 'y', '1']);
const FALSE_WORDS: ReadonlySet<string> = new Set(['false', 'no', 'n', '0']);

/** Words first, then Python's truth: empty and zero are false. */
function asBoolean(value: JsonValue): boolean {
  if (typeof value === 'string') {
    const word = value.length <= 5 ? value.toLowerCase() : '';
    if (TRUE_WORDS.has(word)) return true;
    return !FALSE_WORDS.has(word) && value !== '';
  }
  if (isJsonNumber(value)) return toNumber(value) !== 0;
  if (Array.isArray(value)) return value.length > 0;
  return isJsonObject(value) ? Object.keys(value).length > 0 : value === true;
}

const INT_TEXT = /^[+-]?\d+(?:_\d+)*$/;
const FLOAT_TEXT = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

/** Texts become numbers, the empty text and everything else stays. */
function asNumber(name: string, value: JsonValue): JsonValue {
  if (typeof value !== 'string' || value === '') return value;
  const text = pyStrip(value);
  if (INT_TEXT.test(text)) return makeInt(text.replaceAll('_', ''));
  const number = FLOAT_TEXT.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(number)) throw new ToolArgumentError(`tool parameter ${name} must be a number`);
  return makeFloat(number);
}

function asFile(value: JsonValue): JsonValue {
  if (!Array.isArray(value)) return value;
  const [only] = value;
  if (value.length === 1 && only !== undefined) return only;
  throw new ToolArgumentError('This parameter only accepts one file but got multiple files while invoking.');
}

function asArray(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value;
  const parsed = parsedText(value);
  return Array.isArray(parsed) ? parsed : [value];
}

function asObject(value: JsonValue): JsonValue {
  if (isJsonObject(value)) return value;
  const parsed = parsedText(value);
  return isJsonObject(parsed) ? parsed : {};
}

/** The value of a JSON text, or undefined. */
function parsedText(value: JsonValue): JsonValue | undefined {
  if (typeof value !== 'string') return undefined;
  const parsed = parseJson(value);
  return parsed.ok ? parsed.value : undefined;
}
