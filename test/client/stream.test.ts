// streamEvents against a server whose every byte and connection is scripted (spec 01 §8.3, §9 Client).

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Client } from '../../src/client/client.ts';
import {
  DifyAgentHTTPError,
  DifyAgentNotFoundError,
  DifyAgentStreamError,
  DifyAgentTimeoutError,
  DifyAgentValidationError,
} from '../../src/client/errors.ts';
import type { StreamOptions } from '../../src/client/stream.ts';
import type { RunEvent } from '../../src/client/types.ts';
import { until, within } from '../support/until.ts';
import { all, cancelled, delta, errorOf, event, failed, frame, ids, record, started, succeeded } from './events.ts';
import { type Handler, json, openStream, type RawServer, SSE, startRawServer, stream, text } from './raw-server.ts';

let server: RawServer;
let client: Client;

beforeEach(async () => {
  server = await startRawServer();
  client = new Client({ baseUrl: server.url });
});
afterEach(() => server.close());

/** Reconnects at once. */
const FAST = { reconnectDelayMs: 1 } satisfies StreamOptions;
const read = (options: StreamOptions = {}) => all(client.streamEvents('run-1', { ...FAST, ...options }));
/** A page of events. */
const page = (...events: readonly string[]): Handler =>
  text(200, `{"run_id":"run-1","events":[${events.join(',')}],"next_cursor":null}`, {
    'content-type': 'application/json',
  });
const cursors = () => server.requests.map(({ path }) => new URL(path, server.url).searchParams.get('after'));

describe('the request', () => {
  test('carries the cursor in the query, never in a header', async () => {
    server.answer(stream(started('1-0')), stream(succeeded('2-0')));
    await read();
    expect(server.requests.map(({ path }) => path)).toEqual([
      '/runs/run-1/events/sse?after=0-0',
      '/runs/run-1/events/sse?after=1-0',
    ]);
    expect(server.requests.every(({ headers }) => headers['last-event-id'] === undefined)).toBe(true);
  });

  test.each([
    ['a b', 'a%20b'],
    ['a/b', 'a%2Fb'],
    ['../x', '..%2Fx'],
    ['ü?#%', '%C3%BC%3F%23%25'],
  ])('escapes the run id %j', async (id, segment) => {
    server.answer(stream(succeeded('1-0')));
    await all(client.streamEvents(id));
    expect(server.requests[0]?.path).toBe(`/runs/${segment}/events/sse?after=0-0`);
  });

  test.each(['', '.', '..', '\ud800'])('is not sent for the run id %j', async (id) => {
    expect(await errorOf(all(client.streamEvents(id)))).toBeInstanceOf(DifyAgentValidationError);
    expect(server.requests).toEqual([]);
  });

  test('carries the token and the headers of the client and of the call', async () => {
    server.answer(stream(succeeded('1-0')));
    const armed = new Client({ baseUrl: server.url, token: 't0ken', headers: { 'x-a': '1', 'x-b': '1' } });
    await all(armed.streamEvents('run-1', { headers: { 'x-b': '2' } }));
    expect(server.requests[0]?.headers).toMatchObject({ authorization: 'Bearer t0ken', 'x-a': '1', 'x-b': '2' });
  });
});

describe('reading', () => {
  test.each([
    ['run_succeeded', succeeded('2-0')],
    ['run_failed', failed('2-0')],
    ['run_cancelled', cancelled('2-0')],
  ])('stops after %s, whatever follows, and closes the connection', async (type, terminal) => {
    let left = Promise.resolve();
    server.answer(async (connection) => {
      left = connection.closed;
      connection.head(200, SSE);
      await connection.write(started('1-0') + terminal + delta('3-0', 'late'));
    });
    expect((await read()).map((one) => one.type)).toEqual(['run_started', type] as RunEvent['type'][]);
    await within('the connection to close', left);
    expect(server.requests).toHaveLength(1);
  });

  test('events are handed out as they come', async () => {
    const go = Promise.withResolvers<void>();
    server.answer(async (connection) => {
      connection.head(200, SSE);
      await connection.write(started('1-0'));
      await go.promise;
      await connection.write(succeeded('2-0'));
    });
    const events = client.streamEvents('run-1');
    expect((await within('the first event', events.next())).value).toMatchObject({ id: '1-0' });
    go.resolve();
    expect((await within('the second event', events.next())).value).toMatchObject({ id: '2-0' });
  });

  test('comments, several data lines and unknown fields', async () => {
    const [head = '', tail = ''] = event('1-0', 'run_started').split('"type"');
    server.answer(stream(`: hi\n\nretry: 1\nfoo\ndata: ${head}\ndata: "type"${tail}\n\n`, succeeded('2-0')));
    expect(ids(await read())).toEqual(['1-0', '2-0']);
  });

  test('the id of the frame fills in for a payload without one, and for null', async () => {
    const nullId = event(null, 'run_started').replace('{', '{"id":null,');
    server.answer(
      stream(`id: 1-0\ndata: ${event(null, 'run_started')}\n\n`, `id: 2-0\ndata: ${nullId}\n\n`, succeeded('3-0')),
    );
    expect(ids(await read())).toEqual(['1-0', '2-0', '3-0']);
  });

  test('the id of the payload wins', async () => {
    server.answer(stream(`id: 9-0\ndata: ${event('1-0', 'run_started')}\n\n`, succeeded('2-0')));
    expect(ids(await read())).toEqual(['1-0', '2-0']);
  });

  test('bytes cut anywhere, with characters of four bytes, separators and a BOM', async () => {
    const said = 'ü € 𝄞 \u0085\u2028\u2029\ufeff 👩‍👩‍👧';
    const bytes = Buffer.from(`\ufeff${delta('1-0', said)}${succeeded('2-0', said)}`);
    for (const size of [1, 2, 3, 5, 7]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
        bytes.subarray(index * size, (index + 1) * size),
      );
      server.answer(stream(...pieces));
      const [spoken, end] = await read();
      expect(spoken).toMatchObject({ data: { delta: { content_delta: said } } });
      expect(end).toMatchObject({ data: { output: said } });
    }
  });

  test('a frame of several megabytes', async () => {
    const output = 'é'.repeat(4 * 1024 * 1024);
    server.answer(stream(succeeded('1-0', output)));
    expect((await read())[0]).toMatchObject({ data: { output } });
  });

  test('integers beyond 2^53 in a snapshot go back as they came', async () => {
    const state = '{"big":12345678901234567890,"negative":-9007199254740993,"small":7,"text":"12345678901234567890"}';
    const snapshot = `{"schema_version":1,"layers":[{"name":"a","lifecycle_state":"suspended","runtime_state":${state}}]}`;
    const payload = event('1-0', 'run_succeeded', { session_snapshot: 0, output: 1 }).replace(
      '"session_snapshot":0',
      `"session_snapshot":${snapshot}`,
    );
    server.answer(stream(`data: ${payload}\n\n`), json(202, { run_id: 'r', status: 'running' }));
    const [end] = await read();
    if (end?.type !== 'run_succeeded') throw new Error('no success');
    expect(JSON.stringify(end.data.session_snapshot)).toBe(snapshot);
    await client.createRun({ composition: { layers: [] }, session_snapshot: end.data.session_snapshot });
    expect(server.requests[1]?.body).toContain(snapshot);
  });

  test('the result of a tool, under the key of either dialect', async () => {
    const part = { tool_name: 't', content: 1, tool_call_id: 'c', part_kind: 'tool-return' };
    const result = (key: string) => ({ event_kind: 'function_tool_result', [key]: part });
    server.answer(
      stream(
        frame('1-0', 'pydantic_ai_event', result('part')),
        frame('2-0', 'pydantic_ai_event', result('result')),
        succeeded('3-0'),
      ),
    );
    const [newer, older] = await read();
    expect([newer, older]).toMatchObject([{ data: { part } }, { data: { result: part } }]);
  });

  test('with untilTerminal false it reads on to the end of the response', async () => {
    server.answer(stream(succeeded('1-0'), delta('2-0', 'late')));
    expect(ids(await read({ untilTerminal: false }))).toEqual(['1-0', '2-0']);
    expect(server.requests).toHaveLength(1);
  });

  test('after a terminal event a broken end is an end', async () => {
    const seen = Promise.withResolvers<void>();
    server.answer(async (connection) => {
      connection.head(200, SSE);
      await connection.write(succeeded('1-0'));
      await seen.promise;
      connection.reset();
    });
    for await (const { id } of client.streamEvents('run-1', { untilTerminal: false })) {
      expect(id).toBe('1-0');
      seen.resolve();
    }
    expect(server.requests).toHaveLength(1);
  });
});

describe('reconnecting', () => {
  test('goes on after the last event that was handed out: after an end, a cut, a reset', async () => {
    const log = [started('1-0'), delta('1-1', 'a'), delta('2-0', 'b'), delta('2-1', 'c'), succeeded('3-0')];
    /** Sends what lies behind the cursor, one more event each time, and ends so. */
    const serve =
      (ending: 'end' | 'reset', rest = ''): Handler =>
      async (connection, { path }) => {
        const after = new URL(path, server.url).searchParams.get('after');
        const from = log.findIndex((one) => one.startsWith(`id: ${after}\n`)) + 1;
        connection.head(200, { ...SSE, 'content-length': '1000000' });
        await connection.write(log[from] ?? '');
        await until('the event to arrive', () => seen.includes(log[from]?.slice(4, 7) ?? ''));
        await connection.write(rest);
        connection[ending]();
      };
    server.answer(serve('end'), serve('reset'), serve('end', 'id: 2-1\nevent: pydantic'), serve('reset'), serve('end'));
    const seen: string[] = [];
    for await (const { id } of client.streamEvents('run-1', FAST)) seen.push(id);
    expect(seen).toEqual(['1-0', '1-1', '2-0', '2-1', '3-0']);
    expect(cursors()).toEqual(['0-0', '1-0', '1-1', '2-0', '2-1']);
  });

  test('begins with the cursor that was given', async () => {
    server.answer(json(503, { detail: 'no' }), stream(succeeded('9-0')));
    await read({ after: '5-3' });
    expect(cursors()).toEqual(['5-3', '5-3']);
  });

  test('behind the last event of a run there is nothing: it asks once, and ends', async () => {
    server.answer(stream(': keepalive\n\n'), json(200, record('failed')), page());
    expect(await read({ after: '7-0', maxReconnects: 0 })).toEqual([]);
    expect(server.requests.map(({ path }) => path)).toEqual([
      '/runs/run-1/events/sse?after=7-0',
      '/runs/run-1',
      '/runs/run-1/events?after=7-0&limit=1',
    ]);
  });

  test('there it ends, too, where a server keeps the stream open in silence', async () => {
    server.answer(openStream(': keepalive\n\n'), json(200, record('cancelled')), page());
    expect(await read({ after: '7-0', idleTimeoutMs: 30, maxReconnects: 0, headers: { 'x-a': '1' } })).toEqual([]);
    expect(server.requests.map(({ headers }) => headers['x-a'])).toEqual(['1', '1', '1']);
  });

  test('a run that ended while it was asked about is read to its end', async () => {
    server.answer(
      stream(),
      json(200, record('succeeded')),
      page(event('8-0', 'run_started')),
      stream(succeeded('9-0')),
    );
    expect(ids(await read({ after: '7-0' }))).toEqual(['9-0']);
    expect(cursors()).toEqual(['7-0', null, '7-0', '7-0']);
  });

  test('a run that goes on is not asked about again', async () => {
    server.answer(stream(), json(200, record('running')), stream(), stream(), stream(succeeded('9-0')));
    expect(ids(await read({ after: '7-0' }))).toEqual(['9-0']);
    expect(cursors()).toEqual(['7-0', null, '7-0', '7-0', '7-0']);
  });

  test('an answer that cannot be had is asked for again, with the next connection', async () => {
    server.answer(stream(), json(503, { detail: 'store unavailable' }), stream(), json(200, record('failed')), page());
    expect(await read({ after: '7-0' })).toEqual([]);
  });

  test('a run that has expired in the meantime is an error', async () => {
    server.answer(stream(), json(404, { detail: 'run not found' }));
    expect(await errorOf(read({ after: '7-0' }))).toBeInstanceOf(DifyAgentNotFoundError);
  });

  test('an abort and a deadline end the asking', async () => {
    const hold: Handler = () => {};
    const abort = new AbortController();
    server.answer(stream(), hold);
    const reading = errorOf(read({ after: '7-0', signal: abort.signal }));
    await until('the question', () => server.requests.length === 2);
    abort.abort(new Error('enough'));
    expect(await reading).toMatchObject({ message: 'enough' });
    server.answer(stream(), hold);
    expect(await errorOf(read({ after: '7-0', deadlineMs: 100 }))).toMatchObject({
      name: 'DifyAgentTimeoutError',
      message: "stream of run 'run-1' exceeded its timeout",
    });
  });

  test('what a server repeats is not repeated: at, before and across 64-bit ids', async () => {
    server.answer(
      stream(started('9-9'), delta('9-10', 'a')),
      stream(started('9-9'), delta('9-10', 'a'), delta('10-0', 'b'), delta('18446744073709551615-0', 'c')),
      stream(delta('18446744073709551614-7', 'x'), succeeded('18446744073709551615-1')),
    );
    expect(ids(await read())).toEqual(['9-9', '9-10', '10-0', '18446744073709551615-0', '18446744073709551615-1']);
  });

  test('ids of another form are taken as they are', async () => {
    server.answer(stream(started('b')), stream(delta('a', 'x'), succeeded('c')));
    expect(ids(await read())).toEqual(['b', 'a', 'c']);
    expect(cursors()).toEqual(['0-0', 'b']);
  });

  test('5xx is tried again with the same cursor', async () => {
    server.answer(
      stream(started('1-0')),
      text(500, 'Internal Server Error'),
      json(503, { detail: 'store unavailable' }),
      stream(succeeded('2-0')),
    );
    expect(ids(await read())).toEqual(['1-0', '2-0']);
    expect(cursors()).toEqual(['0-0', '1-0', '1-0', '1-0']);
  });

  test.each([
    [400, DifyAgentHTTPError],
    [401, DifyAgentHTTPError],
    [404, DifyAgentNotFoundError],
    [409, DifyAgentHTTPError],
    [422, DifyAgentValidationError],
    [429, DifyAgentHTTPError],
  ])('%i is not', async (status, type) => {
    server.answer(json(status, { detail: 'no' }));
    const error = await errorOf(read());
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ statusCode: status, detail: 'no', message: `Dify Agent HTTP ${status}: no` });
    expect(server.requests).toHaveLength(1);
  });

  test('a redirect is not followed, and ends the stream', async () => {
    server.answer(text(307, '', { location: `${server.url}/elsewhere` }));
    const error = await errorOf(all(new Client({ baseUrl: server.url, token: 'secret' }).streamEvents('run-1')));
    expect(error).toMatchObject({ statusCode: 307, message: 'Dify Agent HTTP 307: redirects are not followed' });
    expect(server.requests).toHaveLength(1);
  });

  test('what is no stream of events ends it', async () => {
    server.answer(text(200, '<html>', { 'content-type': 'text/html' }));
    const error = await errorOf(read());
    expect(error).toBeInstanceOf(DifyAgentStreamError);
    expect(error).toMatchObject({ message: 'not a stream of events but text/html' });
    expect(server.requests).toHaveLength(1);
  });

  test('a server that is away is asked again, and named in the end', async () => {
    const { url } = server;
    await server.close();
    const error = await errorOf(all(new Client({ baseUrl: url }).streamEvents('run-1', { ...FAST, maxReconnects: 2 })));
    expect(error).toBeInstanceOf(DifyAgentStreamError);
    expect(String(error)).toStartWith(
      'DifyAgentStreamError: SSE stream reconnect attempts exhausted: SSE stream request failed: ',
    );
    server = await startRawServer();
  });

  test.each([
    [0, 1],
    [1, 2],
    [undefined, 9],
  ])('a budget of %p makes %i calls', async (maxReconnects, calls) => {
    server.answer(...Array.from({ length: 10 }, () => stream()));
    const error = await errorOf(read(maxReconnects === undefined ? {} : { maxReconnects }));
    expect(error).toMatchObject({
      name: 'DifyAgentStreamError',
      message: 'SSE stream reconnect attempts exhausted: SSE stream ended before a terminal event',
    });
    expect(server.requests).toHaveLength(calls);
  });

  test('an event gives the whole budget again', async () => {
    const rounds = Array.from({ length: 6 }, (_, index) => [stream(), stream(delta(`${index + 1}-0`, 'x'))]);
    server.answer(...rounds.flat(), stream(), stream(succeeded('9-0')));
    expect(await read({ maxReconnects: 2 })).toHaveLength(7);
  });

  test('a repeated event does not', async () => {
    server.answer(...Array.from({ length: 5 }, () => stream(started('1-0'))));
    await errorOf(read({ maxReconnects: 2 }));
    expect(server.requests).toHaveLength(3);
  });

  test('heartbeats for half of the idle time-out do, or a proxy that cuts every minute would end a silent run', async () => {
    const silent = async (connection: Parameters<ReturnType<typeof stream>>[0]) => {
      connection.head(200, SSE);
      const end = performance.now() + 600;
      while (performance.now() < end) {
        await connection.write(': keepalive\n\n');
        await Bun.sleep(5);
      }
      connection.end();
    };
    server.answer(silent, silent, stream(succeeded('1-0')));
    // Half of it is a third of what the heartbeats last: a busy machine may swallow the rest.
    expect(ids(await read({ maxReconnects: 1, idleTimeoutMs: 400 }))).toEqual(['1-0']);
  });

  test('Retry-After of a 503 is waited for, in seconds or as a date', async () => {
    const soon = () => new Date(Date.now() + 1_900).toUTCString();
    for (const value of [() => '1', soon]) {
      server.answer(json(503, { detail: 'stopping' }, { 'retry-after': value() }), stream(succeeded('1-0')));
      const begun = performance.now();
      await read();
      // A date has whole seconds.
      expect(performance.now() - begun).toBeGreaterThan(850);
    }
  });

  test('a silent connection is left and replaced', async () => {
    server.answer(openStream(started('1-0')), stream(succeeded('2-0')));
    expect(ids(await read({ idleTimeoutMs: 40 }))).toEqual(['1-0', '2-0']);
    expect(cursors()).toEqual(['0-0', '1-0']);
  });

  test('so is one that never answers', async () => {
    server.answer(() => {}, stream(succeeded('1-0')));
    expect(ids(await read({ idleTimeoutMs: 40 }))).toEqual(['1-0']);
  });

  test('and so is one that stops inside an error', async () => {
    server.answer((connection) => connection.head(500, { 'content-length': '10' }), stream(succeeded('1-0')));
    expect(ids(await read({ idleTimeoutMs: 40 }))).toEqual(['1-0']);
  });

  test('comments keep a connection', async () => {
    server.answer(async (connection) => {
      connection.head(200, SSE);
      for (let i = 0; i < 20; i++) {
        await connection.write(':\n');
        await Bun.sleep(10);
      }
      await connection.write(succeeded('1-0'));
    });
    await read({ idleTimeoutMs: 100 });
    expect(server.requests).toHaveLength(1);
  });

  test('a slow consumer is no silence of the server', async () => {
    server.answer(stream(started('1-0'), delta('2-0', 'a'), succeeded('3-0')));
    const seen: string[] = [];
    for await (const { id } of client.streamEvents('run-1', { idleTimeoutMs: 30 })) {
      seen.push(id);
      await Bun.sleep(60);
    }
    expect(seen).toEqual(['1-0', '2-0', '3-0']);
    expect(server.requests).toHaveLength(1);
  });

  test('idleTimeoutMs 0 waits for ever', async () => {
    const go = Promise.withResolvers<void>();
    server.answer(async (connection) => {
      connection.head(200, SSE);
      await go.promise;
      await connection.write(succeeded('1-0'));
    });
    const events = client.streamEvents('run-1', { idleTimeoutMs: 0 });
    const first = events.next();
    await until('the request', () => server.requests.length === 1);
    await Bun.sleep(50);
    go.resolve();
    expect((await first).value).toMatchObject({ id: '1-0' });
  });
});

describe('what is fatal', () => {
  const bad: readonly (readonly [string, string, string])[] = [
    ['bad JSON', 'data: {\n\n', 'malformed SSE data frame: '],
    ['no object', 'data: [1]\n\n', 'malformed SSE data frame: event must be an object'],
    ['an unknown type', `data: ${event('1-0', 'run_paused')}\n\n`, 'unknown event type "run_paused"'],
    ['the name of a member of every object', `data: ${event('1-0', 'constructor')}\n\n`, 'unknown event type'],
    ['an unknown key', `data: ${event('1-0', 'run_started', {}, { x: 1 })}\n\n`, 'unknown key "x" in event'],
    [
      'a delta on another event',
      `data: ${event('1-0', 'run_started', {}, { agent_message_delta: null })}\n\n`,
      'unknown key',
    ],
    ['an unknown key in data', `data: ${event('1-0', 'run_started', { x: 1 })}\n\n`, 'unknown key "x" in run_started'],
    ['no id at all', `data: ${event(null, 'run_started')}\n\n`, 'an event without id'],
    [
      'an id that is a number',
      'data: {"id":1,"run_id":"r","created_at":"","type":"run_started","data":{}}\n\n',
      'id must',
    ],
    ['no data', 'data: {"id":"1-0","run_id":"r","created_at":"","type":"run_started"}\n\n', 'data must be an object'],
    ['no kind', `data: ${event('1-0', 'pydantic_ai_event', {})}\n\n`, 'event_kind must be a string'],
    [
      'a delta without text',
      `data: ${event('1-0', 'pydantic_ai_event', { event_kind: 'part_delta', index: 0, delta: { part_delta_kind: 'text' } })}\n\n`,
      'content_delta must be a string',
    ],
    [
      'a success with neither branch',
      frame('1-0', 'run_succeeded', { session_snapshot: { layers: [] } }),
      'Exactly one of',
    ],
    [
      'a success with both',
      frame('1-0', 'run_succeeded', { session_snapshot: { layers: [] }, output: null, deferred_tool_call: null }),
      'Exactly one of output or deferred_tool_call must be set',
    ],
    [
      'a question of null',
      frame('1-0', 'run_succeeded', { session_snapshot: { layers: [] }, deferred_tool_call: null }),
      'deferred_tool_call must',
    ],
    ['a success without snapshot', frame('1-0', 'run_succeeded', { output: 1 }), 'session_snapshot must be an object'],
    ['a failure without text', frame('1-0', 'run_failed', { reason: null }), 'error must be a string'],
    ['a mistyped reason', frame('1-0', 'run_cancelled', { reason: 1 }), 'reason must be a string'],
    [
      'another type in the frame',
      `event: run_failed\ndata: ${event('1-0', 'run_started')}\n\n`,
      "SSE event field 'run_failed' does not match payload type 'run_started'",
    ],
  ];

  test.each(bad)('%s: one call, after the events before it', async (_, piece, text) => {
    server.answer(stream(started('0-1') + piece));
    const seen: string[] = [];
    const error = await errorOf(
      (async () => {
        for await (const { id } of client.streamEvents('run-1', FAST)) seen.push(id);
      })(),
    );
    expect(error).toBeInstanceOf(DifyAgentStreamError);
    expect((error as Error).message).toContain(text);
    expect(seen).toEqual(['0-1']);
    expect(server.requests).toHaveLength(1);
  });

  test('kinds of agent events that are not known are passed on', async () => {
    const data = { event_kind: 'deferred_tool_requests', requests: {} };
    server.answer(stream(frame('1-0', 'pydantic_ai_event', data), succeeded('2-0')));
    expect((await read())[0]).toMatchObject({ data });
  });

  test.each(['idleTimeoutMs', 'maxReconnects', 'reconnectDelayMs', 'deadlineMs'])(
    'a negative %s, or none',
    async (name) => {
      for (const value of [-1, Number.NaN]) {
        expect(await errorOf(read({ [name]: value }))).toBeInstanceOf(DifyAgentValidationError);
      }
      expect(server.requests).toEqual([]);
    },
  );
});

describe('the deadline', () => {
  test('0 makes no call', async () => {
    const error = await errorOf(read({ deadlineMs: 0 }));
    expect(error).toBeInstanceOf(DifyAgentTimeoutError);
    expect(error).toMatchObject({ message: "stream of run 'run-1' exceeded its timeout" });
    expect(server.requests).toEqual([]);
  });

  test('ends an open connection, heartbeats or not', async () => {
    server.answer(async (connection) => {
      connection.head(200, SSE);
      const over = connection.closed.then(() => true);
      while (!(await Promise.race([over, Bun.sleep(5).then(() => false)]))) await connection.write(': keepalive\n\n');
    });
    expect(await errorOf(read({ deadlineMs: 50 }))).toBeInstanceOf(DifyAgentTimeoutError);
  });

  test('ends a pause', async () => {
    server.answer(stream());
    expect(await errorOf(read({ deadlineMs: 50, reconnectDelayMs: 60_000 }))).toBeInstanceOf(DifyAgentTimeoutError);
  });

  test('is seen behind a slow consumer, though events are there', async () => {
    server.answer(stream(started('1-0') + delta('2-0', 'a') + succeeded('3-0')));
    const seen: string[] = [];
    const error = await errorOf(
      (async () => {
        for await (const { id } of client.streamEvents('run-1', { deadlineMs: 30 })) {
          seen.push(id);
          await Bun.sleep(60);
        }
      })(),
    );
    expect(error).toBeInstanceOf(DifyAgentTimeoutError);
    expect(seen).toEqual(['1-0']);
  });

  test('longer than a timer can hold is none', async () => {
    server.answer(stream(succeeded('1-0')));
    expect(await read({ deadlineMs: 2 ** 31, idleTimeoutMs: Number.POSITIVE_INFINITY })).toHaveLength(1);
  });
});

describe('the signal', () => {
  const reason = new Error('enough');

  test('aborted before: no call', async () => {
    expect(await errorOf(read({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(server.requests).toEqual([]);
  });

  test('aborted while connecting', async () => {
    const abort = new AbortController();
    server.answer(() => abort.abort(reason));
    expect(await errorOf(read({ signal: abort.signal }))).toBe(reason);
  });

  test('aborted while it waits for an event: the connection closes', async () => {
    const abort = new AbortController();
    let left = Promise.resolve();
    server.answer(async (connection) => {
      left = connection.closed;
      connection.head(200, SSE);
      await connection.write(started('1-0'));
    });
    const seen: string[] = [];
    const error = await errorOf(
      (async () => {
        for await (const { id } of client.streamEvents('run-1', { signal: abort.signal })) {
          seen.push(id);
          setTimeout(() => abort.abort(reason), 5);
        }
      })(),
    );
    expect(error).toBe(reason);
    expect(seen).toEqual(['1-0']);
    await within('the connection to close', left);
  });

  test('aborted in a pause', async () => {
    const abort = new AbortController();
    server.answer((connection) => {
      stream()(connection, { method: '', path: '', headers: {}, body: '' });
      setTimeout(() => abort.abort(reason), 20);
    });
    expect(await errorOf(read({ signal: abort.signal, reconnectDelayMs: 60_000 }))).toBe(reason);
  });

  test('aborted by the consumer: what has arrived already is not handed out', async () => {
    const abort = new AbortController();
    server.answer(stream(started('1-0') + delta('2-0', 'a') + succeeded('3-0')));
    const seen: string[] = [];
    const error = await errorOf(
      (async () => {
        for await (const { id } of client.streamEvents('run-1', { signal: abort.signal })) {
          seen.push(id);
          abort.abort(reason);
        }
      })(),
    );
    expect(error).toBe(reason);
    expect(seen).toEqual(['1-0']);
  });

  test('aborted with the terminal event in hand: the stream has ended well', async () => {
    const abort = new AbortController();
    server.answer(stream(succeeded('1-0')));
    for await (const _ of client.streamEvents('run-1', { signal: abort.signal })) abort.abort(reason);
  });

  test('works with a fetch that does not heed it', async () => {
    const deaf = new Client({ baseUrl: server.url, fetch: (url, { signal: _, ...init }) => fetch(url, init) });
    for (const answer of [() => {}, openStream(started('1-0'))]) {
      const abort = new AbortController();
      server.answer(async (connection, request) => {
        await answer(connection, request);
        setTimeout(() => abort.abort(reason), 20);
      });
      expect(await errorOf(all(deaf.streamEvents('run-1', { signal: abort.signal })))).toBe(reason);
    }
  });

  test('that lives long collects no listeners', async () => {
    const { signal } = new AbortController();
    const listeners = new Map<unknown, number>();
    const count = (listener: unknown, by: number) => listeners.set(listener, (listeners.get(listener) ?? 0) + by);
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (type: string, listener: EventListener) => {
      count(listener, 1);
      addEventListener.call(signal, type, listener);
    };
    signal.removeEventListener = (type: string, listener: EventListener) => {
      count(listener, -1);
      removeEventListener.call(signal, type, listener);
    };
    for (let i = 0; i < 5; i++) {
      server.answer(stream(started('1-0')), stream(succeeded('2-0')));
      await read({ signal });
    }
    expect(listeners.size).toBeGreaterThan(0);
    expect([...listeners.values()].filter((left) => left !== 0)).toEqual([]);
  });

  test('leaving while an event is waited for, or a pause is, ends both at once and closes the connection', async () => {
    let left = Promise.resolve();
    server.answer(
      async (connection) => {
        left = connection.closed;
        connection.head(200, SSE);
        await connection.write(started('1-0'));
      },
      json(503, { detail: 'no' }),
    );
    for (const options of [{}, { after: '9-0', reconnectDelayMs: 60_000 }]) {
      const events = client.streamEvents('run-1', options);
      if (options.after === undefined) await events.next();
      const pending = events.next();
      await until('the request', () => server.requests.length === (options.after === undefined ? 1 : 2));
      await within('the end', events.return());
      expect(await within('the pending event', pending)).toEqual({ done: true, value: undefined });
    }
    await within('the connection to close', left);
  });

  test('leaving the loop closes the connection', async () => {
    let left = Promise.resolve();
    server.answer(async (connection) => {
      left = connection.closed;
      connection.head(200, SSE);
      await connection.write(started('1-0'));
    });
    for await (const _ of client.streamEvents('run-1')) break;
    await within('the connection to close', left);
  });
});
