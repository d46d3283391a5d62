// The client and the fold on what the reference really sent: every recorded trace, as its formatter printed it, whole and cut.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '../../src/client/client.ts';
import { EMPTY_VIEW, foldEvent, openToolCalls, type RunView, textOf } from '../../src/client/fold.ts';
import { readEvent } from '../../src/client/parse.ts';
import type { RunEvent } from '../../src/client/types.ts';
import { loadScenarios, type Step } from '../conformance/fixtures.ts';
import { ROOT } from '../support/binary.ts';
import { at, compact, textOf as nodeText } from '../support/json-nodes.ts';
import { all } from './events.ts';
import { type RawServer, startRawServer, stream } from './raw-server.ts';

const steps: readonly (readonly [string, Step])[] = loadScenarios()
  .flatMap(({ name, steps }) => steps.map((step, index) => [`${name} ${index + 1}`, step] as const))
  .filter(([, { events }]) => events.length > 0);

const texts = ({ events }: Step): readonly string[] => events.map(compact);
const frameOf = (json: string): string => {
  const { id, type } = JSON.parse(json) as { id: string; type: string }; // recorded events have both
  return `id: ${id}\nevent: ${type}\ndata: ${json}\n\n`;
};

let server: RawServer;
let client: Client;
beforeAll(async () => {
  server = await startRawServer();
  client = new Client({ baseUrl: server.url });
});
afterAll(() => server.close());

test('there are traces', () => {
  expect(steps.length).toBeGreaterThan(150);
});

describe('the client reads', () => {
  test.each(steps)('%s', async (_, step) => {
    const recorded = texts(step);
    server.answer(stream(...recorded.map(frameOf)));
    const events = await all(client.streamEvents('run-1', { maxReconnects: 0 }));
    expect(events).toEqual(recorded.map((text) => JSON.parse(text)));
  });

  test('the very bytes of first frames', async () => {
    const some = steps.filter(([, { firstFrames }]) => firstFrames.length > 0);
    expect(some.length).toBeGreaterThan(100);
    for (const [, step] of some) {
      const bytes = step.firstFrames.map((frame) => `${frame.trimEnd()}\n\n`).join('');
      server.answer(stream(bytes));
      const got: RunEvent[] = [];
      try {
        for await (const event of client.streamEvents('run-1', { maxReconnects: 0 })) got.push(event);
      } catch {
        // They end before the run does.
      }
      expect(got.length).toBe(step.firstFrames.length);
    }
  });
});

test('events as the reference stores them, without their ids, are read with the ids of their frames', async () => {
  const { after } = JSON.parse(readFileSync(join(ROOT, 'test/fixtures/redis.json'), 'utf8')) as {
    after: Record<string, { readonly type: string; readonly value: readonly StoredEntry[] }>;
  }; // the recorder's own form
  const entries = Object.values(after).flatMap(({ type, value }) => (type === 'stream' ? value : []));
  expect(entries.length).toBeGreaterThan(5);
  const frames = entries.map(({ id, fields }) => `id: ${id}\ndata: ${JSON.stringify(fields.payload)}\n\n`);
  server.answer(stream(...frames));
  const events = await all(client.streamEvents('run-1', { maxReconnects: 0 }));
  expect(events).toEqual(entries.map(({ id, fields }) => ({ ...fields.payload, id }) as never)); // read strictly
});

interface StoredEntry {
  readonly id: string;
  readonly fields: { readonly payload: object };
}

test('the fold of every prefix holds: texts as joined, tools called and answered, the end', () => {
  for (const [name, step] of steps) {
    let view: RunView = EMPTY_VIEW;
    let said = '';
    const called = new Map<string, string>();
    for (const text of texts(step)) {
      const event = readEvent(JSON.parse(text), text);
      const before = JSON.stringify(view);
      const next = foldEvent(view, event);
      expect(JSON.stringify(view)).toBe(before);
      view = next;
      if (event.type === 'pydantic_ai_event') {
        const { data } = event;
        if (data.event_kind === 'part_start' && data.part.part_kind === 'text') said += data.part.content;
        if (data.event_kind === 'part_delta' && data.delta.part_delta_kind === 'text') said += data.delta.content_delta;
        if (data.event_kind === 'function_tool_call') called.set(data.part.tool_call_id, 'called');
        if (data.event_kind === 'function_tool_result') {
          const part = data.part ?? data.result;
          called.set(part.tool_call_id, part.part_kind === 'tool-return' ? 'returned' : 'retried');
        }
      }
      const tools = view.items.flatMap((item) => (item.kind === 'tool' ? [[item.toolCallId, item.state]] : []));
      expect([name, textOf(view), Object.fromEntries(tools)]).toEqual([name, said, Object.fromEntries(called)]);
      expect(openToolCalls(view)).toHaveLength([...called.values()].filter((state) => state === 'called').length);
      expect(view.cursor).toBe(event.id);
    }
    const status = nodeText(at(step.status, 'status'));
    if (status !== undefined) expect([name, view.status as string]).toEqual([name, status]);
  }
});
