import { describe, expect, test } from 'bun:test';
import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import { MAX_SCHEMA_CHARS, MAX_SCHEMA_DEPTH, MAX_SUBSCHEMAS } from '../../src/jsonschema/limits.ts';
import { compile, refusal } from './support.ts';

const properties = (count: number): JsonObject =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, { type: 'string' }]));

/** `d0` a string, each further definition an object that has the one before twice. */
function doubling(levels: number): JsonObject {
  const defs: [string, JsonObject][] = [['d0', { type: 'string' }]];
  for (let i = 1; i <= levels; i++) {
    const ref = { $ref: `#/$defs/d${i - 1}` };
    defs.push([`d${i}`, { properties: { a: ref, b: ref } }]);
  }
  return { type: 'object', $defs: Object.fromEntries(defs), properties: { x: { $ref: `#/$defs/d${levels}` } } };
}

function nested(levels: number): JsonObject {
  let schema: JsonObject = { type: 'object' };
  for (let i = 1; i < levels; i++) schema = { type: 'object', properties: { a: schema } };
  return schema;
}

describe('a schema is refused', () => {
  test('beyond its characters', async () => {
    expect(await refusal({ type: 'object', description: 'x'.repeat(MAX_SCHEMA_CHARS) })).toBe(
      'Schema is too large: at most 262144 characters of JSON are supported.',
    );
  });

  test('beyond its subschemas', async () => {
    expect(await refusal({ type: 'object', properties: properties(MAX_SUBSCHEMAS) })).toBe(
      'Schema is too large: at most 2000 subschemas are supported, with every $ref replaced by its definition.',
    );
  });

  test('when its definitions double at each level, without the work of inlining them', async () => {
    const start = performance.now();
    expect(await refusal(doubling(40))).toContain('at most 2000 subschemas');
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test('when a large definition is used often', async () => {
    const $defs = { E: { enum: Array.from({ length: 10_000 }, (_, i) => `value ${i}`) } };
    const uses = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`p${i}`, { $ref: '#/$defs/E' }]));
    expect(await refusal({ type: 'object', $defs, properties: uses })).toBe(
      'Schema is too large: at most 262144 characters of JSON are supported, with every $ref replaced by its definition.',
    );
  });

  test('beyond its depth', async () => {
    expect(await refusal(nested(MAX_SCHEMA_DEPTH + 1))).toBe(
      'Schema is nested too deeply: at most 100 levels are supported.',
    );
  });
});

describe('a schema is accepted', () => {
  test('at its depth', async () => {
    expect((await compile(nested(MAX_SCHEMA_DEPTH))).check({ a: 1 })).toBe("$.a: 1 is not of type 'object'");
  });

  test('when its definitions fit', async () => {
    expect(
      (await compile(doubling(8))).check({ x: { a: 1, b: { b: { a: { a: { a: { a: { a: { a: 1 } } } } } } } } }),
    ).toBe("$.x.b.b.a.a.a.a.a.a: 1 is not of type 'string'");
  });
});

describe('an answer that is too much for its schema is refused', () => {
  const items = (count: number, item: JsonValue): JsonObject => ({ a: Array.from({ length: count }, () => item) });
  const conditions = (condition: JsonObject): JsonObject => ({ allOf: Array.from({ length: 900 }, () => condition) });

  test.each<[string, JsonObject, JsonObject]>([
    ['many conditions for many items', { items: conditions({ minimum: 0 }) }, items(100_000, 1)],
    ['many conditions that fail', { items: conditions({ minimum: 3 }) }, items(100_000, 1)],
    ['a large value compared often', conditions({ const: 1 }), items(100_000, 1)],
    [
      'many members gone through often',
      conditions({ additionalProperties: false }),
      { a: Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`k${i}`, 1])) },
    ],
  ])('%s', async (_, a, value) => {
    const { check } = await compile({ type: 'object', properties: { a } });
    const start = performance.now();
    expect(check(value)).toBe('$: the value is too large to be checked against this schema');
    expect(performance.now() - start).toBeLessThan(10_000); // without a budget: half a minute
  });

  test('while a large one for an ordinary schema is not', async () => {
    const row = {
      id: { type: 'integer' },
      name: { type: 'string', pattern: '^[a-z ]{1,64}$' },
      tags: { items: { enum: ['a', 'b'] } },
    };
    const rows = { items: { type: 'object', properties: row, required: ['id', 'name'], additionalProperties: false } };
    const { check } = await compile({ type: 'object', properties: { a: rows } });
    const large = items(10_000, { id: 1, name: 'a name of somebody', tags: ['a', 'b'] });
    expect(check(large)).toBeNull();
    expect(check(large)).toBeNull();
  });
});
