// Reading runs through the binary: streams that resume without gap or repeat, pages, cursors, a conversation over two
// runs, and two hundred runs at once.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createRun, FOREVER, finish, get, runToEnd, scripted } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { openSse, readSse, type SseFrame } from '../support/sse.ts';
import { until, within } from '../support/until.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
}, 180_000);

afterAll(() => server.dispose());

const ids = (frames: readonly SseFrame[]) => frames.map((frame) => frame.id);

describe('a stream that was cut', () => {
  test('goes on after the last id, by query and by header, without gap or repeat', async () => {
    const runId = await createRun(server.url, scripted([[{ text: 'x', delay_ms: 1, repeat: 60 }]]));
    const seen: SseFrame[] = [];
    for (let attempt = 0; seen.at(-1)?.event !== 'run_succeeded'; attempt += 1) {
      const cursor = seen.at(-1)?.id;
      const hangUp = new AbortController();
      const position = cursor === undefined ? {} : attempt % 2 === 0 ? { after: cursor } : { lastEventId: cursor };
      const { frames } = await openSse(server.url, runId, { ...position, signal: hangUp.signal });
      let taken = 0;
      for await (const frame of frames) {
        seen.push(frame);
        taken += 1;
        if (taken === 10) break;
      }
      hangUp.abort();
    }
    const whole = await readSse(server.url, runId);
    expect(ids(seen)).toEqual(ids(whole.frames));
    expect(JSON.parse(seen.at(-1)?.data ?? '').data.output).toBe('x'.repeat(60));
  });

  test('prefers a non-empty after to Last-Event-ID', async () => {
    const run = await runToEnd(server.url, scripted([[{ text: 'a' }, { text: 'b' }]]));
    const [first, second] = ids(run.frames);
    const read = async (after: string, lastEventId: string) =>
      ids((await readSse(server.url, run.runId, { after, lastEventId })).frames);
    expect(await read(first ?? '', second ?? '')).toEqual(ids(run.frames).slice(1));
    expect(await read('', second ?? '')).toEqual(ids(run.frames).slice(2));
  });

  test('ends at once when its cursor is at or past the terminal event', async () => {
    const run = await runToEnd(server.url, scripted([[{ text: 'a' }]]));
    for (const after of [ids(run.frames).at(-1) ?? '', '18446744073709551614-0']) {
      expect((await within('the end', readSse(server.url, run.runId, { after }))).frames).toEqual([]);
    }
  });
});

test('a reader of a silent run gets headers and a comment at once', async () => {
  const runId = await createRun(server.url, scripted([[FOREVER]]));
  await until('run_started', async () =>
    (await get(`${server.url}/runs/${runId}/events`)).text.includes('run_started'),
  );
  const hangUp = new AbortController();
  const response = await within(
    'the headers',
    fetch(`${server.url}/runs/${runId}/events/sse?after=9999999999999`, {
      proxy: false,
      signal: hangUp.signal,
    } as RequestInit),
    3_000,
  );
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  expect(response.headers.get('cache-control')).toContain('no-cache');
  const reader = response.body?.getReader();
  const first = await within('the first bytes', reader?.read() ?? Promise.reject(new Error('no body')), 3_000);
  expect(new TextDecoder().decode(first.value)).toMatch(/^:/);
  hangUp.abort();
});

test('bad cursors are refused before a stream begins', async () => {
  const runId = await createRun(server.url, scripted([[{ text: 'a' }]]));
  for (const cursor of ['abc', '$', '-', '+', '5-', '1-2-3', '99999999999999999999']) {
    for (const path of ['events', 'events/sse']) {
      const { status, text } = await get(`${server.url}/runs/${runId}/${path}?after=${encodeURIComponent(cursor)}`);
      expect([cursor, path, status]).toEqual([cursor, path, 422]);
      expect(JSON.parse(text).detail[0].loc).toEqual(['query', 'after']);
    }
    const response = await fetch(`${server.url}/runs/${runId}/events/sse`, {
      proxy: false,
      headers: { 'last-event-id': cursor },
    } as RequestInit);
    expect([cursor, response.status]).toEqual([cursor, 422]);
    expect(JSON.parse(await response.text()).detail[0].loc).toEqual(['header', 'Last-Event-ID']);
  }
});

test('pages of any size join up to the stream', async () => {
  const run = await runToEnd(server.url, scripted([[{ text: 'x', repeat: 250 }]]));
  for (const limit of [1, 7, 100, 500]) {
    const seen: string[] = [];
    for (let cursor = '0-0'; ; ) {
      const page = JSON.parse(
        (await get(`${server.url}/runs/${run.runId}/events?limit=${limit}&after=${cursor}`)).text,
      );
      if (page.events.length === 0) {
        expect(page.next_cursor).toBe(cursor);
        break;
      }
      expect(page.events.length).toBeLessThanOrEqual(limit);
      seen.push(...page.events.map((event: { id: string }) => event.id));
      cursor = page.next_cursor;
    }
    expect(seen).toEqual(ids(run.frames));
  }
});

test('many readers of one run see the same', async () => {
  const runId = await createRun(server.url, scripted([[{ text: 'x', delay_ms: 2, repeat: 100 }]]));
  const readings = await Promise.all(Array.from({ length: 30 }, () => readSse(server.url, runId)));
  const first = readings[0]?.frames.map((frame) => frame.raw).join('');
  for (const reading of readings) expect(reading.frames.map((frame) => frame.raw).join('')).toBe(first ?? '');
});

test('a conversation goes on from a snapshot: the second answer, the history of both turns', async () => {
  const first = await runToEnd(server.url, scripted([[{ text: 'Oslo.' }]], { prompt: 'A capital?', history: true }));
  const second = await runToEnd(
    server.url,
    scripted([[{ text: 'Norway.' }]], {
      prompt: 'Of which country?',
      history: true,
      snapshot: first.terminal.session_snapshot,
    }),
  );
  expect(second.terminal.output).toBe('Norway.');
  const snapshot = second.terminal.session_snapshot as {
    layers: { name: string; runtime_state: { messages?: { parts: { content: string }[] }[] } }[];
  }; // checked by the strict reader
  const messages = snapshot.layers.find((layer) => layer.name === 'history')?.runtime_state.messages ?? [];
  expect(messages.flatMap((message) => message.parts.map((part) => part.content))).toEqual([
    'A capital?',
    'Oslo.',
    'Of which country?',
    'Norway.',
  ]);
  const kept = first.terminal.session_snapshot as typeof snapshot; // as above
  const before = kept.layers.find((layer) => layer.name === 'history')?.runtime_state.messages;
  expect(messages.slice(0, 2)).toEqual(before ?? []);
});

test('two hundred runs at once all end, once, with their own answer', async () => {
  const runs = await Promise.all(
    Array.from({ length: 200 }, async (_, index) =>
      runToEnd(
        server.url,
        scripted([
          [
            { text: `${index}:`, delay_ms: index % 20 },
            { text: 'done', delay_ms: 1 },
          ],
        ]),
      ),
    ),
  );
  expect(runs.map((run) => run.terminal.output)).toEqual(runs.map((_, index) => `${index}:done`));
  expect(new Set(runs.map((run) => run.runId)).size).toBe(200);
  expect(runs.every((run) => run.status.status === 'succeeded')).toBe(true);
}, 60_000);

test('a reader that goes away does not disturb the run', async () => {
  const runId = await createRun(server.url, scripted([[{ text: 'a' }, { text: 'b', delay_ms: 100 }]]));
  const hangUp = new AbortController();
  const { frames } = await openSse(server.url, runId, { signal: hangUp.signal });
  await frames.next();
  hangUp.abort();
  expect((await finish(server.url, runId)).terminal.output).toBe('ab');
});
