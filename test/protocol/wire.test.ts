import { describe, expect, test } from 'bun:test';
import type { AgentStreamEvent } from '../../src/protocol/events.ts';
import { createWire } from '../../src/protocol/wire.ts';

const seed = createWire('2026-06');
const august = createWire('2026-08');
const AT = '2026-06-02T08:15:30.209551Z';

const delta = (text: string): AgentStreamEvent => ({
  index: 0,
  delta: { content_delta: text, provider_name: null, provider_details: null, part_delta_kind: 'text' },
  event_kind: 'part_delta',
});

const snapshot = { schema_version: 1, layers: [] } as const;

describe('the seed wire', () => {
  test('prints the envelope without id, in the order run_id, created_at, type, data', () => {
    expect(seed.encode('run-1', AT, { type: 'run_started' })).toBe(
      `{"run_id":"run-1","created_at":"${AT}","type":"run_started","data":{}}`,
    );
  });

  test('prints a text delta with every null field', () => {
    expect(seed.encode('run-1', AT, { type: 'pydantic_ai_event', data: delta('lo "x"') })).toBe(
      `{"run_id":"run-1","created_at":"${AT}","type":"pydantic_ai_event","data":{"index":0,"delta":{"content_delta":"lo \\"x\\"","provider_name":null,"provider_details":null,"part_delta_kind":"text"},"event_kind":"part_delta"}}`,
    );
  });

  test('prints a thinking delta with signature_delta after the content', () => {
    const data: AgentStreamEvent = {
      index: 2,
      delta: {
        content_delta: ' ok',
        signature_delta: null,
        provider_name: null,
        provider_details: null,
        part_delta_kind: 'thinking',
      },
      event_kind: 'part_delta',
    };
    expect(seed.encode('r', AT, { type: 'pydantic_ai_event', data })).toContain(`"data":${JSON.stringify(data)}}`);
  });

  test('escapes the separators that break the clients of that day, and they decode to the same text', () => {
    const text = 'a\u0085b\u2028c\u2029d';
    const payload = seed.encode('run-1', AT, { type: 'pydantic_ai_event', data: delta(text) });
    expect(payload).not.toMatch(/[\u0085\u2028\u2029]/);
    expect(JSON.parse(payload).data.delta.content_delta).toBe(text);
  });

  test('replaces lone surrogates, and leaves a backslash that only looks like one', () => {
    const payload = seed.encode('run-1', AT, {
      type: 'run_succeeded',
      snapshot,
      result: { output: { lone: 'a\ud83d', text: '\\ud83d', pair: '😀' } },
      usage: null,
    });
    expect(JSON.parse(payload).data.output).toEqual({ lone: 'a\ufffd', text: '\\ud83d', pair: '😀' });
    expect(seed.encode('r', AT, { type: 'pydantic_ai_event', data: delta('\udc00x') })).toContain('"\ufffdx"');
  });

  test('a success has the snapshot and exactly one branch; an explicit null output is printed', () => {
    const payload = seed.encode('r', AT, {
      type: 'run_succeeded',
      snapshot,
      result: { output: null },
      usage: { promptTokens: 1, completionTokens: 2 },
    });
    expect(payload).toEndWith('"data":{"session_snapshot":{"schema_version":1,"layers":[]},"output":null}}');
  });

  test('a failure has error and reason only', () => {
    const payload = seed.encode('r', AT, {
      type: 'run_failed',
      error: 'boom',
      reason: null,
      errorType: 'x',
      snapshot,
      usage: null,
    });
    expect(payload).toEndWith('"type":"run_failed","data":{"error":"boom","reason":null}}');
  });

  test('a failure of the model keeps the exception text', () => {
    const structured = { error: 'slow', reason: 'RateLimit' };
    expect(seed.failure('status_code: 429', structured)).toEqual({ error: 'status_code: 429', reason: null });
  });

  test('big integers and 1.0 keep their text in an output', () => {
    const output = { a: JSON.rawJSON('1.0'), b: JSON.rawJSON('12345678901234567890') };
    const payload = seed.encode('r', AT, { type: 'run_succeeded', snapshot, result: { output }, usage: null });
    expect(payload).toContain('"output":{"a":1.0,"b":12345678901234567890}');
  });
});

describe('the August wire', () => {
  test('adds the text of a text event after data, and null to others', () => {
    expect(august.encode('r', AT, { type: 'pydantic_ai_event', data: delta('lo') })).toEndWith(
      '"event_kind":"part_delta"},"agent_message_delta":"lo"}',
    );
    const final: AgentStreamEvent = { tool_name: null, tool_call_id: null, event_kind: 'final_result' };
    expect(august.encode('r', AT, { type: 'pydantic_ai_event', data: final })).toEndWith(
      ',"agent_message_delta":null}',
    );
  });

  test('renames result to part in function_tool_result', () => {
    const data: AgentStreamEvent = {
      result: { content: 'x', tool_name: 't', tool_call_id: 'c', timestamp: AT, part_kind: 'retry-prompt' },
      content: null,
      event_kind: 'function_tool_result',
    };
    const printed = JSON.parse(august.encode('r', AT, { type: 'pydantic_ai_event', data }));
    expect(Object.keys(printed.data)).toEqual(['part', 'content', 'event_kind']);
  });

  test('prints usage on success and everything on failure', () => {
    const usage = { promptTokens: 13, completionTokens: 8 };
    expect(
      JSON.parse(august.encode('r', AT, { type: 'run_succeeded', snapshot, result: { output: 'x' }, usage })).data
        .usage,
    ).toEqual({ prompt_tokens: 13, completion_tokens: 8, total_tokens: 21 });
    const failed = { type: 'run_failed', error: 'e', reason: 'r', errorType: null, snapshot: null, usage } as const;
    expect(Object.keys(JSON.parse(august.encode('r', AT, failed)).data)).toEqual([
      'error',
      'error_type',
      'reason',
      'session_snapshot',
      'usage',
    ]);
  });

  test('words a model failure by the message and the type of the provider', () => {
    const structured = { error: 'slow', reason: 'RateLimit' };
    expect(august.failure('status_code: 429', structured)).toEqual(structured);
    expect(august.failure('boom', null)).toEqual({ error: 'boom', reason: null });
  });
});
