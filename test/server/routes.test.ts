import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import {
  IdempotencyConflictError,
  SchedulerStoppingError,
  StoreUnavailableError,
  TooManyRunsError,
} from '../../src/runs/errors.ts';
import type { StoredEvent } from '../../src/runs/ports.ts';
import { ask, runStarted, startServer, type TestServer } from './support.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

interface Exchange {
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly headers: Record<string, string>;
    readonly body?: string;
  };
  readonly response: { readonly status: number; readonly headers: Record<string, string>; readonly body: unknown };
}

const exchanges = (name: string) =>
  (JSON.parse(readFileSync(`test/fixtures/reference/${name}.json`, 'utf8')) as { exchanges: Exchange[] }).exchanges;

const JSON_TYPE = { 'content-type': 'application/json' };
const UNKNOWN = '/runs/00000000-0000-4000-8000-000000000000';

describe('recorded exchanges', () => {
  const notHere = /^\/(workspaces|sandbox|agent-stub|healthz)/;
  for (const { request, response } of exchanges('http_404_405')) {
    if (notHere.test(request.path)) continue;
    if (response.status === 501) continue; // cancelling, which works here: below
    test(`${request.method} ${request.path} ${request.body ?? ''}`, async () => {
      const init = { method: request.method, headers: request.headers };
      const answer = await ask(server.url + request.path, { ...init, ...(request.body ? { body: request.body } : {}) });
      expect(answer.status).toBe(response.status);
      for (const name of ['content-type', 'allow']) {
        expect(answer.headers.get(name)).toBe(response.headers[name] ?? null);
      }
      const location = response.headers.location?.replace('http://127.0.0.1:18110', server.url) ?? null;
      expect(answer.headers.get('location')).toBe(location);
      if (request.path === '/openapi.json' || response.status === 200) return;
      expect(answer.headers.get('content-length')).toBe(response.headers['content-length'] ?? null);
      expect(answer.text).toBe(response.body === '' ? '' : JSON.stringify(response.body));
    });
  }
});

describe('POST /runs', () => {
  const post = (body: string, headers: Record<string, string> = JSON_TYPE) =>
    ask(`${server.url}/runs`, { method: 'POST', body, headers });
  const full =
    '{"composition":{"schema_version":1,"layers":[{"name":"prompt","type":"plain.prompt","deps":{},"metadata":{},"config":{"prefix":"Be brief.","user":"Name three rivers."}}]},"idempotency_key":null,"metadata":{},"session_snapshot":null,"deferred_tool_results":null,"on_exit":{"default":"suspend","layers":{}}}';

  test.each([
    ['what the Python client sends', full],
    ['a blank prompt list', '{"composition":{"layers":[{"name":"p","type":"plain.prompt","config":{"user":[]}}]}}'],
    ['an unknown on_exit layer', '{"composition":{"layers":[]},"on_exit":{"layers":{"nobody":"delete"}}}'],
    [
      'a closed snapshot',
      '{"composition":{"layers":[]},"session_snapshot":{"schema_version":1,"layers":[{"name":"p","lifecycle_state":"closed","runtime_state":{}}]}}',
    ],
  ])('accepts %s', async (_name, body) => {
    const answer = await post(body);
    expect(answer.status).toBe(202);
    expect(answer.text).toMatch(/^\{"run_id":"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}","status":"running"\}$/);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(answer.headers.get('content-length')).toBe(String(answer.text.length));
  });

  test('hands the validated request with its defaults to the submitter', async () => {
    await post('{"composition":{"layers":[{"name":"a","type":"b"}],"schema_version":"7"}}');
    expect(server.submitted.at(-1)).toMatchObject({
      request: {
        composition: { schema_version: 7, layers: [{ name: 'a', type: 'b', deps: {}, metadata: {}, config: null }] },
        metadata: {},
        session_snapshot: null,
        on_exit: { default: 'suspend', layers: {} },
      },
      snapshotPolicy: 'reject',
    });
  });

  test.each([
    ['rebase', 'rebase'],
    ['Rebase', 'rebase'],
    ['REJECT', 'reject'],
    [' rebase ', 'rebase'],
  ])('takes the snapshot policy %p', async (value, policy) => {
    expect((await post(full, { ...JSON_TYPE, 'X-Agent-Snapshot-Policy': value })).status).toBe(202);
    expect(server.submitted.at(-1)?.snapshotPolicy).toBe(policy as 'rebase' | 'reject');
  });

  test.each(['', 'keep', 'rebase, reject'])('refuses the snapshot policy %p where it is', async (value) => {
    const before = server.submitted.length;
    const { status, text } = await post(full, { ...JSON_TYPE, 'x-agent-snapshot-policy': value });
    expect([status, text]).toEqual([
      422,
      `{"detail":[{"type":"literal_error","loc":["header","X-Agent-Snapshot-Policy"],"msg":"Input should be 'reject' or 'rebase'","input":"${value}","ctx":{"expected":"'reject' or 'rebase'"}}]}`,
    ]);
    expect(server.submitted.length).toBe(before);
  });

  const body = (type: string, msg: string, input: string) =>
    `{"detail":[{"type":"${type}","loc":["body"],"msg":"${msg}","input":${input}}]}`;
  const missing = body('missing', 'Field required', 'null');
  const notAnObject = (input: string) =>
    body('model_attributes_type', 'Input should be a valid dictionary or object to extract fields from', input);

  test.each([
    ['an empty body', '', JSON_TYPE, 422, missing],
    ['null', 'null', JSON_TYPE, 422, missing],
    ['an array', '[1]', JSON_TYPE, 422, notAnObject('[1]')],
    ['no JSON media type', '{"a":1}', { 'content-type': 'text/plain' }, 422, notAnObject('"{\\"a\\":1}"')],
    ['an empty media type', '{}', { 'content-type': '' }, 422, notAnObject('"{}"')],
    ['a near miss', '{}', { 'content-type': 'application/jsonp' }, 422, notAnObject('"{}"')],
    ['a suffix elsewhere', '{}', { 'content-type': 'text/x+json' }, 422, notAnObject('"{}"')],
    [
      'malformed JSON, at the offset in code points',
      '{"😀":}',
      JSON_TYPE,
      422,
      '{"detail":[{"type":"json_invalid","loc":["body",5],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting value"}}]}',
    ],
    [
      'nested a hundred thousand levels',
      '['.repeat(100_000),
      JSON_TYPE,
      400,
      '{"detail":"There was an error parsing the body"}',
    ],
    [
      'a wrong type and an unknown key',
      '{"composition":{"layers":[{"name":"prompt"}]},"user_prompt":"hé"}',
      JSON_TYPE,
      422,
      '{"detail":[{"type":"missing","loc":["body","composition","layers",0,"type"],"msg":"Field required","input":{"name":"prompt"}},{"type":"extra_forbidden","loc":["body","user_prompt"],"msg":"Extra inputs are not permitted","input":"hé"}]}',
    ],
  ])('refuses %s', async (_name, text, headers, status, expected) => {
    const answer = await post(text, headers);
    expect([answer.status, answer.text]).toEqual([status, expected]);
    expect(answer.headers.get('content-type')).toBe('application/json');
  });

  test('refuses free-form JSON that is nested too deep to be validated, at its place', async () => {
    const nested = (depth: number) =>
      `{"composition":{"layers":[]},"metadata":{"x":${'['.repeat(depth)}${']'.repeat(depth)}}}`;
    expect((await post(nested(200))).status).toBe(202);
    const { status, text } = await post(nested(400));
    expect([status, JSON.parse(text).detail[0].type]).toEqual([422, 'recursion_loop']);
  });

  test('refuses bytes that are not UTF-8', async () => {
    const bytes = new Uint8Array([0x7b, 0xff, 0x7d]);
    const answer = await ask(`${server.url}/runs`, { method: 'POST', body: bytes, headers: JSON_TYPE });
    expect([answer.status, answer.text]).toEqual([400, '{"detail":"There was an error parsing the body"}']);
  });

  test.each(['application/json; charset=utf-8', 'Application/JSON', 'application/vnd.dify+json', 'application/json;x'])(
    'takes %s for JSON',
    async (type) => {
      expect((await post(full, { 'content-type': type })).status).toBe(202);
    },
  );

  test('accepts a byte order mark and blanks around the value', async () => {
    expect((await post(`\ufeff ${full}\n`)).status).toBe(202);
  });
});

test('the answer to a repeated key is the earlier run as it is now', async () => {
  const earlier = { run_id: 'a', status: 'failed', created_at: '', updated_at: '', error: 'x' } as const;
  const notAsked = () => Promise.reject(new Error('not asked'));
  const repeating = await startServer({ submitter: { submit: async () => earlier, cancel: notAsked } });
  const { status, text } = await ask(`${repeating.url}/runs`, {
    method: 'POST',
    headers: JSON_TYPE,
    body: '{"composition":{"layers":[]},"idempotency_key":"k"}',
  });
  expect([status, text]).toEqual([202, '{"run_id":"a","status":"failed"}']);
  await repeating.stop();
});

describe('POST /runs/{id}/cancel', () => {
  const cancel = (runId: string, body = '{"reason":"user_cancelled","message":null}') =>
    ask(`${server.url}/runs/${runId}/cancel`, { method: 'POST', headers: JSON_TYPE, body });

  test('of a running run is 200 with what will be; its status is still running', async () => {
    const runId = await server.run();
    for (const body of ['{"reason":"user_cancelled","message":null}', '{}']) {
      const { status, text, headers } = await cancel(runId, body);
      expect([status, text]).toEqual([200, `{"run_id":"${runId}","status":"cancelled"}`]);
      expect(headers.get('content-type')).toBe('application/json');
    }
    expect(JSON.parse((await ask(`${server.url}/runs/${runId}`)).text).status).toBe('running');
    const refused = { status: 'failed', updatedAt: '2026-06-02T08:15:30Z', error: 'x', payload: '{}' } as const;
    expect(await server.store.finalise(runId, refused)).toMatchObject({ cancel: { reason: 'user_cancelled' } });
  });

  test.each(['succeeded', 'failed'] as const)('of a run that has %s is 409', async (status) => {
    const runId = await server.run();
    await server.store.finalise(runId, { status, updatedAt: '2026-06-02T08:15:30Z', error: null, payload: '{}' });
    const answer = await cancel(runId);
    expect([answer.status, answer.text]).toEqual([409, `{"detail":"run already finished with status '${status}'"}`]);
  });

  test('of an unknown run is 404, when the body is one', async () => {
    const id = UNKNOWN.slice('/runs/'.length);
    expect(await cancel(id)).toMatchObject({ status: 404, text: '{"detail":"run not found"}' });
    expect(await cancel('a%ff')).toMatchObject({ status: 404, text: '{"detail":"run not found"}' });
    expect(await cancel(id, '')).toMatchObject({
      status: 422,
      text: '{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}',
    });
    expect((await cancel(id, '{"reason":7}')).status).toBe(422);
    expect((await cancel(id, '{"run_id":"x"}')).text).toContain('extra_forbidden');
  });

  test('any id is percent-decoded and printed', async () => {
    await server.run('a "b"é');
    const { status, text } = await cancel('a%20%22b%22%C3%A9');
    expect([status, JSON.parse(text)]).toEqual([200, { run_id: 'a "b"é', status: 'cancelled' }]);
  });

  test('a silent store is 503', async () => {
    const silent = () => Promise.reject(new StoreUnavailableError());
    const failing = await startServer({ submitter: { submit: silent, cancel: silent } });
    const { status, text } = await ask(`${failing.url}/runs/x/cancel`, {
      method: 'POST',
      headers: JSON_TYPE,
      body: '{}',
    });
    expect([status, text]).toEqual([503, '{"detail":"store unavailable"}']);
    await failing.stop();
  });
});

describe('errors of the ports', () => {
  async function withSubmit(error: Error, check: (url: string, log: TestServer['log']) => Promise<void>) {
    const fail = () => Promise.reject(error);
    const failing = await startServer({ submitter: { submit: fail, cancel: fail } });
    try {
      await check(failing.url, failing.log);
    } finally {
      await failing.stop();
    }
  }
  const create = (url: string) =>
    ask(`${url}/runs`, { method: 'POST', headers: JSON_TYPE, body: '{"composition":{"layers":[]}}' });

  test('stopping is 503 with the exact detail', async () => {
    await withSubmit(new SchedulerStoppingError(), async (url) => {
      const { status, text, headers } = await create(url);
      expect([status, text]).toEqual([503, '{"detail":"run scheduler is shutting down"}']);
      expect(headers.get('retry-after')).toBe('1');
    });
  });

  test('too many runs is 503 with the time after which to try again', async () => {
    await withSubmit(new TooManyRunsError(7), async (url) => {
      const { status, text, headers } = await create(url);
      expect([status, text]).toEqual([503, '{"detail":"too many active runs: limit is 7"}']);
      expect(headers.get('retry-after')).toBe('1');
      expect(headers.get('content-type')).toBe('application/json');
    });
  });

  test('a key that was used for another request is 409 in strict mode', async () => {
    await withSubmit(new IdempotencyConflictError(), async (url) => {
      const { status, text } = await create(url);
      expect([status, text]).toEqual([409, '{"detail":"idempotency_key was used for another request"}']);
    });
  });

  test('a silent store is 503 store unavailable, and the cause is logged', async () => {
    await withSubmit(new StoreUnavailableError(new Error('disk on fire')), async (url, log) => {
      const { status, text } = await create(url);
      expect([status, text]).toEqual([503, '{"detail":"store unavailable"}']);
      expect(log.find((entry) => entry.level === 'warn')?.fields.cause).toBe('disk on fire');
    });
  });

  test('anything else is 500 with 21 bytes of text, and is logged with the request id but without the body', async () => {
    await withSubmit(new TypeError('a bug with sk-secret'), async (url, log) => {
      const { status, text, headers } = await create(url);
      expect([status, text, headers.get('content-type'), headers.get('content-length')]).toEqual([
        500,
        'Internal Server Error',
        'text/plain; charset=utf-8',
        '21',
      ]);
      const entry = log.find(({ level }) => level === 'error');
      expect(entry?.fields.request_id).toBe(headers.get('x-request-id') ?? '');
      expect(JSON.stringify(log)).not.toContain('composition');
    });
  });
});

describe('GET /runs/{id}', () => {
  test('prints the record in the order of the wire', async () => {
    const runId = await server.run();
    const { status, text } = await ask(`${server.url}/runs/${runId}`);
    expect(status).toBe(200);
    expect(text).toBe(
      `{"run_id":"${runId}","status":"running","created_at":"2026-06-02T08:15:30.204117Z","updated_at":"2026-06-02T08:15:30.204117Z","error":null}`,
    );
  });

  test('any id is looked up, percent-decoded', async () => {
    await server.run('a bé?x');
    expect((await ask(`${server.url}/runs/a%20b%C3%A9%3Fx`)).status).toBe(200);
    expect((await ask(`${server.url}/runs/${'x'.repeat(600)}`)).text).toBe('{"detail":"run not found"}');
    expect((await ask(`${server.url}/runs/%zz%ff`)).text).toBe('{"detail":"run not found"}');
  });
});

describe('GET /runs/{id}/events', () => {
  test('pages by cursor; an empty page gives the cursor text back', async () => {
    const runId = await server.run();
    const empty = await ask(`${server.url}/runs/${runId}/events`);
    expect(empty.text).toBe(`{"run_id":"${runId}","events":[],"next_cursor":"0-0"}`);
    await server.store.append(runId, [runStarted(runId)]);
    await server.say(runId, 'a', 'b', 'c');
    const first = JSON.parse((await ask(`${server.url}/runs/${runId}/events?limit=2`)).text);
    expect(first.events.map((event: { type: string }) => event.type)).toEqual(['run_started', 'pydantic_ai_event']);
    expect(Object.keys(first.events[0])).toEqual(['id', 'run_id', 'created_at', 'type', 'data']);
    expect(first.next_cursor).toBe(first.events[1].id);
    const second = JSON.parse((await ask(`${server.url}/runs/${runId}/events?after=${first.next_cursor}`)).text);
    expect(
      second.events.map((event: { data: { delta: { content_delta: string } } }) => event.data.delta.content_delta),
    ).toEqual(['b', 'c']);
    const last = await ask(`${server.url}/runs/${runId}/events?after=%20${second.next_cursor}`);
    expect(JSON.parse(last.text)).toEqual({ run_id: runId, events: [], next_cursor: ` ${second.next_cursor}` });
  });

  test('the last of repeated parameters counts, unknown ones are ignored, ints are lax', async () => {
    const runId = await server.run();
    await server.say(runId, 'a', 'b', 'c');
    const count = async (query: string) =>
      JSON.parse((await ask(`${server.url}/runs/${runId}/events?${query}`)).text).events.length;
    expect(await count('limit=abc&limit=2&x=1')).toBe(2);
    expect(await count('after=zzz&after=0')).toBe(3);
    expect(await count('limit=1.0')).toBe(1);
    expect(await count('limit=+2+')).toBe(2);
  });

  test('a bad limit is told first, then an unknown run, then a bad cursor', async () => {
    const both = await ask(`${server.url}${UNKNOWN}/events?after=abc&limit=501`);
    expect(both.status).toBe(422);
    expect(JSON.parse(both.text).detail).toEqual([
      {
        type: 'less_than_equal',
        loc: ['query', 'limit'],
        msg: 'Input should be less than or equal to 500',
        input: '501',
        ctx: { le: 500 },
      },
    ]);
    for (const path of ['events', 'events/sse']) {
      expect((await ask(`${server.url}${UNKNOWN}/${path}?after=abc`)).text).toBe('{"detail":"run not found"}');
    }
    const { status, text } = await ask(`${server.url}/runs/${await server.run()}/events?after=abc`);
    expect(status).toBe(422);
    expect(JSON.parse(text).detail).toEqual([
      {
        type: 'value_error',
        loc: ['query', 'after'],
        msg: 'Value error, invalid cursor: expected an event id such as 1780388130204-0',
        input: 'abc',
        ctx: { error: {} },
      },
    ]);
  });

  test.each(['', 'abc', '$', '-', '+', '5-', '18446744073709551615-18446744073709551615', '99999999999999999999'])(
    'the cursor %p is 422',
    async (cursor) => {
      const runId = await server.run();
      const { status } = await ask(`${server.url}/runs/${runId}/events?after=${encodeURIComponent(cursor)}`);
      expect(status).toBe(422);
    },
  );

  test.each([
    ['', 'int_parsing'],
    ['abc', 'int_parsing'],
    ['0', 'greater_than_equal'],
    ['1.5', 'int_parsing'],
  ])('limit=%p is %s', async (limit, type) => {
    const { status, text } = await ask(`${server.url}${UNKNOWN}/events?limit=${limit}`);
    expect(status).toBe(422);
    expect(JSON.parse(text).detail[0]).toMatchObject({ type, loc: ['query', 'limit'], input: limit });
  });

  test('a page in which events are missing says so in a header; its bytes are those of any page', async () => {
    const event = (id: string, more: Partial<StoredEvent> = {}): StoredEvent => ({
      id,
      payload: runStarted('r'),
      ...more,
    });
    const trimming = await startServer({
      runs: {
        ...server.store,
        getRecord: async () => ({ run_id: 'r', status: 'running', created_at: '', updated_at: '', error: null }),
        readEvents: async (_, after) => [event('1-0'), event('7-0', after === '0-0' ? { trimmedBefore: true } : {})],
      },
    });
    const trimmed = await ask(`${trimming.url}/runs/r/events`);
    const whole = await ask(`${trimming.url}/runs/r/events?after=0-1`);
    expect(trimmed.headers.get('x-agent-events-trimmed')).toBe('true');
    expect(whole.headers.get('x-agent-events-trimmed')).toBeNull();
    expect(trimmed.text).toBe(whole.text);
    await trimming.stop();
  });

  test('an unreadable event is skipped and logged, the cursor passes it', async () => {
    const runId = await server.run();
    await server.store.append(runId, ['{"type":"from_the_future","data":{}}']);
    const page = JSON.parse((await ask(`${server.url}/runs/${runId}/events`)).text);
    expect(page.events).toEqual([]);
    expect(page.next_cursor).not.toBe('0-0');
    expect(
      server.log.some((entry) => entry.message === 'unreadable event skipped' && entry.fields.run_id === runId),
    ).toBe(true);
  });
});

describe('probes', () => {
  test('healthz and readyz answer 200', async () => {
    expect((await ask(`${server.url}/healthz`)).text).toBe('{"status":"ok"}');
    expect((await ask(`${server.url}/readyz`)).text).toBe('{"status":"ready"}');
    expect((await ask(`${server.url}/healthz`, { method: 'HEAD' })).status).toBe(200);
  });

  test('readyz lists problems, and says when it stops', async () => {
    const troubled = await startServer({
      readiness: async () => {
        throw new Error('no store');
      },
    });
    const failed = await ask(`${troubled.url}/readyz`);
    expect([failed.status, JSON.parse(failed.text).problems]).toEqual([503, ['the readiness check failed: no store']]);
    troubled.http.beginShutdown();
    const stopping = await ask(`${troubled.url}/readyz`);
    expect([stopping.status, JSON.parse(stopping.text).problems]).toEqual([503, ['the server is shutting down']]);
    expect((await ask(`${troubled.url}/healthz`)).status).toBe(200);
    await troubled.stop();
  });
});

describe('every answer', () => {
  test('carries a request id: the sane one it got, else a new one', async () => {
    const id = async (given?: string) =>
      (await ask(`${server.url}/nope`, given === undefined ? {} : { headers: { 'x-request-id': given } })).headers.get(
        'x-request-id',
      );
    expect(await id('abc-123')).toBe('abc-123');
    expect(await id('x'.repeat(128))).toBe('x'.repeat(128));
    for (const bad of ['x'.repeat(129), 'a b', 'é', undefined]) {
      expect(await id(bad)).toMatch(/^[0-9a-f-]{36}$/);
    }
    for (const path of ['/runs/', '/runs', '/healthz', '/docs', `${UNKNOWN}/events/sse`]) {
      expect((await ask(server.url + path)).headers.get('x-request-id')).not.toBeNull();
    }
  });

  test('is logged at debug with method, route, status and time, never with a body', async () => {
    await ask(`${server.url}/runs`, {
      method: 'POST',
      headers: { ...JSON_TYPE, 'x-request-id': 'log-me' },
      body: '{"secret":1}',
    });
    const entry = server.log.find(({ fields }) => fields.request_id === 'log-me');
    expect(entry).toMatchObject({ level: 'debug', fields: { method: 'POST', route: '/runs', status: 422 } });
    expect(entry?.fields.ms).toBeNumber();
    expect(JSON.stringify(server.log)).not.toContain('secret');
  });
});
