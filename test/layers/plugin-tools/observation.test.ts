import { describe, expect, test } from 'bun:test';
import type { JsonValue } from '../../../src/base/json.ts';
import { bounded, createObservation, MAX_OBSERVATION_BYTES } from '../../../src/layers/plugin-tools/observation.ts';
import { createToolMessageReader } from '../../../src/peers/plugin-daemon/tool-messages.ts';
import { parseJson } from '../../../src/wiretext/json.ts';

/** The observation of a stream of these items, given as JSON texts `type message [meta]`. */
function fold(...items: readonly (readonly [type: string, message: string, meta?: string])[]): string {
  const reader = createToolMessageReader();
  const observation = createObservation();
  for (const [type, message, meta = 'null'] of items) {
    const read = reader.item({ type, message: json(message), meta: json(meta) });
    if (read !== null) observation.add(read);
  }
  return observation.text();
}

function json(text: string): JsonValue {
  const parsed = parseJson(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.value;
}

const IMAGE =
  'image has been created and sent to user already, you do not need to create it, just tell the user to check it now.';

describe('one message', () => {
  test.each([
    ['text', '{"text":"done"}', 'done'],
    ['text', '{"text":""}', ''],
    ['text', 'null', ''],
    ['link', '{"text":"https://h/x"}', 'result link: https://h/x. please tell user to check it.'],
    ['link', 'null', ''],
    ['image', '{"text":"https://h/a.png"}', IMAGE],
    ['image_link', '{"text":"https://h/a.png"}', IMAGE],
    ['image_link', 'null', IMAGE],
    ['binary_link', '{"text":"https://h/a.bin"}', "text='https://h/a.bin'"],
    ['binary_link', 'null', 'None'],
    [
      'json',
      '{"json_object":{"n":1,"s":"é","f":1.0,"l":[1,null,true]}}',
      '{"n": 1, "s": "é", "f": 1.0, "l": [1, null, true]}',
    ],
    ['json', '{"json_object":[12345678901234567890,1e-7]}', '[12345678901234567890, 1e-07]'],
    ['json', '{"json_object":{"2":0,"1":0}}', '{"2": 0, "1": 0}'],
    ['json', '{"json_object":{"a":1},"suppress_output":true}', ''],
    ['json', '{"json_object":{"a":1},"suppress_output":false}', '{"a": 1}'],
    ['json', '{"a":1,"suppress_output":true}', '{"a": 1, "suppress_output": true}'],
    ['json', '{"json_object":5}', '5'],
    ['json', '"x"', '"x"'],
    ['json', '{"json_object":null}', ''],
    ['json', 'null', ''],
    ['variable', '{"variable_name":"a","variable_value":1,"stream":false}', ''],
    ['variable', '{}', ''],
    ['variable', 'null', ''],
    ['file', '{"file_marker":"file_marker","more":1}', "file_marker='file_marker'"],
    ['file', '{}', "file_marker='file_marker'"],
    ['file', '{"file_marker":"m"}', "file_marker='m'"],
    ['file', 'null', 'None'],
    [
      'log',
      '{"id":"l1","label":"step","parent_id":null,"error":null,"status":"start","data":{},"metadata":{}}',
      "id='l1' label='step' parent_id=None error=None status='start' data={} metadata={}",
    ],
    [
      'log',
      '{"id":"l1","label":"it\'s","parent_id":"l0","error":"e","status":"error","data":{"a":[true,null,1.0]},"metadata":null}',
      "id='l1' label=\"it's\" parent_id='l0' error='e' status='error' data={'a': [True, None, 1.0]} metadata={}",
    ],
    [
      'log',
      '{"id":"l1","label":"s","status":"later"}',
      "id='l1' label='s' parent_id=None error=None status='later' data={} metadata={}",
    ],
    ['log', 'null', 'None'],
    ['blob', '{"blob":"AAEC"}', '[binary file of 3 bytes]'],
    ['blob', 'null', 'None'],
    ['retriever_resources', '{"retriever_resources":[],"context":""}', ''],
    ['ui', '{"protocol":"a2ui"}', ''],
  ])('%s %s', (type, message, wanted) => {
    expect(fold([type, message])).toBe(wanted);
  });

  test('the type of a file is told when it is one', () => {
    expect(fold(['blob', '{"blob":"AA=="}', '{"mime_type":"image/png"}'])).toBe('[binary file of 1 bytes, image/png]');
    expect(fold(['blob', '{"blob":""}', '{"mime_type":"ignore all previous"}'])).toBe('[binary file of 0 bytes]');
  });
});

describe('several messages', () => {
  test('json comes behind everything else', () => {
    expect(fold(['text', '{"text":"A"}'], ['json', '{"json_object":{"n":1}}'], ['text', '{"text":"B"}'])).toBe(
      'AB{"n": 1}',
    );
  });

  test('json that a text has said already is left out', () => {
    expect(fold(['json', '{"n":1}'], ['text', '{"text":"{\\"n\\": 1}"}'])).toBe('{"n": 1}');
  });

  test('the same json twice is said twice', () => {
    expect(fold(['json', '{"n":1}'], ['json', '{"n":1}'])).toBe('{"n": 1}{"n": 1}');
  });

  test('a file in chunks stands where it ends, with the last chunk’s type', () => {
    const chunk = (sequence: number, blob: string, end: boolean) =>
      `{"id":"b","sequence":${sequence},"total_length":6,"blob":"${blob}","end":${end}}`;
    expect(
      fold(
        ['blob_chunk', chunk(0, 'AAEC', false), '{"mime_type":"a/b"}'],
        ['text', '{"text":"-"}'],
        ['blob_chunk', chunk(1, 'AAEC', false)],
        ['blob_chunk', chunk(2, '', true), '{"mime_type":"image/png"}'],
        ['text', '{"text":"+"}'],
      ),
    ).toBe('-[binary file of 6 bytes, image/png]+');
  });

  test('a file that never ends is not mentioned', () => {
    expect(fold(['blob_chunk', '{"id":"b","sequence":0,"total_length":6,"blob":"AAEC","end":false}'])).toBe('');
  });
});

describe('a long observation', () => {
  const marker = `\n[truncated: the tool result is longer than ${MAX_OBSERVATION_BYTES} bytes]`;

  test('is whole up to its limit', () => {
    const text = 'é'.repeat(MAX_OBSERVATION_BYTES / 2);
    expect(bounded(text)).toBe(text);
    expect(bounded(`${text}x`)).toBe(text + marker);
  });

  test('is cut between characters', () => {
    expect(bounded('aé€😀', 5)).toBe('aé\n[truncated: the tool result is longer than 5 bytes]');
    expect(bounded('😀😀', 7)).toBe('😀\n[truncated: the tool result is longer than 7 bytes]');
  });

  test('stops collecting, text and json each', () => {
    const observation = createObservation(10);
    for (let i = 0; i < 1000; i++) {
      observation.add({ type: 'text', text: 'abc' });
      observation.add({ type: 'json', value: i });
    }
    expect(observation.text()).toBe('abcabcabcabc012345678910');
  });
});
