// JSON as Python reads and writes it: `json.loads` with its messages and code point offsets, exact numbers and key
// order, and a depth cap. The fast path is the engine's own parser (fastpath.ts decides); pyscan.ts does the rest.

import type { JsonValue } from '../base/json.ts';
import { decodeJsonBytes } from './decode.ts';
import { parseNatively } from './fastpath.ts';
import { hasKeyOrder, keysOf } from './keys.ts';
import { isInt, isJsonNumber, type JsonNumber, numberRepr, toNumber } from './numbers.ts';
import { IntTooLongFault, ScanFault, scanPython, TooDeepFault } from './pyscan.ts';

export { keysOf, objectFromEntries } from './keys.ts';

/** Bounds of a parse. */
export interface JsonLimits {
  /** Levels of arrays and objects. Default 1,250: where the reference's answers to deep bodies end, far below the engine's stack. */
  readonly maxDepth?: number;
}

export type JsonFailure =
  /** Not JSON: Python's message and its offset in code points (spec 01 §1.3). */
  | { readonly kind: 'syntax'; readonly message: string; readonly offset: number }
  /** Nested beyond the cap; HTTP answers 400 (spec 01 §1.1). */
  | { readonly kind: 'too_deep' }
  /** Bytes that are no Unicode text, or an int of more than 4,300 digits: Python cannot convert it; HTTP answers 400. */
  | { readonly kind: 'undecodable' };

export type JsonResult =
  | { readonly ok: true; readonly value: JsonValue }
  | { readonly ok: false; readonly failure: JsonFailure };

const DEFAULT_MAX_DEPTH = 1250;

/** `json.loads` of a text. `NaN` and the infinities become the JS numbers; see numbers.ts for the others. */
export function parseJson(text: string, limits: JsonLimits = {}): JsonResult {
  const maxDepth = limits.maxDepth ?? DEFAULT_MAX_DEPTH;
  const native = parseNatively(text, { maxDepth });
  if (native !== undefined) return { ok: true, value: native };
  if (text.startsWith('\ufeff')) return syntax('Unexpected UTF-8 BOM (decode using utf-8-sig)', 0);
  try {
    return { ok: true, value: scanPython(text, maxDepth) };
  } catch (error) {
    if (error instanceof ScanFault) return syntax(error.message, codePointOffset(text, error.index));
    if (error instanceof TooDeepFault) return { ok: false, failure: { kind: 'too_deep' } };
    if (error instanceof IntTooLongFault) return { ok: false, failure: { kind: 'undecodable' } };
    throw error;
  }
}

/** `json.loads` of bytes: UTF-8, UTF-16 or UTF-32, with or without a byte order mark (offsets do not count it). */
export function parseJsonBytes(bytes: Uint8Array, limits: JsonLimits = {}): JsonResult {
  const text = decodeJsonBytes(bytes);
  if (text === null) return { ok: false, failure: { kind: 'undecodable' } };
  // A second mark is no mark: Python looks for one only in what was a text from the start.
  if (text.startsWith('\ufeff')) return syntax('Expecting value', 0);
  return parseJson(text, limits);
}

function syntax(message: string, offset: number): JsonResult {
  return { ok: false, failure: { kind: 'syntax', message, offset } };
}

/** How many code points precede a UTF-16 index. */
function codePointOffset(text: string, index: number): number {
  let count = index;
  for (let i = 0; i + 1 < index; i++) {
    if ((text.charCodeAt(i) & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) {
      count--;
      i++;
    }
  }
  return count;
}

/** How to write. */
export interface StringifyOptions {
  /** `null` (default) writes NaN and the infinities as null; `throw` refuses them with Python's text. */
  readonly nonFinite?: 'null' | 'throw';
  /** `dump` (default) spells floats as pydantic does (`1e-7`), `repr` as Python's json.dumps does (`1e-07`). */
  readonly floats?: 'dump' | 'repr';
}

/**
 * Compact JSON, raw UTF-8; raw numbers keep their text, objects the key order of their source. Members that are
 * `undefined` are left out. Throws RangeError for a non-finite number when asked to.
 */
export function stringifyJson(value: unknown, options: StringifyOptions = {}): string {
  const strict = options.nonFinite === 'throw';
  const style = options.floats === 'repr' ? (strict ? STRICT_REPR : REPR) : strict ? STRICT_DUMP : DUMP;
  return needsCare(value, style) ? write(value, style) : JSON.stringify(value);
}

/** `json.dumps(value, ensure_ascii=False)`: `, ` and `: ` between, floats by repr, `NaN` and `Infinity` as Python writes them. */
export function jsonDumps(value: unknown): string {
  return write(value, SPACED);
}

interface Style {
  readonly item: string;
  readonly colon: string;
  readonly number: (value: JsonNumber) => string;
  /** True when JSON.stringify would spell the number otherwise. */
  readonly differs: (value: JsonNumber) => boolean;
}

const isNonFinite = (value: JsonNumber): boolean => typeof value === 'number' && !Number.isFinite(value);
const isTinyFloat = (value: JsonNumber): boolean => Math.abs(toNumber(value)) < 1e-4 && !isInt(value);

const DUMP: Style = { item: ',', colon: ':', number: (value) => JSON.stringify(value), differs: () => false };
const STRICT_DUMP: Style = { ...DUMP, number: (value) => JSON.stringify(finite(value)), differs: isNonFinite };
const REPR: Style = {
  ...DUMP,
  number: (value) => (isNonFinite(value) ? 'null' : numberRepr(value)),
  differs: isTinyFloat,
};
const STRICT_REPR: Style = {
  ...DUMP,
  number: (value) => numberRepr(finite(value)),
  differs: (value) => isNonFinite(value) || isTinyFloat(value),
};
const SPACED: Style = {
  item: ', ',
  colon: ': ',
  number: (value) => (isNonFinite(value) ? String(value) : numberRepr(value)),
  differs: () => true,
};

function finite(value: JsonNumber): JsonNumber {
  if (!isNonFinite(value)) return value;
  const name = Number.isNaN(value) ? 'nan' : toNumber(value) > 0 ? 'inf' : '-inf';
  throw new RangeError(`Out of range float values are not JSON compliant: ${name}`);
}

/** True when JSON.stringify would lose something: a key order, or a number's spelling. */
function needsCare(value: unknown, style: Style): boolean {
  if (isJsonNumber(value)) return style.differs(value);
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value)) return value.some((item) => needsCare(item, style));
  if (hasKeyOrder(value)) return true;
  for (const key in value) {
    if (needsCare((value as Record<string, unknown>)[key], style)) return true; // key is the object's own or harmless
  }
  return false;
}

function write(value: unknown, style: Style): string {
  if (isJsonNumber(value)) return style.number(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map((item) => write(item, style)).join(style.item)}]`;
  const members: string[] = [];
  const object = value as Record<string, unknown>; // any other object is a map of members
  for (const key of keysOf(value)) {
    const member = object[key];
    if (member !== undefined) members.push(`${JSON.stringify(key)}${style.colon}${write(member, style)}`);
  }
  return `{${members.join(style.item)}}`;
}
