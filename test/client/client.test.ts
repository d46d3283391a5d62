// The client's requests against a scripted server: what is sent, what is read, which error comes of what (spec 01 §8.1, §8.2).

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { Client } from '../../src/client/client.ts';
import {
  DifyAgentClientError,
  DifyAgentHTTPError,
  DifyAgentNotFoundError,
  DifyAgentStreamError,
  DifyAgentTimeoutError,
  DifyAgentValidationError,
} from '../../src/client/errors.ts';
import type { CreateRunRequest, RunEvent } from '../../src/client/types.ts';
import { until, within } from '../support/until.ts';
import { cancelled, delta, errorOf, event, failed, record, started, succeeded } from './events.ts';
import { json, openStream, type RawServer, SSE, startRawServer, stream, text } from './raw-server.ts';

let server: RawServer;
let client: Client;

beforeEach(async () => {
  server = await startRawServer();
  client = new Client({ baseUrl: server.url });
});
afterEach(() => server.close());

const REQUEST: CreateRunRequest = { composition: { layers: [{ name: 'prompt', type: 'plain.prompt' }] } };
const created = json(202, { run_id: 'run-1', status: 'running' });
const asked = () => server.requests.map(({ method, path }) => `${method} ${path}`);

describe('the options', () => {
  test.each(['', 'localhost:8000', 'ftp://x', 'http://', 'http://x?a=1', 'http://x/#a', 'http://a b/', '/runs'])(
    'baseUrl %j is refused',
    (baseUrl) => {
      expect(() => new Client({ baseUrl })).toThrow(DifyAgentClientError);
    },
  );

  test('slashes at the end of baseUrl are cut, a path stays', async () => {
    for (const suffix of ['', '/', '//', '/prefix', '/prefix//']) {
      server.answer(json(200, record('running')));
      await new Client({ baseUrl: server.url + suffix }).getRun('r');
    }
    expect(asked()).toEqual(
      ['/runs/r', '/runs/r', '/runs/r', '/prefix/runs/r', '/prefix/runs/r'].map((p) => `GET ${p}`),
    );
  });

  test('a user and password in baseUrl become Basic authentication, which a token overrides', async () => {
    const withUser = server.url.replace('//', '//us%40er:p%C3%A4ss@');
    server.answer(json(200, record('running')), json(200, record('running')));
    await new Client({ baseUrl: withUser }).getRun('r');
    await new Client({ baseUrl: withUser, token: ' tok ' }).getRun('r');
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      `Basic ${Buffer.from('us@er:päss').toString('base64')}`,
      'Bearer tok',
    ]);
  });

  test('a token or a header that cannot be sent is refused without being repeated', () => {
    for (const options of [
      { token: 'se\ncret' },
      { token: 's\u0001cret' },
      { token: 'sécrét€' },
      { headers: { 'x-a': 'se\ncret' } },
    ]) {
      const make = () => new Client({ baseUrl: 'http://x', ...options });
      expect(make).toThrow(DifyAgentValidationError);
      expect(make).not.toThrow(/cret|crét/);
    }
  });

  test('a password in a bad baseUrl is not repeated', () => {
    expect(() => new Client({ baseUrl: 'http://u:hunter2@x/?q' })).toThrow(/^(?!.*hunter2)/);
  });

  test('no token, no header', async () => {
    server.answer(json(200, record('running')), json(200, record('running')));
    await client.getRun('r');
    await new Client({ baseUrl: server.url, token: '  ' }).getRun('r');
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
  });
});

describe('createRun', () => {
  test('posts the request as JSON and reads any status below 400', async () => {
    for (const status of [200, 202, 307]) {
      server.answer(json(status, { run_id: 'run-1', status: 'running' }));
      expect(await client.createRun(REQUEST)).toEqual({ run_id: 'run-1', status: 'running' });
    }
    expect(asked()[0]).toBe('POST /runs');
    expect(server.requests[0]?.headers['content-type']).toBe('application/json');
    expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual(REQUEST);
  });

  test('is not tried again: after a time-out, a cut, a 503', async () => {
    const hasty = new Client({ baseUrl: server.url, timeoutMs: 50 });
    server.answer(
      () => {},
      (connection) => connection.reset(),
      json(503, { detail: 'run scheduler is shutting down' }, { 'retry-after': '7' }),
    );
    const late = await errorOf(hasty.createRun(REQUEST));
    expect(late).toBeInstanceOf(DifyAgentTimeoutError);
    expect(late).toMatchObject({ name: 'DifyAgentTimeoutError', message: 'createRun timed out' });
    const cut = await errorOf(client.createRun(REQUEST));
    expect((cut as Error).constructor).toBe(DifyAgentClientError);
    expect((cut as Error).message).toStartWith('createRun request failed: ');
    expect(await errorOf(client.createRun(REQUEST))).toMatchObject({
      name: 'DifyAgentHTTPError',
      statusCode: 503,
      detail: 'run scheduler is shutting down',
      retryAfterMs: 7_000,
    });
    expect(server.requests).toHaveLength(3);
  });

  test('does not follow a redirect, so that the token stays with this server', async () => {
    const other = await startRawServer();
    try {
      server.answer(text(307, '', { location: `${other.url}/runs` }));
      const error = await errorOf(new Client({ baseUrl: server.url, token: 'secret' }).createRun(REQUEST));
      expect(error).toMatchObject({
        name: 'DifyAgentValidationError',
        statusCode: 307,
        detail: 'invalid createRun response: redirects are not followed',
      });
      expect(other.requests).toEqual([]);
    } finally {
      await other.close();
    }
  });

  test('an answer that is none keeps its status', async () => {
    for (const [status, body, detail] of [
      [200, '<html>', /^invalid createRun response: /],
      [202, '{"run_id":1,"status":"running"}', 'invalid createRun response: run_id must be a string'],
      [202, '{"run_id":"r","status":"paused"}', 'invalid createRun response: status is unknown'],
      [204, '', /^invalid createRun response: /],
    ] as const) {
      server.answer(text(status, body));
      const error = await errorOf(client.createRun(REQUEST));
      expect(error).toBeInstanceOf(DifyAgentValidationError);
      expect(error).toMatchObject({ statusCode: status });
      expect((error as DifyAgentHTTPError).detail).toMatch(detail);
    }
  });

  test('can be aborted', async () => {
    const abort = new AbortController();
    server.answer(() => abort.abort('enough'));
    expect(await errorOf(client.createRun(REQUEST, { signal: abort.signal }))).toBe('enough');
    expect(await errorOf(client.createRun(REQUEST, { signal: AbortSignal.abort('before') }))).toBe('before');
    expect(server.requests).toHaveLength(1);
  });
});

describe('errors', () => {
  const faults = [
    {
      type: 'missing',
      loc: ['body', 'composition', 'layers', 0, 'type'],
      msg: 'Field required',
      input: { key: 'sk-1' },
    },
    { type: 'extra_forbidden', loc: ['body', 'x'], msg: 'Extra inputs are not permitted', input: 'sk-2' },
  ];
  const shapes: readonly (readonly [string, number, string, unknown, string])[] = [
    ['a detail', 409, '{"detail":"run already finished"}', 'run already finished', 'run already finished'],
    ['a detail of null', 400, '{"detail":null}', null, 'null'],
    ['a detail that is an object', 409, '{"detail":{"code":"busy"}}', { code: 'busy' }, '{"code":"busy"}'],
    [
      'the faults of a 422, in the message without the values',
      422,
      JSON.stringify({ detail: faults }),
      faults,
      'body.composition.layers.0.type: Field required; body.x: Extra inputs are not permitted',
    ],
    [
      'the text of an old 422',
      422,
      '{"detail":"run.user_prompts must not be empty"}',
      'run.user_prompts must not be empty',
      'run.user_prompts must not be empty',
    ],
    ['JSON without detail', 400, '{"error":"x"}', { error: 'x' }, '{"error":"x"}'],
    ['JSON that is no object', 400, '["x"]', ['x'], '["x"]'],
    ['text', 500, 'Internal Server Error', 'Internal Server Error', 'Internal Server Error'],
    ['nothing: the reason phrase', 502, '', 'Reason', 'Reason'],
    ['a long page, cut in the message alone', 502, 'x'.repeat(2_000), 'x'.repeat(2_000), `${'x'.repeat(500)}…`],
  ];

  test.each(shapes)('%s', async (_, status, body, detail, message) => {
    server.answer(text(status, body));
    const error = await errorOf(client.getRun('r'));
    expect(error).toMatchObject({ statusCode: status, detail, message: `Dify Agent HTTP ${status}: ${message}` });
  });

  test.each([
    [401, DifyAgentHTTPError],
    [404, DifyAgentNotFoundError],
    [409, DifyAgentHTTPError],
    [422, DifyAgentValidationError],
    [500, DifyAgentHTTPError],
    [503, DifyAgentHTTPError],
  ])('%i has its class, and all are DifyAgentClientErrors', async (status, type) => {
    server.answer(json(status, { detail: 'no' }));
    const error = await errorOf(client.getRun('r'));
    expect((error as Error).constructor).toBe(type);
    expect(error).toBeInstanceOf(DifyAgentHTTPError);
    expect(error).toBeInstanceOf(DifyAgentClientError);
    expect((error as Error).name).toBe(type.name);
  });

  test('a body that stops in the middle ends with the time-out', async () => {
    server.answer(async (connection) => {
      connection.head(200, { 'content-length': '100' });
      await connection.write('{"run_id"');
    });
    const hasty = new Client({ baseUrl: server.url, timeoutMs: 50 });
    expect(await errorOf(hasty.getRun('r'))).toMatchObject({ message: 'getRun timed out' });
  });

  test('every method rejects, also for ids that cannot be', async () => {
    for (const id of ['', '.', '..', '\ud800']) {
      for (const call of [
        () => client.getRun(id),
        () => client.getEvents(id),
        () => client.waitRun(id),
        () => client.cancelRun(id),
        () => client.cancelRunAndWait(id),
      ]) {
        expect(await errorOf(call())).toBeInstanceOf(DifyAgentValidationError);
      }
    }
    expect(server.requests).toEqual([]);
  });
});

describe('getRun and getEvents', () => {
  test('a record, with and without error_type', async () => {
    server.answer(json(200, record('failed')), json(200, { ...record('failed'), error: 'x', error_type: 'y' }));
    expect(await client.getRun('a/b c')).toEqual(record('failed') as never);
    expect(await client.getRun('r')).toMatchObject({ error: 'x', error_type: 'y' });
    expect(asked()[0]).toBe('GET /runs/a%2Fb%20c');
  });

  test('a page', async () => {
    const events = [event('1-0', 'run_started'), event('2-0', 'run_failed', { error: 'x' })];
    server.answer(text(200, `{"run_id":"run-1","events":[${events}],"next_cursor":"2-0"}`));
    const page = await client.getEvents('r', { after: '0-5', limit: 7 });
    expect(page.events.map(({ type }) => type)).toEqual(['run_started', 'run_failed']);
    expect(page.next_cursor).toBe('2-0');
    expect(asked()).toEqual(['GET /runs/r/events?after=0-5&limit=7']);
  });

  test('a page is read as strictly as a stream', async () => {
    for (const bad of [event('1-0', 'run_paused'), event(null, 'run_started'), event('1-0', 'run_started', { x: 1 })]) {
      server.answer(text(200, `{"run_id":"r","events":[${bad}],"next_cursor":null}`));
      expect(await errorOf(client.getEvents('r'))).toBeInstanceOf(DifyAgentValidationError);
    }
  });

  test('big integers of snapshots on a page are kept', async () => {
    const end = event('2-0', 'run_failed', { error: 'x', session_snapshot: { layers: [] } }).replace(
      '[]',
      '[{"name":"a","lifecycle_state":"suspended","runtime_state":{"n":98765432109876543210}}]',
    );
    server.answer(text(200, `{"run_id":"r","events":[${event('1-0', 'run_started')},${end}],"next_cursor":null}`));
    expect(JSON.stringify((await client.getEvents('r')).events[1])).toContain('"n":98765432109876543210');
  });
});

describe('waitRun', () => {
  test('looks until the run is over', async () => {
    server.answer(json(200, record('running')), json(200, record('running')), json(200, record('cancelled')));
    expect((await client.waitRun('r', { pollIntervalMs: 1 })).status).toBe('cancelled');
    expect(server.requests).toHaveLength(3);
  });

  test('gives up in the Python client’s words', async () => {
    server.answer(...Array.from({ length: 50 }, () => json(200, record('running'))));
    const error = await errorOf(client.waitRun('r', { pollIntervalMs: 10, timeoutMs: 50 }));
    expect(error).toBeInstanceOf(DifyAgentTimeoutError);
    expect(error).toMatchObject({ message: "run 'r' did not finish before timeout" });
  });

  test('gives up on a server that does not answer', async () => {
    server.answer(() => {});
    const error = await errorOf(client.waitRun('r', { timeoutMs: 50 }));
    expect(error).toMatchObject({ message: "run 'r' did not finish before timeout" });
  });

  test('with no time looks once', async () => {
    server.answer(json(200, record('succeeded')), json(200, record('running')));
    expect((await client.waitRun('r', { timeoutMs: 0 })).status).toBe('succeeded');
    expect(await errorOf(client.waitRun('r', { timeoutMs: 0 }))).toBeInstanceOf(DifyAgentTimeoutError);
    expect(server.requests).toHaveLength(2);
  });

  test('can be aborted between two looks', async () => {
    const abort = new AbortController();
    server.answer(json(200, record('running')));
    const waiting = errorOf(client.waitRun('r', { pollIntervalMs: 60_000, signal: abort.signal }));
    await until('the first look', () => server.requests.length === 1);
    abort.abort('enough');
    expect(await within('the rejection', waiting)).toBe('enough');
  });
});

describe('cancelling', () => {
  test('cancelRun sends both texts, null unless given', async () => {
    const answer = json(200, { run_id: 'r', status: 'cancelled' });
    server.answer(answer, answer, answer);
    await client.cancelRun('r');
    await client.cancelRun('r', { reason: 'user_cancelled', message: 'Sorry.' });
    await client.cancelRun('r', null as never); // as callers without a compiler do
    expect(asked()[0]).toBe('POST /runs/r/cancel');
    expect(server.requests.map(({ body }) => body)).toEqual([
      '{"reason":null,"message":null}',
      '{"reason":"user_cancelled","message":"Sorry."}',
      '{"reason":null,"message":null}',
    ]);
  });

  const accepted = json(200, { run_id: 'r', status: 'cancelled' });

  test('cancelRunAndWait goes on after the cursor', async () => {
    server.answer(accepted, json(200, record('running')), stream(cancelled('6-0')));
    expect(await client.cancelRunAndWait('r', {}, { after: '5-0' })).toMatchObject({
      id: '6-0',
      type: 'run_cancelled',
    });
    expect(asked()).toEqual(['POST /runs/r/cancel', 'GET /runs/r', 'GET /runs/r/events/sse?after=5-0']);
  });

  test('replays from the beginning when the run is cancelled already', async () => {
    server.answer(accepted, json(200, record('cancelled')), stream(started('1-0'), cancelled('2-0')));
    expect(await client.cancelRunAndWait('r', {}, { after: '2-0' })).toMatchObject({ id: '2-0' });
    expect(asked().at(-1)).toBe('GET /runs/r/events/sse?after=0-0');
  });

  test('without a cursor it reads from the beginning and does not ask for the status', async () => {
    server.answer(accepted, stream(cancelled('1-0')));
    await client.cancelRunAndWait('r');
    expect(asked()).toEqual(['POST /runs/r/cancel', 'GET /runs/r/events/sse?after=0-0']);
  });

  test('another end is an error', async () => {
    server.answer(accepted, stream(succeeded('1-0')));
    const error = await errorOf(client.cancelRunAndWait('r'));
    expect(error).toBeInstanceOf(DifyAgentStreamError);
    expect(error).toMatchObject({ message: "run 'r' ended with run_succeeded instead of run_cancelled" });
  });

  test('a conflict is an error before any stream', async () => {
    server.answer(json(409, { detail: "run already finished with status 'succeeded'" }));
    expect(await errorOf(client.cancelRunAndWait('r'))).toMatchObject({ statusCode: 409 });
    expect(server.requests).toHaveLength(1);
  });
});

describe('runToCompletion', () => {
  test('creates, streams, hands out each event in order, and returns the last', async () => {
    server.answer(created, stream(started('1-0'), delta('2-0', 'a')), stream(failed('3-0')));
    const seen: RunEvent[] = [];
    let busy = 0;
    const end = await client.runToCompletion(REQUEST, {
      reconnectDelayMs: 1,
      onEvent: async (one) => {
        expect(++busy).toBe(1);
        await Promise.resolve();
        busy -= 1;
        seen.push(one);
      },
    });
    expect(end.type).toBe('run_failed');
    expect(seen.map(({ id }) => id)).toEqual(['1-0', '2-0', '3-0']);
  });

  test('sends the headers with every request', async () => {
    server.answer(created, stream(succeeded('1-0')));
    await client.runToCompletion(REQUEST, { headers: { 'x-tenant': 't' } });
    expect(server.requests.map(({ headers }) => headers['x-tenant'])).toEqual(['t', 't']);
  });

  const streaming = openStream(started('1-0'));
  const accepted = json(200, { run_id: 'run-1', status: 'cancelled' });

  test('an abort leaves the run alone', async () => {
    const abort = new AbortController();
    server.answer(created, streaming);
    const error = await errorOf(
      client.runToCompletion(REQUEST, { signal: abort.signal, onEvent: () => abort.abort('enough') }),
    );
    expect(error).toBe('enough');
    expect(asked().filter((one) => one.includes('cancel'))).toEqual([]);
  });

  test('with cancelOnAbort it does not: after an abort, a broken stream, an onEvent that throws', async () => {
    const abort = new AbortController();
    server.answer(created, streaming, accepted);
    const options = { cancelOnAbort: true, signal: abort.signal, onEvent: () => abort.abort('enough') };
    expect(await errorOf(client.runToCompletion(REQUEST, options))).toBe('enough');
    server.answer(created, stream('data: {\n\n'), accepted);
    expect(await errorOf(client.runToCompletion(REQUEST, { cancelOnAbort: true }))).toBeInstanceOf(
      DifyAgentStreamError,
    );
    server.answer(created, streaming, json(500, {}));
    const failure = new Error('mine');
    const onEvent = () => Promise.reject(failure);
    expect(await errorOf(client.runToCompletion(REQUEST, { cancelOnAbort: true, onEvent }))).toBe(failure);
    const cancels = server.requests.filter(({ path }) => path === '/runs/run-1/cancel');
    expect(cancels.map(({ body }) => body)).toEqual(Array(3).fill('{"reason":"client_aborted","message":null}'));
  });

  test('with cancelOnAbort an abort while the run is created waits for its id', async () => {
    const abort = new AbortController();
    server.answer(async (connection, request) => {
      abort.abort('enough');
      await created(connection, request);
    }, accepted);
    const options = { cancelOnAbort: true, signal: abort.signal };
    expect(await errorOf(client.runToCompletion(REQUEST, options))).toBe('enough');
    expect(asked()).toEqual(['POST /runs', 'POST /runs/run-1/cancel']);
  });

  test('aborted before it began it sends nothing', async () => {
    const signal = AbortSignal.abort('before');
    expect(await errorOf(client.runToCompletion(REQUEST, { signal, cancelOnAbort: true }))).toBe('before');
    expect(server.requests).toEqual([]);
  });

  test('a run that has ended is not cancelled, though onEvent throws', async () => {
    server.answer(created, stream(succeeded('1-0')));
    const onEvent = () => {
      throw new Error('mine');
    };
    expect(await errorOf(client.runToCompletion(REQUEST, { cancelOnAbort: true, onEvent }))).toMatchObject({
      message: 'mine',
    });
    expect(server.requests).toHaveLength(2);
  });
});

test('a stream through a body that comes in one piece with its headers', async () => {
  server.answer((connection) => {
    connection.head(200, SSE);
    void connection.write(started('1-0') + succeeded('2-0'));
    connection.end();
  });
  const events = [];
  for await (const one of client.streamEvents('r')) events.push(one.type);
  expect(events).toEqual(['run_started', 'run_succeeded']);
});
