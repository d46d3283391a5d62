import { describe, expect, test } from 'bun:test';
import type { ModelDelta } from '../../src/agent/model.ts';
import { createChunkReader, finishReasonOf } from '../../src/models/chunk-deltas.ts';
import { chunk, usage } from '../fakes/daemon-script.ts';

function read(...items: readonly unknown[]): readonly ModelDelta[] {
  const reader = createChunkReader((text) => new Error(text));
  const out: ModelDelta[] = [];
  for (const item of items) reader.item(item, out);
  reader.end(out);
  return out;
}

const content = (value: unknown) => chunk({ content: value });
const line = (url: string) => `\n    For further information visit https://errors.pydantic.dev/2.12/v/${url}`;

describe('a chunk', () => {
  test('says usage, finish reason, content and tool calls, in this order', () => {
    const calls = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }];
    const item = chunk({ content: 'x', tool_calls: calls, usage: usage(3, 4), finish_reason: 'stop' });
    expect(read(item)).toEqual([
      { kind: 'usage', inputTokens: 3, outputTokens: 4 },
      { kind: 'finish', reason: 'stop' },
      { kind: 'text', text: 'x' },
      { kind: 'tool_call', key: 'call-0', id: 'a', name: 'f', args: '{}' },
    ]);
  });

  test('may lack what the reference insists on and nobody needs', () => {
    for (const message of [
      { content: 'hi' },
      { role: 'assistant', content: 'hi', tool_calls: null, zzz: 1 },
      { content: 'hi', tool_calls: [], name: '' },
    ]) {
      expect(read({ model: 'm', delta: { message } })).toEqual([{ kind: 'text', text: 'hi' }]);
    }
    expect(read({ model: 'm', delta: { message: { content: null } } })).toEqual([]);
    const bare = [{ function: { name: 'f', arguments: null } }];
    expect(read({ model: 'm', delta: { message: { tool_calls: bare } } })).toMatchObject([{ name: 'f', args: '' }]);
  });

  test('is refused in the words of the reference when it makes no sense', () => {
    expect(() => read({ hello: 1 })).toThrow(
      `2 validation errors for LLMResultChunk\nmodel\n  Field required [type=missing, input_value={'hello': 1}, input_type=dict]${line('missing')}\ndelta\n  Field required [type=missing, input_value={'hello': 1}, input_type=dict]${line('missing')}`,
    );
    expect(() => read({ model: 'm', delta: { message: { content: 5 } } })).toThrow('delta.message.content');
    const badCall = chunk({ tool_calls: [{ id: 'a', function: { name: 'f', arguments: {} } }] });
    expect(() => read(badCall)).toThrow(
      'delta.message.tool_calls.0.function.arguments\n  Input should be a valid string',
    );
    expect(() => read('text')).toThrow('1 validation error for LLMResultChunk');
  });
});

describe('usage', () => {
  test('may give prices as texts or numbers, and tokens as numeric texts', () => {
    const odd = { ...usage(1, 2), total_price: 1e-7, prompt_tokens: '7', extra: 1, time_to_generate: null };
    expect(read(chunk({ usage: odd }))).toEqual([{ kind: 'usage', inputTokens: 7, outputTokens: 2 }]);
  });

  test('needs all twelve keys', () => {
    const { currency: _, ...rest } = usage(2, 2);
    expect(() => read(chunk({ usage: rest }))).toThrow(
      /^1 validation error for LLMResultChunk\ndelta\.usage\.currency\n {2}Field required \[type=missing/,
    );
  });
});

describe('a finish reason', () => {
  test.each([
    ['stop', 'stop'],
    ['STOP', 'stop'],
    ['length', 'length'],
    ['max_tokens', 'length'],
    ['content_filter', 'content_filter'],
    ['tool_calls', 'tool_call'],
    ['function_call', 'tool_call'],
    ['tool_use', 'tool_call'],
    ['end_turn', 'stop'],
    ['eos', 'stop'],
    ['', 'error'],
    ['whatever', 'error'],
  ] as const)('%j is %s', (given, reason) => {
    expect(finishReasonOf(given)).toBe(reason);
  });
});

describe('a content list', () => {
  test('holds texts, thinking and files', () => {
    const image = {
      type: 'image',
      format: 'png',
      base64_data: 'iVBORw0KGgo+/w==',
      url: '',
      mime_type: 'image/png',
      detail: '',
    };
    expect(read(content([{ type: 'text', data: 'a<think>b</think>' }, image, { type: 'text', data: '' }]))).toEqual([
      { kind: 'text', text: 'a' },
      { kind: 'thinking_part', text: 'b' },
      { kind: 'file', data: 'iVBORw0KGgo-_w==', mediaType: 'image/png', identifier: '451ed1' },
    ]);
  });

  test('may hold media without content and items nobody knows: they are skipped', () => {
    expect(read(content([{ type: 'image', url: '', base64_data: '' }, { type: 'hologram', data: 'x' }, {}]))).toEqual(
      [],
    );
  });

  test('may not hold media by URL', () => {
    expect(() => read(content([{ type: 'image', url: 'https://h/a.png', base64_data: '' }]))).toThrow(
      'URL-based assistant multimodal output is not supported by the daemon adapter',
    );
  });

  test('of something else than objects is no chunk', () => {
    expect(() => read(content(['x']))).toThrow('LLMResultChunk');
  });
});
