// JSON numbers with Python's types. A JS number that is a safe integer is an int, any other JS number a float; a
// RawNumber (JSON.rawJSON) is an int or a float by its text (`1.0`, `12345678901234567890`, `1e+20`).
// Only spelling and comparing live here; coercions are validation's.

import type { RawNumber } from '../base/json.ts';

/** A number as our parsers yield it. */
export type JsonNumber = number | RawNumber;

/** True for a JS number or a raw number. */
export function isJsonNumber(value: unknown): value is JsonNumber {
  return typeof value === 'number' || JSON.isRawJSON(value);
}

const INT_TEXT = /^-?\d+$/;

/** True when Python's json would give an `int`: `7` is, `7.0` and `1e3` are not. */
export function isInt(value: JsonNumber): boolean {
  return typeof value === 'number' ? Number.isSafeInteger(value) : INT_TEXT.test(value.rawJSON);
}

/** The nearest double. */
export function toNumber(value: JsonNumber): number {
  return typeof value === 'number' ? value : Number(value.rawJSON);
}

/** The number's text on the wire: a raw number's own, an int's digits, a float as the reference dumps it (`floatText`). */
export function numberText(value: JsonNumber): string {
  if (typeof value !== 'number') return value.rawJSON;
  return Number.isSafeInteger(value) ? String(value + 0) : floatText(value);
}

/** A float's dump: shortest digits, `1.0`, `0.00001`, `1e-7`, `1e+20` (spec 06 §2); `NaN`, `Infinity`, `-Infinity`. */
export function floatText(value: number): string {
  return spellFloat(value, -5, 1);
}

/** A float's `repr`: `1.0`, `1e-05`, `1e+20`, `nan`, `inf`, `-inf`. */
export function floatRepr(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  return spellFloat(value, -4, 2);
}

/** The `repr` of any number: ints in full, floats by `floatRepr`. */
export function numberRepr(value: JsonNumber): string {
  return isInt(value) ? numberText(value) : floatRepr(toNumber(value));
}

function spellFloat(value: number, smallestPositional: number, exponentDigits: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Object.is(value, -0)) return '-0.0';
  const [mantissa = '', exponentText = '0'] = value.toExponential().split('e');
  const exponent = Number(exponentText);
  if (exponent < smallestPositional || exponent >= 16) {
    return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(exponentDigits, '0')}`;
  }
  const sign = value < 0 ? '-' : '';
  const digits = mantissa.replace('-', '').replace('.', '');
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}

/**
 * The number that a JSON number token stands for: an int of any size exactly, a float as the nearest double, which is
 * what Python keeps (`0.1000000000000000055` is `0.1`, `1e400` is infinite). `-0` is the int 0.
 */
export function parseNumberToken(token: string): JsonNumber {
  const value = Number(token);
  if (!INT_TEXT.test(token)) return makeFloat(value);
  return Number.isSafeInteger(value) ? value + 0 : JSON.rawJSON(token);
}

/** A float with this value: a JS number when that prints as the float does, else a raw number (`1` → `1.0`). */
export function makeFloat(value: number): JsonNumber {
  const size = Math.abs(value);
  if (size >= 1e-5 && size < 1e16) return Number.isInteger(value) ? JSON.rawJSON(`${value}.0`) : value; // as most are
  if (!Number.isFinite(value)) return value;
  const text = floatText(value);
  return String(value) === text ? value : JSON.rawJSON(text);
}

/** An int from its digits with optional sign; leading zeros are dropped. */
export function makeInt(digits: string): JsonNumber {
  const match = /^([+-]?)0*(\d+)$/.exec(digits);
  if (match === null) throw new RangeError('not an integer text');
  const text = match[1] === '-' && match[2] !== '0' ? `-${match[2]}` : (match[2] ?? '0');
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : JSON.rawJSON(text);
}

/** Orders a number against a safe integer bound, exactly: negative, zero or positive; NaN for NaN. */
export function compareNumber(value: JsonNumber, bound: number): number {
  if (typeof value !== 'number' && INT_TEXT.test(value.rawJSON)) {
    const difference = BigInt(value.rawJSON) - BigInt(bound);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }
  const number = toNumber(value);
  return number === bound ? 0 : number - bound;
}
