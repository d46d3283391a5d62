import { describe, expect, test } from 'bun:test';
import { createChunkReader } from '../../src/models/chunk-deltas.ts';
import { readLlmChunk } from '../../src/models/llm-chunk.ts';
import { parseJson } from '../../src/wiretext/json.ts';

const USAGE = {
  prompt_tokens: 2,
  prompt_unit_price: '0.00015',
  prompt_price_unit: '0.001',
  prompt_price: '0.0000015',
  completion_tokens: 3,
  completion_unit_price: '0.0006',
  completion_price_unit: '0.001',
  completion_price: '0.000003',
  total_tokens: 5,
  total_price: '0.0000045',
  currency: 'USD',
  latency: 0.01,
};

const chunk = (delta: object, top: object = {}): unknown => ({
  model: 'm',
  ...top,
  delta: { index: 0, message: { role: 'assistant', content: 'x', tool_calls: [] }, ...delta },
});

/** The message and location of the first fault; null: a chunk. */
function fault(data: unknown): string | null {
  try {
    readLlmChunk(data, (text) => new Error(text));
    return null;
  } catch (error) {
    const [, location, message] = String(error).split('\n');
    return `${location} ${message?.replace(/, input_value=.*/, '').trim()}`;
  }
}

describe('a chunk is refused as pydantic refuses it', () => {
  test.each([
    ['a price that is none', chunk({ usage: { ...USAGE, total_price: 'abc' } }), 'decimal_parsing'],
    ['a price that is null', chunk({ usage: { ...USAGE, prompt_price: null } }), 'decimal_type'],
    ['a price that is infinite', chunk({ usage: { ...USAGE, prompt_price: 'Infinity' } }), 'finite_number'],
    ['an infinite number', chunk({ usage: { ...USAGE, prompt_price: Number.POSITIVE_INFINITY } }), 'finite_number'],
    ['an absent price', chunk({ usage: { ...USAGE, prompt_price: undefined } }), 'missing'],
    ['a count with a fraction', chunk({ usage: { ...USAGE, total_tokens: 1.5 } }), 'int_from_float'],
    ['a time that is none', chunk({ usage: { ...USAGE, time_to_generate: 'soon' } }), 'float_parsing'],
    ['an index that is none', chunk({ index: 'abc' }), 'int_parsing'],
    ['a fingerprint that is no text', chunk({}, { system_fingerprint: 5 }), 'string_type'],
    ['a message that is a number', chunk({ message: JSON.rawJSON('1.0') }), 'model_type'],
  ])('%s', (_, data, type) => {
    expect(fault(data)).toContain(`[type=${type}`);
  });
});

describe('a chunk is accepted as pydantic accepts it', () => {
  test.each([
    ['counts as texts', { ...USAGE, prompt_tokens: '2', total_tokens: ' 5 ' }],
    ['counts below zero', { ...USAGE, prompt_tokens: -2 }],
    [
      'prices as numbers and with exponents',
      { ...USAGE, prompt_price: 1e-7, total_price: '1E-7', prompt_unit_price: 0 },
    ],
    ['times beside the twelve', { ...USAGE, time_to_first_token: null, time_to_generate: 0.5 }],
  ])('%s', (_, usage) => {
    expect(fault(chunk({ usage }))).toBeNull();
  });
  test('an absent or null index, fingerprint and list of calls', () => {
    const message = { content: null, tool_calls: null };
    expect(fault(chunk({ index: undefined, message }, { system_fingerprint: null }))).toBeNull();
    expect(fault(chunk({ index: null, message }))).toBeNull();
  });
});

describe('media in an answer', () => {
  const read = (item: object) => {
    const out: unknown[] = [];
    const data = parseJson(JSON.stringify(chunk({ message: { content: [item] } })));
    createChunkReader((text) => new Error(text)).item(data.ok ? data.value : null, out as never[]);
    return out;
  };
  test('every kind is a file, whatever its base64 is wrapped in', () => {
    for (const type of ['image', 'audio', 'video', 'document']) {
      const item = { type, base64_data: '-AA\nEC', url: '', mime_type: `${type}/x`, format: 'x' };
      expect(read(item)).toMatchObject([{ kind: 'file', data: 'AAEC', mediaType: `${type}/x` }]);
    }
  });
  test('bytes that cannot be decoded fail as in Python', () => {
    expect(() => read({ type: 'image', base64_data: 'iVBORw0KGgo', url: '' })).toThrow('Incorrect padding');
  });
});
