import { describe, expect, test } from 'bun:test';
import { readArguments } from '../../../src/agent/arguments.ts';
import type { JsonObject, JsonValue } from '../../../src/base/json.ts';
import { missingHiddenParameters, toolParameters } from '../../../src/layers/plugin-tools/arguments.ts';
import { ToolArgumentError } from '../../../src/layers/plugin-tools/cast.ts';
import { pluginToolsConfig, type ToolConfig } from '../../../src/layers/plugin-tools/config.ts';
import { validate } from '../../../src/validation/walker.ts';
import { parseJson, stringifyJson } from '../../../src/wiretext/json.ts';
import { TOOL } from './kit.ts';
import { randomFrom, randomJson } from './random.ts';

function tool(changes: JsonObject): ToolConfig {
  const result = validate(pluginToolsConfig, { tools: [{ ...TOOL, ...changes }] });
  const only = result.ok ? result.value.tools[0] : undefined;
  if (only === undefined) throw new Error(JSON.stringify(result));
  return only;
}

function json(text: string): JsonValue {
  const parsed = parseJson(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.value;
}

describe('reading arguments', () => {
  const read = (args: Parameters<typeof readArguments>[0]) => {
    const result = readArguments(args);
    return result.ok ? stringifyJson(result.value) : result.retry;
  };

  test.each([
    [null, '{}'],
    ['', '{}'],
    ['{}', '{}'],
    [' {"a": 1.0} ', '{"a":1.0}'],
    ['{"n":12345678901234567890,"2":0,"1":0}', '{"n":12345678901234567890,"2":0,"1":0}'],
  ])('%p is %s', (args, wanted) => {
    expect(read(args)).toBe(wanted);
  });

  test('an object is taken as it is', () => {
    expect(read({ a: [1] })).toBe('{"a":[1]}');
  });

  test.each([
    ['{"city": "Os', 'EOF while parsing a string at line 1 column 12'],
    ['{bad', 'key must be a string at line 1 column 2'],
    ['{} x', 'trailing characters at line 1 column 4'],
  ])('%s is no JSON', (args, fault) => {
    expect(read(args)).toEqual([{ type: 'json_invalid', loc: [], msg: `Invalid JSON: ${fault}`, input: args }]);
  });

  test.each(['"abc"', '[1]', 'null', '7', '1.0', 'true'])('%s is no object', (args) => {
    expect(read(args)).toEqual([{ type: 'dict_type', loc: [], msg: 'Input should be an object', input: json(args) }]);
  });
});

describe('the parameters of a request', () => {
  const P = [
    { name: 'q', type: 'string', form: 'llm', required: true },
    { name: 'n', type: 'number', form: 'llm', default: '3' },
    { name: 'key', type: 'secret-input', form: 'form' },
    { name: 'lang', type: 'select', form: 'schema', default: 'en' },
    { name: 'opt', type: 'boolean', form: 'llm' },
  ];
  const sent = (args: string, runtime: JsonObject = {}, parameters: readonly JsonObject[] = P): string => {
    const given = json(args);
    return stringifyJson(
      toolParameters(tool({ parameters, runtime_parameters: runtime }), given as JsonObject), // the test's own texts
    );
  };

  test('stand in the order of their declarations, then what is undeclared', () => {
    expect(sent('{"z":1.0,"opt":"y","q":5}', { hidden: 'h', key: 'k' })).toBe(
      '{"q":"5","n":3,"key":"k","lang":"en","opt":true,"hidden":"h","z":1.0}',
    );
  });

  test('an explicit null is a value, not the default', () => {
    expect(sent('{"q":null,"n":null}')).toBe('{"q":"","n":null,"lang":"en"}');
  });

  test('a required one that nobody gives is named', () => {
    expect(() => sent('{}')).toThrow(new ToolArgumentError('tool parameter q not found in tool config'));
  });

  test('hidden ones cannot be given by the model', () => {
    expect(sent('{"q":"x","key":"mine","lang":"xx","hidden":"mine"}', { key: 'k', hidden: 'h' })).toBe(
      '{"q":"x","n":3,"key":"k","lang":"en","hidden":"h"}',
    );
  });

  test('a hidden one without a value stays absent, whatever the model says', () => {
    expect(sent('{"q":"x","key":"mine"}')).toBe('{"q":"x","n":3,"lang":"en"}');
  });

  test('the model may replace the configured value of a parameter that is its own', () => {
    expect(sent('{"q":"model"}', { q: 'configured' })).toBe('{"q":"model","n":3,"lang":"en"}');
    expect(sent('{}', { q: 'configured' })).toBe('{"q":"configured","n":3,"lang":"en"}');
  });

  test('a name that is declared twice is hidden when one declaration is', () => {
    const twice = [
      { name: 'a', type: 'string', form: 'llm' },
      { name: 'a', type: 'string', form: 'form' },
    ];
    expect(sent('{"a":"mine"}', { a: 'h' }, twice)).toBe('{"a":"h"}');
  });

  test('odd names are names', () => {
    const odd = ['__proto__', 'constructor', '7', '3'].map((name) => ({ name, type: 'any', form: 'llm' }));
    expect(sent('{"3":1,"7":2,"constructor":3,"__proto__":4}', {}, odd)).toBe(
      '{"__proto__":4,"constructor":3,"7":2,"3":1}',
    );
    expect(sent('{}', {}, odd)).toBe('{}');
  });

  test('whatever the model sends: a request or the typed error, and no hidden value changed', () => {
    const random = randomFrom(7);
    const config = tool({
      parameters: [
        { name: 'a', type: 'number', form: 'llm' },
        { name: 'b', type: 'file', form: 'llm', required: true },
        { name: '1', type: 'secret-input', form: 'form' },
      ],
      runtime_parameters: { '1': 'hidden', __proto__x: 1, constructor: 'h' },
    });
    for (let round = 0; round < 500; round++) {
      const args = randomJson(random, 3);
      if (typeof args !== 'object' || args === null || Array.isArray(args) || JSON.isRawJSON(args)) continue;
      try {
        const parameters = toolParameters(config, args as JsonObject); // the line above leaves objects
        expect(parameters['1']).toBe('hidden');
        expect(new Map(Object.entries(parameters)).get('constructor')).toBe('h');
      } catch (error) {
        expect(error).toBeInstanceOf(ToolArgumentError);
      }
    }
  });
});

test('required hidden parameters need a value or a default', () => {
  const parameters = [
    { name: 'z', type: 'string', form: 'form', required: true },
    { name: 'a', type: 'string', form: 'schema', required: true },
    { name: 'd', type: 'string', form: 'form', required: true, default: '' },
    { name: 'o', type: 'string', form: 'form' },
    { name: 'm', type: 'string', form: 'llm', required: true },
  ];
  expect(missingHiddenParameters(tool({ parameters }))).toEqual(['z', 'a']);
  expect(missingHiddenParameters(tool({ parameters, runtime_parameters: { z: null } }))).toEqual(['a']);
});
