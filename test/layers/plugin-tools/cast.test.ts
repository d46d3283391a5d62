import { describe, expect, test } from 'bun:test';
import type { JsonValue } from '../../../src/base/json.ts';
import { castArgument, ToolArgumentError } from '../../../src/layers/plugin-tools/cast.ts';
import type { ToolParameter } from '../../../src/layers/plugin-tools/config.ts';
import { parseJson, stringifyJson } from '../../../src/wiretext/json.ts';
import { randomFrom, randomJson } from './random.ts';

type Type = ToolParameter['type'];

const TEXTS = [
  'string',
  'secret-input',
  'select',
  'checkbox',
  'dynamic-select',
  'date',
  'date-range',
] as const satisfies readonly Type[];
const TYPES = [
  ...TEXTS,
  'number',
  'boolean',
  'file',
  'files',
  'system-files',
  'app-selector',
  'model-selector',
  'any',
  'array',
  'object',
] as const satisfies readonly Type[];

/** The cast of a JSON text, as JSON text; or the text of the refusal. */
function cast(type: Type, text: string): string {
  const parsed = parseJson(text);
  if (!parsed.ok) throw new Error(`not JSON: ${text}`);
  return castValue(type, parsed.value);
}

function castValue(type: Type, value: JsonValue): string {
  try {
    return stringifyJson(castArgument({ name: 'p', type }, value));
  } catch (error) {
    if (!(error instanceof ToolArgumentError)) throw error;
    return error.message;
  }
}

describe.each(TEXTS)('%s', (type) => {
  test.each([
    ['null', '""'],
    ['""', '""'],
    ['"a b"', '"a b"'],
    ['true', '"True"'],
    ['false', '"False"'],
    ['5', '"5"'],
    ['5.0', '"5.0"'],
    ['1e20', '"1e+20"'],
    ['12345678901234567890', '"12345678901234567890"'],
    ['0.00001', '"1e-05"'],
    ['[1,null,"a"]', `"[1, None, 'a']"`],
    ['{"b":true,"1":"it\'s"}', `"{'b': True, '1': \\"it's\\"}"`],
    ['{}', '"{}"'],
  ])('%s becomes %s', (given, wanted) => {
    expect(cast(type, given)).toBe(wanted);
  });
});

describe('boolean', () => {
  test.each(['true', '"true"', '"True"', '"YES"', '"y"', '"1"', '"maybe"', '" false "', '1', '-0.5', '[0]', '{"a":0}'])(
    '%s is true',
    (given) => {
      expect(cast('boolean', given)).toBe('true');
    },
  );
  test.each(['null', 'false', '"false"', '"False"', '"NO"', '"n"', '"0"', '""', '0', '0.0', '[]', '{}'])(
    '%s is false',
    (given) => {
      expect(cast('boolean', given)).toBe('false');
    },
  );
});

describe('number', () => {
  test.each([
    ['7', '7'],
    ['1.0', '1.0'],
    ['12345678901234567890', '12345678901234567890'],
    ['true', 'true'],
    ['null', 'null'],
    ['""', '""'],
    ['[1]', '[1]'],
    ['"7"', '7'],
    ['"-07"', '-7'],
    ['"+7"', '7'],
    ['"1_000"', '1000'],
    ['"12345678901234567890"', '12345678901234567890'],
    ['"1.5"', '1.5'],
    ['"1.0"', '1.0'],
    ['"1."', '1.0'],
    ['".5"', '0.5'],
    ['" 5 "', '5'],
    ['"1e3"', '1000.0'],
    ['"1E-7"', '1e-7'],
  ])('%s becomes %s', (given, wanted) => {
    expect(cast('number', given)).toBe(wanted);
  });
  test.each(['"abc"', '"1,5"', '" "', '"0x10"', '"1__0"', '"inf"', '"nan"', '"1e999"', '"--1"'])(
    '%s is refused, and not echoed',
    (given) => {
      expect(cast('number', given)).toBe('tool parameter p must be a number');
    },
  );
  test('a hostile text is refused in linear time', () => {
    expect(castValue('number', `${'1'.repeat(2_000_000)}x`)).toBe('tool parameter p must be a number');
  });
});

describe('files', () => {
  const MANY = 'This parameter only accepts one file but got multiple files while invoking.';
  test.each([
    ['file', '{"u":1}', '{"u":1}'],
    ['file', '[{"u":1}]', '{"u":1}'],
    ['file', '[null]', 'null'],
    ['file', '"x"', '"x"'],
    ['file', '[]', MANY],
    ['file', '[1,2]', MANY],
    ['files', '"x"', '["x"]'],
    ['files', '["x"]', '["x"]'],
    ['files', '[]', '[]'],
    ['system-files', '{"u":1}', '[{"u":1}]'],
  ] as const)('%s: %s becomes %s', (type, given, wanted) => {
    expect(cast(type, given)).toBe(wanted);
  });
});

describe.each(['model-selector', 'app-selector'] as const)('%s', (type) => {
  test('an object stays', () => {
    expect(cast(type, '{"provider":"p"}')).toBe('{"provider":"p"}');
  });
  test.each(['"x"', '[{}]', 'null', '1', '1.0', 'true'])('%s is refused', (given) => {
    expect(cast(type, given)).toBe('The selector must be a dictionary.');
  });
});

test.each(['null', 'true', '1.0', '"x"', '[1]', '{"k":[1]}'])('any keeps %s', (given) => {
  expect(cast('any', given)).toBe(given);
});

test.each([
  ['array', '[1]', '[1]'],
  ['array', '"[1, 2.0]"', '[1,2.0]'],
  ['array', '"x"', '["x"]'],
  ['array', '"{\\"a\\":1}"', '["{\\"a\\":1}"]'],
  ['array', '{"a":1}', '[{"a":1}]'],
  ['array', 'null', '[null]'],
  ['array', '1.0', '[1.0]'],
  ['object', '{"a":1}', '{"a":1}'],
  ['object', '"{\\"a\\":1.0}"', '{"a":1.0}'],
  ['object', '"zz"', '{}'],
  ['object', '"[1]"', '{}'],
  ['object', '[1]', '{}'],
  ['object', 'null', '{}'],
  ['object', '1.0', '{}'],
] as const)('%s: %s becomes %s', (type, given, wanted) => {
  expect(cast(type, given)).toBe(wanted);
});

describe('whatever is cast', () => {
  const random = randomFrom(20260611);

  test.each(TYPES)('as %s', (type) => {
    for (let round = 0; round < 400; round++) {
      const value = randomJson(random, 3);
      const before = stringifyJson(value);
      let once: JsonValue;
      try {
        once = castArgument({ name: 'p', type }, value);
      } catch (error) {
        expect(error).toBeInstanceOf(ToolArgumentError);
        continue;
      }
      expect(stringifyJson(value)).toBe(before);
      // A file in a list in a list is unwrapped once per cast; everything else is a good value by now.
      if (type !== 'file') expect(stringifyJson(castArgument({ name: 'p', type }, once))).toBe(stringifyJson(once));
    }
  });
});
