// Python's json scanner (CPython's _json.c, 3.14), iterative: same acceptance, messages and positions. It builds values
// with exact numbers and key order. Positions here are UTF-16 indexes; json.ts turns them into code points.

import type { JsonValue } from '../base/json.ts';
import { rememberOrder, setOwn } from './keys.ts';
import { parseNumberToken } from './numbers.ts';

/** Why a text is not JSON to Python; `index` counts UTF-16 units. */
export class ScanFault extends Error {
  readonly index: number;

  constructor(message: string, index: number) {
    super(message);
    this.index = index;
  }
}

/** Deeper than the cap. */
export class TooDeepFault extends Error {}

/** An int of more digits than Python converts (4300). */
export class IntTooLongFault extends Error {}

interface ArrayFrame {
  readonly array: JsonValue[];
}
interface ObjectFrame {
  readonly object: object;
  readonly keys: string[];
  key: string;
}
type Frame = ArrayFrame | ObjectFrame;

const BLANKS = /[ \t\n\r]*/y;
const PLAIN = /[^"\\\x00-\x1f]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const INT = /^-?\d+$/;
const HEX4 = /^[0-9a-fA-F]{4}$/;
const MAX_INT_DIGITS = 4300;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};
const CONSTANTS: readonly (readonly [string, JsonValue])[] = [
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', Number.NaN],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['-Infinity', Number.NEGATIVE_INFINITY],
];

/** Reads one JSON document; throws one of the faults above. */
export function scanPython(text: string, maxDepth: number): JsonValue {
  const stack: Frame[] = [];
  let at = skipBlanks(text, 0);
  for (;;) {
    let value: JsonValue;
    const opener = text[at];
    if (opener === '[' || opener === '{') {
      if (stack.length >= maxDepth) throw new TooDeepFault();
      at = skipBlanks(text, at + 1);
      if (opener === '[' && text[at] !== ']') {
        stack.push({ array: [] });
        continue;
      }
      if (opener === '{' && text[at] !== '}') {
        const frame: ObjectFrame = { object: {}, keys: [], key: '' };
        at = readKey(text, at, frame);
        stack.push(frame);
        continue;
      }
      value = opener === '[' ? [] : {};
      at++;
    } else if (opener === '"') {
      const scanned = scanString(text, at);
      value = scanned.value;
      at = scanned.end;
    } else {
      const scanned = scanScalar(text, at);
      value = scanned.value;
      at = scanned.end;
    }
    // The value is whole: hand it to its container, and close every container that ends here.
    for (;;) {
      const frame = stack.at(-1);
      at = skipBlanks(text, at);
      if (frame === undefined) {
        if (at < text.length) throw new ScanFault('Extra data', at);
        return value;
      }
      store(frame, value);
      const closer = 'array' in frame ? ']' : '}';
      if (text[at] === closer) {
        value = 'array' in frame ? frame.array : finishObject(frame);
        stack.pop();
        at++;
        continue;
      }
      if (text[at] !== ',') throw new ScanFault("Expecting ',' delimiter", at);
      const comma = at;
      at = skipBlanks(text, at + 1);
      if (text[at] === closer) {
        throw new ScanFault(`Illegal trailing comma before end of ${closer === ']' ? 'array' : 'object'}`, comma);
      }
      if (!('array' in frame)) at = readKey(text, at, frame);
      break;
    }
  }
}

function skipBlanks(text: string, from: number): number {
  BLANKS.lastIndex = from;
  BLANKS.test(text);
  return BLANKS.lastIndex;
}

function store(frame: Frame, value: JsonValue): void {
  if ('array' in frame) {
    frame.array.push(value);
    return;
  }
  if (!Object.hasOwn(frame.object, frame.key)) frame.keys.push(frame.key);
  setOwn(frame.object, frame.key, value);
}

function finishObject(frame: ObjectFrame): JsonValue {
  return rememberOrder(frame.object, frame.keys) as JsonValue; // filled by `store` with JSON values only
}

/** Reads `"key" :` into the frame; returns where the value begins. */
function readKey(text: string, from: number, frame: ObjectFrame): number {
  if (text[from] !== '"') throw new ScanFault('Expecting property name enclosed in double quotes', from);
  const { value, end } = scanString(text, from);
  const colon = skipBlanks(text, end);
  if (text[colon] !== ':') throw new ScanFault("Expecting ':' delimiter", colon);
  frame.key = value;
  return skipBlanks(text, colon + 1);
}

function scanString(text: string, begin: number): { value: string; end: number } {
  let value = '';
  let at = begin + 1;
  for (;;) {
    PLAIN.lastIndex = at;
    PLAIN.test(text);
    const stop = PLAIN.lastIndex;
    value += text.slice(at, stop);
    const char = text[stop];
    if (char === undefined) throw new ScanFault('Unterminated string starting at', begin);
    if (char === '"') return { value, end: stop + 1 };
    if (char !== '\\') throw new ScanFault('Invalid control character at', stop);
    const letter = text[stop + 1];
    if (letter === undefined) throw new ScanFault('Unterminated string starting at', begin);
    if (letter === 'u') {
      const hex = text.slice(stop + 2, stop + 6);
      // Python also wants a character after the four digits.
      if (!HEX4.test(hex) || stop + 6 >= text.length) throw new ScanFault('Invalid \\uXXXX escape', stop + 1);
      value += String.fromCharCode(Number.parseInt(hex, 16));
      at = stop + 6;
    } else {
      const plain = ESCAPES[letter];
      if (plain === undefined) throw new ScanFault('Invalid \\escape', stop);
      value += plain;
      at = stop + 2;
    }
  }
}

function scanScalar(text: string, at: number): { value: JsonValue; end: number } {
  NUMBER.lastIndex = at;
  if (!NUMBER.test(text)) return scanConstant(text, at);
  const end = NUMBER.lastIndex;
  const token = text.slice(at, end);
  if (end - at > MAX_INT_DIGITS && INT.test(token) && token.replace('-', '').length > MAX_INT_DIGITS) {
    throw new IntTooLongFault();
  }
  return { value: parseNumberToken(token), end };
}

function scanConstant(text: string, at: number): { value: JsonValue; end: number } {
  for (const [name, value] of CONSTANTS) {
    if (text.startsWith(name, at)) return { value, end: at + name.length };
  }
  throw new ScanFault('Expecting value', at);
}
