// Tokens on the wire (spec 01 §1.4): what passes, what is refused with which words, and how much of a stranger's request is
// looked at before it is refused.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { residentWithin } from '../support/memory.ts';
import { until } from '../support/until.ts';
import { basic, GUARDED, OLDER, startWithDoors, TOKEN } from './doors.ts';
import { ask, connect, type RawConnection, type TestServer } from './support.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const VALID = '{"composition":{"layers":[]}}';
const BEARER = `Bearer ${TOKEN}`;
const MISSING = 'missing authorization header';
const SCHEME = 'invalid authorization scheme';
const MISMATCH = 'invalid bearer token';
const UNKNOWN_RUN = '{"detail":"run not found"}';
const NOT_FOUND = '{"detail":"Not Found"}';

let server: TestServer;
const open: RawConnection[] = [];

beforeAll(async () => {
  server = await startWithDoors({ access: GUARDED }, { timings: { bodyTimeoutMs: 300 } });
});
afterEach(() => {
  for (const connection of open.splice(0)) connection.end();
});
afterAll(() => server.stop());

const withHeader = (authorization: string | null) => (authorization === null ? {} : { authorization });

async function raw(text: string | Uint8Array): Promise<RawConnection> {
  const connection = await connect(server.port);
  open.push(connection);
  connection.write(text);
  return connection;
}

function post(body: string | Uint8Array, headers: Record<string, string>) {
  return ask(`${server.url}/runs`, { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body });
}

describe('the header', () => {
  test.each([
    [null, MISSING],
    ['', SCHEME],
    ['Bearer', SCHEME],
    ['Bearer ', SCHEME],
    ['Bearer    ', SCHEME],
    ['Token abc', SCHEME],
    ['bearertok', SCHEME],
    [TOKEN, SCHEME],
    ['Bearer wrong', MISMATCH],
    [`Bearer ${TOKEN}x`, MISMATCH],
    [`Bearer ${TOKEN.slice(0, -1)}`, MISMATCH],
    [`Bearer ${TOKEN.toUpperCase()}`, MISMATCH],
    [`Bearer ${TOKEN}, Bearer ${TOKEN}`, MISMATCH],
    [`Bearer ${'x'.repeat(8000)}`, MISMATCH],
    [basic('user'), SCHEME],
    [basic('user:'), SCHEME],
    ['Basic', SCHEME],
    ['Basic %%%', SCHEME],
    [basic('user:wrong'), MISMATCH],
    [basic(`${TOKEN}:wrong`), MISMATCH],
  ])('%j is 401 %s', async (authorization, detail) => {
    const { status, text, headers } = await ask(`${server.url}/runs/x`, { headers: withHeader(authorization) });
    expect([status, text, headers.get('www-authenticate')]).toEqual([401, JSON.stringify({ detail }), 'Bearer']);
    expect(headers.get('content-type')).toBe('application/json');
    expect(headers.get('x-request-id')).toBeTruthy();
  });

  test.each([
    BEARER,
    `bearer ${TOKEN}`,
    `BEARER   ${TOKEN}  `,
    `Bearer ${OLDER}`,
    basic(`any:${TOKEN}`),
    basic(`:${TOKEN}`),
    basic(`dify:${OLDER}`),
    basic(`any:${TOKEN}`).replace('Basic', 'bAsIc'),
  ])('%j passes', async (authorization) => {
    expect(await ask(`${server.url}/runs/x`, { headers: { authorization } })).toMatchObject({
      status: 404,
      text: UNKNOWN_RUN,
    });
  });

  test('an empty user name and a token with a colon: all after the first colon is the password', async () => {
    const other = await startWithDoors({
      access: { apiToken: 'a:b:c', apiTokensPrevious: [], allowAnonymous: false },
    });
    const status = async (authorization: string) =>
      (await ask(`${other.url}/runs/x`, { headers: { authorization } })).status;
    expect(await Promise.all([basic(':a:b:c'), basic('u:a:b:c'), basic('a:b:c')].map(status))).toEqual([404, 404, 401]);
    await other.stop();
  });
});

describe('what needs a token', () => {
  test.each([
    ['POST', '/runs'],
    ['GET', '/runs/x'],
    ['POST', '/runs/x/cancel'],
    ['GET', '/runs/x/events'],
    ['GET', '/runs/x/events?limit=abc'],
    ['GET', '/runs/x/events/sse'],
    ['GET', '/runs/x/events/sse?after=nonsense'],
    ['GET', '/runs/%72'],
    ['GET', 'http://other.example/runs/x'],
  ])('%s %s', async (method, target) => {
    const connection = await raw(`${method} ${target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`);
    await until('the answer', () => connection.received.endsWith(`{"detail":"${MISSING}"}`));
    expect(connection.received).toMatch(/^HTTP\/1.1 401 /);
  });

  test.each([
    '/healthz',
    '/readyz',
    '/openapi.json',
    '/docs',
    '/redoc',
    '/docs/init.js',
    '/docs/swagger-ui.css',
    '/docs/oauth2-redirect',
  ])('%s does not', async (path) => {
    for (const method of ['GET', 'HEAD']) expect((await ask(`${server.url}${path}`, { method })).status).not.toBe(401);
    const wrong = await ask(`${server.url}${path}`, { headers: { authorization: 'Bearer wrong' } });
    expect(wrong.status).toBe(200);
  });

  test('404, 405 and 307 come before it', async () => {
    const answers = await Promise.all([
      ask(`${server.url}/nope`),
      ask(`${server.url}/runs`),
      ask(`${server.url}/runs/x`, { method: 'DELETE' }),
      ask(`${server.url}/runs/`, { method: 'POST' }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([404, 405, 405, 307]);
  });

  test('nothing of a refused request reaches the runs', async () => {
    const runId = await server.run();
    const count = server.submitted.length;
    await post(VALID, { authorization: 'Bearer wrong' });
    await ask(`${server.url}/runs/${runId}/cancel`, { method: 'POST', headers: JSON_TYPE, body: '{}' });
    expect(server.submitted.length).toBe(count);
    expect((await server.store.getRecord(runId))?.status).toBe('running');
    const cancelled = await server.store.finalise(runId, {
      status: 'cancelled',
      updatedAt: '2026-06-02T08:15:31Z',
      error: null,
      payload: '{}',
    });
    expect(cancelled).toMatchObject({ applied: false, cancel: null }); // nobody's wish was kept
  });

  test('with it, everything works: create, status, events, stream', async () => {
    const headers = { authorization: BEARER };
    const created = await post(VALID, headers);
    expect(created.status).toBe(202);
    const { run_id: runId } = JSON.parse(created.text) as { run_id: string };
    await server.succeed(runId);
    expect((await ask(`${server.url}/runs/${runId}`, { headers })).status).toBe(200);
    expect((await ask(`${server.url}/runs/${runId}/events`, { headers })).text).toContain('run_succeeded');
    expect((await ask(`${server.url}/runs/${runId}/events/sse`, { headers })).text).toContain('event: run_succeeded');
  });

  test('credentials in the URL will do: HTTP clients send them as Basic', async () => {
    const url = `${server.url}/runs/x`;
    expect((await ask(url.replace('//', `//dify:${encodeURIComponent(TOKEN)}@`))).status).toBe(404);
    expect((await ask(url.replace('//', '//dify:wrong@'))).status).toBe(401);
  });
});

describe('the body of a stranger', () => {
  const fill = (bytes: number) => Buffer.alloc(bytes, 0x20);
  const REFUSED = JSON.stringify({ detail: MISSING });

  test('malformed JSON is 422 before 401, a wrong schema is 401 before 422', async () => {
    const broken = await post('{"a":}', {});
    expect([broken.status, broken.text]).toEqual([
      422,
      '{"detail":[{"type":"json_invalid","loc":["body",5],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting value"}}]}',
    ]);
    expect((await post(Buffer.from([0x7b, 0xff, 0x7d]), {})).status).toBe(400);
    for (const body of ['{}', '[]', 'null', '', VALID])
      expect([body, (await post(body, {})).status]).toEqual([body, 401]);
    expect((await post('{"a":}', { 'content-type': 'text/plain' })).status).toBe(401);
    expect((await post('{}', { authorization: BEARER })).status).toBe(422);
  });

  test('is read up to 64 KiB and no further: the answer does not wait for more', async () => {
    const head = 'POST /runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    const small = Buffer.concat([Buffer.from(`${head}Content-Length: 65536\r\n\r\n{"a":}`), fill(65_530)]);
    const answered = async (text: string | Uint8Array) => {
      const connection = await raw(text);
      await until('the answer', () => connection.received.includes('"detail"'));
      return connection;
    };
    expect((await answered(small)).received).toMatch(/^HTTP\/1.1 422 /);
    const silent = await answered(`${head}Content-Length: 65537\r\n\r\n{"a":}`);
    expect(silent.received).toMatch(/^HTTP\/1.1 401 /);
    expect(silent.received).toEndWith(REFUSED);
    const huge = await answered(`${head}Content-Length: ${10 ** 11}\r\n\r\n{"a":}`);
    expect(huge.received).toMatch(/^HTTP\/1.1 401 /);
    await until('the end', () => huge.closed);
    const chunked = await answered(
      Buffer.concat([
        Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n11000\r\n`),
        fill(0x11000),
        Buffer.from('\r\n'),
      ]),
    );
    expect(chunked.received).toMatch(/^HTTP\/1.1 401 /);
    await until('the end', () => chunked.closed);
  });

  test('a client that sends everything before it reads sees its 401, and the connection goes on', async () => {
    expect(await post(fill(900_000), {})).toMatchObject({ status: 401, text: REFUSED });
    expect(await post(fill(5_000_000), {})).toMatchObject({ status: 401, text: REFUSED });
    const head = 'POST /runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    const connection = await raw(Buffer.concat([Buffer.from(`${head}Content-Length: 200000\r\n\r\n`), fill(200_000)]));
    await until('the answer', () => connection.received.endsWith(REFUSED));
    connection.write('GET /nope HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('the second answer', () => connection.received.endsWith(NOT_FOUND));
  });

  test('that does not come is a 401 and the end of the connection', async () => {
    const head = 'POST /runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
    for (const framing of ['Content-Length: 500', 'Transfer-Encoding: chunked']) {
      const connection = await raw(`${head}${framing}\r\n\r\n`);
      await until('the end', () => connection.closed);
      expect(connection.received).toMatch(/^HTTP\/1.1 401 /);
    }
  });

  test('many of them at once neither keep memory nor keep callers out', async () => {
    const head = 'POST /runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 65536\r\n\r\n';
    const before = process.memoryUsage().rss;
    const strangers = await Promise.all(
      Array.from({ length: 300 }, () => raw(Buffer.concat([Buffer.from(head), fill(65_000)]))),
    );
    expect((await post(VALID, { authorization: BEARER })).status).toBe(202);
    // 64 wait for the rest of their bodies; those beyond the budget have their answer already.
    await until('the refusals', () => strangers.filter(({ received }) => received.endsWith(REFUSED)).length >= 236);
    await residentWithin(before, 100_000_000);
    await until('the others', () => strangers.every(({ received }) => received.endsWith(REFUSED)));
  });
});

test('no answer and no log entry repeats a token', async () => {
  const secret = 'a-token-that-somebody-mistyped';
  for (const authorization of [`Bearer ${secret}`, basic(`u:${secret}`), BEARER]) {
    const { text, headers } = await ask(`${server.url}/runs/x`, { headers: { authorization } });
    for (const output of [text, JSON.stringify([...headers]), JSON.stringify(server.log)]) {
      expect(output).not.toContain(secret);
      expect(output).not.toContain(TOKEN);
      expect(output).not.toContain(Buffer.from(`u:${secret}`).toString('base64'));
    }
  }
});

test('without a token in the settings everybody may call, whatever they send', async () => {
  const free = await startWithDoors({});
  for (const authorization of [null, 'Bearer x', 'nonsense']) {
    expect((await ask(`${free.url}/runs/x`, { headers: withHeader(authorization) })).status).toBe(404);
  }
  await free.stop();
});
