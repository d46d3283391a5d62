// JSON as pydantic reads it from a text (its Rust parser, jiter): same acceptance, messages, byte columns and depth
// limit. This file finds the fault; a text without one is read by json.ts.

import type { JsonValue } from '../base/json.ts';
import { parseNatively } from './fastpath.ts';
import { parseJson } from './json.ts';

export type JiterResult =
  | { readonly ok: true; readonly value: JsonValue }
  /** `message` is what follows `Invalid JSON: `, e.g. `expected value at line 1 column 1`. */
  | { readonly ok: false; readonly message: string };

/** jiter's own recursion limit: non-empty containers within each other. */
const MAX_DEPTH = 200;
/** Python's limit on int digits, which jiter keeps too. */
const MAX_INT_DIGITS = 4300;

/** Reads a JSON text as `model_validate_json` does. */
export function parseJiter(text: string): JiterResult {
  const native = parseNatively(text, { maxDepth: MAX_DEPTH, noSurrogateEscapes: true });
  if (native !== undefined) return { ok: true, value: native };
  const fault = findFault(Buffer.from(text));
  if (fault !== null) return { ok: false, message: fault };
  const parsed = parseJson(text);
  if (!parsed.ok) throw new Error('jiter accepted a text that is not JSON'); // it accepts a subset of Python's JSON
  return parsed;
}

class Fault extends Error {
  readonly index: number;

  constructor(message: string, index: number) {
    super(message);
    this.index = index;
  }
}

/** The message for the first fault of the text, or null. */
function findFault(data: Uint8Array): string | null {
  try {
    new Checker(data).check();
    return null;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return `${error.message} at ${position(data, error.index)}`;
  }
}

/** Lines from 1, columns in bytes; a fault beyond the end is at the last byte, a fault on a line feed in column 0 of the next line. */
function position(data: Uint8Array, index: number): string {
  let line = 1;
  let column = 0;
  for (let i = 0; i < data.length && i <= index; i++) {
    if (data[i] === LF) {
      line++;
      column = 0;
    } else column++;
  }
  return `line ${line} column ${column}`;
}

const LF = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const ARRAY_OPEN = 0x5b;
const ARRAY_CLOSE = 0x5d;
const OBJECT_OPEN = 0x7b;
const OBJECT_CLOSE = 0x7d;
const MINUS = 0x2d;
const ZERO = 0x30;
const SIMPLE_ESCAPES = new Set(Array.from('"\\/bfnrt', (char) => char.charCodeAt(0)));
const IDENTS: ReadonlyMap<number, string> = new Map(
  ['true', 'false', 'null', 'NaN', 'Infinity'].map((name) => [name.charCodeAt(0), name]),
);

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= ZERO && byte <= 0x39;

class Checker {
  private readonly data: Uint8Array;
  private at = 0;

  constructor(data: Uint8Array) {
    this.data = data;
  }

  check(): void {
    const closers: number[] = [];
    let byte = this.skipBlanks();
    if (byte === undefined) this.fault('EOF while parsing a value');
    for (;;) {
      if (byte === ARRAY_OPEN || byte === OBJECT_OPEN) {
        const opened = byte === ARRAY_OPEN ? this.openArray() : this.openObject();
        if (opened) {
          closers.push(byte === ARRAY_OPEN ? ARRAY_CLOSE : OBJECT_CLOSE);
          if (closers.length > MAX_DEPTH) this.fault('recursion limit exceeded');
          byte = this.skipBlanks();
          if (byte === undefined) this.fault('EOF while parsing a value');
          continue;
        }
      } else this.scalar(byte);
      // One value is whole: step to the next member, closing what ends.
      let more = false;
      while (!more && closers.length > 0) {
        more = closers.at(-1) === ARRAY_CLOSE ? this.stepArray() : this.stepObject();
        if (!more) closers.pop();
      }
      if (!more) break;
      byte = this.skipBlanks();
      if (byte === undefined) this.fault('EOF while parsing a value');
    }
    if (this.skipBlanks() !== undefined) this.fault('trailing characters');
  }

  private fault(message: string, index = this.at): never {
    throw new Fault(message, index);
  }

  private skipBlanks(): number | undefined {
    for (;;) {
      const byte = this.data[this.at];
      if (byte !== 0x20 && byte !== 0x09 && byte !== LF && byte !== 0x0d) return byte;
      this.at++;
    }
  }

  /** True when a first item follows. */
  private openArray(): boolean {
    this.at++;
    const byte = this.skipBlanks();
    if (byte === undefined) this.fault('EOF while parsing a list');
    if (byte !== ARRAY_CLOSE) return true;
    this.at++;
    return false;
  }

  private openObject(): boolean {
    this.at++;
    const byte = this.skipBlanks();
    if (byte === undefined) this.fault('EOF while parsing an object');
    if (byte === OBJECT_CLOSE) {
      this.at++;
      return false;
    }
    this.key(byte);
    return true;
  }

  private stepArray(): boolean {
    const byte = this.skipBlanks();
    if (byte === undefined) this.fault('EOF while parsing a list');
    if (byte !== COMMA && byte !== ARRAY_CLOSE) this.fault('expected `,` or `]`');
    this.at++;
    if (byte === ARRAY_CLOSE) return false;
    const next = this.skipBlanks();
    if (next === undefined) this.fault('EOF while parsing a value');
    if (next === ARRAY_CLOSE) this.fault('trailing comma');
    return true;
  }

  private stepObject(): boolean {
    const byte = this.skipBlanks();
    if (byte === undefined) this.fault('EOF while parsing an object');
    if (byte !== COMMA && byte !== OBJECT_CLOSE) this.fault('expected `,` or `}`');
    this.at++;
    if (byte === OBJECT_CLOSE) return false;
    const next = this.skipBlanks();
    if (next === undefined) this.fault('EOF while parsing a value');
    if (next === OBJECT_CLOSE) this.fault('trailing comma');
    this.key(next);
    return true;
  }

  private key(byte: number): void {
    if (byte !== QUOTE) this.fault('key must be a string');
    this.string();
    const colon = this.skipBlanks();
    if (colon === undefined) this.fault('EOF while parsing an object');
    if (colon !== COLON) this.fault('expected `:`');
    this.at++;
  }

  private scalar(byte: number | undefined): void {
    if (byte === QUOTE) this.string();
    else if (byte === MINUS || isDigit(byte)) this.number();
    else {
      const name = byte === undefined ? undefined : IDENTS.get(byte);
      if (name === undefined) this.fault('expected value');
      this.ident(name);
    }
  }

  private ident(name: string): void {
    for (let i = 0; i < name.length; i++) {
      const byte = this.data[this.at + i];
      if (byte === undefined) this.fault('EOF while parsing a value', this.at + i);
      if (byte !== name.charCodeAt(i)) this.fault('expected ident', this.at + i);
    }
    this.at += name.length;
  }

  private number(): void {
    if (this.data[this.at] === MINUS) {
      this.at++;
      if (this.data[this.at] === 0x49) {
        this.ident('Infinity');
        return;
      }
    }
    if (this.data[this.at] === ZERO) {
      this.at++;
      if (isDigit(this.data[this.at])) this.fault('invalid number');
    } else {
      const start = this.at;
      this.digits();
      if (this.at - start > MAX_INT_DIGITS) this.fault('number out of range', start + MAX_INT_DIGITS + 1);
    }
    if (this.data[this.at] === 0x2e) {
      this.at++;
      this.digits();
    }
    const exponent = this.data[this.at];
    if (exponent === 0x65 || exponent === 0x45) {
      this.at++;
      const sign = this.data[this.at];
      if (sign === 0x2b || sign === MINUS) this.at++;
      this.digits();
    }
  }

  /** One digit or more. */
  private digits(): void {
    const byte = this.data[this.at];
    if (byte === undefined) this.fault('EOF while parsing a value');
    if (!isDigit(byte)) this.fault('invalid number');
    while (isDigit(this.data[this.at])) this.at++;
  }

  private string(): void {
    this.at++;
    for (;;) {
      const byte = this.data[this.at];
      if (byte === undefined) this.fault('EOF while parsing a string');
      if (byte < 0x20) this.fault('control character (\\u0000-\\u001F) found while parsing a string');
      this.at++;
      if (byte === QUOTE) return;
      if (byte === BACKSLASH) this.escape();
    }
  }

  private escape(): void {
    const byte = this.data[this.at];
    if (byte === undefined) this.fault('EOF while parsing a string');
    if (byte !== 0x75) {
      if (!SIMPLE_ESCAPES.has(byte)) this.fault('invalid escape');
      this.at++;
      return;
    }
    this.at++;
    const unit = this.hex4();
    if (unit >= 0xdc00 && unit <= 0xdfff) this.fault('lone leading surrogate in hex escape', this.at - 1);
    if (unit < 0xd800 || unit > 0xdbff) return;
    for (const expected of [BACKSLASH, 0x75]) {
      const next = this.data[this.at];
      if (next === undefined) this.fault('EOF while parsing a string');
      if (next !== expected) this.fault('unexpected end of hex escape');
      this.at++;
    }
    const low = this.hex4();
    if (low < 0xdc00 || low > 0xdfff) this.fault('lone leading surrogate in hex escape', this.at - 1);
  }

  private hex4(): number {
    if (this.at + 4 > this.data.length) this.fault('EOF while parsing a string', this.data.length);
    let unit = 0;
    for (let i = 0; i < 4; i++) {
      const digit = Number.parseInt(String.fromCharCode(this.data[this.at] ?? 0), 16);
      if (Number.isNaN(digit)) this.fault('invalid escape');
      unit = unit * 16 + digit;
      this.at++;
    }
    return unit;
  }
}
