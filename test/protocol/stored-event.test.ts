import { describe, expect, test } from 'bun:test';
import { isTerminalType, storedEventReader, storedEventType } from '../../src/protocol/stored-event.ts';

const RUN = '4d1f1a0e-9c0f-4b0e-9a54-0b3a8f6a2c11';
const read = (payload: string, id = '7-0', run = RUN) => storedEventReader(run).read({ id, payload });
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
      `{"id":"7-0","run_id":"${RUN}","created_at":"2026-06-02T08:15:30+00:00","type":"run_succeeded","data":{"output":1.0,"big":12345678901234567890,"10":1,"2":2}}`,
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
