import { describe, expect, test } from 'bun:test';
import { newRequest } from '../../src/agent/messages.ts';
import type { AgentModel } from '../../src/agent/model.ts';
import type { ModelMessage } from '../../src/protocol/messages.ts';
import { call, callPart, finish, modelOf, NOW, play, response, shape, text, textPart, thinking } from './support.ts';

const user = (content: string): ModelMessage =>
  newRequest([{ content, timestamp: NOW, part_kind: 'user-prompt' }], NOW, 'old');

describe('event sequences of spec 06 §14', () => {
  test('one-chunk text', async () => {
    const { kinds, output } = await play([[text('hello')]]);
    expect(kinds).toEqual(['PS(text)', 'FR', 'PE(text)']);
    expect(output).toBe('hello');
  });

  test('streamed text: the start holds the first fragment, the end all of it', async () => {
    const { kinds, events } = await play([[text('a'), text('b'), text('c')]]);
    expect(kinds).toEqual(['PS(text)', 'FR', 'PD', 'PD', 'PE(text)']);
    expect(events[0]).toMatchObject({ part: { content: 'a', provider_name: 'P' }, previous_part_kind: null });
    expect(events[4]).toMatchObject({ part: { content: 'abc' }, next_part_kind: null });
  });

  test('thinking then text', async () => {
    const { kinds, events } = await play([[thinking('x'), thinking('y'), text('z'), text('!')]]);
    expect(kinds).toEqual(['PS(thinking)', 'PD', 'PE(thinking)', 'PS(text)', 'FR', 'PD', 'PE(text)']);
    expect(events[2]).toMatchObject({ next_part_kind: 'text', part: { content: 'xy' } });
    expect(events[3]).toMatchObject({ previous_part_kind: 'thinking', index: 1 });
  });

  test('a file between texts has no part_end', async () => {
    const file = { kind: 'file', data: 'AA==', mediaType: 'image/png', identifier: 'abc123' } as const;
    const { kinds, output } = await play([[text('a'), file, text('b')]]);
    expect(kinds).toEqual(['PS(text)', 'FR', 'PE(text)', 'PS(file)', 'PS(text)', 'PE(text)']);
    expect(output).toBe('ab');
  });

  test('the same tool call id again replaces the part at its index', async () => {
    const { events, kinds } = await play([[call('c', 't', '1'), call('c', 't', '2')], [text('ok')]]);
    expect(kinds.slice(0, 4)).toEqual(['PS(tool-call)', 'PE(tool-call)', 'PS(tool-call)', 'PE(tool-call)']);
    expect(events[1]).toMatchObject({ index: 0, part: { args: '2' }, next_part_kind: 'tool-call' });
    expect(events[2]).toMatchObject({ index: 0, previous_part_kind: 'tool-call' });
  });

  test('an unknown tool is answered with a retry prompt and the model is asked again', async () => {
    const { kinds, calls, output, events } = await play([[call('c1', 'nope', '{"a":1}')], [text('ok')]]);
    expect(kinds).toEqual([
      'PS(tool-call)',
      'PE(tool-call)',
      'TC(false)',
      'TR(retry-prompt)',
      'PS(text)',
      'FR',
      'PE(text)',
    ]);
    expect(events[3]).toMatchObject({ result: { content: "Unknown tool name: 'nope'. No tools available." } });
    expect(shape(calls[1]?.messages ?? [])).toEqual([
      'request:user-prompt',
      'response:tool-call',
      'request:retry-prompt',
    ]);
    expect(output).toBe('ok');
  });

  test('an empty answer asks again with an empty request, and is not announced', async () => {
    const { kinds, outcome } = await play([[], [text('fine')]]);
    expect(kinds).toEqual(['PS(text)', 'FR', 'PE(text)']);
    expect(shape(outcome?.newMessages ?? [])).toEqual([
      'request:user-prompt',
      'response:',
      'request:',
      'response:text',
    ]);
  });

  test('whitespace is an answer', async () => {
    expect((await play([[text(' \n')]])).output).toBe(' \n');
  });
});

describe('what ends a run without an answer', () => {
  test('two empty answers', async () => {
    expect((await play([[], []])).error).toBe('Exceeded maximum retries (1) for output validation');
  });

  test('thinking twice: the retry prompt says what is wanted', async () => {
    const { error, calls } = await play([[thinking('a')], [thinking('b')]]);
    expect(error).toBe('Exceeded maximum retries (1) for output validation');
    expect(calls[1]?.messages.at(-1)?.parts[0]).toMatchObject({ content: 'Please return text.', tool_name: null });
  });

  test('the same unknown tool in two consecutive steps: its second call is announced, not answered', async () => {
    const { error, kinds } = await play([[call('1', 'nope')], [call('2', 'nope')]]);
    expect(error).toBe("Tool 'nope' exceeded max retries count of 1");
    expect(kinds.slice(-3)).toEqual(['PS(tool-call)', 'PE(tool-call)', 'TC(false)']);
  });

  test('unknown tools that alternate run into the request limit before request 51', async () => {
    const answers = Array.from({ length: 60 }, (_, i) => [call(`c${i}`, i % 2 === 0 ? 'a' : 'b')]);
    const { error, calls } = await play(answers);
    expect(error).toBe('The next request would exceed the request_limit of 50');
    expect(calls).toHaveLength(50);
  });

  test('length with nothing but thinking names the limit that was set', async () => {
    const said = 'exceeded before any response was generated. Increase the `max_tokens` model setting';
    expect((await play([[thinking('x'), finish('length')]])).error).toContain(`(provider default) ${said}`);
    expect((await play([[finish('length')]], { maxTokens: '9' })).error).toContain(`(9) ${said}`);
  });

  test('a truncated tool call is told apart from a bad one, and is not announced', async () => {
    const cut = (id: string) => [call(id, 'nope', '{"a":'), finish('length')];
    const { error, kinds } = await play([cut('1'), cut('2')]);
    expect(error).toStartWith('Model token limit (provider default) exceeded while generating a tool call');
    expect(kinds.at(-1)).toBe('PE(tool-call)');
  });

  test('a content filter with nothing prints the response', async () => {
    const { error } = await play([[{ kind: 'usage', inputTokens: 10, outputTokens: 5 }, finish('content_filter')]]);
    expect(error).toStartWith('Content filter triggered., body:\n[\n  {\n    "parts": [],\n    "usage": {\n');
    expect(error).toContain('"finish_reason": "content_filter"');
  });

  test('a model that fails mid-stream: what was said stays, no part_end follows', async () => {
    const { error, kinds } = await play([[text('a'), new Error('cut')]]);
    expect(error).toBe('cut');
    expect(kinds).toEqual(['PS(text)', 'FR']);
  });

  test('an abort ends the run with its reason', async () => {
    const abort = new AbortController();
    abort.abort(new Error('stop'));
    expect((await play([[text('a')]], { signal: abort.signal })).error).toBe('stop');
  });
});

test('a model that goes on after the abort is left, and its stream is closed', async () => {
  const abort = new AbortController();
  let closed = false;
  const model: AgentModel = {
    ...modelOf([]).model,
    async *stream() {
      try {
        for (;;) {
          yield [text('a')];
          abort.abort(new Error('stop'));
        }
      } finally {
        closed = true;
      }
    },
  };
  const { error, kinds } = await play([], { model, signal: abort.signal });
  expect({ error, kinds, closed }).toEqual({ error: 'stop', kinds: ['PS(text)', 'FR', 'PD'], closed: true });
});

describe('answers that fall back to earlier text', () => {
  test('text beside a tool call answers when the next response is empty', async () => {
    const { output, error } = await play([[text('draft'), call('1', 'nope')], []]);
    expect(error).toBeNull();
    expect(output).toBe('draft');
  });

  test("text of an earlier run never does: last turn's answer is not repeated (06 §18.1)", async () => {
    const history = [user('old question'), response([textPart('old answer')])];
    expect((await play([[], []], { history })).error).toBe('Exceeded maximum retries (1) for output validation');
  });
});

describe('messages', () => {
  test('system prompts reach the model first and are not stored', async () => {
    const { calls, outcome } = await play([[text('ok')]], { systemPrompts: ['s1', ''] });
    expect(shape(calls[0]?.messages ?? [])).toEqual(['request:system-prompt+system-prompt+user-prompt']);
    expect(shape(outcome?.newMessages ?? [])).toEqual(['request:user-prompt', 'response:text']);
  });

  test('stored turns stand between the system prompts and the new turn', async () => {
    const history = [user('q'), response([textPart('a')])];
    const { calls } = await play([[text('ok')]], { systemPrompts: ['s'], history });
    expect(shape(calls[0]?.messages ?? [])).toEqual([
      'request:system-prompt+user-prompt',
      'response:text',
      'request:user-prompt',
    ]);
  });

  test('the messages of a run carry its message run id and times', async () => {
    const { outcome } = await play([[text('ok')]]);
    for (const message of outcome?.newMessages ?? []) {
      expect(message).toMatchObject({ run_id: 'message-run', timestamp: NOW, metadata: null });
    }
  });

  test('usage is the sum over responses of the last one each reported', async () => {
    const usage = (inputTokens: number, outputTokens: number) =>
      ({ kind: 'usage', inputTokens, outputTokens }) as const;
    const played = await play([
      [usage(1, 1), call('1', 'nope'), usage(10, 5)],
      [text('ok'), usage(20, 3)],
    ]);
    expect(played.usage).toEqual({ promptTokens: 30, completionTokens: 8 });
  });

  test('usage is known when the run fails, and counts a response that broke off', async () => {
    const { error, usage } = await play([
      [{ kind: 'usage', inputTokens: 10, outputTokens: 5 }, call('1', 'nope')],
      [text('no'), { kind: 'usage', inputTokens: 20, outputTokens: 3 }, new Error('cut')],
    ]);
    expect(error).toBe('cut');
    expect(usage).toEqual({ promptTokens: 30, completionTokens: 8 });
  });

  test('a new user turn on an open tool call is refused before the model is asked', async () => {
    const { error, calls } = await play([[text('x')]], { history: [user('q'), response([callPart('h1', 'ask')])] });
    expect(error).toBe('Cannot provide a new user prompt when the message history contains unprocessed tool calls.');
    expect(calls).toHaveLength(0);
  });
});

describe('resuming with deferred results', () => {
  const open = [user('q'), response([callPart('h1', 'ask_human')])];
  const results = (calls: Record<string, string>) => ({ calls, metadata: {} });

  test('the result is announced, stored and sent, and no user turn is added', async () => {
    const { kinds, calls, outcome, events } = await play([[text('ok')]], {
      history: open,
      deferredResults: results({ h1: 'yes' }),
    });
    expect(kinds).toEqual(['TC(null)', 'TR(tool-return)', 'PS(text)', 'FR', 'PE(text)']);
    expect(events[1]).toMatchObject({ result: { content: 'yes', tool_name: 'ask_human', outcome: 'success' } });
    expect(shape(calls[0]?.messages ?? [])).toEqual([
      'request:user-prompt',
      'response:tool-call',
      'request:tool-return',
    ]);
    expect(shape(outcome?.newMessages ?? [])).toEqual(['request:tool-return', 'response:text']);
  });

  test('a call that was answered in the stored history is not announced again', async () => {
    const answered: ModelMessage = newRequest(
      [
        {
          tool_name: 'add',
          content: 3,
          tool_call_id: 'a1',
          metadata: null,
          timestamp: NOW,
          outcome: 'success',
          part_kind: 'tool-return',
        },
      ],
      NOW,
      'old',
    );
    const history = [user('q'), response([callPart('a1', 'add'), callPart('h1', 'ask_human')]), answered];
    const { kinds, calls } = await play([[text('ok')]], { history, deferredResults: results({ h1: 'yes' }) });
    expect(kinds.slice(0, 2)).toEqual(['TC(null)', 'TR(tool-return)']);
    expect(shape(calls[0]?.messages ?? []).at(-1)).toBe('request:tool-return+tool-return');
    const repeated = await play([], { history, deferredResults: results({ a1: 'x', h1: 'yes' }) });
    expect(repeated.error).toBe("Tool call 'a1' was already executed and its result cannot be overridden.");
  });

  test.each([
    [[], {}, 'Tool call results were provided, but the message history is empty.'],
    [[user('q')], {}, 'Tool call results were provided, but the message history does not contain a `ModelResponse`.'],
    [
      [user('q'), response([textPart('a')])],
      { h1: 'x' },
      'Tool call results were provided, but the message history does not contain any unprocessed tool calls.',
    ],
    [
      open,
      { hx: 'x' },
      "Tool call results need to be provided for all deferred tool calls. Expected: {'h1'}, got: {'hx'}",
    ],
    [open, {}, "Tool call results need to be provided for all deferred tool calls. Expected: {'h1'}, got: set()"],
  ])('what does not fit is refused (%#)', async (history, calls, text) => {
    const { error } = await play([], { history, deferredResults: results(calls as Record<string, string>) });
    expect(error).toBe(text);
  });
});
