import { expect, test } from 'bun:test';
import { BoundedCache } from '../../src/jsonschema/cache.ts';
import { createSchemaCompiler } from '../../src/jsonschema/compiler.ts';
import { compile, object, refusal } from './support.ts';

test('a schema with the same text is compiled once', async () => {
  const compiler = createSchemaCompiler();
  const text = '{"type":"object","properties":{"a":{"type":"null"}}}';
  const first = await compile(text, compiler);
  expect(await compile(text, compiler)).toBe(first);
  expect(await compile(text.replace('null', 'string'), compiler)).not.toBe(first);
});

test('key order and number spelling make another schema', async () => {
  const compiler = createSchemaCompiler();
  const { exposed: one } = await compile('{"type":"object","maxProperties":1}', compiler);
  const { exposed: other } = await compile('{"type":"object","maxProperties":1.0}', compiler);
  expect(other).not.toBe(one);
});

test('a refused schema is refused again', async () => {
  const compiler = createSchemaCompiler();
  const schema = object('{"type":"object","required":"a"}');
  const text = await refusal(schema, compiler);
  expect(text).toBe("'a' is not of type 'array'\n\nOn schema['required']");
  expect(await refusal(schema, compiler)).toBe(text);
});

test.each([
  [
    'http://json-schema.org/draft-04/schema#',
    '{"minimum":1,"exclusiveMinimum":true}',
    '1 is less than or equal to the minimum of 1',
  ],
  ['http://json-schema.org/draft-06/schema#', '{"const":2}', '2 was expected'],
  ['http://json-schema.org/draft-07/schema', '{"items":[{"type":"null"}]}', null],
  ['https://json-schema.org/draft/2019-09/schema', '{"prefixItems":[{}],"dependencies":{"a":["b"]}}', null],
  ['https://json-schema.org/draft/2020-12/schema', '{"dependentRequired":{"a":["b"]}}', null],
])('%s goes by its own keywords', async ($schema, a, sentence) => {
  const { check } = await compile({ $schema, type: 'object', properties: { a: object(a) } });
  expect(check({ a: 1 })).toBe(sentence === null ? null : `$.a: ${sentence}`);
});

test('the cache forgets what was not used for longest', () => {
  const cache = new BoundedCache<number>(2, 100);
  cache.set('a', 1);
  cache.set('b', 2);
  cache.get('a');
  cache.set('c', 3);
  expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([1, undefined, 3]);
});

test('the cache is bounded by characters too', () => {
  const cache = new BoundedCache<number>(100, 10);
  cache.set('a'.repeat(6), 1);
  cache.set('b'.repeat(6), 2);
  expect(cache.size).toBe(1);
  cache.set('c'.repeat(11), 3);
  expect(cache.size).toBe(0);
  cache.set('d', 4);
  cache.set('d', 5);
  expect([cache.size, cache.get('d')]).toEqual([1, 5]);
});
