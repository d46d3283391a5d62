// Values that must not be seen, as texts to look for: each value in the spellings that programs print it in, long ones in
// pieces, so that every text is shorter than any window of output. What is a secret is decided here, too.

import { isJsonObject } from '../../base/json.ts';
import { SECRET_NAME } from '../../observe/secrets.ts';
import type { Span } from './spans.ts';

/** Longest text that is looked for, UTF-16 units. A longer value is printed as several of them, side by side. */
export const MAX_PIECE = 256;

/** A shorter value is no secret, or one that hides in half of all words. */
const MIN_SECRET = 4;
/** From here on even a plain word is taken for a password, and base64 is looked for. */
const MIN_LONG = 8;
/** A shorter line of a value with several lines says too little. */
const MIN_LINE = 8;
/** A port, a flag, a mode: not secret, whatever its variable is called. */
const PLAIN = /^(?:[A-Za-z]*|[0-9]*)$/;

/** Whether a value is kept from the model because of the name of its variable. */
export function isSecret(name: string, value: string): boolean {
  if (!SECRET_NAME.test(name)) return false;
  return value.length >= MIN_LONG || (value.length >= MIN_SECRET && !PLAIN.test(value));
}

/** The texts under secret-looking names in a JSON value, however deep. */
export function secretsIn(value: unknown, name = ''): readonly string[] {
  if (typeof value === 'string') return isSecret(name, value) ? [value] : [];
  if (Array.isArray(value)) return value.flatMap((item: unknown) => secretsIn(item, name));
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([key, member]) => secretsIn(member, key));
}

/** A growing set of texts to look for. */
export interface SecretTexts {
  /** `plain`: the value as it is. `encoded`: also as JSON, in URLs, in base64, and the lines of it. */
  add(value: string, spelling: 'plain' | 'encoded'): void;
  /** Everywhere any of them stands. */
  occurrences(text: string): readonly Span[];
  /** Length of the longest end of `text` that begins one of them without being all of it; 0: none. */
  begunAtEnd(text: string): number;
  readonly size: number;
  /** There were too many: the oldest are not looked for any more. */
  readonly overflowed: boolean;
}

/** Texts of one set; the oldest make room. */
const MAX_TEXTS = 4096;

/** Nothing to look for yet. */
export function createSecretTexts(): SecretTexts {
  const pieces = new Set<string>();
  let overflowed = false;
  return {
    add(value, spelling) {
      const texts = spelling === 'plain' ? [value] : encodings(value);
      for (const piece of texts.flatMap(cut)) {
        if (piece.length < MIN_SECRET) continue;
        pieces.delete(piece);
        pieces.add(piece);
      }
      for (const oldest of pieces) {
        if (pieces.size <= MAX_TEXTS) break;
        pieces.delete(oldest);
        overflowed = true;
      }
    },
    occurrences(text) {
      const found: Span[] = [];
      for (const piece of pieces) {
        for (let at = text.indexOf(piece); at >= 0; at = text.indexOf(piece, at + 1)) {
          found.push({ start: at, end: at + piece.length });
        }
      }
      return found;
    },
    begunAtEnd(text) {
      let longest = 0;
      for (const piece of pieces) longest = Math.max(longest, begun(text, piece, longest));
      return longest;
    },
    get size() {
      return pieces.size;
    },
    get overflowed() {
      return overflowed;
    },
  };
}

/** Length of the longest end of the text that is a beginning of the piece, if it is longer than `least`, else 0. */
function begun(text: string, piece: string, least: number): number {
  for (let length = Math.min(piece.length - 1, text.length); length > least; length--) {
    // The last character first: it nearly always differs.
    if (piece.charCodeAt(length - 1) === text.charCodeAt(text.length - 1) && text.endsWith(piece.slice(0, length))) {
      return length;
    }
  }
  return 0;
}

function cut(text: string): readonly string[] {
  if (text.length <= MAX_PIECE) return [text];
  const count = Math.ceil(text.length / MAX_PIECE);
  const size = Math.ceil(text.length / count);
  return Array.from({ length: count }, (_, i) => text.slice(i * size, (i + 1) * size));
}

function encodings(value: string): readonly string[] {
  const lines = value.split('\n');
  const all = [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value.toWellFormed())];
  if (lines.length > 1) all.push(...lines.map((line) => line.trim()).filter((line) => line.length >= MIN_LINE));
  return value.length < MIN_LONG ? all : [...all, ...base64Of(value)];
}

/** What base64 of any text that contains the value must contain: one spelling for each way in which it can be aligned. */
function base64Of(value: string): readonly string[] {
  const bytes = Buffer.from(value);
  return [0, 1, 2].flatMap((shift) => {
    const whole = Buffer.concat([new Uint8Array(shift), bytes]);
    // Digits that other bytes share are left out.
    const text = whole.toString('base64').slice(Math.ceil((shift * 8) / 6), Math.floor((whole.length * 8) / 6));
    return [text, text.replaceAll('+', '-').replaceAll('/', '_')];
  });
}
