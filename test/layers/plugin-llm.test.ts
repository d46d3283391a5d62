import { expect, test } from 'bun:test';
import type { JsonObject } from '../../src/base/json.ts';
import { createLayerRegistry } from '../../src/compositor/registry.ts';
import { llmModel } from '../../src/layers/slots.ts';
import { type Composition, fault, layerTypes, prepare, type RecordedModel, refusal } from './fixtures.ts';

const REQUIRED = { plugin_id: 'langgenius/openai', model_provider: 'openai', model: 'gpt-4o-mini' };

const composition = (config: JsonObject, deps: Readonly<Record<string, string>> = { execution_context: 'where' }) =>
  ({
    where: { type: 'dify.execution_context', config: { tenant_id: 't' } },
    llm: { type: 'dify.plugin.llm', config, deps },
  }) satisfies Composition;

const modelOf = (config: JsonObject) => llmModel(prepare(composition(config)).layers) as RecordedModel; // the fixture's factory builds it
const settings = (model_settings: JsonObject) => composition({ ...REQUIRED, model_settings });

test('the model is built from config and context', () => {
  const { config, context } = modelOf(REQUIRED);
  expect(config).toEqual({ ...REQUIRED, credentials: {}, model_settings: null, context_window_tokens: null });
  expect(context.tenant_id).toBe('t');
});

test('credentials keep their scalar types', () => {
  const credentials = { key: 'sk', n: 7, f: 1.5, b: true, z: null };
  expect(modelOf({ ...REQUIRED, credentials }).config.credentials).toEqual(credentials);
});

test('every fault is told, four for a credential that is no scalar', () => {
  const config = { plugin_id: 5, credentials: { a: { b: 1 }, c: [1] }, extra: true };
  const scalar = (loc: string, type: string) => [
    fault(`${loc}.str`, 'Input should be a valid string', 'string_type', type),
    fault(`${loc}.int`, 'Input should be a valid integer', 'int_type', type),
    fault(`${loc}.float`, 'Input should be a valid number', 'float_type', type),
    fault(`${loc}.bool`, 'Input should be a valid boolean', 'bool_type', type),
  ];
  expect(refusal(composition(config))).toBe(
    [
      '12 validation errors for DifyPluginLLMLayerConfig',
      fault('plugin_id', 'Input should be a valid string', 'string_type', 'int'),
      fault('model_provider', 'Field required', 'missing', 'dict'),
      fault('model', 'Field required', 'missing', 'dict'),
      ...scalar('credentials.a', 'dict'),
      ...scalar('credentials.c', 'list'),
      fault('extra', 'Extra inputs are not permitted', 'extra_forbidden', 'bool'),
    ].join('\n'),
  );
});

test('settings are coerced laxly and stay a closed map of what was given', () => {
  const given = { max_tokens: '5', temperature: '0.5', parallel_tool_calls: 'yes' };
  expect(modelOf({ ...REQUIRED, model_settings: given }).config.model_settings).toEqual({
    max_tokens: 5,
    temperature: 0.5,
    parallel_tool_calls: true,
  });
});

test('an unknown setting is refused', () => {
  expect(refusal(settings({ temperature: 0, zzz: 1 }))).toBe(
    `1 validation error for DifyPluginLLMLayerConfig\n${fault('model_settings.zzz', 'Extra inputs are not permitted', 'extra_forbidden', 'int')}`,
  );
});

test('a setting of the wrong type is refused', () => {
  const message = 'Input should be a valid integer, unable to parse string as an integer';
  expect(refusal(settings({ max_tokens: 'abc' }))).toBe(
    `1 validation error for DifyPluginLLMLayerConfig\n${fault('model_settings.max_tokens', message, 'int_parsing', 'str')}`,
  );
});

test('an explicit null is no setting, but no settings may be null', () => {
  expect(refusal(settings({ max_tokens: null }))).toContain(
    'model_settings.max_tokens\n  Input should be a valid integer',
  );
  expect(refusal(composition({ ...REQUIRED, model_settings: null }))).toBe('accepted');
});

test.each([{ top_k: 3 }, { tool_choice: 'auto' }, { service_tier: 'flex' }, { thinking: 'high' }, { thinking: true }])(
  '%j is a setting',
  (given) => {
    expect(refusal(settings(given))).toBe('accepted');
  },
);

test('the context window is positive or null', () => {
  expect(refusal(composition({ ...REQUIRED, context_window_tokens: 8000 }))).toBe('accepted');
  expect(refusal(composition({ ...REQUIRED, context_window_tokens: 0 }))).toContain('greater than 0');
});

test('the execution context is required and must be one', () => {
  expect(refusal(composition(REQUIRED, {}))).toBe(
    "Dependency 'execution_context' is required for layer 'DifyPluginLLMLayer' but not provided.",
  );
  const wrong: Composition = {
    prompt: { type: 'plain.prompt' },
    llm: { type: 'dify.plugin.llm', config: REQUIRED, deps: { execution_context: 'prompt' } },
  };
  expect(refusal(wrong)).toBe(
    "Dependency 'execution_context' should be of type 'DifyExecutionContextLayer', but got type 'PromptLayer'.",
  );
});

test('the scripted type is known only where it is enabled', () => {
  const known = (scriptedModel: boolean) => createLayerRegistry(layerTypes({ scriptedModel })).get('test.scripted_llm');
  expect(known(true)?.className).toBe('ScriptedLLMLayer');
  expect(known(false)).toBeUndefined();
});

test('a real composition runs scripted when only type and config are changed', () => {
  const { where, llm } = composition({ turns: [] });
  const model = llmModel(prepare({ where, llm: { ...llm, type: 'test.scripted_llm' } }).layers);
  expect(model).toMatchObject({ modelName: 'scripted', providerName: 'Scripted' });
});
