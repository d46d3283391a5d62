// The client against servers that mean harm or know no better: nothing that they send hangs it, fills its memory, crashes it,
// makes it hand out an event twice, or takes its token elsewhere.

import { afterEach, beforeEach, describe, expect, spyOn, test } from 'bun:test';
import { gzipSync } from 'node:zlib';
import { Client } from '../../src/client/client.ts';
import {
  DifyAgentClientError,
  DifyAgentNotFoundError,
  DifyAgentStreamError,
  DifyAgentTimeoutError,
  DifyAgentValidationError,
} from '../../src/client/errors.ts';
import type { StreamOptions } from '../../src/client/stream.ts';
import { within } from '../support/until.ts';
import { all, delta, errorOf, event, frame, ids, record, started, succeeded } from './events.ts';
import { type Handler, json, type RawServer, SSE, startRawServer, stream, text } from './raw-server.ts';

let server: RawServer;
let client: Client;

beforeEach(async () => {
  server = await startRawServer();
  client = new Client({ baseUrl: server.url });
});
afterEach(() => server.close());

const read = (options: StreamOptions = {}) =>
  all(client.streamEvents('run-1', { reconnectDelayMs: 1, maxReconnects: 2, ...options }));

/** Writes a piece again and again until the client has left, or for so many bytes. */
function flood(head: string, piece: string | Uint8Array, mostBytes = 2 ** 31): Handler {
  return async (connection) => {
    await connection.write(head);
    let left = mostBytes;
    let gone = false;
    void connection.closed.then(() => {
      gone = true;
    });
    while (!gone && left > 0) {
      await Promise.race([connection.write(piece), connection.closed]);
      // What is written to a closed socket is done at once, and its end would never be heard of.
      await new Promise(setImmediate);
      left -= piece.length;
    }
    connection.end();
  };
}

const STREAM_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n';
const NESTED = '['.repeat(100_000) + ']'.repeat(100_000);

describe('heads', () => {
  test('that never end are given up', async () => {
    const endless = flood('HTTP/1.1 200 OK\r\n', `x-${'a'.repeat(1_000)}: ${'b'.repeat(1_000)}\r\n`);
    server.answer(endless, endless, endless, endless);
    const hasty = new Client({ baseUrl: server.url, timeoutMs: 100 });
    expect(await errorOf(hasty.getRun('r'))).toBeInstanceOf(DifyAgentClientError);
    expect(await errorOf(read({ idleTimeoutMs: 100 }))).toBeInstanceOf(DifyAgentStreamError);
  });

  test('that are no HTTP are errors', async () => {
    for (const head of ['SSH-2.0-OpenSSH_9.2\r\n', 'HTTP/1.1 abc\r\n\r\n', '\0\0\0\0', '{"run_id":1}']) {
      server.answer(async (connection) => {
        await connection.write(head);
        connection.end();
      });
      const error = await errorOf(client.getRun('r'));
      expect((error as Error).constructor).toBe(DifyAgentClientError);
    }
  });

  test.each([
    ['html', text(200, '<html>', { 'content-type': 'text/html' })],
    ['JSON', json(200, record('running'))],
    ['a type that only begins so', text(200, succeeded('1-0'), { 'content-type': 'text/event-streams' })],
    ['no event stream but a list of types', text(200, '', { 'content-type': 'application/json, text/event-stream' })],
  ])('a stream that is %s is refused at once', async (_, answer) => {
    server.answer(answer);
    expect(await errorOf(read())).toMatchObject({ name: 'DifyAgentStreamError' });
    expect(server.requests).toHaveLength(1);
  });

  test.each([204, 205])('a stream that is %i is empty, and is asked for again', async (status) => {
    server.answer(text(status, ''), stream(succeeded('1-0')));
    expect(ids(await read())).toEqual(['1-0']);
  });

  test.each([301, 302, 303, 304, 307, 308])('%i takes no token to another origin', async (status) => {
    const other = await startRawServer();
    try {
      const elsewhere = text(status, '', { location: `${other.url}/runs` });
      server.answer(...Array.from({ length: 6 }, () => elsewhere));
      const armed = new Client({ baseUrl: server.url, token: 'secret' });
      for (const call of [
        () => all(armed.streamEvents('r', { reconnectDelayMs: 1, maxReconnects: 1 })),
        () => armed.getRun('r'),
        () => armed.getEvents('r'),
        () => armed.createRun({ composition: { layers: [] } }),
        () => armed.cancelRun('r'),
      ]) {
        const error = await errorOf(call());
        expect(error).toMatchObject({ statusCode: status });
        expect(String(error)).toContain('redirects are not followed');
        expect(String(error)).not.toContain('secret');
      }
      expect(other.requests).toEqual([]);
    } finally {
      await other.close();
    }
  });

  test.each([
    ['a redirect', 307, 'text/event-stream'],
    ['a page', 200, 'text/html'],
    ['an error with an endless text', 404, 'text/plain'],
  ])('the body of %s is closed', async (_, status, type) => {
    const closed = Promise.withResolvers<void>();
    const body = () =>
      new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(100_000).fill(32)),
        cancel: () => closed.resolve(),
      });
    const fetching = async () => new Response(body(), { status, headers: { 'content-type': type } });
    const refusing = new Client({ baseUrl: 'http://in.memory', fetch: fetching });
    expect(await errorOf(all(refusing.streamEvents('r')))).toBeInstanceOf(DifyAgentClientError);
    await within('the body to be closed', closed.promise);
  });

  test('Retry-After is obeyed for a minute at most', async () => {
    server.answer(json(503, {}, { 'retry-after': '99999999999' }), stream(succeeded('1-0')));
    const pauses = await pausesOf(() => read());
    expect(pauses).toEqual([60_000]);
  });

  test.each(['-5', 'soon', '1e9', '0x10', ''])('Retry-After %j is none', async (value) => {
    server.answer(json(503, {}, { 'retry-after': value }), stream(succeeded('1-0')));
    const [pause = 0] = await pausesOf(() => read());
    expect(pause).toBeLessThanOrEqual(1);
  });
});

describe('bodies', () => {
  test('a line without an end is given up at 64 Mi characters', async () => {
    server.answer(flood(STREAM_HEAD, 'x'.repeat(2 ** 20)));
    const error = await errorOf(read());
    expect(error).toMatchObject({
      name: 'DifyAgentStreamError',
      message: 'malformed SSE data frame: a frame of more than 67108864 characters',
    });
    expect(server.requests).toHaveLength(1);
  }, 60_000);

  test('an error without an end is cut', async () => {
    server.answer(flood('HTTP/1.1 404 No\r\nconnection: close\r\n\r\n', 'x'.repeat(100_000)));
    const error = await errorOf(client.getRun('r'));
    expect(error).toBeInstanceOf(DifyAgentNotFoundError);
  });

  test('an answer without an end is given up at 16 Mi characters', async () => {
    server.answer(flood('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n', ' '.repeat(2 ** 20)));
    expect(await errorOf(client.getRun('r'))).toMatchObject({
      name: 'DifyAgentValidationError',
      statusCode: 200,
      detail: 'invalid getRun response: it is too large',
    });
  }, 60_000);

  test('what blows up when it is unpacked is cut like anything else', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20, ' '));
    const packed =
      (status: number, type: string): Handler =>
      async (connection) => {
        connection.head(status, {
          'content-type': type,
          'content-encoding': 'gzip',
          'content-length': String(bomb.length),
        });
        await connection.write(bomb);
        connection.end();
      };
    server.answer(packed(200, 'application/json'), packed(500, 'text/plain'), packed(200, SSE['content-type']));
    expect(await errorOf(client.getRun('r'))).toMatchObject({ detail: 'invalid getRun response: it is too large' });
    expect(await errorOf(client.getRun('r'))).toMatchObject({ name: 'DifyAgentHTTPError', statusCode: 500 });
    expect(await errorOf(read({ maxReconnects: 0 }))).toBeInstanceOf(DifyAgentStreamError);
  }, 60_000);

  test('what claims to be packed and is not is an error that is tried again', async () => {
    const lying = text(200, succeeded('1-0'), { ...SSE, 'content-encoding': 'gzip' });
    server.answer(lying, stream(succeeded('1-0')));
    expect(ids(await read())).toEqual(['1-0']);
  });

  test('lengths that are wrong lose nothing', async () => {
    const log = [started('1-0'), delta('2-0', 'a'), succeeded('3-0')];
    const lying =
      (length: number): Handler =>
      (connection, request) => {
        const after = new URL(request.path, server.url).searchParams.get('after');
        const rest = log.slice(log.findIndex((one) => one.startsWith(`id: ${after}\n`)) + 1).join('');
        return text(200, rest, { ...SSE, 'content-length': String(length) })(connection, request);
      };
    server.answer(lying(100_000), lying(250), lying(0), stream(...log));
    expect(ids(await read({ maxReconnects: 4 }))).toEqual(['1-0', '2-0', '3-0']);
  });

  test('bytes that are no UTF-8 are replaced where they are text, and fatal where they are JSON', async () => {
    const [before = '', after = ''] = delta('1-0', 'a?b').split('?');
    const broken = Buffer.concat([Buffer.from(before), Buffer.from([0xff, 0xc3]), Buffer.from(after)]);
    server.answer(stream(broken, succeeded('2-0')), stream(Buffer.from([...Buffer.from('data: '), 0xff, 10, 10])));
    expect((await read())[0]).toMatchObject({ data: { delta: { content_delta: 'a\ufffd\ufffdb' } } });
    expect(await errorOf(read())).toBeInstanceOf(DifyAgentStreamError);
  });
});

describe('events', () => {
  test('ids that go backwards, come twice or stand still are handed out once, in order', async () => {
    server.answer(
      stream(started('5-0'), delta('5-0', 'x'), delta('4-9', 'x'), delta('6-0', 'a'), delta('5-5', 'x')),
      stream(started('5-0'), delta('6-0', 'a'), delta('6-1', 'b'), succeeded('6-1'), succeeded('7-0')),
    );
    expect(ids(await read())).toEqual(['5-0', '6-0', '6-1', '7-0']);
  });

  test('a server that only repeats itself is given up', async () => {
    server.answer(...Array.from({ length: 5 }, () => stream(started('5-0'))));
    expect(await errorOf(read())).toMatchObject({ name: 'DifyAgentStreamError' });
    expect(server.requests).toHaveLength(3);
  });

  test('an empty id is none: the frame’s counts, and without one the event is malformed', async () => {
    server.answer(stream(`id: 1-0\ndata: ${event('', 'run_started')}\n\n`, succeeded('2-0')));
    expect(ids(await read())).toEqual(['1-0', '2-0']);
    server.answer(stream(`id: \ndata: ${event('', 'run_started')}\n\n`));
    expect(await errorOf(read())).toMatchObject({ message: 'malformed SSE data frame: an event without id' });
  });

  test.each([
    ['an unknown type', frame('1-0', 'x'.repeat(2 ** 20))],
    ['an unknown key', `data: ${event('1-0', 'run_started', {}, { ['x'.repeat(2 ** 20)]: 1 })}\n\n`],
    ['another type in the frame', `event: ${'x'.repeat(2 ** 20)}\ndata: ${event('1-0', 'run_started')}\n\n`],
    ['a word that is no JSON', `data: ${'x'.repeat(2 ** 20)}\n\n`],
    ['nesting that no parser takes', `data: ${'['.repeat(2 ** 20)}\n\n`],
  ])('%s is told in few words, however long it is', async (_, bytes) => {
    server.answer(stream(bytes));
    const error = await errorOf(read());
    expect(error).toBeInstanceOf(DifyAgentStreamError);
    expect(String(error).length).toBeLessThan(1_200);
    expect(server.requests).toHaveLength(1);
  });

  const hostileValues: readonly unknown[] = [null, true, 0, '', 'x', [], [[]], {}, { toString: null }, NESTED];
  test('values of any type in any place are events or errors of this library, nothing else', async () => {
    const bases = [started('1-0'), delta('1-0', 'a'), succeeded('1-0')].map(
      (bytes) => JSON.parse(/data: (.*)/.exec(bytes)?.[1] ?? '') as Record<string, unknown>, // ours
    );
    const tampered = bases.flatMap((base) =>
      placesIn(base).flatMap((place) => hostileValues.map((value) => replaced(base, place, value))),
    );
    expect(tampered.length).toBeGreaterThan(200);
    const inMemory = (payload: string) =>
      new Client({
        baseUrl: 'http://in.memory',
        fetch: async () => new Response(`data: ${payload}\n\n`, { headers: SSE }),
      });
    for (const value of tampered) {
      const payload = JSON.stringify(value);
      const events = inMemory(payload).streamEvents('r', { maxReconnects: 0 });
      try {
        for await (const one of events) expect(JSON.stringify(one)).toBe(payload);
      } catch (error) {
        if (!(error instanceof DifyAgentClientError)) throw error;
      }
    }
  });

  test('names that mean something to JavaScript mean nothing here', async () => {
    for (const key of ['__proto__', 'constructor', 'toString']) {
      const payload = event('1-0', 'run_started').replace('"data":{}', `"data":{"${key}":{"polluted":1}}`);
      server.answer(stream(`data: ${payload}\n\n`));
      expect(await errorOf(read())).toMatchObject({ message: expect.stringContaining('unknown key') });
      server.answer(stream(frame('1-0', key)));
      expect(await errorOf(read())).toMatchObject({ message: expect.stringContaining('unknown event type') });
    }
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  test('details that are nested too deeply to be printed keep their class', async () => {
    const deep: readonly (readonly [number, string])[] = [
      [404, `{"detail":${NESTED}}`],
      [422, `{"detail":[{"loc":${NESTED},"msg":"x"}]}`],
    ];
    for (const [status, body] of deep) {
      server.answer(text(status, body), text(status, body));
      const expected = status === 404 ? DifyAgentNotFoundError : DifyAgentValidationError;
      for (const error of [await errorOf(client.getRun('r')), await errorOf(read())]) {
        expect(error).toBeInstanceOf(expected);
        expect(String(error).length).toBeLessThan(1_200);
      }
    }
  });

  test('a run id from the server leads nowhere but to a run', async () => {
    for (const run_id of ['../../admin?x=', 'a/b', 'http://other/', '\r\nx: y']) {
      server.answer(json(202, { run_id, status: 'running' }), stream(succeeded('1-0')));
      await client.runToCompletion({ composition: { layers: [] } });
      expect(server.requests.at(-1)?.path).toBe(`/runs/${encodeURIComponent(run_id)}/events/sse?after=0-0`);
    }
    server.answer(json(202, { run_id: '..', status: 'running' }));
    expect(await errorOf(client.runToCompletion({ composition: { layers: [] } }))).toBeInstanceOf(
      DifyAgentValidationError,
    );
  });
});

describe('pauses', () => {
  test('double from the first, with jitter between half and all of it, up to 30 times as long', async () => {
    const offline = new Client({ baseUrl: 'http://in.memory', fetch: () => Promise.reject(new TypeError('away')) });
    const streamed = () =>
      all(offline.streamEvents('r', { reconnectDelayMs: 100, maxReconnects: 9, idleTimeoutMs: 0 }));
    const longest = [100, 200, 400, 800, 1_600, 3_000, 3_000, 3_000, 3_000];
    const runs: (readonly number[])[] = [];
    for (let run = 0; run < 20; run += 1) runs.push(await pausesOf(() => errorOf(streamed())));
    for (const pauses of runs) {
      expect(pauses).toHaveLength(longest.length);
      for (const [index, most] of longest.entries()) {
        expect(pauses[index]).toBeGreaterThanOrEqual(most / 2);
        expect(pauses[index]).toBeLessThanOrEqual(most);
      }
    }
    // A thousand clients of one server do not come back in the same moment.
    expect(new Set(runs.map(([first]) => first)).size).toBeGreaterThan(10);
  });

  test('without an end are pauses, not none', async () => {
    const endless = Number.POSITIVE_INFINITY;
    const offline = new Client({ baseUrl: 'http://in.memory', fetch: () => Promise.reject(new TypeError('away')) });
    const options = { reconnectDelayMs: endless, maxReconnects: 1, idleTimeoutMs: 0 };
    expect(await pausesOf(() => errorOf(all(offline.streamEvents('r', options))))).toEqual([2 ** 31 - 1]);
    server.answer(json(200, record('running')), json(200, record('succeeded')));
    const patient = new Client({ baseUrl: server.url, timeoutMs: endless });
    expect(await pausesOf(() => patient.waitRun('r', { pollIntervalMs: endless }))).toEqual([2 ** 31 - 1]);
  });

  test.each(['pollIntervalMs', 'timeoutMs'])('a %s that is negative or no number is refused', async (name) => {
    for (const value of [-1, Number.NaN]) {
      expect(await errorOf(client.waitRun('r', { [name]: value }))).toBeInstanceOf(DifyAgentValidationError);
    }
    expect(server.requests).toEqual([]);
  });
});

describe('connections', () => {
  test('a request that dies on a kept connection is not sent again when it creates something', async () => {
    const seen: string[] = [];
    const kept = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data(socket, bytes) {
          seen.push(bytes.toString().split(' ', 2).join(' '));
          if (seen.length > 1) return void socket.end();
          const body = JSON.stringify(record('running'));
          socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
        },
      },
    });
    try {
      const keeping = new Client({ baseUrl: `http://127.0.0.1:${kept.port}` });
      await keeping.getRun('r');
      expect(await errorOf(keeping.createRun({ composition: { layers: [] } }))).toBeInstanceOf(DifyAgentClientError);
      expect(seen).toEqual(['GET /runs/r', 'POST /runs']);
    } finally {
      kept.stop(true);
    }
  });

  test('an answer that comes after the client has left is closed, also by a fetch that heeds no signal', async () => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    const cancelled = Promise.withResolvers<void>();
    const deaf = new Client({ baseUrl: 'http://in.memory', fetch: () => promise, timeoutMs: 10 });
    expect(await errorOf(deaf.getRun('r'))).toBeInstanceOf(DifyAgentTimeoutError);
    resolve(new Response(new ReadableStream({ cancel: () => cancelled.resolve() })));
    await within('the body to be closed', cancelled.promise);
  });

  test.each(['throws', 'rejects with undefined', 'answers nothing'])('a fetch that %s is an error', async (what) => {
    const bad = new Client({
      baseUrl: 'http://in.memory',
      fetch: (): Promise<Response> => {
        if (what === 'throws') throw new TypeError('no');
        if (what === 'answers nothing') return Promise.resolve(undefined as unknown as Response); // on purpose
        return Promise.reject(undefined);
      },
    });
    expect(await errorOf(bad.getRun('r'))).toBeInstanceOf(DifyAgentClientError);
    const options = { reconnectDelayMs: 0, maxReconnects: 2 };
    expect(await errorOf(all(bad.streamEvents('r', options)))).toBeInstanceOf(DifyAgentStreamError);
  });

  test('Bun is told not to leave a silent connection on its own, as it would after five minutes', async () => {
    const asked: unknown[] = [];
    const fetching = (url: string, init: RequestInit) => {
      asked.push((init as { timeout?: unknown }).timeout); // Bun's own member
      return fetch(url, init);
    };
    server.answer(json(200, record('running')), stream(succeeded('1-0')));
    const watched = new Client({ baseUrl: server.url, fetch: fetching });
    await watched.getRun('r');
    await all(watched.streamEvents('r'));
    expect(asked).toEqual([false, false]);
  });

  test('a request is only what the caller asked for, whatever is in its texts', async () => {
    server.answer(json(200, { run_id: 'r', events: [], next_cursor: null }));
    await client.getEvents('a?b#c', { after: '1-0&limit=500#x' });
    expect(server.requests[0]?.path).toBe('/runs/a%3Fb%23c/events?after=1-0%26limit%3D500%23x&limit=100');
  });

  test('what is no request of a run is refused before it is sent', async () => {
    for (const request of [undefined, null, 'text', 7, {}, []]) {
      const error = await errorOf(client.createRun(request as never)); // as callers without a compiler do
      expect(error).toMatchObject({
        name: 'DifyAgentValidationError',
        detail: expect.stringContaining('request must be a CreateRunRequest: '),
      });
    }
    const circular: Record<string, unknown> = {};
    circular.composition = circular;
    expect(await errorOf(client.createRun(circular as never))).toBeInstanceOf(DifyAgentClientError); // as above
    expect(server.requests).toEqual([]);
  });
});

/** The pauses that a call makes, none of which is really waited for. The call must set no other timers of 10 ms or less. */
async function pausesOf(call: () => Promise<unknown>): Promise<readonly number[]> {
  const { setTimeout: set } = globalThis;
  const pauses: number[] = [];
  const spy = spyOn(globalThis, 'setTimeout').mockImplementation(((run: () => void, ms = 0) => {
    // The time-outs of requests and silences are 30 s; a minute and more, and what is below a few seconds, are pauses.
    if (ms > 29_000 && ms <= 30_000) return set(run, ms);
    pauses.push(ms);
    return set(run, 0);
  }) as typeof setTimeout); // the client passes nothing else
  try {
    await call();
    return pauses;
  } finally {
    spy.mockRestore();
  }
}

/** Every path of members in a JSON value, the value itself first. */
function placesIn(value: unknown, at: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([key, member]) => placesIn(member, [...at, key]))];
}

function replaced(value: unknown, place: readonly string[], by: unknown): unknown {
  const [key, ...rest] = place;
  if (key === undefined) return by;
  const members = value as Record<string, unknown>; // the place leads into it
  return { ...members, [key]: replaced(members[key], rest, by) };
}
