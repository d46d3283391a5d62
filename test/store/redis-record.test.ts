import { describe, expect, test } from 'bun:test';
import { parseRecord, recordFrame, recordText } from '../../src/store/redis-record.ts';

const RUN = '4d1f1a0e-9c0f-4b0e-9a54-0b3a8f6a2c11';
const read = (fields: object) => parseRecord(RUN, JSON.stringify(fields));
const running = {
  run_id: RUN,
  status: 'running',
  created_at: '2026-06-02T08:15:30.204117Z',
  updated_at: '2026-06-02T08:15:30.204131Z',
  error: null,
} as const;

test('a record is written as the reference writes it, whatever the order of its keys here', () => {
  const text = `{"run_id":"${RUN}","status":"running","created_at":"2026-06-02T08:15:30.204117Z","updated_at":"2026-06-02T08:15:30.204131Z","error":null}`;
  const { error, status, ...rest } = running;
  expect(recordText({ error, status, ...rest })).toBe(text);
  expect(parseRecord(RUN, text)).toEqual(running);
});

test('the frame of an ended record and its two times make the same text', () => {
  const { head, tail } = recordFrame(RUN, 'failed', 'a "b" / \ud800', null);
  const text = recordText({ ...running, status: 'failed', error: 'a "b" / \ud800' });
  expect(`${head}${running.created_at}","updated_at":"${running.updated_at}${tail}`).toBe(text);
});

test('an error type stands last, where there is one', () => {
  const { head, tail } = recordFrame(RUN, 'failed', 'x', 'agent_run_limit_exceeded');
  const text = `${head}${running.created_at}","updated_at":"${running.updated_at}${tail}`;
  expect(text).toEndWith(',"error":"x","error_type":"agent_run_limit_exceeded"}');
  expect(parseRecord(RUN, text)).toEqual({
    ...running,
    status: 'failed',
    error: 'x',
    error_type: 'agent_run_limit_exceeded',
  });
});

describe('what other implementations write is read', () => {
  test('a record that cjson encoded again: order, escaped slashes, offsets, a null error type', () => {
    const text = `{"error":"a\\/b","updated_at":"2026-06-02T10:15:31.918004+02:00","status":"failed","error_type":null,"run_id":"${RUN}","created_at":"2026-06-02T08:15:30+00:00"}`;
    expect(parseRecord(RUN, text)).toEqual({
      run_id: RUN,
      status: 'failed',
      created_at: '2026-06-02T08:15:30Z',
      updated_at: '2026-06-02T08:15:31.918004Z',
      error: 'a/b',
    });
  });

  test('an absent error, an error type, keys of newer vintages, another run id', () => {
    const { error: _, ...rest } = running;
    const error_type = 'agent_run_limit_exceeded';
    expect(read({ ...rest, run_id: 'x', lease: { of: 'y' } })).toEqual(running);
    expect(read({ ...rest, error_type, lease: { of: 'y' } })).toEqual({ ...running, error_type });
    expect(read({ ...rest, error_type: 7 })).toEqual(running);
  });

  test.each([
    ['2026-06-02 08:15:30.5Z', '2026-06-02T08:15:30.500000Z'],
    ['2026-06-02T08:15Z', '2026-06-02T08:15:00Z'],
    ['2026-06-02t08:15:30.123456789z', '2026-06-02T08:15:30.123456Z'],
    ['2026-06-02T08:15:30-0730', '2026-06-02T15:45:30Z'],
  ])('the time %s', (written, shown) => {
    expect(read({ ...running, created_at: written })?.created_at).toBe(shown);
  });
});

test.each([
  '',
  'x',
  'null',
  '[]',
  '"running"',
  '{}',
  JSON.stringify({ ...running, status: 'paused' }),
  JSON.stringify({ ...running, created_at: '2026-06-02T08:15:30' }),
  JSON.stringify({ ...running, updated_at: 1_780_388_130 }),
  JSON.stringify({ ...running, updated_at: '2026-13-02T08:15:30+00:00' }),
  JSON.stringify({ ...running, error: 5 }),
])('%j is no record', (text) => {
  expect(parseRecord(RUN, text)).toBeNull();
});
