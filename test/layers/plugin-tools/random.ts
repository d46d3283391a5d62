// Reproducible randomness for property tests of this room.

import type { JsonValue } from '../../../src/base/json.ts';
import { objectFromEntries } from '../../../src/wiretext/json.ts';

/** A generator of numbers in [0, 1) (mulberry32): the same seed, the same numbers. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An integer in [0, below). */
export function pick(random: () => number, below: number): number {
  return Math.floor(random() * below);
}

const SCALARS: readonly JsonValue[] = [
  null,
  true,
  false,
  0,
  -1,
  0.5,
  Number.MAX_SAFE_INTEGER,
  JSON.rawJSON('1.0'),
  JSON.rawJSON('-12345678901234567890'),
  JSON.rawJSON('1e+300'),
  '',
  ' ',
  'true',
  'No',
  '7',
  '1.50',
  '1e3',
  'x',
  '[1]',
  '[1,',
  '{"a":{"b":[]}}',
  '{',
  "it's",
  '\u0000\u2028é😀',
  '\ud800',
];
const KEYS = ['a', 'b', '1', '0', '__proto__', 'constructor', ''];

/** Any JSON of at most this depth, odd keys and numbers included. */
export function randomJson(random: () => number, depth: number): JsonValue {
  const kind = pick(random, depth > 0 ? 4 : 2);
  if (kind < 2) return SCALARS[pick(random, SCALARS.length)] ?? null;
  const length = pick(random, 4);
  if (kind === 2) return Array.from({ length }, () => randomJson(random, depth - 1));
  return objectFromEntries(
    Array.from({ length }, () => [KEYS[pick(random, KEYS.length)] ?? '', randomJson(random, depth - 1)] as const),
  );
}
