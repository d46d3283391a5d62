import { describe, expect, test } from 'bun:test';
import {
  type ExternalTool,
  type FunctionTool,
  type OutputContract,
  type RawArguments,
  ToolRetryError,
} from '../../src/agent/tools.ts';
import { createToolset } from '../../src/agent/toolset.ts';
import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import { call, finish, type PlayOptions, play, shape, text, thinking } from './support.ts';

/** Accepts any JSON object except `{"bad":…}`. */
function validate(args: RawArguments) {
  const value = JSON.parse(typeof args === 'string' && args !== '' ? args : '{}') as JsonObject;
  return 'bad' in value ? { ok: false as const, retry: 'bad arguments' } : { ok: true as const, value };
}

const definition = (name: string) => ({ name, description: '', parameters: {} });

function tool(name: string, run: FunctionTool['call'] = async () => `${name} done`, sequential = false): FunctionTool {
  return { kind: 'function', definition: definition(name), sequential, validate, call: run };
}

const ask: ExternalTool = { kind: 'external', definition: definition('ask_human'), validate };
const output: OutputContract = { definition: definition('final_output'), validate };
const GOOD = '{"answer":1}';
const BAD = '{"bad":1}';

const run = (answers: Parameters<typeof play>[0], options: PlayOptions) => play(answers, options);

describe('function tools', () => {
  const tools = [tool('add'), tool('mul')];

  test('one call: announced, executed, answered; then the model speaks', async () => {
    const { kinds, output, calls, outcome } = await run([[call('1', 'add')], [text('ok')]], { tools });
    expect(kinds).toEqual([
      'PS(tool-call)',
      'PE(tool-call)',
      'TC(true)',
      'TR(tool-return)',
      'PS(text)',
      'FR',
      'PE(text)',
    ]);
    expect(output).toBe('ok');
    expect(calls[0]?.tools.map(({ name }) => name)).toEqual(['add', 'mul']);
    expect(shape(outcome?.newMessages ?? [])).toEqual([
      'request:user-prompt',
      'response:tool-call',
      'request:tool-return',
      'response:text',
    ]);
  });

  test('parallel calls: results in completion order, stored parts in queue order', async () => {
    const second = Promise.withResolvers<JsonValue>();
    const slow = tool('add', async () => {
      await second.promise;
      return 'slow';
    });
    const fast = tool('mul', async () => {
      setTimeout(() => second.resolve('go'), 0);
      return 'fast';
    });
    const { events, calls } = await run([[call('1', 'add'), call('2', 'mul')], [text('ok')]], { tools: [slow, fast] });
    const results = events.flatMap((event) =>
      event.event_kind === 'function_tool_result' ? [event.result.tool_call_id] : [],
    );
    expect(results).toEqual(['2', '1']);
    expect(calls[1]?.messages.at(-1)?.parts).toMatchObject([{ tool_call_id: '1' }, { tool_call_id: '2' }]);
  });

  test('results of one tick come in call order', async () => {
    const { events } = await run([[call('1', 'add'), call('2', 'mul'), call('3', 'add')], [text('ok')]], { tools });
    const ids = events.flatMap((e) => (e.event_kind === 'function_tool_result' ? [e.result.tool_call_id] : []));
    expect(ids).toEqual(['1', '2', '3']);
  });

  test('one sequential tool makes the whole queue run one by one', async () => {
    const log: string[] = [];
    const noted = (name: string, sequential: boolean) =>
      tool(
        name,
        async () => {
          log.push(`${name} starts`);
          await new Promise((resolve) => setImmediate(resolve));
          log.push(`${name} ends`);
          return name;
        },
        sequential,
      );
    await run([[call('1', 'add'), call('2', 'mul')], [text('ok')]], {
      tools: [noted('add', false), noted('mul', true)],
    });
    expect(log).toEqual(['add starts', 'add ends', 'mul starts', 'mul ends']);
  });

  test('text beside a call is announced twice in the run and is not the answer', async () => {
    const { kinds, output } = await run([[text('let me'), call('1', 'add')], [text('ok')]], { tools });
    expect(kinds).toEqual([
      'PS(text)',
      'FR',
      'PE(text)',
      'PS(tool-call)',
      'PE(tool-call)',
      'TC(true)',
      'TR(tool-return)',
      'PS(text)',
      'FR',
      'PE(text)',
    ]);
    expect(output).toBe('ok');
  });

  test('invalid arguments, then good ones', async () => {
    const { kinds, output } = await run([[call('1', 'add', BAD)], [call('2', 'add')], [text('ok')]], { tools });
    expect(kinds.filter((kind) => /^T/.test(kind))).toEqual([
      'TC(false)',
      'TR(retry-prompt)',
      'TC(true)',
      'TR(tool-return)',
    ]);
    expect(output).toBe('ok');
  });

  test('invalid arguments in two consecutive steps end the run after the call is announced', async () => {
    const { kinds, error } = await run([[call('1', 'add', BAD)], [call('2', 'add', BAD)]], { tools });
    expect(error).toBe("Tool 'add' exceeded max retries count of 1");
    expect(kinds.slice(-2)).toEqual(['PE(tool-call)', 'TC(false)']);
  });

  test('a step in which the tool does not fail starts it from zero', async () => {
    const bad = (id: string) => [call(id, 'add', BAD)];
    const { output } = await run([bad('1'), [call('2', 'mul')], bad('3'), [call('4', 'add')], [text('ok')]], { tools });
    expect(output).toBe('ok');
  });

  test('several failures within one step count once', async () => {
    const both = [call('1', 'add', BAD), call('2', 'add', BAD)];
    expect((await run([both, [call('3', 'add')], [text('ok')]], { tools })).output).toBe('ok');
  });

  test('a retry signal of the body: the second in a row ends the run after the announcement', async () => {
    const retrying = tool('add', async () => {
      throw new ToolRetryError('try a smaller number');
    });
    const once = await run([[call('1', 'add')], [text('ok')]], { tools: [retrying] });
    expect(once.kinds.filter((kind) => /^T/.test(kind))).toEqual(['TC(true)', 'TR(retry-prompt)']);
    const twice = await run([[call('1', 'add')], [call('2', 'add')]], { tools: [retrying] });
    expect(twice.error).toBe("Tool 'add' exceeded max retries count of 1");
    expect(twice.kinds.at(-1)).toBe('TC(true)');
  });

  test('another error of a tool ends the run with its text, aborts its siblings and keeps what was published', async () => {
    const aborted = Promise.withResolvers<void>();
    const waiting = tool('add', (_, signal) => {
      signal.addEventListener('abort', () => aborted.resolve());
      return new Promise(() => {});
    });
    const failing = tool('mul', async () => {
      throw new Error('boom');
    });
    const { error, kinds } = await run([[call('1', 'add'), call('2', 'mul')]], { tools: [waiting, failing] });
    expect(error).toBe('boom');
    expect(kinds.slice(-2)).toEqual(['TC(true)', 'TC(true)']);
    await aborted.promise;
  });

  test('an abort of the run ends a tool that ignores it', async () => {
    const abort = new AbortController();
    const stuck = tool('add', () => {
      setImmediate(() => abort.abort(new Error('stop')));
      return new Promise(() => {});
    });
    expect((await run([[call('1', 'add')]], { tools: [stuck], signal: abort.signal })).error).toBe('stop');
  });

  test('an unknown name is told what there is, output tool first', async () => {
    const { events } = await run([[call('1', 'nope')], [call('2', 'final_output', GOOD)]], { tools, output });
    expect(events).toContainEqual(
      expect.objectContaining({
        result: expect.objectContaining({
          content: "Unknown tool name: 'nope'. Available tools: 'final_output', 'add', 'mul'",
        }),
      }),
    );
  });

  test('more calls than allowed in one response end the run', async () => {
    const many = Array.from({ length: 129 }, (_, i) => call(`c${i}`, 'add'));
    expect((await run([many], { tools })).error).toBe(
      'The model made 129 tool calls in one response; at most 128 are allowed.',
    );
  });

  test('names must be told apart', () => {
    const twice = ['b', 'a', 'a', 'b', 'c'].map((name) => tool(name));
    expect(() => createToolset(twice, null)).toThrow(
      'Agent run requires unique tool names across all layers, got duplicates: a, b.',
    );
  });

  test('thinking alone asks for text or a call', async () => {
    const { calls } = await run([[thinking('x')], [text('ok')]], { tools });
    expect(calls[1]?.messages.at(-1)?.parts[0]).toMatchObject({ content: 'Please return text or call a tool.' });
  });
});

describe('structured output', () => {
  test('a valid call is the answer, announced by nothing but its parts', async () => {
    const { kinds, output: value, events, outcome } = await run([[call('9', 'final_output', GOOD)]], { output });
    expect(kinds).toEqual(['PS(tool-call)', 'FR', 'PE(tool-call)']);
    expect(events[1]).toMatchObject({ tool_name: 'final_output', tool_call_id: '9' });
    expect(value).toEqual({ answer: 1 });
    expect(outcome?.newMessages.at(-1)?.parts).toMatchObject([
      { part_kind: 'tool-return', content: 'Final result processed.', tool_call_id: '9' },
    ]);
  });

  test('text then the call in one response: the text is not announced as final', async () => {
    const { kinds } = await run([[text('here'), call('9', 'final_output', GOOD)]], { output });
    expect(kinds).toEqual(['PS(text)', 'PE(text)', 'PS(tool-call)', 'FR', 'PE(tool-call)']);
  });

  test('invalid then valid', async () => {
    const { kinds, output: value } = await run([[call('1', 'final_output', BAD)], [call('2', 'final_output', GOOD)]], {
      output,
    });
    expect(kinds).toEqual([
      'PS(tool-call)',
      'FR',
      'PE(tool-call)',
      'TC(false)',
      'TR(retry-prompt)',
      'PS(tool-call)',
      'FR',
      'PE(tool-call)',
    ]);
    expect(value).toEqual({ answer: 1 });
  });

  test('invalid twice ends the run, the second without announcement', async () => {
    const { kinds, error } = await run([[call('1', 'final_output', BAD)], [call('2', 'final_output', BAD)]], {
      output,
    });
    expect(error).toBe('Exceeded maximum retries (1) for output validation');
    expect(kinds.slice(-3)).toEqual(['PS(tool-call)', 'FR', 'PE(tool-call)']);
  });

  test('text asks for the call; text twice ends the run', async () => {
    const { error, calls, kinds } = await run([[text('a')], [text('b')]], { output });
    expect(error).toBe('Exceeded maximum retries (1) for output validation');
    expect(calls[1]?.messages.at(-1)?.parts[0]).toMatchObject({
      content: 'Please include your response in a tool call.',
    });
    expect(kinds).toEqual(['PS(text)', 'PE(text)', 'PS(text)', 'PE(text)']);
  });

  test('text, then invalid, then valid succeeds: refused calls count without being checked (06 §8.2)', async () => {
    const answers = [[text('a')], [call('1', 'final_output', BAD)], [call('2', 'final_output', GOOD)]];
    expect((await run(answers, { output })).output).toEqual({ answer: 1 });
  });

  test('invalid, then text ends the run', async () => {
    const answers = [[call('1', 'final_output', BAD)], [text('a')]];
    expect((await run(answers, { output })).error).toBe('Exceeded maximum retries (1) for output validation');
  });

  test('a truncated output call twice names the token limit', async () => {
    const cut: OutputContract = { ...output, validate: () => ({ ok: false, retry: 'Invalid JSON' }) };
    const answer = (id: string) => [call(id, 'final_output', '{"a":'), finish('length')];
    const { error } = await run([answer('1'), answer('2')], { output: cut, maxTokens: '9' });
    expect(error).toStartWith('Model token limit (9) exceeded while generating a tool call');
  });

  test('beside a function call: the function is not run and nothing is announced', async () => {
    let ran = false;
    const add = tool('add', async () => {
      ran = true;
      return 1;
    });
    const { kinds, outcome } = await run([[call('1', 'add'), call('2', 'final_output', GOOD)]], {
      tools: [add],
      output,
    });
    expect(ran).toBe(false);
    expect(kinds).toEqual(['PS(tool-call)', 'PE(tool-call)', 'PS(tool-call)', 'FR', 'PE(tool-call)']);
    expect(outcome?.newMessages.at(-1)?.parts).toMatchObject([
      { tool_call_id: '2', content: 'Final result processed.' },
      { tool_call_id: '1', content: 'Tool not executed - a final result was already processed.' },
    ]);
  });

  test('bad, good, good and an unknown call: the second is the answer, the rest is answered', async () => {
    const answer = [
      call('1', 'final_output', BAD),
      call('2', 'final_output', GOOD),
      call('3', 'final_output', '{"answer":2}'),
      call('4', 'nope'),
    ];
    const { kinds, output: value, events } = await run([answer], { output });
    expect(value).toEqual({ answer: 1 });
    expect(kinds.filter((kind) => kind === 'FR')).toHaveLength(1);
    expect(kinds.filter((kind) => /^T/.test(kind))).toEqual([
      'TC(false)',
      'TR(retry-prompt)',
      'TC(null)',
      'TR(tool-return)',
      'TC(false)',
      'TR(retry-prompt)',
    ]);
    expect(events).toContainEqual(
      expect.objectContaining({
        result: expect.objectContaining({
          content: 'Output tool not used - a final result was already processed.',
          tool_call_id: '3',
        }),
      }),
    );
  });
});

describe('questions to a human', () => {
  test('the call ends the run without a result', async () => {
    const { kinds, outcome, events } = await run([[call('h1', 'ask_human', '{"question":"?"}')]], { tools: [ask] });
    expect(kinds).toEqual(['PS(tool-call)', 'FR', 'PE(tool-call)', 'TC(true)']);
    expect(events[1]).toMatchObject({ tool_name: null, tool_call_id: null });
    expect(outcome?.result).toMatchObject({ deferred: [{ call: { tool_call_id: 'h1' }, args: { question: '?' } }] });
    expect(shape(outcome?.newMessages ?? [])).toEqual(['request:user-prompt', 'response:tool-call']);
  });

  test('bad arguments, then good ones', async () => {
    const { kinds } = await run([[call('1', 'ask_human', BAD)], [call('2', 'ask_human')]], { tools: [ask] });
    expect(kinds.filter((kind) => /^T/.test(kind))).toEqual(['TC(false)', 'TR(retry-prompt)', 'TC(true)']);
  });

  test('beside normal tools: they run first, and their results are stored', async () => {
    const answer = [call('h', 'ask_human'), call('1', 'add')];
    const { kinds, outcome } = await run([answer], { tools: [ask, tool('add')] });
    expect(kinds.filter((kind) => /^T/.test(kind))).toEqual(['TC(true)', 'TR(tool-return)', 'TC(true)']);
    expect(shape(outcome?.newMessages ?? [])).toEqual([
      'request:user-prompt',
      'response:tool-call+tool-call',
      'request:tool-return',
    ]);
  });

  test('beside a final answer: the answer wins and the question is closed', async () => {
    const answer = [call('h', 'ask_human'), call('o', 'final_output', GOOD)];
    const { kinds, output: value, outcome } = await run([answer], { tools: [ask], output });
    expect(kinds).toEqual(['PS(tool-call)', 'FR', 'PE(tool-call)', 'PS(tool-call)', 'PE(tool-call)']);
    expect(value).toEqual({ answer: 1 });
    expect(outcome?.newMessages.at(-1)?.parts).toMatchObject([
      { tool_call_id: 'o', content: 'Final result processed.' },
      { tool_call_id: 'h', content: 'Tool not executed - a final result was already processed.' },
    ]);
  });
});

test('a history beyond the limit is refused before the model is asked', async () => {
  const message = {
    parts: [],
    timestamp: null,
    instructions: null,
    kind: 'request',
    run_id: null,
    metadata: null,
  } as const;
  const { error, calls } = await run([], { history: Array.from({ length: 20_001 }, () => message) });
  expect(error).toBe('The stored history has 20001 messages; at most 20000 are allowed.');
  expect(calls).toHaveLength(0);
});
