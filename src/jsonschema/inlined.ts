// The schema as a model may see it: every reference replaced by its definition, the definitions dropped (spec 02 §9.3
// step 3). Validation uses the schema as submitted (resolved.ts): keys beside a `$ref` override here and add there.

import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { keysOf, objectFromEntries } from '../wiretext/json.ts';
import { SchemaError } from './errors.ts';
import { SchemaBudget } from './limits.ts';
import { positionOf } from './positions.ts';
import type { Resolve } from './references.ts';

/** Inlines. @throws SchemaError for a reference that leads nowhere or to itself, and for a result beyond limits.ts. */
export function inlined(root: JsonObject, resolve: Resolve): JsonObject {
  return new Inliner(root, resolve).schema(root, [], 1);
}

class Inliner {
  readonly #resolve: Resolve;
  readonly #dropsDefinitions: boolean;
  readonly #budget = new SchemaBudget();

  constructor(root: JsonObject, resolve: Resolve) {
    this.#resolve = resolve;
    this.#dropsDefinitions = isJsonObject(root.$defs);
  }

  /** `within`: the targets of the references that we are inside of. */
  schema(schema: JsonObject, within: readonly JsonObject[], depth: number): JsonObject {
    this.#budget.subschema(depth);
    const { $ref: ref } = schema;
    const members = typeof ref === 'string' ? this.#target(ref, within, depth) : new Map<string, JsonValue>();
    for (const key of keysOf(schema)) {
      if ((key === '$ref' && typeof ref === 'string') || (key === '$defs' && this.#dropsDefinitions)) continue;
      members.set(key, this.#value(key, schema[key] ?? null, within, depth));
    }
    return objectFromEntries(members);
  }

  #target(ref: string, within: readonly JsonObject[], depth: number): Map<string, JsonValue> {
    const target = this.#resolve(ref);
    if (within.includes(target)) {
      throw new SchemaError('Recursive $defs refs are not supported for structured output exposure.');
    }
    const schema = this.schema(target, [...within, target], depth + 1);
    return new Map(keysOf(schema).map((key) => [key, schema[key] ?? null]));
  }

  #value(key: string, value: JsonValue, within: readonly JsonObject[], depth: number): JsonValue {
    switch (positionOf(key, value)) {
      case 'data':
        this.#budget.value(key, value);
        return value;
      case 'map':
        this.#budget.key(key);
        return this.#map(value, within, depth);
      default:
        this.#budget.key(key);
        return this.#item(value, within, depth);
    }
  }

  #item(value: JsonValue, within: readonly JsonObject[], depth: number): JsonValue {
    if (Array.isArray(value)) return value.map((item) => this.#item(item, within, depth));
    if (isJsonObject(value)) return this.schema(value, within, depth + 1);
    this.#budget.value('', value);
    return value;
  }

  #map(value: JsonValue, within: readonly JsonObject[], depth: number): JsonValue {
    if (!isJsonObject(value)) return value;
    return objectFromEntries(
      keysOf(value).map((name) => {
        this.#budget.key(name);
        return [name, this.#item(value[name] ?? null, within, depth)] as const;
      }),
    );
  }
}
