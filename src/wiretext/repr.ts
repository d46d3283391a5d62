// Python's repr of JSON values, and pydantic's shortening of it (spec 02 §12.2).

import { keysOf } from './keys.ts';
import type { JsonNumber } from './numbers.ts';
import { isInt, isJsonNumber, numberRepr } from './numbers.ts';

const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\p{Zs}\\]/gu;
const NAMED: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', ' ': ' ' };

/** `repr(value)`. `undefined` prints as None. */
export function pyRepr(value: unknown): string {
  if (typeof value === 'string') return reprString(value);
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (isJsonNumber(value)) return numberRepr(value);
  if (Array.isArray(value)) return `[${value.map(pyRepr).join(', ')}]`;
  if (typeof value !== 'object') return String(value);
  const object = value as Record<string, unknown>; // any other object is a map of members
  return `{${keysOf(value)
    .map((key) => `${reprString(key)}: ${pyRepr(object[key])}`)
    .join(', ')}}`;
}

function reprString(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text.replace(UNPRINTABLE, (char) => NAMED[char] ?? escapeCode(char));
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote;
}

function escapeCode(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  const hex = code.toString(16);
  if (code < 0x100) return `\\x${hex.padStart(2, '0')}`;
  return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}

/** The type name that Python gives the value: `str`, `int`, `float`, `bool`, `list`, `dict`, `NoneType`. */
export function pythonTypeName(value: unknown): string {
  if (value === null || value === undefined) return 'NoneType';
  if (typeof value === 'string') return 'str';
  if (typeof value === 'boolean') return 'bool';
  if (isJsonNumber(value)) return numberType(value);
  return Array.isArray(value) ? 'list' : 'dict';
}

function numberType(value: JsonNumber): string {
  return isInt(value) ? 'int' : 'float';
}

const LIMIT = 50;

/** `repr`, cut as pydantic cuts it: beyond 50 UTF-8 bytes, the first 25 and the last 24, at character boundaries. */
export function truncatedRepr(value: unknown): string {
  const repr = pyRepr(value);
  if (repr.length <= LIMIT && Buffer.byteLength(repr) <= LIMIT) return repr;
  const bytes = Buffer.from(repr);
  if (bytes.length <= LIMIT) return repr;
  let head = LIMIT / 2;
  while (isContinuation(bytes[head])) head--;
  let tail = bytes.length - (LIMIT / 2 - 1);
  while (isContinuation(bytes[tail])) tail++;
  return `${bytes.toString('utf8', 0, head)}...${bytes.toString('utf8', tail)}`;
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
