// The schema as it is compiled: references resolved into conjunctions, so that no name of the schema's means anything to
// the validator; nothing but the keywords that assert; plain numbers. Every schema of it remembers its place: what was
// submitted there, and when the reference's validator would have come by (faults.ts needs both).

import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import { keysOf } from '../wiretext/json.ts';
import { setOwn } from '../wiretext/keys.ts';
import { ASSERTIONS, type Dialect, ignoresSiblingsOfRef } from './dialects.ts';
import { SchemaBudget } from './limits.ts';
import { plainNumbers } from './numbers.ts';
import type { Resolve } from './references.ts';

/** Where a compiled schema comes from. */
export interface Place {
  /** As submitted; false for a schema that nothing fits. */
  readonly source: JsonObject | false;
  /** The schema that it is part of, and under which keyword; null for the root. */
  readonly parent: { readonly place: Place; readonly keyword: string } | null;
  /** When each keyword is evaluated, counted over the whole schema, depth first in the order of its keys. */
  readonly order: ReadonlyMap<string, number>;
}

/** A schema for the validator, and the places of its parts by identity. */
export interface ResolvedSchema {
  readonly schema: object;
  readonly places: ReadonlyMap<unknown, Place>;
  /** True when it says something about members that nothing else has evaluated; every schema of it has TRACKING_KEYWORD then. */
  readonly tracksEvaluated: boolean;
}

/** Keywords of our own (engine.ts). Every schema has the second, which says how much of it is looked at per evaluation. */
export const TRACKING_KEYWORD = 'tracks-evaluated';
export const COST_KEYWORD = 'costs';

/** Resolves a schema that inlined.ts accepted. @throws SchemaError for a result beyond limits.ts */
export function resolved(root: JsonObject, dialect: Dialect, resolve: Resolve): ResolvedSchema {
  const builder = new Builder(dialect, resolve);
  const schema = builder.schema(root, null, 1);
  const { places, tracksEvaluated } = builder;
  if (tracksEvaluated) for (const part of builder.schemas) setOwn(part, TRACKING_KEYWORD, true);
  return { schema, places, tracksEvaluated };
}

/** Keywords whose `false` the validator reports by itself; elsewhere it becomes a schema with a place. */
const OWN_FALSE: ReadonlySet<string> = new Set([
  'additionalItems',
  'additionalProperties',
  'unevaluatedItems',
  'unevaluatedProperties',
]);
const SCHEMAS: ReadonlySet<string> = new Set([...OWN_FALSE, 'contains', 'if', 'items', 'not', 'propertyNames']);
const LISTS: ReadonlySet<string> = new Set(['anyOf', 'items', 'oneOf', 'prefixItems']);
const MAPS: ReadonlySet<string> = new Set(['dependencies', 'dependentSchemas', 'patternProperties', 'properties']);

type Parent = Place['parent'];

class Builder {
  readonly places = new Map<unknown, Place>();
  readonly schemas: object[] = [];
  tracksEvaluated = false;
  readonly #dialect: Dialect;
  readonly #resolve: Resolve;
  readonly #assertions: ReadonlySet<string>;
  readonly #budget = new SchemaBudget();
  #clock = 0;

  constructor(dialect: Dialect, resolve: Resolve) {
    this.#dialect = dialect;
    this.#resolve = resolve;
    this.#assertions = ASSERTIONS[dialect];
  }

  schema(source: JsonObject, parent: Parent, depth: number): object {
    this.#budget.subschema(depth);
    const { $ref: ref } = source;
    if (typeof ref === 'string' && ignoresSiblingsOfRef(this.#dialect)) {
      return this.schema(this.#resolve(ref), parent, depth + 1);
    }
    const schema = {};
    this.schemas.push(schema);
    const order = new Map<string, number>();
    const place: Place = { source, parent, order };
    this.places.set(schema, place);
    const conjuncts: unknown[] = [];
    for (const keyword of keysOf(source)) {
      const value = source[keyword] ?? null;
      const via = { place, keyword };
      if (keyword === '$ref' && typeof value === 'string') {
        conjuncts.push(this.schema(this.#resolve(value), via, depth + 1));
      } else if (this.#assertions.has(keyword)) {
        order.set(keyword, this.#clock++);
        if (keyword.startsWith('unevaluated')) this.tracksEvaluated = true;
        if (keyword === 'allOf') conjuncts.push(...list(value).map((item) => this.#subschema(item, via, depth)));
        else setOwn(schema, keyword, this.#value(keyword, value, via, depth));
        if (keyword === 'if') this.#branches(schema, source, place, depth);
      }
    }
    if (conjuncts.length > 0) setOwn(schema, 'allOf', conjuncts);
    setOwn(schema, COST_KEYWORD, costOf(source));
    return schema;
  }

  /** `then` and `else` are evaluated where `if` stands. */
  #branches(schema: object, source: JsonObject, place: Place, depth: number): void {
    for (const keyword of ['then', 'else']) {
      const value = source[keyword];
      if (value !== undefined) setOwn(schema, keyword, this.#subschema(value, { place, keyword }, depth));
    }
  }

  #value(keyword: string, value: JsonValue, via: NonNullable<Parent>, depth: number): unknown {
    if (Array.isArray(value) && LISTS.has(keyword)) return value.map((item) => this.#subschema(item, via, depth));
    if (isJsonObject(value) && MAPS.has(keyword)) return this.#map(value, via, depth);
    if (SCHEMAS.has(keyword) && !(value === false && this.#reportsFalse(keyword))) {
      return this.#subschema(value, via, depth);
    }
    return plainNumbers(value);
  }

  /** `items: false` is about the number of items since 2020-12, and about each item before. */
  #reportsFalse(keyword: string): boolean {
    return OWN_FALSE.has(keyword) || (keyword === 'items' && this.#dialect === '2020-12');
  }

  #map(value: JsonObject, via: NonNullable<Parent>, depth: number): object {
    const map = {};
    for (const name of keysOf(value)) {
      const member = value[name] ?? null;
      setOwn(map, name, Array.isArray(member) ? member : this.#subschema(member, via, depth)); // a list: `dependencies`
    }
    return map;
  }

  #subschema(value: JsonValue, parent: NonNullable<Parent>, depth: number): unknown {
    if (isJsonObject(value)) return this.schema(value, parent, depth + 1);
    if (value !== false) return true;
    const never = { not: {} };
    this.places.set(never, { source: false, parent, order: new Map([['not', this.#clock++]]) });
    return never;
  }
}

/** One, and one for each entry of what it lists; the values of an `enum` are found without looking at each. */
function costOf(source: JsonObject): number {
  let cost = 1;
  for (const keyword of keysOf(source)) {
    const value = source[keyword] ?? null;
    if (keyword === 'enum' || keyword === 'const') continue;
    if (Array.isArray(value)) cost += value.length;
    else if (isJsonObject(value)) cost += keysOf(value).length;
  }
  return cost;
}

function list(value: JsonValue): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}
