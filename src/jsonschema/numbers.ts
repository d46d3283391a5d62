// Values as the validator's arithmetic takes them: JavaScript numbers instead of numbers that keep their text. Integers
// beyond 2^53 are compared as the nearest double; the value that is returned to the caller is never this one.

import { isJsonObject, type JsonValue } from '../base/json.ts';
import { setOwn } from '../wiretext/keys.ts';
import { isJsonNumber, toNumber } from '../wiretext/numbers.ts';

/** The value with plain numbers; what has none else is not copied. */
export function plainNumbers(value: JsonValue): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (isJsonNumber(value)) return toNumber(value);
  if (Array.isArray(value)) {
    let copy: unknown[] | null = null;
    for (const [i, item] of value.entries()) {
      const plain = plainNumbers(item);
      if (plain !== item) copy ??= [...value];
      if (copy !== null) copy[i] = plain;
    }
    return copy ?? value;
  }
  if (!isJsonObject(value)) return value;
  let copy: object | null = null;
  for (const key of Object.keys(value)) {
    const member = value[key] ?? null;
    const plain = plainNumbers(member);
    if (plain !== member) copy ??= { ...value };
    if (copy !== null) setOwn(copy, key, plain);
  }
  return copy ?? value;
}

/** A text that is the same for equal values: numbers by value, objects whatever their key order (`1` and `true` differ). */
export function canonicalText(value: unknown): string {
  if (typeof value === 'number') return String(value === 0 ? 0 : value); // -0 is 0
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (JSON.isRawJSON(value)) return canonicalText(Number(value.rawJSON));
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`;
  const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}:${canonicalText(member)}`);
  return `{${members.sort().join(',')}}`;
}
