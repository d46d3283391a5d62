// The strict reader refuses what a strict client of the reference refuses; otherwise its verdict on our streams is worthless.

import { describe, expect, test } from 'bun:test';
import { SseParser } from './sse.ts';
import { until, within } from './until.ts';

const event = (changes: Readonly<Record<string, unknown>> = {}) =>
  JSON.stringify({
    id: '7-0',
    run_id: 'run-1',
    created_at: '2026-06-02T08:15:30.209551Z',
    type: 'run_started',
    data: {},
    ...changes,
  });
const frame = (data: string, type = 'run_started', id = '7-0') => `id: ${id}\nevent: ${type}\ndata: ${data}\n\n`;
const read = (text: string) => {
  const parser = new SseParser();
  const frames = parser.feed(text);
  parser.end();
  return { frames, comments: parser.comments };
};

describe('a stream', () => {
  test('is read whatever the chunks, with comments counted and left out', () => {
    const text = `: keepalive\n\n${frame(event())}: keepalive\n\n${frame(event({ id: '7-1' }), 'run_started', '7-1')}`;
    const whole = read(text);
    expect(whole.frames.map(({ id }) => id)).toEqual(['7-0', '7-1']);
    expect(whole.frames[0]?.raw).toBe(frame(event()));
    expect(whole.comments).toBe(2);
    const parser = new SseParser();
    expect([...text].flatMap((character) => parser.feed(character))).toEqual(whole.frames);
  });

  const bad: readonly (readonly [string, string])[] = [
    ['an unfinished frame', 'id: 7-0\nevent: run_started\n'],
    ['a missing id', `event: run_started\ndata: ${event()}\n\n`],
    ['an additional field', `id: 7-0\nevent: run_started\ndata: ${event()}\nretry: 5\n\n`],
    ['two data lines', `id: 7-0\nevent: run_started\ndata: ${event()}\ndata: x\n\n`],
    ['CRLF', frame(event()).replaceAll('\n', '\r\n')],
    ['a raw U+2028', frame(event({ run_id: '\u2028' }))],
    ['a raw U+0085', frame(event({ run_id: '\u0085' }))],
    ['bad JSON', frame('{')],
    ['another type in the payload', frame(event(), 'run_failed')],
    ['another id in the payload', frame(event(), 'run_started', '8-0')],
    ['an unknown type', frame(event({ type: 'done' }), 'done')],
    ['an unknown key', frame(event({ extra: null }))],
    ['a missing key', frame(event({ created_at: undefined }))],
    ['data that is not empty', frame(event({ data: { a: 1 } }))],
    ['a time with milliseconds', frame(event({ created_at: '2026-06-02T08:15:30.209Z' }))],
    [
      'an unknown stream event',
      frame(event({ type: 'pydantic_ai_event', data: { event_kind: 'x' } }), 'pydantic_ai_event'),
    ],
    [
      'a later vintage’s failure',
      frame(event({ type: 'run_failed', data: { error: 'x', error_type: null, reason: null } }), 'run_failed'),
    ],
  ];
  for (const [name, text] of bad) test(`with ${name} is refused`, () => expect(() => read(text)).toThrow());
});

test('waiting ends with the first result, and says what it waited for', async () => {
  let asked = 0;
  expect(await until('three', () => (++asked === 3 ? asked : null), { everyMs: 0 })).toBe(3);
  expect(until('never', () => false, { timeoutMs: 5 })).rejects.toThrow('in vain for never');
  expect(within('never', new Promise(() => {}), 5)).rejects.toThrow('in vain for never');
});
