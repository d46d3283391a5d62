import { describe, expect, test } from 'bun:test';
import { type FunctionTool, ToolRetryError } from '../../src/agent/tools.ts';
import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import { toolsOf } from '../../src/layers/slots.ts';
import { prepare, refusal } from './fixtures.ts';

const never = new AbortController().signal;

const composition = (tools: readonly JsonObject[]) => ({
  llm: { type: 'test.scripted_llm', config: { turns: [], tools } as JsonValue },
});

function only(tool: JsonObject): FunctionTool {
  const [found] = toolsOf(prepare(composition([{ name: 'look_up', ...tool }])).layers);
  if (found?.kind !== 'function') throw new Error('no function tool');
  return found;
}

describe('a scripted tool', () => {
  test('is shown to the model as the script describes it', () => {
    const parameters = { type: 'object', properties: { city: { type: 'string' } } };
    expect(only({ description: 'Looks up.', parameters }).definition).toEqual({
      name: 'look_up',
      description: 'Looks up.',
      parameters,
    });
    expect(only({})).toMatchObject({ sequential: false, definition: { description: '' } });
    expect(only({ sequential: true }).sequential).toBe(true);
  });

  test('returns one result after the other, then the last one again', async () => {
    const tool = only({ results: [{ content: 'one' }, { content: { n: 2 } }, { content: null, delay_ms: 1 }] });
    const results: JsonValue[] = [];
    for (let call = 0; call < 4; call += 1) results.push(await tool.call({}, never));
    expect(results).toEqual(['one', { n: 2 }, null, null]);
  });

  test('without a content returns its arguments', async () => {
    expect(await only({}).call({ a: 1 }, never)).toEqual({ a: 1 });
    expect(await only({ results: [{ delay_ms: 0 }] }).call({ a: 1 }, never)).toEqual({ a: 1 });
  });

  test('can ask for another try, and can fail', async () => {
    const retry = only({ results: [{ retry: 'smaller' }] }).call({}, never);
    await expect(retry).rejects.toBeInstanceOf(ToolRetryError);
    await expect(only({ results: [{ error: 'broken' }] }).call({}, never)).rejects.toThrow('broken');
  });

  test('takes objects only, as any tool does', () => {
    const tool = only({});
    expect(tool.validate('{"a":1}')).toEqual({ ok: true, value: { a: 1 } });
    expect(tool.validate('')).toEqual({ ok: true, value: {} });
    expect(tool.validate('[1]')).toMatchObject({ ok: false, retry: [{ type: 'dict_type' }] });
  });

  test('stops waiting when the run is aborted', async () => {
    const controller = new AbortController();
    const call = only({ results: [{ delay_ms: 600_000, content: 'late' }] }).call({}, controller.signal);
    controller.abort(new Error('cancelled'));
    await expect(call).rejects.toThrow('cancelled');
  });

  test('starts from the beginning in every run', async () => {
    const layers = composition([{ name: 'look_up', results: [{ content: 1 }, { content: 2 }] }]);
    for (let run = 0; run < 2; run += 1) {
      const [tool] = toolsOf(prepare(layers).layers);
      expect(tool?.kind === 'function' ? await tool.call({}, never) : null).toBe(1);
    }
  });

  test.each([
    [{ results: [{ content: 1, error: 'x' }] }, 'A result takes one of content, retry and error.'],
    [{ results: [{ retry: '' }] }, 'String should have at least 1 character'],
    [{ results: [{ delay_ms: 600_001 }] }, 'less than or equal to 600000'],
    [{ result: [] }, 'Extra inputs are not permitted'],
  ])('%j is refused', (tool, message) => {
    expect(refusal(composition([{ name: 'f', ...tool }]))).toContain(message);
  });

  test('needs a name', () => {
    expect(refusal(composition([{ name: '' }]))).toContain('at least 1 character');
  });
});
