import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { storedEventReader } from '../../src/protocol/stored-event.ts';
import { createWire } from '../../src/protocol/wire.ts';
import { StoreUnavailableError } from '../../src/runs/errors.ts';
import type { EventSubscription, RunReader, StoredEvent } from '../../src/runs/ports.ts';
import { createFrameCache } from '../../src/server/frames.ts';
import { openSse, readSse, SseParser } from '../support/sse.ts';
import { until } from '../support/until.ts';
import {
  ask,
  connect,
  memoryStore,
  type RawConnection,
  runStarted,
  runSucceeded,
  startServer,
  type TestServer,
  textDelta,
} from './support.ts';

let server: TestServer;
const open: RawConnection[] = [];

beforeAll(async () => {
  server = await startServer();
});
afterEach(() => {
  for (const connection of open.splice(0)) connection.end();
});
afterAll(() => server.stop());

async function rawStream(port: number, runId: string, query = ''): Promise<RawConnection> {
  const connection = await connect(port);
  open.push(connection);
  connection.write(`GET /runs/${runId}/events/sse${query} HTTP/1.1\r\nHost: x\r\n\r\n`);
  return connection;
}

describe('the SSE formatter', () => {
  const frame = (payload: string, runId = 'run-1') =>
    new TextDecoder().decode(
      createFrameCache().frame(storedEventReader(runId, createWire('2026-06')), { id: '7-0', payload })?.bytes ??
        new Uint8Array(),
    );

  test('a frame has id, event, one line of compact data and a blank line', () => {
    const text = frame(runStarted('run-1'));
    expect(text).toStartWith('id: 7-0\nevent: run_started\ndata: {"id":"7-0","run_id":"run-1",');
    expect(text).toEndWith('"type":"run_started","data":{}}\n\n');
    expect(text.split('\n').length).toBe(5);
  });

  test('U+0085, U+2028 and U+2029 do not appear raw and decode back to the same text', () => {
    for (const payload of [
      textDelta('run-1', 'a\u0085\u2028\u2029b'),
      `{"type":"pydantic_ai_event","data":{"delta":{"content_delta":"a\u0085\u2028\u2029b"}}}`,
    ]) {
      const text = frame(payload);
      expect(text).not.toMatch(/[\u0085\u2028\u2029]/);
      expect(text).toContain('a\\u0085\\u2028\\u2029b');
      const data = JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? '');
      expect(data.data.delta.content_delta).toBe('a\u0085\u2028\u2029b');
    }
  });

  test('one stored event is encoded once for all streams', () => {
    const frames = createFrameCache();
    const event = { id: '7-0', payload: runStarted('run-1') };
    const first = frames.frame(storedEventReader('run-1', createWire('2026-06')), event);
    expect(frames.frame(storedEventReader('run-1', createWire('2026-06')), event)).toBe(
      first as NonNullable<typeof first>,
    );
  });
});

describe('a stream', () => {
  test('gives others their turn between the pages of a long replay', async () => {
    const page = Array.from({ length: 100 }, (_, i): StoredEvent => ({ id: `${i + 1}-0`, payload: runStarted('r') }));
    let turn = 0;
    const turns: number[] = [];
    const count = () => {
      turn += 1;
      if (turns.length < 30) setImmediate(count);
    };
    setImmediate(count);
    const subscription: EventSubscription = {
      async next() {
        turns.push(turn);
        return turns.length < 30 ? page : null;
      },
      close: () => undefined,
    };
    const store = memoryStore();
    const replaying = await startServer({ runs: { ...store, subscribe: async () => subscription } });
    try {
      const connection = await rawStream(replaying.port, 'r');
      await until('the end', () => connection.received.endsWith('0\r\n\r\n'));
      expect(new Set(turns).size).toBe(30);
    } finally {
      await replaying.stop();
      await store.close();
    }
  });

  test('has the headers of the wire and those against buffering', async () => {
    const runId = await server.run();
    await server.succeed(runId);
    const { headers } = await readSse(server.url, runId);
    expect(headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-cache');
    expect(headers.get('x-accel-buffering')).toBe('no');
    expect(headers.get('x-request-id')).not.toBeNull();
  });

  test('replays, goes on live, and ends right after the terminal frame', async () => {
    const runId = await server.run();
    await server.store.append(runId, [runStarted(runId)]);
    await server.say(runId, 'a');
    const { frames } = await openSse(server.url, runId);
    const seen = [(await frames.next()).value?.event, (await frames.next()).value?.event];
    await server.say(runId, 'b', 'c');
    await server.succeed(runId);
    for await (const frame of frames) seen.push(frame.event);
    expect(seen).toEqual([
      'run_started',
      'pydantic_ai_event',
      'pydantic_ai_event',
      'pydantic_ai_event',
      'run_succeeded',
    ]);
  });

  test('says the same as the page', async () => {
    const runId = await server.run();
    await server.say(runId, ...Array.from({ length: 250 }, (_, index) => `token ${index} é😀`));
    await server.succeed(runId);
    const { frames } = await readSse(server.url, runId);
    const page = JSON.parse((await ask(`${server.url}/runs/${runId}/events?limit=500`)).text);
    expect(frames.map((frame) => JSON.parse(frame.data))).toEqual(page.events);
    expect(frames.length).toBe(251);
  });

  test('of an unknown run is a plain 404', async () => {
    const { status, text, headers } = await ask(`${server.url}/runs/nobody/events/sse`);
    expect([status, text, headers.get('content-type')]).toEqual([
      404,
      '{"detail":"run not found"}',
      'application/json',
    ]);
  });

  test('begins after the query cursor, else after Last-Event-ID; empty ones fall through', async () => {
    const runId = await server.run();
    await server.say(runId, 'a', 'b');
    await server.succeed(runId);
    const all = (await readSse(server.url, runId)).frames.map((frame) => frame.id);
    const from = async (options: { after?: string; lastEventId?: string }) =>
      (await readSse(server.url, runId, options)).frames.map((frame) => frame.id);
    const [first = '', second = '', last = ''] = all;
    expect(await from({ after: first, lastEventId: second })).toEqual([second, last]);
    expect(await from({ after: '', lastEventId: second })).toEqual([last]);
    expect(await from({ lastEventId: '' })).toEqual(all);
    expect(await from({ after: last })).toEqual([]);
    expect(await from({ after: last.replace(/-.*/, '') })).toEqual(
      all.filter((id) => id > `${last.replace(/-.*/, '')}-0`),
    );
  });

  test('a bad cursor is 422 where it stands, before anything is sent', async () => {
    const url = `${server.url}/runs/${await server.run()}/events/sse`;
    const query = await ask(`${url}?after=abc`, { headers: { 'last-event-id': '5' } });
    expect([query.status, JSON.parse(query.text).detail[0].loc]).toEqual([422, ['query', 'after']]);
    const header = await ask(url, { headers: { 'last-event-id': '5-' } });
    expect([header.status, JSON.parse(header.text).detail[0]]).toMatchObject([
      422,
      { type: 'value_error', loc: ['header', 'Last-Event-ID'], input: '5-' },
    ]);
  });

  test('an unreadable event is skipped and the next one delivered', async () => {
    const runId = await server.run();
    await server.store.append(runId, ['{"nonsense":1}']);
    await server.say(runId, 'b');
    await server.succeed(runId);
    const { frames } = await readSse(server.url, runId);
    expect(frames.map((frame) => frame.event)).toEqual(['pydantic_ai_event', 'run_succeeded']);
  });
});

/** A reader whose subscriptions count themselves and yield what the test gives them. */
function drivenReader(...ready: readonly StoredEvent[]) {
  const store = memoryStore();
  const subscriptions: DrivenSubscription[] = [];
  const reader: RunReader = {
    getRecord: (runId) => store.getRecord(runId),
    readEvents: (runId, after, limit) => store.readEvents(runId, after, limit),
    async subscribe() {
      const subscription = new DrivenSubscription(ready);
      subscriptions.push(subscription);
      return subscription;
    },
  };
  return { reader, subscriptions, openCount: () => subscriptions.filter((one) => !one.closed).length };
}

class DrivenSubscription implements EventSubscription {
  closed = false;
  asked = 0;
  #waiting: PromiseWithResolvers<readonly StoredEvent[] | null> | null = null;
  readonly #ready: readonly StoredEvent[];

  constructor(ready: readonly StoredEvent[]) {
    this.#ready = ready;
  }

  ready(): readonly StoredEvent[] | null {
    return this.#ready.length === 0 ? null : this.#ready;
  }

  next(): Promise<readonly StoredEvent[] | null> {
    this.asked += 1;
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  close(): void {
    this.closed = true;
    this.#waiting?.resolve(null);
  }

  give(...events: readonly StoredEvent[]): void {
    this.#waiting?.resolve(events);
  }

  fail(error: Error): void {
    this.#waiting?.reject(error);
  }
}

describe('the life of a stream', () => {
  test('a client that goes away frees its subscription without a write', async () => {
    const { reader, openCount, subscriptions } = drivenReader();
    const driven = await startServer({ runs: reader });
    const streams = await Promise.all(Array.from({ length: 50 }, () => rawStream(driven.port, 'r')));
    await until('50 waiting streams', () => subscriptions.filter((one) => one.asked === 1).length === 50);
    for (const stream of streams) stream.end();
    await until('no subscription to be open', () => openCount() === 0);
    await driven.stop();
  });

  test('a client that goes away while the subscription is made frees it as well', async () => {
    const { reader, openCount, subscriptions } = drivenReader();
    const gate = Promise.withResolvers<void>();
    let asked = 0;
    const driven = await startServer({
      runs: {
        ...reader,
        async subscribe(runId, after) {
          asked += 1;
          await gate.promise;
          return reader.subscribe(runId, after);
        },
      },
    });
    const stream = await rawStream(driven.port, 'r');
    await until('the subscription to be asked for', () => asked === 1);
    stream.end();
    await ask(`${driven.url}/healthz`); // the server has seen the end of the connection
    gate.resolve();
    await until('the subscription', () => subscriptions.length === 1);
    await until('its end', () => openCount() === 0);
    await driven.stop();
  });

  test('a slow client holds back the reading of events', async () => {
    const { reader, subscriptions } = drivenReader();
    const driven = await startServer({ runs: reader });
    const stream = await rawStream(driven.port, 'r');
    await until('the first pull', () => subscriptions[0]?.asked === 1);
    stream.pause();
    const big = 'x'.repeat(1_000_000);
    let given = 0;
    const blocked = async () => {
      const [subscription] = subscriptions;
      const before = subscription?.asked ?? 0;
      subscription?.give({ id: `${++given}-0`, payload: textDelta('r', big) });
      return until('another pull', () => (subscription?.asked ?? 0) > before, { timeoutMs: 300 }).then(
        () => false,
        () => true,
      );
    };
    while (!(await blocked())) expect(given).toBeLessThan(60);
    stream.resume();
    await until('the next pull', () => (subscriptions[0]?.asked ?? 0) > given);
    await until('all bytes', () => stream.received.length > given * big.length);
    await driven.stop();
  });

  test('silence is filled with comments by one timer, bytes put them off', async () => {
    const { reader, subscriptions } = drivenReader();
    const driven = await startServer({ runs: reader, timings: { heartbeatMs: 60 } });
    const streams = await Promise.all(Array.from({ length: 20 }, () => rawStream(driven.port, 'r')));
    const beats = (stream: RawConnection) => stream.received.split(': keepalive\n\n').length - 1;
    await until('three comments everywhere', () => streams.every((stream) => beats(stream) >= 3));
    subscriptions[0]?.give({ id: '1-0', payload: runStarted('r') });
    await until('the event after the comments', () =>
      streams.some((stream) => stream.received.includes('event: run_started')),
    );
    await driven.stop();
  });

  test('the first bytes are there at once, before any event', async () => {
    const { reader } = drivenReader();
    const driven = await startServer({ runs: reader });
    const stream = await rawStream(driven.port, 'r');
    await until(
      'headers and a comment',
      () => stream.received.includes('\r\n\r\n') && stream.received.includes(': keepalive'),
    );
    await driven.stop();
  });

  test('what is at hand travels with the first bytes, in one chunk', async () => {
    const { reader, subscriptions } = drivenReader(
      { id: '1-0', payload: runStarted('r') },
      { id: '2-0', payload: '{"nonsense":1}' },
    );
    const driven = await startServer({ runs: reader });
    const stream = await rawStream(driven.port, 'r');
    await until('the second pull', () => subscriptions[0]?.asked === 1);
    await until('the event', () => stream.received.includes('id: 1-0'));
    expect(stream.received.match(/^[0-9a-f]+\r$/gim)?.length).toBe(1);
    expect(stream.received).toMatch(/: keepalive\n\nid: 1-0\n/);
    await driven.stop();
  });

  test.each([
    ['that is the end', [{ id: '1-0', payload: runSucceeded('r', 'done') }], true],
    ['that cannot be read', [{ id: '1-0', payload: '{"nonsense":1}' }], false],
  ] as const)('something at hand %s', async (_, ready, isOver) => {
    const { reader, subscriptions } = drivenReader(...ready);
    const driven = await startServer({ runs: reader });
    const stream = await rawStream(driven.port, 'r');
    await until('the comment', () => stream.received.includes(': keepalive'));
    if (isOver) {
      // Bun knows the whole body when it begins to answer, and gives it a length.
      await until('the end', () => stream.received.endsWith('}\n\n'));
      expect(stream.received).toMatch(/content-length: \d+\r\n[\s\S]*: keepalive\n\nid: 1-0\nevent: run_succeeded/i);
    } else await until('the next pull', () => subscriptions[0]?.asked === 1);
    expect(subscriptions[0]?.asked).toBe(isOver ? 0 : 1);
    await driven.stop();
  });

  test('everything that is ready travels in one chunk', async () => {
    const { reader, subscriptions } = drivenReader();
    const driven = await startServer({ runs: reader });
    const stream = await rawStream(driven.port, 'r');
    await until(
      'the first pull, and the comment before it',
      () => subscriptions[0]?.asked === 1 && stream.received.includes(': keepalive'),
    );
    const before = stream.received.length;
    subscriptions[0]?.give(
      ...Array.from({ length: 30 }, (_, index) => ({ id: `${index + 1}-0`, payload: runStarted('r') })),
    );
    await until('the last event', () => stream.received.includes('id: 30-0'));
    expect(stream.received.slice(before).match(/^[0-9a-f]+\r$/gim)?.length).toBe(1);
    await driven.stop();
  });

  test('a comment says where events were trimmed, also before one that cannot be read, and changes no frame', async () => {
    const { reader, subscriptions } = drivenReader();
    const driven = await startServer({ runs: reader });
    const stream = await rawStream(driven.port, 'r');
    await until('the first pull', () => subscriptions[0]?.asked === 1);
    const payload = runStarted('r');
    subscriptions[0]?.give(
      { id: '1-0', payload },
      { id: '7-0', payload, trimmedBefore: true },
      { id: '8-0', payload },
      { id: '9-0', payload: '{"nonsense":1}', trimmedBefore: true },
      { id: '10-0', payload: runSucceeded('r', 'done') },
    );
    await until('the end', () => stream.received.endsWith('0\r\n\r\n'));
    const blocks = stream.received
      .split('\n\n')
      .map((block) => block.split('\n').find((line) => /^(:|id:)/.test(line)));
    expect(blocks.filter((line) => line !== undefined)).toEqual([
      ': keepalive',
      'id: 1-0',
      ': events before this one were trimmed',
      'id: 7-0',
      'id: 8-0',
      ': events before this one were trimmed',
      'id: 10-0',
    ]);
    const parser = new SseParser();
    const frames = parser.feed(
      stream.received.slice(stream.received.indexOf(': keepalive')).replace(/\r\n[0-9a-f]*/g, ''),
    );
    expect(frames.map(({ id }) => id)).toEqual(['1-0', '7-0', '8-0', '10-0']);
    await driven.stop();
  });

  test('a store that fails midway cuts the response, so that the client comes again', async () => {
    const { reader, subscriptions, openCount } = drivenReader();
    const driven = await startServer({ runs: reader });
    const stream = await rawStream(driven.port, 'r');
    await until('the first pull', () => subscriptions[0]?.asked === 1);
    subscriptions[0]?.give({ id: '1-0', payload: runStarted('r') });
    await until('the second pull', () => subscriptions[0]?.asked === 2);
    subscriptions[0]?.fail(new StoreUnavailableError());
    await until('the cut', () => stream.closed);
    expect(stream.received).toContain('id: 1-0');
    expect(stream.received).not.toEndWith('0\r\n\r\n');
    expect(openCount()).toBe(0);
    expect(
      driven.log.filter((entry) => entry.message === 'event stream broken').map((entry) => entry.fields),
    ).toMatchObject([{ run_id: 'r', error: 'store unavailable' }]);
    expect((await ask(`${driven.url}/healthz`)).status).toBe(200);
    await driven.stop();
  });

  test('a hundred readers of one run get the same bytes', async () => {
    const runId = await server.run();
    const readings = Array.from({ length: 100 }, () => readSse(server.url, runId));
    for (let index = 0; index < 20; index++) await server.say(runId, `token ${index}`);
    await server.succeed(runId);
    const texts = (await Promise.all(readings)).map(({ frames }) => frames.map((frame) => frame.raw).join(''));
    expect(new Set(texts).size).toBe(1);
    expect(texts[0]?.match(/^id: /gm)?.length).toBe(21);
  });
});
