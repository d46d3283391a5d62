// Reads JSON text into a tree that knows where everything stands, or says where the text stops being JSON and what was
// expected there. Pure. The language's own parser says that in words that differ from browser to browser.

import { type ListNode, type Member, type Node, type ObjectNode, print, word } from './document.ts';

/** Why a text is no JSON. */
export interface SyntaxFault {
  /** Offset in the text. */
  readonly offset: number;
  readonly message: string;
}

export type Reading =
  | { readonly root: Node; readonly fault: null }
  /** Not JSON. */
  | { readonly root: null; readonly fault: SyntaxFault };

/** Levels of nesting; a server takes a few more. */
export const MAX_DEPTH = 200;
/** Characters of a text that is read; a request body is bounded, too. */
export const MAX_CHARS = 4_194_304;

class Stop extends Error {
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

/** Never throws. */
export function readJson(source: string): Reading {
  if (source.length > MAX_CHARS) return failed(0, `A text of more than ${MAX_CHARS} characters is not read here.`);
  try {
    return { root: new Reader(source).document(), fault: null };
  } catch (error) {
    if (error instanceof Stop) return failed(error.offset, error.message);
    throw error;
  }
}

function failed(offset: number, message: string): Reading {
  return { root: null, fault: { offset, message } };
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /[A-Za-z_$][\w$]*/y;
const BLANKS = /[ \t\r\n]*/y;
/** Up to what must be looked at: the closing quote, a backslash, a control character. */
const PLAIN = /[^"\\\0-\x1f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const WORDS: Readonly<Record<string, boolean | null>> = { true: true, false: false, null: null };

class Reader {
  readonly #source: string;
  #at = 0;

  constructor(source: string) {
    this.#source = source;
  }

  document(): Node {
    if (this.#source.startsWith('\ufeff')) this.#at = 1;
    this.#blanks();
    if (this.#at === this.#source.length) throw this.#stop('There is nothing here yet.');
    const root = this.#value(0);
    this.#blanks();
    if (this.#at < this.#source.length) throw this.#stop('Nothing may follow the end of the JSON.');
    return root;
  }

  #value(depth: number): Node {
    const start = this.#at;
    const first = this.#source[start];
    if (first === '{') return this.#object(depth);
    if (first === '[') return this.#list(depth);
    if (first === '"') {
      const value = this.#text();
      return { kind: 'text', value, start, end: this.#at };
    }
    const digits = this.#match(NUMBER);
    if (digits !== '') {
      if (/[\d.eE+-]/.test(this.#source[this.#at] ?? ''))
        throw this.#stop('This is not how JSON writes a number.', start);
      return { kind: 'number', text: digits, start, end: this.#at };
    }
    const name = this.#match(WORD);
    const value = Object.hasOwn(WORDS, name) ? WORDS[name] : undefined;
    if (value !== undefined) return { kind: 'word', value, start, end: this.#at };
    if (name !== '') throw this.#stop(`A text must be in double quotes: "${name.slice(0, 40)}".`, start);
    if (first === "'") throw this.#stop('A text must be in double quotes.');
    if (first === '/' || first === '#') throw this.#stop('JSON has no comments.');
    throw this.#stop('A value is missing here.');
  }

  #object(depth: number): ObjectNode {
    const start = this.#open(depth);
    const members: Member[] = [];
    for (;;) {
      if (members.length === 0 && this.#takes('}')) break;
      if (this.#source[this.#at] !== '"') {
        const closing = this.#source[this.#at] === '}';
        throw this.#stop(closing ? 'No comma may stand before “}”.' : 'A key in double quotes is missing here.');
      }
      const keyStart = this.#at;
      const key = this.#text();
      const keyEnd = this.#at;
      this.#blanks();
      if (this.#source[this.#at] !== ':') throw this.#stop('“:” is missing after the key.');
      this.#at += 1;
      this.#blanks();
      members.push({ key, keyStart, keyEnd, value: this.#value(depth + 1) });
      this.#blanks();
      if (this.#takes('}')) break;
      this.#comma('}');
    }
    return { kind: 'object', members, start, end: this.#at };
  }

  #list(depth: number): ListNode {
    const start = this.#open(depth);
    const items: Node[] = [];
    for (;;) {
      if (items.length === 0 && this.#takes(']')) break;
      if (this.#source[this.#at] === ']') throw this.#stop('No comma may stand before “]”.');
      items.push(this.#value(depth + 1));
      this.#blanks();
      if (this.#takes(']')) break;
      this.#comma(']');
    }
    return { kind: 'list', items, start, end: this.#at };
  }

  #open(depth: number): number {
    if (depth >= MAX_DEPTH) throw this.#stop(`More than ${MAX_DEPTH} levels are not read here.`);
    const start = this.#at;
    this.#at += 1;
    this.#blanks();
    return start;
  }

  #takes(bracket: string): boolean {
    if (this.#source[this.#at] !== bracket) return false;
    this.#at += 1;
    return true;
  }

  #comma(closing: string): void {
    if (this.#source[this.#at] !== ',') throw this.#stop(`“,” or “${closing}” is missing here.`);
    this.#at += 1;
    this.#blanks();
  }

  /** From quote to quote. */
  #text(): string {
    const start = this.#at;
    this.#at += 1;
    for (;;) {
      this.#match(PLAIN);
      const next = this.#source[this.#at];
      if (next === '"') break;
      if (next === undefined) throw this.#stop('This text has no closing quote.', start);
      if (next === '\n' || next === '\r') throw this.#stop('A text must not go over lines: write \\n.');
      if (next !== '\\') throw this.#stop('A control character must be written as an escape: \\t, \\u0000.');
      if (this.#match(ESCAPE) === '') throw this.#stop('JSON has no such escape.');
    }
    this.#at += 1;
    return JSON.parse(this.#source.slice(start, this.#at)) as string; // a JSON text, as was just seen
  }

  #blanks(): void {
    this.#match(BLANKS);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #stop(message: string, offset = this.#at): Stop {
    return new Stop(offset, message);
  }
}

/** Where an offset is: line and column from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export function placeOf(source: string, offset: number): Place {
  return placer(source)(offset);
}

/** The same for many offsets of one text. */
export function placer(source: string): (offset: number) => Place {
  const starts = [0];
  for (let index = source.indexOf('\n'); index >= 0; index = source.indexOf('\n', index + 1)) starts.push(index + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

/** A value of the language as a tree. Numbers that were kept as text (`JSON.rawJSON`) keep it. */
export function nodeOf(value: unknown): Node {
  const json: string | undefined = JSON.stringify(value);
  return (json === undefined ? null : readJson(json).root) ?? word(null);
}

/** The tree as a value. Numbers that a JavaScript number would change keep their text where the runtime can. */
export function plainOf(node: Node): unknown {
  const { rawJSON } = JSON as { readonly rawJSON?: (text: string) => unknown }; // newer than the language's types
  const revive = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
    const source = context?.source;
    const changed = typeof value === 'number' && source !== undefined && String(value) !== source;
    return changed && rawJSON !== undefined ? rawJSON(source) : value;
  };
  return JSON.parse(print(node), revive);
}
