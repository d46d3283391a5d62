import { describe, expect, test } from 'bun:test';
import type { JsonValue } from '../../../src/base/json.ts';
import { ToolStreamError } from '../../../src/peers/plugin-daemon/tool-errors.ts';
import { createToolMessageReader } from '../../../src/peers/plugin-daemon/tool-messages.ts';
import { pick, randomFrom, randomJson } from '../../layers/plugin-tools/random.ts';

const read = (data: unknown) => createToolMessageReader().item(data);

/** The text with which an item is refused. */
function refusal(data: unknown): string {
  try {
    return `read: ${JSON.stringify(read(data))}`;
  } catch (error) {
    if (!(error instanceof ToolStreamError)) throw error;
    return error.message;
  }
}

test('the type defaults to text', () => {
  expect(read({ message: { text: 'a' } })).toEqual({ type: 'text', text: 'a' });
  expect(read({ type: null, message: { text: 'a' } })).toEqual({ type: 'text', text: 'a' });
});

test('an unknown type is nothing, with whatever message', () => {
  expect(read({ type: 'hologram' })).toBeNull();
  expect(read({ type: 'ui', message: [1] })).toBeNull();
  expect(read({ type: 7, message: 'x' })).toBeNull();
});

test('a payload that fits nothing is told as the reference does', () => {
  const text = refusal({ type: 'text', message: { text: 5 } });
  expect(text).toStartWith(
    '14 validation errors for DifyPluginToolInvokeMessage\nmessage.TextMessage.text\n  Input should be a valid string [type=string_type, input_value=5, input_type=int]\n',
  );
  expect(text).toContain(
    '\nmessage.FileMessage\n  Value error, Invalid FileMessage: missing file_marker [type=value_error,',
  );
  expect(text).toEndWith('/v/missing');
});

test('a missing message is told', () => {
  expect(refusal({ type: 'text' })).toStartWith(
    '1 validation error for DifyPluginToolInvokeMessage\nmessage\n  Field required [type=missing,',
  );
});

test.each([null, 'x', 7, ['x']].map((data) => [data]))('%p is no message', (data) => {
  expect(refusal(data)).toStartWith(
    '1 validation error for DifyPluginToolInvokeMessage\n  Input should be a valid dictionary',
  );
});

describe('the payload of another type', () => {
  test.each([
    ['text', { json_object: {} }],
    ['link', { blob: '' }],
    ['blob', { text: 'x' }],
    ['log', { text: 'x' }],
    ['blob_chunk', { text: 'x' }],
  ])('%s', (type, message) => {
    expect(refusal({ type, message })).toBe(`Plugin daemon sent a '${type}' message with the payload of another type`);
  });
});

test('a chunk without payload is told in the reference’s words', () => {
  expect(refusal({ type: 'blob_chunk', message: null })).toBe(
    'Blob chunk responses must carry BlobChunkMessage payloads.',
  );
});

test('items are counted', () => {
  const reader = createToolMessageReader(2);
  reader.item({ message: null });
  reader.item({ message: null });
  expect(() => reader.item({ message: null })).toThrow('Plugin daemon sent more than 2 items');
});

test('whatever comes: a message, nothing, or the typed error', () => {
  const random = randomFrom(1);
  const types = ['text', 'link', 'image', 'json', 'binary_link', 'file', 'log', 'blob', 'blob_chunk', 'variable', 'x'];
  const fields = ['text', 'blob', 'id', 'label', 'status', 'json_object', 'sequence', 'total_length', 'end', 'data'];
  for (let round = 0; round < 2000; round++) {
    const message: Record<string, JsonValue> = {};
    for (const field of fields) if (random() < 0.4) message[field] = randomJson(random, 2);
    const type = types[pick(random, types.length)];
    const item = { type, message: random() < 0.8 ? message : randomJson(random, 2), meta: randomJson(random, 1) };
    expect(typeof refusal(random() < 0.9 ? item : randomJson(random, 3))).toBe('string');
  }
});
