// JSON pointers as the validator reports them.

import { isJsonObject, type JsonValue } from '../base/json.ts';

/** The pointer's segments, unescaped. */
export function segmentsOf(pointer: string): readonly string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The value at a path that is known to exist. */
export function at(value: JsonValue, path: readonly string[]): JsonValue {
  let found: JsonValue = value;
  for (const segment of path) {
    if (Array.isArray(found)) found = found[Number(segment)] ?? null;
    else found = isJsonObject(found) ? (found[segment] ?? null) : null;
  }
  return found;
}
