import { expect, test } from 'bun:test';
import { compile, object } from './support.ts';

const fault = async (schema: string, value: string): Promise<string | null> =>
  (await compile(`{"type":"object",${schema}}`)).check(object(value));
const a = (schema: string, value: string): Promise<string | null> =>
  fault(`"properties":{"a":${schema}}`, `{"a":${value}}`);

test.each([
  ['{"type":"string"}', '5', "5 is not of type 'string'"],
  ['{"type":["string","null"]}', 'true', "True is not of type 'string', 'null'"],
  ['{"type":"integer"}', '1.5', "1.5 is not of type 'integer'"],
  ['{"enum":["x",1,null]}', '2.0', "2.0 is not one of ['x', 1, None]"],
  ['{"const":{"k":[1]}}', '{"k":[2]}', "{'k': [1]} was expected"],
  ['{"minimum":3}', '1', '1 is less than the minimum of 3'],
  ['{"maximum":3}', '10', '10 is greater than the maximum of 3'],
  ['{"exclusiveMinimum":3}', '3', '3 is less than or equal to the minimum of 3'],
  ['{"exclusiveMaximum":3.0}', '3', '3 is greater than or equal to the maximum of 3.0'],
  ['{"multipleOf":2}', '3', '3 is not a multiple of 2'],
  ['{"minLength":1}', '""', "'' should be non-empty"],
  ['{"minLength":2}', '"😀"', "'😀' is too short"],
  ['{"maxLength":1}', '"ab"', "'ab' is too long"],
  ['{"pattern":"^x"}', '"a"', "'a' does not match '^x'"],
  ['{"minItems":1}', '[]', '[] should be non-empty'],
  ['{"minItems":2}', '[1]', '[1] is too short'],
  ['{"maxItems":0}', '[1]', '[1] is expected to be empty'],
  ['{"uniqueItems":true}', '[1,1.0]', '[1, 1.0] has non-unique elements'],
  ['{"anyOf":[{"type":"string"},{"type":"null"}]}', '1', '1 is not valid under any of the given schemas'],
  ['{"oneOf":[{"type":"number"},{"minimum":0}]}', '1', "1 is valid under each of {'minimum': 0}, {'type': 'number'}"],
  ['{"not":{"type":"number"}}', '1', "1 should not be valid under {'type': 'number'}"],
  ['{"required":["k"]}', '{}', "'k' is a required property"],
  ['{"dependentRequired":{"a":["b"]}}', '{"a":1}', "'b' is a dependency of 'a'"],
  ['{"additionalProperties":false}', '{"x":1}', "Additional properties are not allowed ('x' was unexpected)"],
  [
    '{"additionalProperties":false}',
    '{"z":1,"x":1}',
    "Additional properties are not allowed ('x', 'z' were unexpected)",
  ],
  ['{"contains":{"type":"null"}}', '[1]', '[1] does not contain items matching the given schema'],
  ['{"unevaluatedProperties":false}', '{"x":1}', "Unevaluated properties are not allowed ('x' was unexpected)"],
])('%s refuses %s', async (schema, value, sentence) => {
  expect(await a(schema, value)).toBe(`$.a: ${sentence}`);
});

test('paths name members and items', async () => {
  expect(await a('{"items":{"properties":{"b c":{"type":"null"}}}}', '[{},{"b c":1}]')).toBe(
    "$.a[1].b c: 1 is not of type 'null'",
  );
});

test('the first fault is chosen by path, segments as strings', async () => {
  const schema = '"properties":{"b":{"type":"null"},"a":{"items":{"type":"null"}}}';
  const value = '{"b":1,"a":[null,null,2,null,null,null,null,null,null,9,10]}';
  expect(await fault(schema, value)).toBe("$.a[10]: 10 is not of type 'null'");
});

test('at one place the first keyword of the schema speaks', async () => {
  expect(await fault('"required":["k"],"additionalProperties":false', '{"x":1}')).toBe("$: 'k' is a required property");
  expect(await fault('"additionalProperties":false,"required":["k"]', '{"x":1}')).toBe(
    "$: Additional properties are not allowed ('x' was unexpected)",
  );
});

test('why each alternative does not fit is not told', async () => {
  const schema = '{"anyOf":[{"properties":{"b":{"type":"null"}}},{"$ref":"#/$defs/n"}]}';
  expect(await fault(`"$defs":{"n":{"type":"null"}},"properties":{"a":${schema}}`, '{"a":{"b":1}}')).toBe(
    "$.a: {'b': 1} is not valid under any of the given schemas",
  );
});

test('1.0 is an integer, and formats assert nothing', async () => {
  expect(await a('{"type":"integer"}', '1.0')).toBeNull();
  expect(await a('{"format":"email"}', '"no address"')).toBeNull();
});

test('numbers are told as they were written', async () => {
  expect(await a('{"type":"string"}', '12345678901234567890')).toBe(
    "$.a: 12345678901234567890 is not of type 'string'",
  );
  expect(await a('{"maximum":1}', '1e20')).toBe('$.a: 1e+20 is greater than the maximum of 1');
});

test('keywords that another specification gives a meaning have none', async () => {
  expect(await a('{"type":"string","nullable":true}', 'null')).toBe("$.a: None is not of type 'string'");
  expect(await fault('"discriminator":{"propertyName":"k"},"oneOf":[{}]', '{}')).toBeNull();
});

test('names that JavaScript objects have from birth are ordinary names', async () => {
  const schema = '"properties":{"constructor":{"type":"string"},"toString":{"type":"string"}},"required":["toString"]';
  expect(await fault(schema, '{}')).toBe("$: 'toString' is a required property");
  expect(await fault(schema, '{"toString":"a","constructor":1}')).toBe("$.constructor: 1 is not of type 'string'");
  expect(await fault('"additionalProperties":false', '{"__proto__":1}')).toBe(
    "$: Additional properties are not allowed ('__proto__' was unexpected)",
  );
  expect(await a('{"enum":[{"valueOf":1}]}', '{"valueOf":2,"toString":3}')).toStartWith('$.a: ');
});

test('what a branch has evaluated counts only where it was taken', async () => {
  // ajv alone throws here, or takes over what the item before has evaluated.
  const item =
    '{"if":{"required":["go"]},"then":{"properties":{"k":{},"go":{}}},"patternProperties":{"^x":{}},"unevaluatedProperties":false}';
  expect(await a(`{"items":${item}}`, '[{"go":1,"k":1,"x":1},{"x":1}]')).toBeNull();
  expect(await a(`{"items":${item}}`, '[{"go":1,"k":1},{"k":1}]')).toBe(
    "$.a[1]: Unevaluated properties are not allowed ('k' was unexpected)",
  );
});

test('a fault that quotes a large value is cut', async () => {
  const told = await a('{"type":"null"}', JSON.stringify('x'.repeat(100_000)));
  expect(told?.length).toBeLessThan(21_000);
  expect(told).toEndWith("is not of type 'null'");
});

test('equal items among a hundred thousand are found at once', async () => {
  const items = Array.from({ length: 100_000 }, (_, i) => `{"i":${i}}`).join(',');
  const { check } = await compile('{"type":"object","properties":{"a":{"uniqueItems":true}}}');
  const value = object(`{"a":[${items}]}`);
  const start = performance.now();
  expect(check(value)).toBeNull();
  expect(performance.now() - start).toBeLessThan(3000); // quadratic: minutes
});
