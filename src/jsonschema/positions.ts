// Where a schema has schemas in it. A key is a keyword only at the position of a schema: a property may be called `enum`
// or `$defs`, and what stands under `const` is data even if it looks like a schema (spec 02 §14.6).

import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { keysOf } from '../wiretext/json.ts';

/** Their values are data (spec 02 §9.3). */
const DATA: ReadonlySet<string> = new Set(['const', 'default', 'enum', 'example', 'examples']);

/** Their values are objects whose keys are the author's names, and whose members may be schemas. */
const MAPS: ReadonlySet<string> = new Set([
  '$defs',
  'definitions',
  'dependencies',
  'dependentSchemas',
  'patternProperties',
  'properties',
]);

/** What stands under a keyword: a schema, a list that may hold schemas, named schemas, or data. */
export type Position = 'schema' | 'list' | 'map' | 'data';

/** Unknown keywords are read like the reference reads them: an object may be a schema. */
export function positionOf(keyword: string, value: JsonValue): Position {
  if (typeof value !== 'object' || DATA.has(keyword)) return 'data';
  if (Array.isArray(value)) return 'list';
  if (!isJsonObject(value)) return 'data';
  return MAPS.has(keyword) ? 'map' : 'schema';
}

/** All schemas of a schema that are objects, itself included, depth first in key order. */
export function schemasIn(schema: JsonObject): readonly JsonObject[] {
  const found: JsonObject[] = [];
  const pending: JsonValue[] = [schema];
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (isJsonObject(value)) found.push(value);
    const within = Array.isArray(value) ? value : isJsonObject(value) ? children(value) : [];
    for (const child of within.toReversed()) pending.push(child);
  }
  return found;
}

function children(schema: JsonObject): readonly JsonValue[] {
  return keysOf(schema).flatMap((key) => {
    const value = schema[key] ?? null;
    const position = positionOf(key, value);
    if (position === 'data') return [];
    return position === 'map' ? members(value) : [value];
  });
}

function members(map: JsonValue): readonly JsonValue[] {
  return isJsonObject(map) ? keysOf(map).map((key) => map[key] ?? null) : [];
}
