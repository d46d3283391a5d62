// JSON as Python reads and writes it: `json.loads` with its messages and code point offsets, exact numbers and key
// order, and a depth cap. The fast path is the engine's own parser (fastpath.ts decides); pyscan.ts does the rest.

import type { JsonValue } from '../base/json.ts';
import { parseNatively } from './fastpath.ts';
import { hasKeyOrder, keysOf } from './keys.ts';
import { isInt, numberRepr } from './numbers.ts';
import { IntTooLongFault, ScanFault, scanPython, TooDeepFault } from './pyscan.ts';

export { keysOf, objectFromEntries } from './keys.ts';

/** Bounds of a parse. */
export interface JsonLimits {
  /** Levels of arrays and objects. Default 1,000: far above any real body, far below the engine's stack. */
  readonly maxDepth?: number;
}

export type JsonFailure =
  /** Not JSON: Python's message and its offset in code points (spec 01 §1.3). */
  | { readonly kind: 'syntax'; readonly message: string; readonly offset: number }
  /** Nested beyond the cap; HTTP answers 400 (spec 01 §1.1). */
  | { readonly kind: 'too_deep' }
  /** Bytes that are not UTF-8, or an int of more than 4,300 digits: Python cannot convert it; HTTP answers 400. */
  | { readonly kind: 'undecodable' };

export type JsonResult =
  | { readonly ok: true; readonly value: JsonValue }
  | { readonly ok: false; readonly failure: JsonFailure };

const DEFAULT_MAX_DEPTH = 1000;

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

/** `json.loads` of bytes: UTF-8, with or without a byte order mark (offsets do not count it). */
export function parseJsonBytes(bytes: Uint8Array, limits: JsonLimits = {}): JsonResult {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { ok: false, failure: { kind: 'undecodable' } };
  }
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
}

/**
 * Compact JSON, raw UTF-8; raw numbers keep their text, objects the key order of their source. Members that are
 * `undefined` are left out. Throws RangeError for a non-finite number when asked to.
 */
export function stringifyJson(value: unknown, options: StringifyOptions = {}): string {
  const strict = options.nonFinite === 'throw';
  if (!needsCare(value, strict)) return JSON.stringify(value);
  return write(value, { item: ',', colon: ':', number: (number) => compactNumber(number, strict) });
}

/** `json.dumps(value, ensure_ascii=False)`: `, ` and `: ` between, floats by repr, `NaN` and `Infinity` as Python writes them. */
export function jsonDumps(value: unknown): string {
  return write(value, { item: ', ', colon: ': ', number: dumpsNumber });
}

function dumpsNumber(value: number): string {
  return Number.isFinite(value) ? numberRepr(value) : String(value);
}

function compactNumber(value: number, strict: boolean): string {
  if (strict && !Number.isFinite(value)) {
    const name = Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
    throw new RangeError(`Out of range float values are not JSON compliant: ${name}`);
  }
  return JSON.stringify(value);
}

/** True when JSON.stringify would lose something: a key order, or (strictly) a non-finite number. */
function needsCare(value: unknown, strict: boolean): boolean {
  if (typeof value === 'number') return strict && !Number.isFinite(value);
  if (typeof value !== 'object' || value === null || JSON.isRawJSON(value)) return false;
  if (Array.isArray(value)) return value.some((item) => needsCare(item, strict));
  if (hasKeyOrder(value)) return true;
  for (const key in value) {
    if (needsCare((value as Record<string, unknown>)[key], strict)) return true; // key is the object's own or harmless
  }
  return false;
}

interface Style {
  readonly item: string;
  readonly colon: string;
  readonly number: (value: number) => string;
}

function write(value: unknown, style: Style): string {
  if (typeof value === 'number') return style.number(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (JSON.isRawJSON(value)) {
    return style.item === ',' || isInt(value) ? value.rawJSON : numberRepr(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => write(item, style)).join(style.item)}]`;
  const members: string[] = [];
  const object = value as Record<string, unknown>; // any other object is a map of members
  for (const key of keysOf(value)) {
    const member = object[key];
    if (member !== undefined) members.push(`${JSON.stringify(key)}${style.colon}${write(member, style)}`);
  }
  return `{${members.join(style.item)}}`;
}
