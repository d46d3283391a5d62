// The fold by hand-made events: rounds, thinking, tools, retries, ends; and any mixture of events in any order.

import { describe, expect, test } from 'bun:test';
import { EMPTY_VIEW, foldEvent, openToolCalls, type RunView, textOf, thinkingOf } from '../../src/client/fold.ts';
import { readEvent } from '../../src/client/parse.ts';
import type { RunEvent } from '../../src/client/types.ts';
import { event } from './events.ts';

let count = 0;
function make(type: string, data: object = {}): RunEvent {
  const text = event(`${++count}-0`, type, data);
  return readEvent(JSON.parse(text), text);
}
const agent = (data: object) => make('pydantic_ai_event', data);
const start = (index: number, part_kind: string, content?: string) =>
  agent({ event_kind: 'part_start', index, part: { part_kind, ...(content === undefined ? {} : { content }) } });
const piece = (index: number, part_delta_kind: string, content_delta?: string | null) =>
  agent({ event_kind: 'part_delta', index, delta: { part_delta_kind, content_delta } });
const stop = (index: number, part_kind: string, content?: string) =>
  agent({ event_kind: 'part_end', index, part: { part_kind, ...(content === undefined ? {} : { content }) } });
const call = (tool_call_id: string, args: unknown = '{}', event_kind = 'function_tool_call') =>
  agent({ event_kind, part: { part_kind: 'tool-call', tool_name: 'tool', tool_call_id, args } });
const result = (tool_call_id: string, content: unknown, part_kind = 'tool-return', key = 'result') =>
  agent({ event_kind: 'function_tool_result', [key]: { part_kind, tool_name: 'tool', tool_call_id, content } });
const snapshot = { schema_version: 1, layers: [] };

const foldAll = (events: readonly RunEvent[], from: RunView = EMPTY_VIEW) => events.reduce(foldEvent, from);

test('two rounds: thinking, text, tools that return and retry, the answer', () => {
  const view = foldAll([
    make('run_started'),
    start(0, 'thinking', 'hm'),
    piece(0, 'thinking', 'm'),
    piece(0, 'thinking', null),
    stop(0, 'thinking', 'hmm'),
    start(1, 'text', 'Let me '),
    piece(1, 'text', 'look.'),
    stop(1, 'text', 'Let me look.'),
    start(2, 'tool-call'),
    stop(2, 'tool-call'),
    call('a', '{"q":1}'),
    call('b', { q: 2 }),
    result('b', 'no such q', 'retry-prompt'),
    result('a', { found: true }, 'tool-return', 'part'),
    start(0, 'text', 'Found'),
    piece(0, 'text', ' it.'),
    agent({ event_kind: 'final_result', tool_name: null, tool_call_id: null }),
    make('run_succeeded', { session_snapshot: snapshot, output: 'Found it.', usage: { total_tokens: 7 } }),
  ]);
  expect(view.items).toEqual([
    { kind: 'thinking', text: 'hmm', complete: true },
    { kind: 'text', text: 'Let me look.', complete: true },
    { kind: 'tool', toolCallId: 'a', toolName: 'tool', args: '{"q":1}', state: 'returned', result: { found: true } },
    { kind: 'tool', toolCallId: 'b', toolName: 'tool', args: { q: 2 }, state: 'retried', result: 'no such q' },
    { kind: 'text', text: 'Found it.', complete: false },
  ]);
  expect([textOf(view), thinkingOf(view)]).toEqual(['Let me look.Found it.', 'hmm']);
  expect(view).toMatchObject({ status: 'succeeded', output: 'Found it.', usage: { total_tokens: 7 } });
});

describe('tools', () => {
  test('are open until they are answered', () => {
    const open = foldAll([call('a'), call('b', '{}', 'output_tool_call')]);
    expect(openToolCalls(open).map(({ toolCallId }) => toolCallId)).toEqual(['a', 'b']);
    expect(openToolCalls(foldEvent(open, result('a', 1))).map(({ toolCallId }) => toolCallId)).toEqual(['b']);
  });

  test('with one id in two rounds are told apart', () => {
    const view = foldAll([call('a'), result('a', 1), call('a'), result('a', 2)]);
    expect(view.items.map((item) => (item.kind === 'tool' ? item.result : null))).toEqual([1, 2]);
  });

  test('whose call was not seen show their result', () => {
    expect(foldAll([result('a', 1)]).items).toMatchObject([
      { toolCallId: 'a', args: null, state: 'returned', result: 1 },
    ]);
  });

  test('do not swallow text that is told under their index', () => {
    const view = foldAll([start(0, 'text', 'x'), start(0, 'tool-call'), piece(0, 'text', 'y'), piece(0, 'tool_call')]);
    expect(textOf(view)).toBe('x');
  });
});

describe('ends', () => {
  test('a question', () => {
    const deferred_tool_call = { tool_call_id: 'c', tool_name: 'ask_human', args: { question: '?' }, metadata: {} };
    const view = foldAll([make('run_succeeded', { session_snapshot: snapshot, deferred_tool_call })]);
    expect(view).toMatchObject({ status: 'succeeded', question: deferred_tool_call });
    expect('output' in view).toBe(false);
  });

  test('an output of null is an output', () => {
    const view = foldAll([make('run_succeeded', { session_snapshot: snapshot, output: null })]);
    expect('output' in view && view.output === null).toBe(true);
  });

  test('a failure, a cancel with a message, with a reason, with neither', () => {
    const errors = [
      make('run_failed', { error: 'broke' }),
      make('run_cancelled', { reason: 'r', message: 'm' }),
      make('run_cancelled', { reason: 'r', message: null }),
      make('run_cancelled', {}),
    ].map((end) => foldAll([end]).error);
    expect(errors).toEqual(['broke', 'm', 'r', undefined]);
  });
});

test('any mixture of events, in any order, folds without an error and leaves the old view alone', () => {
  const parts = ['text', 'thinking', 'tool-call', 'file', 'builtin-tool-call'];
  let seed = 7;
  const random = (below: number): number => {
    // A linear congruence: the same mixtures every time.
    seed = (seed * 1103515245 + 12345) % 2 ** 31;
    return seed % below;
  };
  const id = () => `c${random(3)}`;
  const makers: readonly (() => RunEvent)[] = [
    () => make('run_started'),
    () => start(random(4), parts[random(5)] ?? 'text', 'x'),
    () => piece(random(4), ['text', 'thinking', 'tool_call', 'new'][random(4)] ?? 'text', 'y'),
    () => stop(random(4), 'text', 'z'),
    () => call(id(), null),
    () => result(id(), 1, ['tool-return', 'retry-prompt', 'new'][random(3)], ['result', 'part'][random(2)]),
    () => agent({ event_kind: 'something_new', anything: [1] }),
    () => make('run_failed', { error: 'x' }),
  ];
  for (let round = 0; round < 300; round++) {
    let view = EMPTY_VIEW;
    for (let step = 0; step < 40; step++) {
      const one = makers[random(makers.length)]?.();
      if (one === undefined) continue;
      const before = JSON.stringify(view);
      const after = foldEvent(view, one);
      expect(JSON.stringify(view)).toBe(before);
      view = after;
    }
  }
});
