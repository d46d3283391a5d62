// Random schemas whose definitions use each other without circles: what a model sees validates the same values as what
// was submitted, and inlining never exceeds its bounds.

import { expect, test } from 'bun:test';
import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import { createSchemaCompiler } from '../../src/jsonschema/compiler.ts';
import { inlined } from '../../src/jsonschema/inlined.ts';
import { MAX_SCHEMA_CHARS, MAX_SUBSCHEMAS } from '../../src/jsonschema/limits.ts';
import { schemasIn } from '../../src/jsonschema/positions.ts';
import { resolver } from '../../src/jsonschema/references.ts';
import { stringifyJson } from '../../src/wiretext/json.ts';
import { refusal } from './support.ts';

/** A small generator with a seed, so that a failure can be repeated. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const NAMES = ['a', 'b', 'enum', '$defs', 'default', '0'];

/** A schema that may use the definitions of these names. A reference stands alone: beside keys it means two things. */
function schema(pick: (below: number) => number, defs: readonly string[], depth: number): JsonObject {
  const sub = (): JsonObject => schema(pick, defs, depth + 1);
  if (defs.length > 0 && pick(3) === 0) return { $ref: `#/$defs/${defs[pick(defs.length)]}` };
  const kind = depth > 2 ? pick(4) : pick(9);
  if (kind === 0) return { type: ['string', 'integer', 'null', 'object', 'array'][pick(5)] ?? 'null' };
  if (kind === 1) return { enum: [1, 'x', null, { $ref: 'data' }].slice(pick(4)) };
  if (kind === 2) return { minProperties: pick(2), maxLength: pick(2) };
  if (kind === 3) return { const: pick(3), default: { $defs: { $ref: 5 } } };
  if (kind === 4) return { items: sub() };
  if (kind === 5) return { anyOf: [sub(), sub()] };
  if (kind === 6) return { not: sub() };
  const properties = Object.fromEntries(NAMES.slice(pick(NAMES.length)).map((name) => [name, sub()]));
  return { properties, additionalProperties: kind === 7 ? sub() : false };
}

function value(pick: (below: number) => number, depth: number): JsonValue {
  const kind = depth > 3 ? pick(4) : pick(7);
  if (kind < 4) return ['x', 1, null, 0][kind] ?? null;
  if (kind === 4) return [value(pick, depth + 1), value(pick, depth + 1)];
  return Object.fromEntries(NAMES.filter(() => pick(3) === 0).map((name) => [name, value(pick, depth + 1)]));
}

function randomSchema(pick: (below: number) => number, definitions: number): JsonObject {
  const names = Array.from({ length: definitions }, (_, i) => `d${i}`);
  const $defs = Object.fromEntries(names.map((name, i) => [name, schema(pick, names.slice(0, i), 1)]));
  return {
    type: 'object',
    $defs,
    properties: Object.fromEntries(NAMES.map((name) => [name, schema(pick, names, 1)])),
  };
}

test('the exposed schema fits the same values as the submitted one', async () => {
  const compiler = createSchemaCompiler();
  let fits = 0;
  for (let seed = 1; seed <= 150; seed++) {
    const pick = random(seed);
    const submitted = randomSchema(pick, pick(5));
    const first = await compiler.compile(submitted);
    const second = await compiler.compile(first.exposed);
    expect(second.exposed).toEqual(first.exposed);
    for (let i = 0; i < 20; i++) {
      const object = Object.fromEntries(NAMES.filter(() => pick(2) === 0).map((name) => [name, value(pick, 1)]));
      const [one, other] = [first.check(object), second.check(object)];
      expect({ seed, object, fits: one === null }).toEqual({ seed, object, fits: other === null });
      if (one === null) fits++;
    }
  }
  expect(fits).toBeGreaterThan(100); // the values are not all of one kind
});

/** Definitions of which each uses a few of those right before it. */
function entangled(pick: (below: number) => number, definitions: number): JsonObject {
  const use = (i: number): JsonObject => ({ $ref: `#/$defs/d${Math.max(0, i - 1 - pick(3))}` });
  const definition = (i: number): JsonObject =>
    i === 0 ? { type: 'string' } : { anyOf: Array.from({ length: 1 + pick(2) }, () => use(i)) };
  const $defs = Object.fromEntries(Array.from({ length: definitions }, (_, i) => [`d${i}`, definition(i)]));
  return { type: 'object', $defs, properties: { x: use(definitions) } };
}

test('whatever the definitions, the result is bounded or refused', async () => {
  let refused = 0;
  for (let seed = 1; seed <= 60; seed++) {
    const pick = random(seed);
    const submitted = entangled(pick, seed);
    let result: JsonObject;
    try {
      result = inlined(submitted, resolver(submitted));
    } catch {
      refused++;
      expect(await refusal(submitted)).toMatch(/^Schema is (?:too large|nested too deeply): /);
      continue;
    }
    const text = stringifyJson(result);
    expect(text).not.toContain('$ref');
    expect(text.length).toBeLessThan(MAX_SCHEMA_CHARS * 2); // punctuation is not counted
    expect([...schemasIn(result)].length).toBeLessThanOrEqual(MAX_SUBSCHEMAS);
  }
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(60);
});
