import { describe, expect, test } from 'bun:test';
import { pluginLlmConfig } from '../../src/models/plugin-llm-config.ts';
import { validate } from '../../src/validation/walker.ts';

const EFFORTS = "thinking.literal['minimal','low','medium','high','xhigh'] literal_error";

const read = (model_settings: unknown) =>
  validate(pluginLlmConfig, { plugin_id: 'a/b', model_provider: 'b', model: 'm', model_settings });

const refusals = (model_settings: unknown): readonly string[] => {
  const result = read(model_settings);
  return result.ok ? [] : result.issues.map(({ type, loc }) => `${loc.slice(1).join('.')} ${type}`);
};

describe('model settings are read as pydantic reads them', () => {
  test.each([
    [{ max_tokens: 'abc' }, ['max_tokens int_parsing']],
    [{ max_tokens: 1.5 }, ['max_tokens int_from_float']],
    [{ temperature: null }, ['temperature float_type']],
    [{ timeout: null }, ['timeout.float float_type', 'timeout.is-instance[Timeout] is_instance_of']],
    [{ timeout: 'soon' }, ['timeout.float float_parsing', 'timeout.is-instance[Timeout] is_instance_of']],
    [{ thinking: 'HIGH' }, ['thinking.bool bool_parsing', EFFORTS]],
    [{ logit_bias: { '50': 'x' } }, ['logit_bias.50 int_parsing']],
    [{ stop_sequences: ['a', 1] }, ['stop_sequences.1 string_type']],
    [{ extra_headers: { a: null } }, ['extra_headers.a string_type']],
    [{ zzz: 1, temperature: [] }, ['temperature float_type', 'zzz extra_forbidden']],
    [[], [' dict_type']],
  ])('%j is refused', (settings, expected) => {
    expect(refusals(settings)).toEqual(expected);
  });

  test('numbers and texts are converted', () => {
    const result = read({ max_tokens: '7.0', temperature: '1', seed: true, timeout: 3, parallel_tool_calls: 'off' });
    expect(JSON.stringify(result.ok && result.value.model_settings)).toBe(
      '{"max_tokens":7,"temperature":1.0,"timeout":3.0,"parallel_tool_calls":false,"seed":1}',
    );
  });
});
