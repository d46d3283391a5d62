// The demo runs the real application; its reader and its printer are tried on what a network may bring.

import { describe, expect, test } from 'bun:test';
import { demo } from '../../src/cli/demo.ts';
import { describeEvent, isTerminal } from '../../src/cli/event-lines.ts';
import { readSse } from '../../src/cli/sse.ts';
import { fakeIo } from './support.ts';

test('shows a run from its start to its snapshot, whatever the environment says', async () => {
  const io = fakeIo(['demo'], { DIFY_AGENT_PORT: 'nonsense', DIFY_AGENT_STORE_URL: 'nonsense' });
  expect({ code: await demo(io), complaints: io.complaints }).toEqual({ code: 0, complaints: [] });
  const output = io.printed();
  for (const text of [
    'run_started',
    'part_delta',
    'run_succeeded',
    'history  suspended',
    'curl http://127.0.0.1:8000/runs',
  ]) {
    expect(output).toContain(text);
  }
  expect(output).not.toContain('\x1b');
});

describe('the SSE reader', () => {
  async function frames(...chunks: readonly Uint8Array[]): Promise<readonly string[]> {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(chunk);
        controller.close();
      },
    });
    const found: string[] = [];
    for await (const { event, data } of readSse(body)) found.push(`${event}|${data}`);
    return found;
  }
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

  test('skips comments, joins data lines, takes CRLF, drops an unfinished frame', async () => {
    const text = ': keepalive\n\nid: 1-0\nevent: a\ndata: 1\ndata:2\n\ndata: x\r\n\r\nevent: b\ndata: cut';
    expect(await frames(bytes(text))).toEqual(['a|1\n2', 'message|x']);
  });

  test('does not care where chunks are cut', async () => {
    const all = bytes('event: ä\ndata: "€\u2028😀"\n\n');
    expect(await frames(...Array.from(all, (byte) => new Uint8Array([byte])))).toEqual(['ä|"€\u2028😀"']);
  });
});

describe('an event as a line', () => {
  test.each([
    [{ type: 'run_started', created_at: '2026-05-26T03:14:10.120456Z', data: {} }, '  03:14:10.120  run_started'],
    [
      {
        type: 'pydantic_ai_event',
        created_at: '2026-05-26T03:14:10Z',
        data: { event_kind: 'part_delta', delta: { content_delta: 'a\x1b' } },
      },
      '  03:14:10      part_delta     "a\\u001b"',
    ],
    [{ type: 'run_failed', data: { error: 'no' } }, '                run_failed     "no"'],
    [{}, '                event'],
  ])('%#', (event, line) => {
    expect(describeEvent(event, false)).toBe(line);
  });

  test('has colours only where they are wanted', () => {
    expect(describeEvent({ type: 'run_failed' }, true)).toContain('\x1b[31m');
  });

  test('three types end a run', () => {
    const types = ['run_started', 'pydantic_ai_event', 'run_succeeded', 'run_failed', 'run_cancelled'];
    expect(types.filter((type) => isTerminal({ type }))).toEqual(['run_succeeded', 'run_failed', 'run_cancelled']);
  });
});
