import { expect, test } from 'bun:test';
import type { ModelDelta } from '../../src/agent/model.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { createScriptedModel } from '../../src/models/scripted.ts';
import { scriptedConfig } from '../../src/models/scripted-config.ts';
import { validate } from '../../src/validation/walker.ts';

const call = { messages: [], tools: [] };
const never = new AbortController().signal;
const STOP: ModelDelta = { kind: 'finish', reason: 'stop' };
const text = (value: string): ModelDelta => ({ kind: 'text', text: value });

function scripted(...turns: readonly JsonObject[]) {
  const result = validate(scriptedConfig, { turns }, { mode: 'python' });
  if (!result.ok) throw new Error(result.issues.map(({ loc, msg }) => `${loc.join('.')}: ${msg}`).join('\n'));
  return createScriptedModel(result.value);
}

async function answer(model: ReturnType<typeof scripted>, signal = never) {
  const batches: (readonly ModelDelta[])[] = [];
  for await (const batch of model.stream(call, signal)) batches.push(batch);
  return batches;
}

test('items without a delay between are one batch, with the finish', async () => {
  const items = [{ thinking: 'hm' }, { text: 'a' }, { text: '' }, { text: 'b' }];
  expect(await answer(scripted({ items }))).toEqual([[{ kind: 'thinking', text: 'hm' }, text('a'), text('b'), STOP]]);
});

test('a delay separates batches, alone or before its content', async () => {
  const items = [{ text: 'a' }, { delay_ms: 0 }, { text: 'b' }, { text: 'c', delay_ms: 1 }];
  expect(await answer(scripted({ items }))).toEqual([[text('a')], [text('b')], [text('c'), STOP]]);
});

test('repeat sends chunks, delayed each when there is a delay', async () => {
  expect(await answer(scripted({ items: [{ text: 'x', repeat: 3 }] }))).toEqual([
    [text('x'), text('x'), text('x'), STOP],
  ]);
  expect(await answer(scripted({ items: [{ text: 'x', repeat: 2, delay_ms: 0 }] }))).toEqual([
    [text('x')],
    [text('x'), STOP],
  ]);
});

test('a batch is bounded', async () => {
  const batches = await answer(scripted({ items: [{ text: 'x', repeat: 600 }] }));
  expect(batches.map(({ length }) => length)).toEqual([256, 256, 89]);
});

test('turn k answers call k; then there is none', async () => {
  const model = scripted({ items: [{ text: 'one' }] }, { items: [{ text: 'two' }], finish_reason: null });
  expect(await answer(model)).toEqual([[text('one'), STOP]]);
  expect(await answer(model)).toEqual([[text('two')]]);
  expect(answer(model)).rejects.toThrow('scripted model has no turn 3');
});

test('usage comes before the finish', async () => {
  const usage = { prompt_tokens: 10, completion_tokens: 5 };
  expect(await answer(scripted({ usage, finish_reason: 'length' }))).toEqual([
    [
      { kind: 'usage', inputTokens: 10, outputTokens: 5 },
      { kind: 'finish', reason: 'length' },
    ],
  ]);
});

test('a tool call carries its arguments as JSON text, good or bad', async () => {
  const items = [
    { tool_call: { id: 'c1', name: 'f', arguments: { city: 'Oslo' } } },
    { tool_call: { id: '', name: 'g', arguments: '{bad' } },
  ];
  expect(await answer(scripted({ items, finish_reason: 'tool_call' }))).toEqual([
    [
      { kind: 'tool_call', key: 'c1', id: 'c1', name: 'f', args: '{"city":"Oslo"}' },
      { kind: 'tool_call', key: '#1', id: '', name: 'g', args: '{bad' },
      { kind: 'finish', reason: 'tool_call' },
    ],
  ]);
});

test('a turn that calls a tool finishes with tool_call, unless the script says otherwise', async () => {
  const items = [{ text: 'let me look' }, { tool_call: { id: 'c1', name: 'f' } }];
  const reasonOf = async (turn: JsonObject) => (await answer(scripted(turn))).flat().at(-1);
  expect(await reasonOf({ items })).toEqual({ kind: 'finish', reason: 'tool_call' });
  expect(await reasonOf({ items, finish_reason: 'length' })).toEqual({ kind: 'finish', reason: 'length' });
  expect(await reasonOf({ items, finish_reason: null })).toMatchObject({ kind: 'tool_call', args: '{}' });
});

test('an error comes after the items and instead of the finish', async () => {
  const seen: (readonly ModelDelta[])[] = [];
  const model = scripted({ items: [{ text: 'a' }], error: 'the provider broke' });
  const reading = (async () => {
    for await (const batch of model.stream(call, never)) seen.push(batch);
  })();
  await expect(reading).rejects.toThrow('the provider broke');
  expect(seen).toEqual([[text('a')]]);
});

test('an abort ends a delay at once, with its reason', async () => {
  const controller = new AbortController();
  const stream = scripted({ items: [{ text: 'a' }, { delay_ms: 600_000 }] }).stream(call, controller.signal);
  const iterator = stream[Symbol.asyncIterator]();
  expect(await iterator.next()).toEqual({ done: false, value: [text('a')] });
  const next = iterator.next();
  controller.abort(new Error('cancelled'));
  await expect(next).rejects.toThrow('cancelled');
});

test('an aborted signal starts nothing', async () => {
  await expect(answer(scripted({ items: [{ delay_ms: 1 }] }), AbortSignal.abort(new Error('late')))).rejects.toThrow(
    'late',
  );
  await expect(answer(scripted({ items: [{ text: 'a' }] }), AbortSignal.abort(new Error('late')))).rejects.toThrow(
    'late',
  );
});

test.each([
  [{ text: 'a', thinking: 'b' }, 'An item takes one of text, thinking and tool_call.'],
  [{}, 'An item needs text, thinking, tool_call or delay_ms.'],
  [{ delay_ms: 1, repeat: 2 }, 'Only text and thinking can repeat.'],
  [{ delay_ms: -1 }, 'greater than or equal to 0'],
  [{ text: 'a', repeat: 0 }, 'greater than or equal to 1'],
  [{ say: 'a' }, 'Extra inputs are not permitted'],
])('%j is no item', (item, message) => {
  expect(() => scripted({ items: [item] })).toThrow(message);
});
