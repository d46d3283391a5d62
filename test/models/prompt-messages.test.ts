import { describe, expect, test } from 'bun:test';
import { toPromptMessages } from '../../src/models/prompt-messages.ts';
import { type ModelMessage, messageSchemas } from '../../src/protocol/messages.ts';
import { validate } from '../../src/validation/walker.ts';

const schemas = messageSchemas({ now: () => '2026-06-01T08:00:00Z', toolCallId: () => 'pyd_ai_0' });

/** Messages from what a snapshot would say; defaults filled in. */
function messages(...raw: readonly unknown[]): readonly ModelMessage[] {
  return raw.map((item) => {
    const result = validate(schemas.message, item);
    if (!result.ok) throw new Error(JSON.stringify(result.issues));
    return result.value;
  });
}

const request = (...parts: readonly unknown[]) => messages({ kind: 'request', parts });
const response = (...parts: readonly unknown[]) => messages({ kind: 'response', parts });
const map = (list: readonly ModelMessage[]) => toPromptMessages(list, (text) => new Error(text));
const json = (list: readonly ModelMessage[]) => JSON.stringify(map(list));

const user = (content: unknown) => request({ part_kind: 'user-prompt', content });
const toolReturn = (content: unknown) =>
  request({ part_kind: 'tool-return', tool_name: 't', tool_call_id: 'c', content });
const retry = (content: unknown, tool_name: string | null) =>
  request({ part_kind: 'retry-prompt', content, tool_name, tool_call_id: 'c' });

describe('requests', () => {
  test('keep system messages apart and in place', () => {
    const list = request(
      { part_kind: 'system-prompt', content: 'a' },
      { part_kind: 'system-prompt', content: '' },
      { part_kind: 'user-prompt', content: 'hi' },
    );
    expect(json(list)).toBe(
      '[{"role":"system","content":"a","name":null},{"role":"system","content":"","name":null},{"role":"user","content":"hi","name":null}]',
    );
  });

  test('without parts are no messages, and instructions are not sent', () => {
    expect(map(messages({ kind: 'request', parts: [], instructions: 'be kind' }))).toEqual([]);
  });

  test('collapse a list of one text, keep longer lists, and never say null', () => {
    expect(map(user(['only']))[0]?.content).toBe('only');
    expect(map(user(['', '  ', 'real']))[0]?.content).toEqual([
      { type: 'text', data: '' },
      { type: 'text', data: '  ' },
      { type: 'text', data: 'real' },
    ]);
    expect(map(user([]))[0]?.content).toBe('');
    expect(map(user([{ kind: 'cache-point' }, { kind: 'text-content', content: 'x' }]))[0]?.content).toBe('x');
  });

  test('refer to media by URL', () => {
    const image = { kind: 'image-url', url: 'https://h/a.png?x=1', vendor_metadata: { detail: 'high' } };
    const [message] = map(
      user([image, { kind: 'document-url', url: 'https://h/b', media_type: 'application/pdf', identifier: 'doc' }]),
    );
    expect(JSON.stringify(message?.content)).toBe(
      `[{"type":"image","format":"png","base64_data":"","url":"https://h/a.png?x=1","mime_type":"image/png","filename":"${sha('https://h/a.png?x=1')}.png","detail":"high"},` +
        '{"type":"document","format":"pdf","base64_data":"","url":"https://h/b","mime_type":"application/pdf","filename":"doc.pdf"}]',
    );
  });

  test('carry binary media as ordinary base64', () => {
    const [message] = map(user([{ kind: 'binary', data: 'iVBORw0KGgo-_w==', media_type: 'image/png' }]));
    expect(JSON.stringify(message?.content)).toBe(
      '[{"type":"image","format":"png","base64_data":"iVBORw0KGgo+/w==","url":"","mime_type":"image/png","filename":"451ed1.png","detail":"low"}]',
    );
  });

  test('with content that the daemon has no form for are refused', () => {
    expect(() => map(user([{ kind: 'uploaded-file', file_id: 'f', provider_name: 'p' }]))).toThrow(
      'UploadedFile content is not supported by the daemon adapter',
    );
    expect(() => map(user([{ kind: 'binary', data: 'AA==', media_type: 'application/zip' }]))).toThrow(
      'Unsupported binary media type for daemon adapter: application/zip',
    );
    expect(() => map(user([{ kind: 'image-url', url: 'https://h/a' }]))).toThrow('Unknown media type: https://h/a');
  });
});

describe('tool results', () => {
  test('are texts as they are and other JSON in compact form', () => {
    expect(map(toolReturn('x\ny'))).toEqual([{ role: 'tool', content: 'x\ny', name: 't', tool_call_id: 'c' }]);
    const value = { a: 1, b: [1, 2.5, null, true], f: JSON.rawJSON('1.0') };
    expect(map(toolReturn(value))[0]?.content).toBe('{"a":1,"b":[1,2.5,null,true],"f":1.0}');
    for (const [given, text] of [
      [3, '3'],
      [true, 'true'],
      [null, 'null'],
      [[], ''],
      [['x'], 'x'],
    ] as const) {
      expect(map(toolReturn(given))[0]?.content).toBe(text);
    }
  });

  test('that are lists become lists of texts', () => {
    expect(map(toolReturn(['a', 1]))[0]?.content).toEqual([
      { type: 'text', data: 'a' },
      { type: 'text', data: '1' },
    ]);
  });
});

describe('retry prompts', () => {
  test('of a tool answer its call, others are feedback of the user', () => {
    expect(map(retry('no', 't'))).toEqual([
      { role: 'tool', content: 'no\n\nFix the errors and try again.', name: 't', tool_call_id: 'c' },
    ]);
    expect(map(retry('no', null))).toEqual([
      { role: 'user', content: 'Validation feedback:\nno\n\nFix the errors and try again.', name: null },
    ]);
  });

  test('list errors as indented JSON, with the input only where the fault is nested', () => {
    const errors = [
      { type: 'missing', loc: ['city'], msg: 'Field required', input: {} },
      { type: 'string_type', loc: ['opts', 0], msg: 'Input should be a valid string', input: 7 },
    ];
    expect(map(retry(errors, 't'))[0]?.content).toBe(
      '2 validation errors:\n```json\n[\n  {\n    "type": "missing",\n    "loc": [\n      "city"\n    ],\n    "msg": "Field required"\n  },\n  {\n    "type": "string_type",\n    "loc": [\n      "opts",\n      0\n    ],\n    "msg": "Input should be a valid string",\n    "input": 7\n  }\n]\n```\n\nFix the errors and try again.',
    );
    const one = [{ type: 'json_invalid', loc: [], msg: 'é', input: 'x' }];
    expect(map(retry(one, 't'))[0]?.content).toStartWith(
      '1 validation error:\n```json\n[\n  {\n    "type": "json_invalid",\n    "loc": [],\n    "msg": "é"\n  }\n]',
    );
  });
});

describe('responses', () => {
  test('are one assistant message: thinking wrapped, texts, calls', () => {
    const list = response(
      { part_kind: 'thinking', content: 'hm' },
      { part_kind: 'text', content: 'second' },
      { part_kind: 'text', content: '' },
      { part_kind: 'tool-call', tool_name: 'w', args: '{"city":"Oslo"}', tool_call_id: 'c' },
    );
    expect(json(list)).toBe(
      '[{"role":"assistant","content":[{"type":"text","data":"<think>\\nhm\\n</think>"},{"type":"text","data":"second"}],"name":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"w","arguments":"{\\"city\\":\\"Oslo\\"}"}}]}]',
    );
  });

  test('of calls only have empty content, of nothing are left out', () => {
    expect(map(response({ part_kind: 'tool-call', tool_name: 'w', tool_call_id: '' }))).toEqual([
      {
        role: 'assistant',
        content: '',
        name: null,
        tool_calls: [{ id: 'tool-call-w', type: 'function', function: { name: 'w', arguments: '{}' } }],
      },
    ]);
    expect(map(response({ part_kind: 'text', content: '' }, { part_kind: 'thinking', content: '' }))).toEqual([]);
    expect(map(response())).toEqual([]);
  });

  test('with arguments as an object send them compact', () => {
    const [message] = map(response({ part_kind: 'tool-call', tool_name: 'w', args: { a: [1] }, tool_call_id: 'c' }));
    expect(message).toMatchObject({ tool_calls: [{ function: { arguments: '{"a":[1]}' } }] });
  });

  test('with parts that the daemon has no form for are refused', () => {
    expect(() => map(response({ part_kind: 'builtin-tool-call', tool_name: 'w', tool_call_id: 'c' }))).toThrow(
      'Unsupported response part for daemon adapter: BuiltinToolCallPart',
    );
  });

  test('with files send them back', () => {
    const file = {
      part_kind: 'file',
      content: { kind: 'binary', data: 'AAEC', media_type: 'audio/mpeg', identifier: 'x' },
    };
    expect(map(response(file))[0]?.content).toEqual([
      { type: 'audio', format: 'mp3', base64_data: 'AAEC', url: '', mime_type: 'audio/mpeg', filename: 'x.mp3' },
    ]);
  });
});

function sha(text: string): string {
  return new Bun.CryptoHasher('sha1').update(text).digest('hex').slice(0, 6);
}
