// Strings, numbers, booleans and choices in pydantic's lax mode (spec 01 §1.2): what is converted, what is refused, and
// with which words. Parity with pydantic 2.12 is pinned by test/validation/vectors.

import type { Rule } from '../protocol/dialect.ts';
import {
  compareNumber,
  isInt,
  isJsonNumber,
  type JsonNumber,
  makeFloat,
  makeInt,
  toNumber,
} from '../wiretext/numbers.ts';
import { pyRepr } from '../wiretext/repr.ts';
import { floor, INVALID, LAX, type Node, report, STRICT, type State } from './state.ts';

type RuleOf<K extends Rule['kind']> = Extract<Rule, { kind: K }>;

/** `str`: strings only. */
export function stringNode(rule: RuleOf<'string'>): Node {
  const { minLength } = rule;
  if (minLength === undefined) {
    return (input, state) => (typeof input === 'string' ? input : notString(input, state));
  }
  const msg = `String should have at least ${minLength} ${minLength === 1 ? 'character' : 'characters'}`;
  return (input, state) => {
    if (typeof input !== 'string') return notString(input, state);
    if (input.length >= minLength * 2 || [...input].length >= minLength) return input;
    return report(state, 'string_too_short', msg, input, { min_length: minLength });
  };
}

function notString(input: unknown, state: State): typeof INVALID {
  return report(state, 'string_type', 'Input should be a valid string', input);
}

/** `int` with its bounds; ints of any size stay exact. */
export function intNode(rule: RuleOf<'int'>): Node {
  return (input, state) => {
    const value = readInt(input, state);
    if (value === INVALID) return INVALID;
    const { le, ge, gt } = rule;
    if (le !== undefined && compareNumber(value, le) > 0) {
      return report(state, 'less_than_equal', `Input should be less than or equal to ${le}`, input, { le });
    }
    if (ge !== undefined && compareNumber(value, ge) < 0) {
      return report(state, 'greater_than_equal', `Input should be greater than or equal to ${ge}`, input, { ge });
    }
    if (gt !== undefined && compareNumber(value, gt) <= 0) {
      return report(state, 'greater_than', `Input should be greater than ${gt}`, input, { gt });
    }
    return value;
  };
}

// Rust's White_Space, which pydantic trims around numbers: Python's strip set without U+001C–001F.
const BLANK = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

/** Trims by hand: a pattern that is anchored at the end starts anew at every blank of a hostile text. */
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANK.test(text.charAt(start))) start++;
  while (end > start && BLANK.test(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}

const INT_STRING = /^([+-]?\d+(?:_\d+)*)(?:\.0+)?$/;
/** Python's own limit on the digits of a text that becomes an int; pydantic counts a minus as one. */
const MAX_INT_DIGITS = 4300;
/** Floats from here on are no ints to pydantic (they leave 64 bits). */
const TWO_63 = 2 ** 63;

function readInt(input: unknown, state: State): JsonNumber | typeof INVALID {
  if (isJsonNumber(input)) {
    if (isInt(input)) return input;
    floor(state, LAX);
    return intFromFloat(toNumber(input), input, state);
  }
  if (typeof input === 'boolean') {
    floor(state, LAX);
    return input ? 1 : 0;
  }
  if (typeof input !== 'string') return report(state, 'int_type', 'Input should be a valid integer', input);
  floor(state, LAX);
  const text = trimBlanks(input);
  const digits = INT_STRING.exec(text)?.[1]?.replaceAll('_', '');
  if (digits !== undefined) {
    return digits.replace(/^\+?(-?)0*/, '$1').length > MAX_INT_DIGITS ? tooLarge(input, state) : makeInt(digits);
  }
  const msg = 'Input should be a valid integer, unable to parse string as an integer';
  return report(state, 'int_parsing', msg, input);
}

function intFromFloat(value: number, input: unknown, state: State): JsonNumber | typeof INVALID {
  if (!Number.isFinite(value)) return report(state, 'finite_number', 'Input should be a finite number', input);
  if (!Number.isInteger(value)) {
    const msg = 'Input should be a valid integer, got a number with a fractional part';
    return report(state, 'int_from_float', msg, input);
  }
  if (Math.abs(value) >= TWO_63) return tooLarge(input, state);
  return makeInt(BigInt(value).toString());
}

function tooLarge(input: unknown, state: State): typeof INVALID {
  const msg = 'Unable to parse input string as an integer, exceeded maximum size';
  return report(state, 'int_parsing_size', msg, input);
}

const FLOAT_STRING = /^[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|(inf|infinity)|(nan))$/i;

/** `float`: ints and numeric strings become floats (`1` → `1.0`). */
export const floatNode: Node = (input, state) => {
  if (isJsonNumber(input)) {
    if (!isInt(input)) return input;
    floor(state, STRICT);
    const value = toNumber(input);
    return Number.isFinite(value) ? makeFloat(value) : notFloat(input, state);
  }
  if (typeof input === 'boolean') {
    floor(state, LAX);
    return makeFloat(input ? 1 : 0);
  }
  if (typeof input !== 'string') return notFloat(input, state);
  floor(state, LAX);
  const value = floatFromString(input);
  if (value !== null) return makeFloat(value);
  return report(state, 'float_parsing', 'Input should be a valid number, unable to parse string as a number', input);
};

function notFloat(input: unknown, state: State): typeof INVALID {
  return report(state, 'float_type', 'Input should be a valid number', input);
}

function floatFromString(input: string): number | null {
  const trimmed = trimBlanks(input);
  if (trimmed.startsWith('_') || trimmed.endsWith('_') || trimmed.includes('__')) return null;
  const text = trimmed.replaceAll('_', '');
  const match = FLOAT_STRING.exec(text);
  if (match === null) return null;
  if (match[2] !== undefined) return Number.NaN;
  if (match[1] !== undefined) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(text);
}

const TRUE_STRINGS = new Set(['1', 'on', 't', 'true', 'y', 'yes']);
const FALSE_STRINGS = new Set(['0', 'off', 'f', 'false', 'n', 'no']);

/** `bool`: also 0, 1 and the usual words. */
export const boolNode: Node = (input, state) => {
  if (typeof input === 'boolean') return input;
  floor(state, LAX);
  if (typeof input === 'string') {
    const word = input.length <= 5 ? input.toLowerCase() : '';
    if (TRUE_STRINGS.has(word)) return true;
    if (FALSE_STRINGS.has(word)) return false;
    return unclearBool(input, state);
  }
  if (isJsonNumber(input)) {
    const value = toNumber(input);
    if (value === 1) return true;
    if (value === 0) return false;
    // Only whole numbers of 64 bits are candidates; others have the wrong type.
    if (Number.isInteger(value) && Math.abs(value) < TWO_63) return unclearBool(input, state);
  }
  return report(state, 'bool_type', 'Input should be a valid boolean', input);
};

function unclearBool(input: unknown, state: State): typeof INVALID {
  return report(state, 'bool_parsing', 'Input should be a valid boolean, unable to interpret input', input);
}

/** `Literal[…]` or an Enum of strings or ints. */
export function choiceNode(rule: RuleOf<'choice'>): Node {
  const values = new Set<unknown>(rule.values);
  const expected = orList(rule.values.map((value) => pyRepr(value)));
  const msg = `Input should be ${expected}`;
  return (input, state) => {
    if (values.has(input)) return input;
    // Python's 1 == 1.0 == True: a literal int accepts all three.
    if (isJsonNumber(input) || typeof input === 'boolean') {
      const number = isJsonNumber(input) ? toNumber(input) : Number(input);
      if (values.has(number)) return number;
    }
    return report(state, rule.type, msg, input, { expected });
  };
}

/** `'a'`, `'a' or 'b'`, `'a', 'b' or 'c'`. */
function orList(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} or ${items.at(-1)}`;
}
