import { describe, expect, test } from 'bun:test';
import { isTerminalType, storedEventReader, storedEventType } from '../../src/protocol/stored-event.ts';
import { createWire } from '../../src/protocol/wire.ts';

const RUN = '4d1f1a0e-9c0f-4b0e-9a54-0b3a8f6a2c11';
const read = (payload: string, id = '7-0', run = RUN) =>
  storedEventReader(run, createWire('2026-08')).read({ id, payload });
/** For clients of the seed, who refuse what they do not know. */
const readAtSeed = (payload: string) => storedEventReader(RUN, createWire('2026-06')).read({ id: '7-0', payload });
const ours = (type: string, data = '{}', tail = '') =>
  `{"run_id":"${RUN}","created_at":"2026-06-02T08:15:30.209551Z","type":"${type}","data":${data}${tail}}`;

describe('stored events', () => {
  test('our own payload gets its id in front and is otherwise untouched', () => {
    const payload = ours('pydantic_ai_event', '{"n":1.0,"big":12345678901234567890}', ',"agent_message_delta":null');
    expect(read(payload)).toEqual({ type: 'pydantic_ai_event', json: `{"id":"7-0",${payload.slice(1)}` });
  });

  test('a payload in another key order with ids of its own is put in order without losing number texts', () => {
    const foreign = `{"type": "run_succeeded", "id": "9-9", "data": {"output": 1.0, "big": 12345678901234567890, "10": 1, "2": 2}, "run_id": "other", "created_at": "2026-06-02T08:15:30+00:00"}`;
    expect(read(foreign)?.json).toBe(
      `{"id":"7-0","run_id":"${RUN}","created_at":"2026-06-02T08:15:30Z","type":"run_succeeded","data":{"output":1.0,"big":12345678901234567890,"10":1,"2":2}}`,
    );
  });

  test('another run id in a payload of our form is overridden', () => {
    const payload = ours('run_started').replace(RUN, 'someone-else');
    expect(read(payload)?.json).toBe(`{"id":"7-0",${ours('run_started').slice(1)}`);
  });

  test('raw line separators of a foreign writer are escaped and decode to the same text', () => {
    const text = 'a\u0085b\u2028c\u2029d';
    const json = read(ours('pydantic_ai_event', `{"content_delta":"${text}"}`))?.json ?? '';
    expect(json).not.toMatch(/[\u0085\u2028\u2029]/);
    expect(json).toContain('a\\u0085b\\u2028c\\u2029d');
    expect(JSON.parse(json).data.content_delta).toBe(text);
  });

  test('a missing time comes from the id, missing data of run_started is empty', () => {
    expect(read('{"type":"run_started"}', '1780388130204-0')?.json).toBe(
      `{"id":"1780388130204-0","run_id":"${RUN}","created_at":"2026-06-02T08:15:30.204000Z","type":"run_started","data":{}}`,
    );
    expect(read('{"type":"run_started"}', '18446744073709551615-0')?.json).toContain('9999-12-31T23:59:59Z');
  });

  test('clients of the seed get no key that came later, whoever wrote it', () => {
    const at = (type: string, data: string) => readAtSeed(ours(type, data))?.json;
    const exactly = (type: string, data: string) => `{"id":"7-0",${ours(type, data).slice(1)}`;
    expect(readAtSeed(ours('pydantic_ai_event', '{"a":1}', ',"agent_message_delta":"hi"'))?.json).toBe(
      exactly('pydantic_ai_event', '{"a":1}'),
    );
    expect(at('run_failed', '{"error":"e","error_type":null,"reason":null,"session_snapshot":null,"usage":null}')).toBe(
      exactly('run_failed', '{"error":"e","reason":null}'),
    );
    expect(at('run_succeeded', '{"session_snapshot":{},"output":1.0,"usage":{"total_tokens":3}}')).toBe(
      exactly('run_succeeded', '{"session_snapshot":{},"output":1.0}'),
    );
    expect(at('run_cancelled', '{"reason":null,"message":"m","session_snapshot":null,"usage":null}')).toBe(
      exactly('run_cancelled', '{"reason":null,"message":"m"}'),
    );
  });

  test('what looks like a newer key inside an error text or an output stays', () => {
    for (const [type, data] of [
      ['run_failed', '{"error":"saw \\"error_type\\":","reason":null}'],
      ['run_succeeded', '{"session_snapshot":{},"output":{"usage":{"a":1}}}'],
    ] as const) {
      expect(readAtSeed(ours(type, data))?.json).toBe(`{"id":"7-0",${ours(type, data).slice(1)}`);
    }
  });

  test('times come out in UTC with Z', () => {
    const at = (time: string) => readAtSeed(`{"type":"run_started","data":{},"created_at":"${time}"}`)?.json;
    expect(at('2026-06-02T08:15:30.209551+00:00')).toContain('"2026-06-02T08:15:30.209551Z"');
    expect(at('2026-06-02T10:15:30+02:00')).toContain('"2026-06-02T08:15:30Z"');
    const ourKeys = ours('run_started').replace('Z"', '+00:00"');
    expect(readAtSeed(ourKeys)?.json).toContain('"2026-06-02T08:15:30.209551Z"');
  });

  test('unknown envelope keys of a newer writer are dropped, its message delta is kept', () => {
    const json = read(`{"v":2,${ours('pydantic_ai_event', '{}', ',"agent_message_delta":"hi"').slice(1)}`)?.json;
    expect(json).toBe(`{"id":"7-0",${ours('pydantic_ai_event', '{}', ',"agent_message_delta":"hi"').slice(1)}`);
  });

  test.each([
    ['an empty text', ''],
    ['no JSON', 'not json'],
    ['an array', '[]'],
    ['no type', '{}'],
    ['an unknown type', ours('run_paused')],
    ['no data', ours('run_failed', 'null')],
    ['data that is an array', ours('run_failed', '[1]')],
    ['a time that is none', ours('run_failed').replace('2026-06-02T08:15:30.209551Z', 'yesterday'.repeat(9))],
    ['a cut text', ours('run_started').slice(0, -2)],
    ['endless nesting', `{"type":"run_started","data":${'['.repeat(5000)}`],
  ])('%s is given up', (_name, payload) => {
    expect(read(payload)).toBeNull();
    expect(storedEventType(payload)).toBeNull();
  });

  test('the type is read from our own and from foreign payloads', () => {
    expect(storedEventType(ours('run_cancelled'))).toBe('run_cancelled');
    expect(storedEventType('{"data":{},"type":"run_failed","created_at":"2026-06-02T08:15:30Z"}')).toBe('run_failed');
    expect(
      ['run_succeeded', 'run_failed', 'run_cancelled', 'run_started', 'pydantic_ai_event'].map((type) =>
        isTerminalType(type as 'run_failed'),
      ),
    ).toEqual([true, true, true, false, false]);
  });

  test('a run id with quotes is matched and printed as JSON', () => {
    const id = 'a"b\\c';
    const payload = `{"run_id":${JSON.stringify(id)},"created_at":"2026-06-02T08:15:30Z","type":"run_started","data":{}}`;
    expect(read(payload, '7-0', id)).toEqual({ type: 'run_started', json: `{"id":"7-0",${payload.slice(1)}` });
  });
});
