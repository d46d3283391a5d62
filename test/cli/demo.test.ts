// The demo runs the real application; its reader and its printer are tried on what a network may bring.

import { describe, expect, test } from 'bun:test';
import { demo } from '../../src/cli/demo.ts';
import { describeEvent, describeQuestion, isTerminal } from '../../src/cli/event-lines.ts';
import { readSse } from '../../src/cli/sse.ts';
import { fakeIo } from './support.ts';

test('shows a tool call, a question, its answer and structured output, whatever the environment says', async () => {
  const io = fakeIo(['demo'], { DIFY_AGENT_PORT: 'nonsense', DIFY_AGENT_STORE_URL: 'nonsense' });
  expect({ code: await demo(io), complaints: io.complaints }).toEqual({ code: 0, complaints: [] });
  const output = io.printed();
  for (const text of [
    'run_started',
    'part_delta',
    'check_stock {"item":"green tea"}',
    'check_stock returned {"item":"green tea","packs":2}',
    'ends with a call of ask_human',
    '| Two packs of tea are left.',
    '| Packs (paragraph): ____',
    '| [ Order ] [ Leave it ]',
    'Somebody answers: {"packs":"10"}, "Order".',
    'ask_human returned {"status":"submitted"',
    'final_result          final_output',
    '{"ordered":true,"item":"green tea","packs":10}',
    'history    suspended',
    'curl http://127.0.0.1:8000/runs',
  ]) {
    expect(output).toContain(text);
  }
  expect(output.split('run_succeeded')).toHaveLength(3);
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
      '  03:14:10      part_delta            "a\\u001b"',
    ],
    [{ type: 'run_failed', data: { error: 'no' } }, '                run_failed            "no"'],
    [{}, '                event'],
  ])('%#', (event, line) => {
    expect(describeEvent(event, false)).toBe(line);
  });

  const detail = (data: NonNullable<Parameters<typeof describeEvent>[0]['data']>) =>
    describeEvent({ type: 'pydantic_ai_event', data }, false).slice(16).trim().replace(/ +/, ' ');
  const call = { part_kind: 'tool-call', tool_name: 'f', args: '{"a":1}' };

  test.each([
    [{ event_kind: 'part_start', part: call }, 'part_start tool-call f {"a":1}'],
    [{ event_kind: 'function_tool_call', args_valid: true, part: call }, 'function_tool_call f {"a":1}'],
    [
      { event_kind: 'function_tool_call', args_valid: false, part: { ...call, args: null } },
      'function_tool_call f null (arguments refused)',
    ],
    [
      { event_kind: 'function_tool_result', result: { part_kind: 'tool-return', tool_name: 'f', content: { n: 1 } } },
      'function_tool_result f returned {"n":1}',
    ],
    [
      { event_kind: 'function_tool_result', result: { part_kind: 'retry-prompt', tool_name: 'f', content: 'no' } },
      'function_tool_result f shall be called again: "no"',
    ],
    [{ event_kind: 'final_result', tool_name: null }, 'final_result'],
    [{ event_kind: 'final_result', tool_name: 'final_output' }, 'final_result final_output'],
    [{ deferred_tool_call: { tool_name: 'ask_human' } }, 'pydantic_ai_event ends with a call of ask_human'],
    [{ event_kind: 'part_start', part: { part_kind: 'text', content: '\u009b31m' } }, 'part_start text "\ufffd31m"'],
  ])('of tools: %j', (data, line) => expect(detail(data)).toBe(line));

  test('is cut where it would wrap', () => {
    expect(detail({ error: 'x'.repeat(1_000) }).length).toBeLessThan(200);
  });

  test('a question that says nothing is still one', () => {
    expect(describeQuestion({})).toBe('  | \n');
    expect(describeQuestion({ args: { question: 'a\u001b[2J?', fields: [{}], actions: [{}] } })).toBe(
      '  | a\ufffd[2J?\n  | ? (?): ____\n  | [ ? ]\n',
    );
  });

  test('has colours only where they are wanted', () => {
    expect(describeEvent({ type: 'run_failed' }, true)).toContain('\x1b[31m');
  });

  test('three types end a run', () => {
    const types = ['run_started', 'pydantic_ai_event', 'run_succeeded', 'run_failed', 'run_cancelled'];
    expect(types.filter((type) => isTerminal({ type }))).toEqual(['run_succeeded', 'run_failed', 'run_cancelled']);
  });
});
