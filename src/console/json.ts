// JSON as it is shown: numbers as they were printed, sizes of parts, and small looks at values of unknown shape.

import type { JsonObject, JsonValue } from '../client/types.ts';

/** Perhaps a number that a JavaScript number would change. */
const LONG_NUMBER = /\d{16}|\d[eE]/;

interface RawJson {
  readonly rawJSON: string;
}

/** What the language has, as far as browsers have it. */
const exact = JSON as typeof JSON & {
  readonly rawJSON?: (text: string) => unknown;
  readonly isRawJSON?: (value: unknown) => boolean;
};

/** JSON.parse, but numbers that would lose digits keep their text where the browser can. */
export function parseExactly(text: string): unknown {
  const { rawJSON } = exact;
  if (rawJSON === undefined || !LONG_NUMBER.test(text)) return JSON.parse(text);
  // The third argument is newer than the types of the language.
  const revive = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
    const source = context?.source;
    return typeof value === 'number' && source !== undefined && source.length > 15 && String(value) !== source
      ? rawJSON(source)
      : value;
  };
  return JSON.parse(text, revive);
}

/** The text of a number that was kept as text; null: it is none. */
export function rawNumber(value: unknown): string | null {
  return exact.isRawJSON?.(value) === true ? (value as RawJson).rawJSON : null; // that is what it is then
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && rawNumber(value) === null;
}

/** A text, or another one where it is none. */
export function textOr(value: JsonValue | undefined, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}

/** JSON text as its value, where it is an object or a list; else the text itself. For arguments and results of tools. */
export function unwrapped(value: JsonValue): JsonValue {
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return value;
  try {
    return parseExactly(value) as JsonValue; // JSON yields JSON
  } catch {
    return value;
  }
}

/** Members of an object or list; null: it has none to open. */
export function membersOf(value: JsonValue): readonly (readonly [key: string, value: JsonValue])[] | null {
  if (Array.isArray(value)) return value.map((item, index) => [String(index), item]);
  return isObject(value) ? Object.entries(value).map(([key, item]) => [key, item ?? null]) : null;
}

const encoder = new TextEncoder();
/** Deeper than this a value is measured by its text. */
const MAX_DEPTH = 200;

/** Measures values, each once: bytes of the compact JSON in UTF-8. */
export function createSizes(): (value: JsonValue) => number {
  const known = new WeakMap<object, number>();
  const sizeOf = (value: JsonValue, depth: number): number => {
    if (typeof value !== 'object' || value === null) return textSize(JSON.stringify(value) ?? '');
    const size = known.get(value);
    if (size !== undefined) return size;
    const members = depth > MAX_DEPTH ? null : membersOf(value);
    const measured =
      members === null ? textSize(JSON.stringify(value)) : 2 + membersSize(members, Array.isArray(value), depth);
    known.set(value, measured);
    return measured;
  };
  const membersSize = (members: readonly (readonly [string, JsonValue])[], list: boolean, depth: number): number =>
    members.reduce(
      (sum, [key, item]) => sum + (list ? 0 : textSize(JSON.stringify(key)) + 1) + sizeOf(item, depth + 1),
      Math.max(0, members.length - 1),
    );
  return (value) => sizeOf(value, 0);
}

function textSize(text: string): number {
  return /^[\0-\x7f]*$/.test(text) ? text.length : encoder.encode(text).length;
}
