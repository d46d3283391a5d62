// What the loop does belongs to the model request or the tool call at hand, also later and asynchronously.

import { describe, expect, test } from 'bun:test';
import { AsyncLocalStorage } from 'node:async_hooks';
import { AgentError } from '../../src/agent/errors.ts';
import { type AgentProbe, streamWithin } from '../../src/agent/probed.ts';
import { type FunctionTool, ToolRetryError } from '../../src/agent/tools.ts';
import type { ModelEnd, ModelFacts, Scope, ToolEnd, ToolFacts } from '../../src/observe/probe.ts';
import { call, finish, play, text } from './support.ts';

/** Scopes by name in an AsyncLocalStorage, as a tracer keeps them, and what was told. */
function tracer() {
  const inside = new AsyncLocalStorage<string>();
  const models: { facts: ModelFacts; end: ModelEnd }[] = [];
  const tools: { facts: ToolFacts; end: ToolEnd }[] = [];
  const scope = <End>(name: string, ended: (end: End) => void): Scope<End> => ({
    within: (work) => inside.run(name, work),
    end: ended,
  });
  const probe: AgentProbe = {
    modelRequest: (facts) => scope(`model ${facts.step}`, (end) => models.push({ facts, end })),
    toolCall: (facts) => scope(`tool ${facts.callId}`, (end) => tools.push({ facts, end })),
  };
  return { probe, models, tools, where: () => inside.getStore() ?? 'outside' };
}

test('a stream is opened, read and left inside, and what reads it stays outside', async () => {
  const { probe, where } = tracer();
  const seen: string[] = [];
  async function* stream() {
    try {
      seen.push(`open ${where()}`);
      yield 1;
      await Bun.sleep(1);
      seen.push(`later ${where()}`);
      yield 2;
    } finally {
      seen.push('closed');
    }
  }
  const scope = probe.modelRequest({ provider: 'p', model: 'm', step: 7, content: () => '' });
  for await (const item of streamWithin(scope, stream)) {
    seen.push(`${item} ${where()}`);
    if (item === 2) break;
  }
  expect(seen).toEqual(['open model 7', '1 outside', 'later model 7', '2 outside', 'closed']);
});

describe('the loop tells', () => {
  const tool = (work: FunctionTool['call']): FunctionTool => ({
    kind: 'function',
    definition: { name: 'work', description: '', parameters: {} },
    sequential: false,
    validate: () => ({ ok: true, value: { a: 1 } }),
    call: work,
  });

  test('each model request with its step, usage and end, and each call with its outcome', async () => {
    const { probe, models, tools, where } = tracer();
    const places: string[] = [];
    const work = tool(async () => {
      await Bun.sleep(1);
      places.push(where());
      return 'done';
    });
    const usage = { kind: 'usage', inputTokens: 5, outputTokens: 6 } as const;
    const answers = [
      [call('c1', 'work'), call('c2', 'work'), usage],
      [text('hello'), finish('stop')],
    ];
    const { output } = await play(answers, { probe, tools: [work] });
    expect(output).toBe('hello');
    expect(places).toEqual(['tool c1', 'tool c2']);
    expect(
      models.map(({ facts, end }) => [facts.step, end.error, end.finishReason, end.inputTokens, end.outputTokens]),
    ).toEqual([
      [1, null, null, 5, 6],
      [2, null, 'stop', 0, 0],
    ]);
    expect(models[1]?.facts.content()).toContain('"tool-return"');
    expect(models[1]?.end.content()).toContain('hello');
    expect(
      tools.map(({ facts, end }) => [facts.tool, facts.callId, end.outcome, facts.content(), end.content()]),
    ).toEqual([
      ['work', 'c1', 'ok', '{"a":1}', '"done"'],
      ['work', 'c2', 'ok', '{"a":1}', '"done"'],
    ]);
  });

  test('a model that fails, by its code; a call that is to be repeated; one that fails', async () => {
    const broken = tracer();
    await play([[text('a'), new AgentError('token_limit', 'x')]], { probe: broken.probe });
    expect(broken.models.map(({ end }) => end.error)).toEqual(['token_limit']);

    const repeated = tracer();
    const again = tool(() => Promise.reject(new ToolRetryError('once more')));
    await play([[call('c', 'work')], [text('x')]], { probe: repeated.probe, tools: [again] });
    expect(repeated.tools.map(({ end }) => [end.outcome, end.content()])).toEqual([['retry', 'once more']]);

    const failing = tracer();
    const { error } = await play([[call('c', 'work')]], {
      probe: failing.probe,
      tools: [tool(() => Promise.reject(new Error('boom')))],
    });
    expect([error, failing.tools.map(({ end }) => end.outcome)]).toEqual(['boom', ['error']]);
  });

  test('what the run’s end called off', async () => {
    const { probe, models, tools } = tracer();
    const abort = new AbortController();
    const work = tool(() => {
      abort.abort(new Error('stop'));
      return Promise.reject(new Error('whatever'));
    });
    await play([[call('c', 'work')]], { probe, tools: [work], signal: abort.signal });
    expect(tools.map(({ end }) => end.outcome)).toEqual(['aborted']);
    expect(models.map(({ end }) => end.error)).toEqual([null]);
  });
});
