import { expect, test } from 'bun:test';
import type { JsonObject } from '../../src/base/json.ts';
import { checkHistoryShape } from '../../src/layers/history.ts';
import type { RunLayerSpec, SessionSnapshot } from '../../src/protocol/runs.ts';
import { fault, NOW, prepare, refusal } from './fixtures.ts';

const history = { history: { type: 'pydantic_ai.history' } };
const snapshot = (runtime_state: JsonObject): SessionSnapshot => ({
  schema_version: 1,
  layers: [{ name: 'history', lifecycle_state: 'suspended', runtime_state }],
});
const dumped = (state: JsonObject) => prepare(history, snapshot(state)).snapshot().layers[0]?.runtime_state;
const spec = (name: string, deps: RunLayerSpec['deps'] = {}): RunLayerSpec => ({
  name,
  type: 'pydantic_ai.history',
  deps,
  metadata: {},
  config: null,
});

test('without a snapshot the conversation is empty, and dumped as such', () => {
  const run = prepare(history);
  expect(run.get('history').history?.read()).toEqual([]);
  expect(run.snapshot().layers[0]?.runtime_state).toEqual({ messages: [] });
});

test('a minimal stored conversation gets its defaults, in dump order', () => {
  const messages = [
    { kind: 'request', parts: [{ part_kind: 'user-prompt', content: 'hi' }] },
    { kind: 'response', parts: [{ part_kind: 'text', content: 'yo' }] },
  ];
  expect(JSON.stringify(dumped({ messages }))).toBe(
    `{"messages":[{"parts":[{"content":"hi","timestamp":"${NOW}","part_kind":"user-prompt"}],"timestamp":null,"instructions":null,"kind":"request","run_id":null,"metadata":null},` +
      '{"parts":[{"content":"yo","id":null,"provider_name":null,"provider_details":null,"part_kind":"text"}],' +
      '"usage":{"input_tokens":0,"cache_write_tokens":0,"cache_read_tokens":0,"output_tokens":0,"input_audio_tokens":0,"cache_audio_read_tokens":0,"output_audio_tokens":0,"details":{}},' +
      `"model_name":null,"timestamp":"${NOW}","kind":"response","provider_name":null,"provider_url":null,"provider_details":null,"provider_response_id":null,"finish_reason":null,"run_id":null,"metadata":null}]}`,
  );
});

test('keys of newer vintages are read and dropped', () => {
  const message = { kind: 'request', parts: [], conversation_id: 'c', state: 'interrupted' };
  expect(JSON.stringify(dumped({ messages: [message] }))).not.toContain('interrupted');
});

test('an unknown key of a message is refused', () => {
  const message = { kind: 'request', parts: [{ part_kind: 'user-prompt', content: 'hi' }], zzz: 1 };
  expect(refusal(history, snapshot({ messages: [message] }))).toBe(
    `1 validation error for PydanticAIHistoryRuntimeState\n${fault('messages.0.request.zzz', 'Unexpected keyword argument', 'unexpected_keyword_argument', 'int')}`,
  );
});

test('an unknown key of the state is refused', () => {
  expect(refusal(history, snapshot({ messages: [], more: 1 }))).toStartWith(
    '1 validation error for PydanticAIHistoryRuntimeState\nmore\n  Extra inputs are not permitted',
  );
});

test('the layer has no config', () => {
  expect(refusal({ history: { type: 'pydantic_ai.history', config: { x: 1 } } })).toStartWith(
    '1 validation error for EmptyLayerConfig\nx\n',
  );
});

test('what is appended is read, dumped and not shared with earlier readers', () => {
  const run = prepare(history, snapshot({ messages: [{ kind: 'request', parts: [] }] }));
  const slot = run.get('history').history;
  const before = slot?.read();
  slot?.append(before ?? []);
  expect(before).toHaveLength(1);
  expect(slot?.read()).toHaveLength(2);
  expect(run.snapshot().layers[0]?.runtime_state.messages).toHaveLength(2);
});

test('two history layers are one too many', () => {
  expect(() => checkHistoryShape([spec('z'), spec('history')])).toThrow(
    "Only one 'pydantic_ai.history' layer is supported, named 'history'. Found layers: z, history.",
  );
});

test('the reserved name wins over dependencies, which are refused too', () => {
  expect(() => checkHistoryShape([spec('hist', { a: 'b' })])).toThrow(
    "Layer type 'pydantic_ai.history' must use reserved layer name 'history', got 'hist'.",
  );
  expect(() => checkHistoryShape([spec('history', { b: 'x', a: 'x' })])).toThrow(
    "Layer type 'pydantic_ai.history' does not support dependencies; got dependency keys: a, b.",
  );
});
