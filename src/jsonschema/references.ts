// Which references a schema may have, and what they refer to (spec 02 §9.3): `#/$defs/…` of the schema itself. Nested
// pointers, escapes and percent-encoding are followed (02 §14.6) where no definition has the pointer for its name.

import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { keysOf } from '../wiretext/json.ts';
import { pyRepr } from '../wiretext/repr.ts';
import { SchemaError } from './errors.ts';
import { schemasIn } from './positions.ts';

const DEFS = '#/$defs/';

/** References whose target depends on who asks; they could only lead to recursion here. */
const DYNAMIC = ['$dynamicRef', '$recursiveRef'] as const;

/** Refuses references that lead out of `$defs`, in the order in which a reader meets them. @throws SchemaError */
export function checkReferences(root: JsonObject): void {
  for (const schema of schemasIn(root)) for (const key of keysOf(schema)) checkReference(key, schema[key] ?? null);
}

function checkReference(keyword: string, ref: JsonValue): void {
  if (typeof ref !== 'string') return;
  if (DYNAMIC.some((name) => name === keyword)) {
    throw new SchemaError(`${keyword} is not supported; only $ref with local refs under '${DEFS}' is.`);
  }
  if (keyword !== '$ref' || ref.startsWith(DEFS)) return;
  throw new SchemaError(
    ref.startsWith('#')
      ? `Only local refs under '${DEFS}' are supported in this version; got unsupported local ref ${pyRepr(ref)}.`
      : "Remote $ref values are not supported; only local fragment refs beginning with '#' are allowed.",
  );
}

/** Finds what a reference refers to. @throws SchemaError when that is nothing, or no object. */
export type Resolve = (ref: string) => JsonObject;

/** The references of a schema. */
export function resolver(root: JsonObject): Resolve {
  const known = new Map<string, JsonObject>();
  return (ref) => {
    const target = known.get(ref) ?? find(root, ref);
    known.set(ref, target);
    return target;
  };
}

function find(root: JsonObject, ref: string): JsonObject {
  const definitions = root.$defs ?? null;
  const name = ref.slice(DEFS.length);
  const named = member(definitions, name);
  const pointed = follow(definitions, name);
  // A name that is also a pointer to something else: the reference shows the one to the model and validates by the other.
  const ambiguous = named !== undefined && pointed !== undefined && named !== pointed;
  const target = pointed ?? named;
  if (ambiguous || !isJsonObject(target)) {
    throw new SchemaError(`Local $ref ${pyRepr(ref)} could not be resolved from $defs.`);
  }
  return target;
}

/** What a JSON pointer leads to from a value; undefined when that is nothing. */
function follow(from: JsonValue, pointer: string): JsonValue | undefined {
  let value: JsonValue | undefined = from;
  for (const segment of percentDecoded(pointer).split('/')) {
    if (value === undefined) return undefined;
    value = member(value, segment.replaceAll('~1', '/').replaceAll('~0', '~'));
  }
  return value;
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a name with a percent sign of its own
  }
}

function member(value: JsonValue, key: string): JsonValue | undefined {
  if (Array.isArray(value)) return /^(?:0|[1-9]\d*)$/.test(key) ? value[Number(key)] : undefined;
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
}
