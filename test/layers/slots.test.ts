import { expect, test } from 'bun:test';
import type { AgentModel } from '../../src/agent/model.ts';
import { checkShapes, historySlot, isLifecycleOnly, llmModel, slotLayer } from '../../src/layers/slots.ts';
import type { AgentLayer } from '../../src/layers/types.ts';
import type { RunLayerSpec } from '../../src/protocol/runs.ts';
import { layerTypes } from './fixtures.ts';

const model: AgentModel = {
  modelName: 'm',
  providerName: 'p',
  maxTokens: null,
  stream: async function* () {},
};
const prompt: AgentLayer = { className: 'PromptLayer', state: {} };
const named = (name: string, layer: AgentLayer): ReadonlyMap<string, AgentLayer> => new Map([[name, layer]]);
const spec = (name: string, type: string): RunLayerSpec => ({ name, type, deps: {}, metadata: {}, config: null });

test.each([
  ['llm', 'DifyPluginLLMLayer'],
  ['history', 'PydanticAIHistoryLayer'],
  ['output', 'DifyOutputLayer'],
] as const)('a prompt cannot fill the slot %s', (name, wanted) => {
  expect(() => slotLayer(named(name, prompt), name)).toThrow(`Layer '${name}' must be ${wanted}, got PromptLayer.`);
});

test('the model comes from the layer named llm, plugin or scripted', () => {
  for (const className of ['DifyPluginLLMLayer', 'ScriptedLLMLayer']) {
    expect(llmModel(named('llm', { className, state: {}, model: () => model }))).toBe(model);
  }
});

test('without a layer named llm the text is a KeyError’s', () => {
  const text = `"Layer 'llm' is not defined in this compositor run."`;
  expect(() => llmModel(named('model', { className: 'DifyPluginLLMLayer', state: {}, model: () => model }))).toThrow(
    text,
  );
});

test('a composition may have no history', () => {
  expect(historySlot(named('prompt', prompt))).toBeNull();
});

const request = (names: readonly string[], snapshot: boolean, deferred = false) => ({
  composition: { schema_version: 1, layers: names.map((name) => spec(name, 'plain.prompt')) },
  session_snapshot: snapshot ? { schema_version: 1, layers: [] } : null,
  deferred_tool_results: deferred ? { calls: {}, metadata: {} } : null,
});

test('a run without llm and with a snapshot only resumes and exits its layers', () => {
  expect(isLifecycleOnly(request(['prompt'], true))).toBe(true);
  expect(isLifecycleOnly(request([], true))).toBe(true);
  expect(isLifecycleOnly(request(['prompt'], false))).toBe(false);
  expect(isLifecycleOnly(request(['prompt', 'llm'], true))).toBe(false);
});

test('such a run takes no deferred results; without a snapshot it is none', () => {
  expect(() => isLifecycleOnly(request(['prompt'], true, true))).toThrow(
    "Deferred tool results require the reserved 'llm' layer.",
  );
  expect(isLifecycleOnly(request(['prompt'], false, true))).toBe(false);
});

test('shape rules look only at the submitted list', () => {
  expect(() => checkShapes(layerTypes(), [spec('hist', 'pydantic_ai.history'), spec('x', 'nothing')])).toThrow(
    "Layer type 'pydantic_ai.history' must use reserved layer name 'history', got 'hist'.",
  );
  expect(() => checkShapes(layerTypes(), [spec('history', 'plain.prompt'), spec('x', 'nothing')])).not.toThrow();
});
