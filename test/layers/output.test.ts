import { describe, expect, test } from 'bun:test';
import type { OutputContract } from '../../src/agent/tools.ts';
import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import { checkOutputShape } from '../../src/layers/output.ts';
import { slotLayer } from '../../src/layers/slots.ts';
import type { RunLayerSpec } from '../../src/protocol/runs.ts';
import { parseJson, stringifyJson } from '../../src/wiretext/json.ts';
import { fault, prepare, refusal } from './fixtures.ts';
import { recordedRun } from './recorded.ts';

const contractOf = (config: JsonValue): Promise<OutputContract> => {
  const layer = prepare({ output: { type: 'dify.output', config } }).get('output');
  if (layer.outputContract === undefined) throw new Error('the layer offers no contract');
  return layer.outputContract();
};
const json = (text: string): JsonValue => {
  const parsed = parseJson(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.value;
};
const ANSWER: JsonObject = {
  type: 'object',
  properties: { answer: { type: 'string' }, n: { type: 'integer' } },
  required: ['answer'],
  additionalProperties: false,
};

describe('as recorded', () => {
  test.each([
    'ask_human_and_final_output',
    'ask_human_with_output',
    'length_truncated_output_twice',
    'output_bad_and_good_calls',
    'output_description_strict',
    'output_invalid_json_then_ok',
    'output_invalid_then_ok',
    'output_ok',
    'output_several_errors',
    'output_text_then_tool',
    'output_text_twice',
    'output_two_calls',
    'output_unicode_numbers',
    'retry_output_invalid_then_text',
    'retry_output_text_then_invalid_then_ok',
  ])('%s: the definition and what the model is told, to the byte', async (name) => {
    const run = await recordedRun(name);
    const contract = await contractOf(run.config('dify.output'));
    expect(stringifyJson(contract.definition)).toBe(stringifyJson(run.definition('final_output')));
    for (const { args, valid, retry } of run.calls('final_output')) {
      const result = contract.validate(args);
      expect(result.ok).toBe(valid !== false);
      if (!result.ok) expect(stringifyJson(result.retry)).toBe(stringifyJson(retry));
    }
  });

  test.each(['output_recursive_defs', 'output_remote_ref', 'output_unresolved_ref'])('%s: the text', async (name) => {
    const run = await recordedRun(name);
    const reason = await contractOf(run.config('dify.output')).catch((error: Error) => error.message);
    expect(reason).toBe(String(run.end.error));
  });

  test('output_not_object: the text, its value masked', async () => {
    expect(refusal({ output: { type: 'dify.output', config: { json_schema: { type: 'array' } } } })).toBe(
      `1 validation error for DifyOutputLayerConfig\n${fault('json_schema', 'Value error, Schema must declare an object output.', 'value_error', 'dict')}`,
    );
  });

  test('output_unicode_numbers: the answer keeps its numbers and key order', async () => {
    const run = await recordedRun('output_unicode_numbers');
    const { validate } = await contractOf(run.config('dify.output'));
    const args = '{"z":1.0,"a":12345678901234567890,"s":"é\u2028","e":1e20,"n":null,"neg":-0.0}';
    const result = validate(args);
    expect(result.ok && stringifyJson(result.value)).toBe(stringifyJson(run.end.output));
  });

  test('where the reference failed on purpose or by accident, ours is better', async () => {
    // A property named `default` is a property, and a `$ref` in an enum is data (spec README, corrections; 02 §14.6).
    const named = await contractOf((await recordedRun('output_property_named_default')).config('dify.output'));
    expect(named.definition.parameters.properties).toEqual({ default: { type: 'string' }, x: { type: 'string' } });
    const data = await contractOf((await recordedRun('output_ref_inside_enum')).config('dify.output'));
    expect(data.definition.parameters.properties).toEqual({ e: { enum: [{ $ref: '#/not/a/ref' }] } });
    // 02 §14.7: an unresolved reference is found before the model is asked.
    const config = (await recordedRun('output_ref_without_defs')).config('dify.output');
    await expect(contractOf(config)).rejects.toThrow("Local $ref '#/$defs/N' could not be resolved from $defs.");
  });
});

describe('shape', () => {
  const spec = (name: string, type = 'dify.output'): RunLayerSpec => ({
    name,
    type,
    deps: {},
    metadata: {},
    config: null,
  });

  test('one layer named output is fine, as is none', () => {
    expect(() => checkOutputShape([spec('output'), spec('x', 'nobody.knows')])).not.toThrow();
    expect(() => checkOutputShape([])).not.toThrow();
  });

  test('two are one too many, whatever their names', () => {
    expect(() => checkOutputShape([spec('b'), spec('x', 'y'), spec('output')])).toThrow(
      "Only one 'dify.output' layer is supported, named 'output'. Found layers: b, output.",
    );
  });

  test('another name is refused', () => {
    expect(() => checkOutputShape([spec('result')])).toThrow(
      "Layer type 'dify.output' must use reserved layer name 'output', got 'result'.",
    );
  });

  test('another type under the name is refused', () => {
    const { layers } = prepare({ output: { type: 'plain.prompt', config: { user: 'x' } } });
    expect(() => slotLayer(layers, 'output')).toThrow("Layer 'output' must be DifyOutputLayer, got PromptLayer.");
  });
});

describe('config', () => {
  const refused = (config: JsonValue) => refusal({ output: { type: 'dify.output', config } });
  const head = (count: number) => `${count} validation error${count === 1 ? '' : 's'} for DifyOutputLayerConfig\n`;

  test('the schema is required, and there is no name', () => {
    expect(refused({ name: 'n' })).toBe(
      `${head(2)}${fault('json_schema', 'Field required', 'missing', 'dict')}\n${fault('name', 'Extra inputs are not permitted', 'extra_forbidden', 'str')}`,
    );
  });

  test.each([['array'], ['string'], [null]])('a schema of type %p is refused', (type) => {
    expect(refused({ json_schema: type === null ? {} : { type } })).toContain(
      'Value error, Schema must declare an object output.',
    );
  });

  test('a list of types is not an object, even with object in it', () => {
    expect(refused({ json_schema: { type: ['object', 'null'] } })).toContain('Schema must declare an object output.');
  });

  test('the schema is an object, description a text, strict a bool', () => {
    expect(refused({ json_schema: [], description: 1, strict: 'maybe' })).toBe(
      `${head(3)}${fault('json_schema', 'Input should be a valid dictionary', 'dict_type', 'list')}\n` +
        `${fault('description', 'Input should be a valid string', 'string_type', 'int')}\n` +
        fault('strict', 'Input should be a valid boolean, unable to interpret input', 'bool_parsing', 'str'),
    );
  });

  test('the config may be a JSON text', async () => {
    const contract = await contractOf('{"json_schema":{"type":"object","maxProperties":1.0}}');
    expect(stringifyJson(contract.definition.parameters)).toBe(
      '{"maxProperties":1.0,"title":"final_output","type":"object"}',
    );
  });

  test('a broken schema is no matter of the config, but of the contract', async () => {
    await expect(contractOf({ json_schema: { type: 'object', properties: { t: { type: 'wat' } } } })).rejects.toThrow(
      "'wat' is not valid under any of the given schemas\n\nOn schema['properties']['t']['type']",
    );
  });
});

describe('definition', () => {
  const definition = async (config: JsonObject) => (await contractOf(config)).definition;

  test.each([
    ['the layer has one', { description: 'layer' }, { description: 'schema' }, 'layer'],
    ['only the schema has one', {}, { description: 'schema' }, 'schema'],
    ['nobody has one', {}, {}, 'The final response which ends this conversation'],
    ['the layer has an empty one', { description: '' }, {}, 'The final response which ends this conversation'],
  ])('description when %s', async (_, layer, schema, expected) => {
    const { description, parameters } = await definition({ ...layer, json_schema: { type: 'object', ...schema } });
    expect(description).toBe(expected);
    expect(parameters).toEqual({ title: 'final_output', type: 'object' });
  });

  test('keys are sorted but those directly under properties and default', async () => {
    const schema = json(
      '{"type":"object","properties":{"z":{"type":"object","default":{"z":1,"a":{"d":1,"c":2}}},"10":{},"9":{}},"anyOf":[{"properties":{"b":{},"a":{}},"maxLength":1}],"patternProperties":{"z":{},"a":{}},"\uff5e":1,"\u{1f600}":2}',
    );
    expect(stringifyJson((await definition({ json_schema: schema })).parameters)).toBe(
      '{"anyOf":[{"maxLength":1,"properties":{"b":{},"a":{}}}],"patternProperties":{"a":{},"z":{}},"properties":{"z":{"default":{"z":1,"a":{"c":2,"d":1}},"type":"object"},"10":{},"9":{}},"title":"final_output","type":"object","\uff5e":1,"\u{1f600}":2}',
    );
  });

  test('a layer with the same config has the same definition', async () => {
    const config = { json_schema: { type: 'object', $defs: { S: {} }, properties: { a: { $ref: '#/$defs/S' } } } };
    expect(await definition(config)).toEqual(await definition(config));
  });
});

describe('answers', () => {
  const answer = async (args: string | null | JsonObject) =>
    (await contractOf({ json_schema: ANSWER })).validate(args as string); // objects come from stored calls

  test.each([
    ['{bad', 'json_invalid', 'Invalid JSON: key must be a string at line 1 column 2'],
    ['{"a"', 'json_invalid', 'Invalid JSON: EOF while parsing an object at line 1 column 4'],
    [' ', 'json_invalid', 'Invalid JSON: EOF while parsing a value at line 1 column 1'],
  ])('%p is no JSON', async (args, type, msg) => {
    expect(await answer(args)).toEqual({ ok: false, retry: [{ type, loc: [], msg, input: args }] });
  });

  test.each([['[1]'], ['"x"'], ['null'], ['1.0']])('%s is no object', async (args) => {
    const result = await answer(args);
    const input = stringifyJson(json(args));
    expect(stringifyJson(result)).toBe(
      `{"ok":false,"retry":[{"type":"dict_type","loc":[],"msg":"Input should be an object","input":${input}}]}`,
    );
  });

  test.each([[''], [null], ['{}'], [{}]])('%p is an empty object', async (args) => {
    const msg = "Output does not match JSON Schema: $: 'answer' is a required property";
    expect(await answer(args)).toEqual({
      ok: false,
      retry: [{ type: 'json_schema_validation', loc: [], msg, input: {} }],
    });
  });

  test('an object that came as one is checked as well', async () => {
    expect(await answer({ answer: 'a', n: 2 })).toEqual({ ok: true, value: { answer: 'a', n: 2 } });
  });

  test('a whole float is an integer, and stays the float it was', async () => {
    const result = await answer('{"answer":"a","n":1.0}');
    expect(result.ok && stringifyJson(result.value)).toBe('{"answer":"a","n":1.0}');
  });

  test('what does not fit goes back as it was sent', async () => {
    const args = '{"n":12345678901234567890,"10":1,"9":1.0}';
    const result = await answer(args);
    expect(!result.ok && stringifyJson(result.retry)).toBe(
      `[{"type":"json_schema_validation","loc":[],"msg":"Output does not match JSON Schema: $: 'answer' is a required property","input":${args}}]`,
    );
  });

  test('an answer beyond its size is refused without being read', async () => {
    const result = await answer(`{"answer":"${'x'.repeat(1_048_576)}"}`);
    expect(!result.ok && result.retry).toEqual([
      {
        type: 'json_schema_validation',
        loc: [],
        msg: 'Output is too large: 1048589 characters, at most 1048576 are allowed',
        input: null,
      },
    ]);
  });
});
