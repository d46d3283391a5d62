// Seeded randomness: the same seed gives the same case on every machine, so that a failure can be played again.

/** A source of choices. */
export interface Random {
  /** An integer from 0 to `below` − 1. */
  int(below: number): number;
  chance(probability: number): boolean;
  pick<T>(values: readonly T[]): T;
  /** Up to `most` values. */
  some<T>(most: number, make: () => T): T[];
}

/** Mulberry32: 32 bits of state are plenty for cases. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number): number => Math.floor(next() * below);
  return {
    int,
    chance: (probability) => next() < probability,
    pick: (values) => values[int(values.length)] as never, // callers give at least one value
    some: (most, make) => Array.from({ length: int(most + 1) }, make),
  };
}

const PIECES = [
  'a',
  'hello ',
  '\n',
  '<think>',
  '</think>',
  '<th',
  'ink>',
  '</',
  '<',
  '>',
  '&',
  '"',
  '\\',
  '\u0085',
  '\u2028',
  'é',
  '漢字',
  '🙂',
  '\u0000',
  '{"a":1}',
  ' ',
] as const;

/** A text that is likely to hurt. */
export function randomText(random: Random, most = 6): string {
  return random.some(most, () => random.pick(PIECES)).join('');
}

const NUMBERS = [
  '0',
  '1',
  '-1',
  '1.0',
  '-0',
  '0.1',
  '1e3',
  '9007199254740993',
  '1e400',
  '123456789012345678901234567890',
];
const KEYS = ['a', 'b', '1', '0', '__proto__', 'constructor', 'toString', '$ref', '$defs', 'name', 'type', '', 'é'];

/** The text of a JSON value. */
export function randomJson(random: Random, depth = 3): string {
  const kind = random.int(depth > 0 ? 8 : 6);
  switch (kind) {
    case 0:
      return 'null';
    case 1:
      return random.pick(['true', 'false']);
    case 2:
    case 3:
      return random.pick(NUMBERS);
    case 4:
    case 5:
      return JSON.stringify(randomText(random));
    case 6:
      return `[${random.some(4, () => randomJson(random, depth - 1)).join(',')}]`;
    default:
      return randomObject(random, depth - 1);
  }
}

/** The text of a JSON object without repeated keys. */
export function randomObject(random: Random, depth = 3): string {
  const keys = new Set(random.some(4, () => random.pick(KEYS)));
  return `{${[...keys].map((key) => `${JSON.stringify(key)}:${randomJson(random, depth)}`).join(',')}}`;
}

/** Cuts at random places, also inside characters. */
export function cutBytes(random: Random, bytes: Uint8Array, most = 8): Uint8Array[] {
  const places = [0, ...random.some(most, () => random.int(bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

/** Cuts at random places, never inside a character. */
export function cutText(random: Random, text: string, most = 8): string[] {
  const characters = [...text];
  const places = [0, ...random.some(most, () => random.int(characters.length + 1)).sort((a, b) => a - b)];
  return [...places.slice(1), characters.length].map((end, index) => characters.slice(places[index], end).join(''));
}
