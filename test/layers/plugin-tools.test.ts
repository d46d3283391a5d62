import { describe, expect, test } from 'bun:test';
import type { JsonObject } from '../../src/base/json.ts';
import type { PluginDaemonClient } from '../../src/peers/plugin-daemon/client.ts';
import { stringifyJson } from '../../src/wiretext/json.ts';
import { fault, layerTypes, refusal } from './fixtures.ts';
import { oneTool, TOOL, toolsOf, withTools } from './plugin-tools/kit.ts';

/** No test here calls a tool. */
const UNUSED: PluginDaemonClient = {
  apiKey: '',
  async *streamItems() {},
  load: () => ({ active: 0, waiting: 0 }),
  close() {},
};

const definition = (changes: JsonObject) => toolsOf(oneTool(changes), UNUSED)[0]?.definition;

describe('what the model sees', () => {
  test('falls back to the tool’s own name, and from there to nothing', () => {
    expect(definition({})).toEqual({
      name: 'get',
      description: 'get',
      parameters: { type: 'object', properties: {}, required: [] },
    });
    expect(definition({ name: '', description: '' })).toMatchObject({ name: 'get', description: 'get' });
    expect(definition({ name: 'shown', description: null })).toMatchObject({ name: 'shown', description: 'shown' });
    expect(definition({ name: null, description: 'does it' })).toMatchObject({ name: 'get', description: 'does it' });
  });

  test('is the submitted schema, to the byte', () => {
    const schema = { type: 'object', properties: { '2': { minimum: JSON.rawJSON('1.0') }, '1': {} }, x: [null] };
    expect(stringifyJson(definition({ parameters_json_schema: schema })?.parameters)).toBe(stringifyJson(schema));
  });
});

test('tools come in the order of the layer, run side by side, and execute here', () => {
  const tools = toolsOf(withTools([TOOL, { ...TOOL, name: 'b' }]), UNUSED);
  expect(tools.map(({ definition, kind, sequential }) => [definition.name, kind, sequential])).toEqual([
    ['get', 'function', false],
    ['b', 'function', false],
  ]);
});

test('a layer without tools has none', () => {
  expect(toolsOf(withTools([]), UNUSED)).toEqual([]);
});

test('required hidden parameters without a value refuse the composition, names sorted', () => {
  const parameters = ['z', 'a', 'B'].map((name) => ({ name, type: 'string', form: 'form', required: true }));
  expect(() => toolsOf(oneTool({ name: 'shown', parameters }), UNUSED)).toThrow(
    "Tool 'get' requires non-LLM runtime_parameters for: B, a, z.",
  );
});

describe('the config', () => {
  test('takes a whole parameter dump of the Dify API', () => {
    const parameters = [
      {
        name: 'q',
        label: { en_US: 'Q' },
        placeholder: null,
        type: 'select',
        form: 'llm',
        required: true,
        default: 5,
        min: null,
        llm_description: null,
        options: [{ value: 5, label: { en_US: 'five' }, icon: null }],
      },
      { name: 'd', type: 'date', form: 'llm' },
      { name: 'r', type: 'date-range', form: 'form' },
    ];
    expect(refusal(oneTool({ parameters }))).toBe('accepted');
  });

  test('is closed at its upper levels', () => {
    expect(refusal(oneTool({ extra: 1 }))).toBe(
      `1 validation error for DifyPluginToolsLayerConfig\n${fault('tools.0.extra', 'Extra inputs are not permitted', 'extra_forbidden', 'int')}`,
    );
    const { tools, where } = withTools([]);
    expect(refusal({ where, tools: { ...tools, config: { tools: [], more: null } } })).toBe(
      `1 validation error for DifyPluginToolsLayerConfig\n${fault('more', 'Extra inputs are not permitted', 'extra_forbidden', 'NoneType')}`,
    );
  });

  test('names what is missing and what no type is', () => {
    expect(refusal(withTools([{ credential_type: 'x', parameters: [{ name: 'a', type: 'y', form: 'z' }] }]))).toBe(
      [
        '6 validation errors for DifyPluginToolsLayerConfig',
        fault('tools.0.plugin_id', 'Field required', 'missing', 'dict'),
        fault('tools.0.provider', 'Field required', 'missing', 'dict'),
        fault('tools.0.tool_name', 'Field required', 'missing', 'dict'),
        fault('tools.0.credential_type', "Input should be 'api-key', 'oauth2' or 'unauthorized'", 'enum', 'str'),
        fault(
          'tools.0.parameters.0.type',
          "Input should be 'string', 'number', 'boolean', 'select', 'secret-input', 'file', 'files', 'app-selector', 'model-selector', 'any', 'dynamic-select', 'checkbox', 'system-files', 'array', 'object', 'date' or 'date-range'",
          'enum',
          'str',
        ),
        fault('tools.0.parameters.0.form', "Input should be 'schema', 'form' or 'llm'", 'enum', 'str'),
      ].join('\n'),
    );
  });

  test('refuses credentials that are no scalars, and null where a list is due', () => {
    expect(refusal(oneTool({ credentials: { a: {} } }))).toStartWith('4 validation errors');
    expect(refusal(oneTool({ parameters: null }))).toStartWith('1 validation error');
    expect(refusal(oneTool({ parameters: [{ name: 'a', type: 'string', form: 'llm', options: null }] }))).toStartWith(
      '1 validation error',
    );
  });

  test('needs an execution context', () => {
    const { where, tools } = withTools([TOOL]);
    expect(refusal({ where, tools: { ...tools, deps: {} } })).toBe(
      "Dependency 'execution_context' is required for layer 'DifyPluginToolsLayer' but not provided.",
    );
    expect(refusal({ where, tools: { ...tools, deps: { execution_context: 'where', shell: 'where' } } })).toBe(
      "Layer 'tools' declares unknown dependency keys: shell.",
    );
  });

  test('is known under its reference name', () => {
    expect(layerTypes().find(({ typeId }) => typeId === 'dify.plugin.tools')?.className).toBe('DifyPluginToolsLayer');
  });
});
