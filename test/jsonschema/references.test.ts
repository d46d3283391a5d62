import { describe, expect, test } from 'bun:test';
import { stringifyJson } from '../../src/wiretext/json.ts';
import { compile, object, refusal } from './support.ts';

const exposed = async (schema: string): Promise<string> => stringifyJson((await compile(schema)).exposed);
const UNRESOLVED = (ref: string) => `Local $ref '${ref}' could not be resolved from $defs.`;
const RECURSIVE = 'Recursive $defs refs are not supported for structured output exposure.';
const REMOTE = "Remote $ref values are not supported; only local fragment refs beginning with '#' are allowed.";

describe('references that are refused', () => {
  test.each([
    ['https://x/y.json', REMOTE],
    ['', REMOTE],
    [
      '#/definitions/a',
      "Only local refs under '#/$defs/' are supported in this version; got unsupported local ref '#/definitions/a'.",
    ],
    ['#', "Only local refs under '#/$defs/' are supported in this version; got unsupported local ref '#'."],
    ["#it's", `Only local refs under '#/$defs/' are supported in this version; got unsupported local ref "#it's".`],
    ['#/$defs/N', UNRESOLVED('#/$defs/N')],
  ])('%s', async (ref, text) => {
    expect(await refusal({ type: 'object', $defs: {}, properties: { n: { $ref: ref } } })).toBe(text);
  });

  test('without any definitions', async () => {
    expect(await refusal({ type: 'object', properties: { n: { $ref: '#/$defs/N' } } })).toBe(UNRESOLVED('#/$defs/N'));
  });

  test('to a definition that is no object', async () => {
    const schema = { type: 'object', $defs: { T: true }, properties: { n: { $ref: '#/$defs/T' } } };
    expect(await refusal(schema)).toBe(UNRESOLVED('#/$defs/T'));
  });

  test('in a definition that nobody uses', async () => {
    expect(await refusal({ type: 'object', $defs: { U: { $ref: 'other.json' } } })).toBe(REMOTE);
  });

  test('to whatever is in scope', async () => {
    expect(await refusal({ type: 'object', $dynamicRef: '#a' })).toStartWith('$dynamicRef is not supported');
  });

  test('before the schema is looked at otherwise', async () => {
    expect(await refusal({ type: 'object', properties: { a: { type: 'wat' }, b: { $ref: 'x' } } })).toBe(REMOTE);
  });
});

describe('recursion', () => {
  test.each([
    ['direct', '{"N":{"properties":{"next":{"$ref":"#/$defs/N"}}}}'],
    ['through another definition', '{"N":{"items":{"$ref":"#/$defs/M"}},"M":{"not":{"$ref":"#/$defs/N"}}}'],
    ['to itself alone', '{"N":{"$ref":"#/$defs/N"}}'],
    ['through a nested pointer', '{"N":{"properties":{"a":{"items":{"$ref":"#/$defs/N/properties/a"}}}}}'],
  ])('%s is refused', async (_, defs) => {
    expect(await refusal(`{"type":"object","$defs":${defs},"properties":{"n":{"$ref":"#/$defs/N"}}}`)).toBe(RECURSIVE);
  });

  test('that nothing reaches is harmless', async () => {
    const schema = '{"type":"object","$defs":{"N":{"items":{"$ref":"#/$defs/N"}}},"properties":{}}';
    expect(await exposed(schema)).toBe('{"type":"object","properties":{}}');
  });
});

describe('inlining', () => {
  test('replaces references, drops definitions, and lets keys beside a reference override', async () => {
    const schema =
      '{"type":"object","$defs":{"S":{"type":"string","description":"s"}},"properties":{"a":{"$ref":"#/$defs/S"},"b":{"description":"b","$ref":"#/$defs/S"}}}';
    expect(await exposed(schema)).toBe(
      '{"type":"object","properties":{"a":{"type":"string","description":"s"},"b":{"type":"string","description":"b"}}}',
    );
  });

  test('goes by position: a property may be called like a keyword', async () => {
    const names = ['default', 'enum', 'const', 'example', 'examples', '$defs', '$ref', 'properties'];
    const refs = names.map((name) => `"${name}":{"$ref":"#/$defs/S"}`).join(',');
    const inlined = names.map((name) => `"${name}":{"type":"string"}`).join(',');
    const schema = `{"type":"object","$defs":{"S":{"type":"string"}},"properties":{${refs}}}`;
    expect(await exposed(schema)).toBe(`{"type":"object","properties":{${inlined}}}`);
    const { check } = await compile(schema);
    for (const name of names) expect(check({ [name]: 1 })).toBe(`$.${name}: 1 is not of type 'string'`);
  });

  test.each(['const', 'default', 'example', 'examples', 'enum'])('leaves the data under %s alone', async (keyword) => {
    const data = keyword === 'enum' || keyword === 'examples' ? [{ $ref: '#/not/a/ref' }] : { $ref: 'x', $defs: 1 };
    const schema = { type: 'object', $defs: {}, properties: { e: { [keyword]: data } } };
    expect((await compile(schema)).exposed).toEqual({ type: 'object', properties: { e: { [keyword]: data } } });
  });

  test('reaches into lists, conditions and keywords that it does not know', async () => {
    const ref = { $ref: '#/$defs/S' };
    const schema = {
      allOf: [ref],
      if: ref,
      'x-own': { deep: [ref] },
      prefixItems: [ref],
      dependentSchemas: { a: ref },
    };
    const text = stringifyJson((await compile({ type: 'object', $defs: { S: { minLength: 1 } }, ...schema })).exposed);
    expect(text).not.toContain('$ref');
    expect(text.split('"minLength":1')).toHaveLength(6);
  });

  test.each([
    ['#/$defs/a/properties/b', { a: { properties: { b: { type: 'null' } } } }],
    ['#/$defs/a~1b', { 'a/b': { type: 'null' } }],
    ['#/$defs/a/b', { 'a/b': { type: 'null' } }],
    ['#/$defs/a~0b', { 'a~b': { type: 'null' } }],
    ['#/$defs/a~01', { 'a~1': { type: 'null' } }],
    ['#/$defs/a%20b', { 'a b': { type: 'null' } }],
    ['#/$defs/100%', { '100%': { type: 'null' } }],
    ['#/$defs/a/anyOf/1', { a: { anyOf: [{}, { type: 'null' }] } }],
    ['#/$defs/', { '': { type: 'null' } }],
  ])('follows %s', async (ref, $defs) => {
    const { exposed: schema, check } = await compile({ type: 'object', $defs, properties: { n: { $ref: ref } } });
    expect(schema).toEqual({ type: 'object', properties: { n: { type: 'null' } } });
    expect(check({ n: 1 })).toBe("$.n: 1 is not of type 'null'");
  });

  test('refuses a pointer that is also the name of another definition', async () => {
    const $defs = { 'a/b': { type: 'null' }, a: { b: { type: 'string' } } };
    expect(await refusal({ type: 'object', $defs, properties: { n: { $ref: '#/$defs/a/b' } } })).toBe(
      UNRESOLVED('#/$defs/a/b'),
    );
  });

  test('keeps numbers and key order', async () => {
    const schema = '{"type":"object","properties":{"b":{"maximum":1.0},"10":{"const":12345678901234567890},"9":{}}}';
    expect(await exposed(schema)).toBe(schema);
  });
});

describe('validation', () => {
  const sibling =
    '{"type":"object","$defs":{"S":{"minLength":2}},"properties":{"a":{"$ref":"#/$defs/S","minLength":0}}}';

  test('takes the schema as submitted: keys beside a reference add to it', async () => {
    expect((await compile(sibling)).check({ a: 'x' })).toBe("$.a: 'x' is too short");
  });

  test('ignores keys beside a reference where the dialect does', async () => {
    const schema = sibling
      .replace('"minLength":0', '"maxLength":1')
      .replace('{', '{"$schema":"http://json-schema.org/draft-07/schema#",');
    expect((await compile(schema)).check({ a: 'xyz' })).toBeNull();
  });

  test('of an oldest dialect is refused', async () => {
    expect(await refusal({ type: 'object', $schema: 'http://json-schema.org/draft-03/schema#' })).toContain('draft-03');
  });

  test('in an unknown dialect goes by the newest', async () => {
    const { check } = await compile({
      $schema: 'https://example.org/mine',
      type: 'object',
      properties: { a: { prefixItems: [{ type: 'null' }] } },
    });
    expect(check({ a: [1] })).toBe("$.a[0]: 1 is not of type 'null'");
  });

  test('names of the schema mean nothing beyond it', async () => {
    const schema = object(
      '{"$id":"https://json-schema.org/draft/2020-12/schema","type":"object","$anchor":"a","properties":{"a":{"$id":"urn:x","type":"null"}}}',
    );
    const { check } = await compile(schema);
    expect(check({ a: 1 })).toBe("$.a: 1 is not of type 'null'");
  });
});
