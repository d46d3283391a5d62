// The order of an object's keys. JavaScript moves integer-like keys to the front; an object that has some remembers the
// order of its source in a hidden symbol, which every reader of ours asks for. Others see an ordinary object.

import type { JsonObject, JsonValue } from '../base/json.ts';

const KEY_ORDER: unique symbol = Symbol('key order');
const INDEX_KEY = /^(?:0|[1-9]\d{0,9})$/;

interface Ordered {
  readonly [KEY_ORDER]?: readonly string[];
}

/** True for a key that JavaScript would move to the front. */
export function isIndexKey(key: string): boolean {
  const first = key.charCodeAt(0);
  return first >= 48 && first <= 57 && INDEX_KEY.test(key);
}

/** The keys of an object in the order of its source. */
export function keysOf(object: object): readonly string[] {
  return (object as Ordered)[KEY_ORDER] ?? Object.keys(object); // a plain object simply lacks the symbol
}

/** True when the object's own enumeration order is not that of its source. */
export function hasKeyOrder(object: object): boolean {
  return (object as Ordered)[KEY_ORDER] !== undefined; // as above
}

/** Sets an own property, whatever its name: `__proto__` is data here. */
export function setOwn(target: object, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    (target as Record<string, unknown>)[key] = value; // the target is an object that its maker is still filling
  }
}

/** Remembers the order of `keys` on a new object, when it needs remembering. Returns the object. */
export function rememberOrder<T extends object>(object: T, keys: readonly string[]): T {
  if (keys.length > 1 && keys.some(isIndexKey)) Object.defineProperty(object, KEY_ORDER, { value: keys });
  return object;
}

/** An object with these entries in this order; a repeated key keeps its first place and its last value. */
export function objectFromEntries(entries: Iterable<readonly [string, JsonValue]>): JsonObject {
  const object = {};
  const keys: string[] = [];
  for (const [key, value] of entries) {
    if (!Object.hasOwn(object, key)) keys.push(key);
    setOwn(object, key, value);
  }
  return rememberOrder(object, keys);
}
