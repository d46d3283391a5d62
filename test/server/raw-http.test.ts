// What fetch cannot say: odd framing, odd targets, slow and oversized senders.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { residentWithin } from '../support/memory.ts';
import { until } from '../support/until.ts';
import { ask, connect, type RawConnection, startServer, type TestServer } from './support.ts';

const LIMIT = 1_000_000;
let server: TestServer;
const open: RawConnection[] = [];

beforeAll(async () => {
  server = await startServer({ timings: { bodyTimeoutMs: 150 }, settings: { maxRequestBytes: LIMIT } });
});
afterEach(() => {
  for (const connection of open.splice(0)) connection.end();
});
afterAll(() => server.stop());

async function raw(text: string | Uint8Array): Promise<RawConnection> {
  const connection = await connect(server.port);
  open.push(connection);
  connection.write(text);
  return connection;
}

/** Sends and waits until the response's body has this end. */
async function answer(text: string, end: string): Promise<string> {
  const connection = await raw(text);
  return until(`${end} in the answer`, () => connection.received.endsWith(end) && connection.received);
}

const NOT_FOUND = '{"detail":"Not Found"}';
const RUN_NOT_FOUND = '{"detail":"run not found"}';
const VALID = '{"composition":{"layers":[]}}';
const POST = 'POST /runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
const TOO_LARGE = `{"detail":"request body too large: limit is ${LIMIT} bytes"}`;

describe('targets', () => {
  test.each([
    ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', 404, NOT_FOUND],
    ['GET /runs/a%2Fb HTTP/1.1\r\nHost: x\r\n\r\n', 404, NOT_FOUND],
    ['GET /runs/a%2fevents HTTP/1.1\r\nHost: x\r\n\r\n', 404, NOT_FOUND],
    ['GET /runs/a HTTP/1.1\r\nHost: x\r\n\r\n', 404, RUN_NOT_FOUND],
    ['GET /runs/a HTTP/1.1\r\nHost: a:1\r\n\r\n', 404, RUN_NOT_FOUND],
    ['GET /runs/a HTTP/1.0\r\n\r\n', 404, RUN_NOT_FOUND],
    ['GET /runs/a/events?limit=abc HTTP/1.0\r\n\r\n', 422, '"input":"abc"}]}'],
    ['GET /runs/a HTTP/1.1\r\nHost: bad host<>\r\n\r\n', 404, RUN_NOT_FOUND],
    ['GET http://other.example/runs/a?x HTTP/1.1\r\nHost: x\r\n\r\n', 404, RUN_NOT_FOUND],
    ['GET https://other.example/runs/a HTTP/1.1\r\nHost: x\r\n\r\n', 404, RUN_NOT_FOUND],
    ['GET https://a/runs/a/events?limit=abc#x HTTP/1.1\r\nHost: x\r\n\r\n', 422, '"input":"abc"}]}'],
    ['GET /runs/%zz HTTP/1.1\r\nHost: x\r\n\r\n', 404, RUN_NOT_FOUND],
    ['GET /runs/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n', 404, RUN_NOT_FOUND],
    ['GET //runs/a HTTP/1.1\r\nHost: x\r\n\r\n', 404, NOT_FOUND],
    ['GET /runs//events HTTP/1.1\r\nHost: x\r\n\r\n', 404, NOT_FOUND],
    ['GET /runs/a/events/sse/x HTTP/1.1\r\nHost: x\r\n\r\n', 404, NOT_FOUND],
    ['GET /runs/a#frag?limit=0 HTTP/1.1\r\nHost: x\r\n\r\n', 404, RUN_NOT_FOUND],
    ['GET /runs/a/events#?limit=0 HTTP/1.1\r\nHost: x\r\n\r\n', 404, RUN_NOT_FOUND],
    ['GET /healthz#?x HTTP/1.1\r\nHost: x\r\n\r\n', 200, '{"status":"ok"}'],
    ['GET /healthz?#/x HTTP/1.0\r\n\r\n', 200, '{"status":"ok"}'],
    ['PATCH /runs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}', 405, '{"detail":"Method Not Allowed"}'],
    ['CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n', 404, NOT_FOUND],
  ])('%j', async (request, status, body) => {
    expect(await answer(request, body)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  test.each([
    ['GET /runs/ HTTP/1.1\r\nHost: example.com:8000\r\n\r\n', 'http://example.com:8000/runs'],
    ['GET /runs/// HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n', 'http://[::1]:8000/runs'],
    ['GET /runs/a%20b/events/?after=5&x HTTP/1.1\r\nHost: x\r\n\r\n', 'http://x/runs/a%20b/events?after=5&x'],
    ['GET /runs/? HTTP/1.1\r\nHost: x\r\n\r\n', 'http://x/runs'],
    ['GET /docs/ HTTP/1.1\r\nHost: x\r\n\r\n', 'http://x/docs'],
    ['GET /runs/ HTTP/1.0\r\n\r\n', '/runs'],
    ['GET /runs/ HTTP/1.1\r\nHost: evil.example/?\r\n\r\n', '/runs'],
    ['GET /runs/ HTTP/1.1\r\nHost: user@evil.example\r\n\r\n', '/runs'],
    ['GET /runs/ HTTP/1.1\r\nHost: a:123456\r\n\r\n', '/runs'],
    [`GET /runs/ HTTP/1.1\r\nHost: ${'a'.repeat(256)}\r\n\r\n`, '/runs'],
    ['GET /runs/ HTTP/1.1\r\nHost: a, b\r\n\r\n', '/runs'],
  ])('%j redirects to %s', async (request, location) => {
    const connection = await raw(request);
    await until('the answer', () => connection.received.endsWith('\r\n\r\n'));
    expect(connection.received).toMatch(/^HTTP\/1.1 307 /);
    expect(/^location: (.*)\r$/im.exec(connection.received)?.[1]).toBe(location);
    expect(connection.received).toMatch(/^content-length: 0\r$/im);
  });

  test('HEAD is 405 without a body, and the connection goes on', async () => {
    const connection = await raw('HEAD /runs/a HTTP/1.1\r\nHost: x\r\n\r\nGET /nope HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('the second answer', () => connection.received.endsWith(NOT_FOUND));
    const [head = '', rest = ''] = connection.received.split('\r\n\r\n', 2);
    expect(head).toMatch(/^HTTP\/1.1 405 /);
    expect(head).toMatch(/^allow: GET$/im);
    expect(rest).toMatch(/^HTTP\/1.1 404 /);
  });
});

describe('request ids', () => {
  test.each([
    ['abc-1', true],
    ['!~"{}', true],
    ['x'.repeat(128), true],
    ['x'.repeat(129), false],
    ['a b', false],
    ['a\tb', false],
    ['caf\xe9', false],
    ['a\x9bb', false],
    ['', false],
  ])('%j is kept: %p', async (given, kept) => {
    const connection = await raw(`GET /nope HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${given}\r\n\r\n`);
    await until('the answer', () => connection.received.endsWith(NOT_FOUND));
    const id = /^x-request-id: (.*)\r$/im.exec(connection.received)?.[1] ?? '';
    if (kept) expect(id).toBe(given);
    else expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    expect(server.log.at(-1)?.fields.request_id).toBe(id);
  });

  test('nothing that a caller writes into a path gets into the log as it is', async () => {
    const entries = server.log.length;
    await answer('GET /runs/%0Ainjected%1B%5B31m HTTP/1.1\r\nHost: x\r\n\r\n', RUN_NOT_FOUND);
    await answer('GET /nope%0Ainjected HTTP/1.1\r\nHost: x\r\n\r\n', NOT_FOUND);
    const routes = server.log.slice(entries).map(({ fields }) => fields.route);
    expect(routes).toEqual(['/runs/:run_id', null]);
    expect(JSON.stringify(server.log.slice(entries))).not.toContain('injected');
  });
});

describe('framing', () => {
  test('pipelined requests are answered in order', async () => {
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
    const connection = await raw(`${get('/healthz')}${POST}Content-Length: 2\r\n\r\n{}${get('/nope')}`);
    await until('three answers', () => connection.received.endsWith(NOT_FOUND));
    expect([...connection.received.matchAll(/HTTP\/1.1 (\d+)/g)].map((match) => match[1])).toEqual([
      '200',
      '422',
      '404',
    ]);
  });

  test('a request pipelined behind one that waits for the store ends the connection, and nothing else', async () => {
    // Bun 1.4 does not queue behind a response that is under way (oven-sh/bun#38128).
    const connection = await raw(
      `${POST}Content-Length: ${VALID.length}\r\n\r\n${VALID}GET /nope HTTP/1.1\r\nHost: x\r\n\r\n`,
    );
    await until('the end', () => connection.closed);
    expect((await ask(`${server.url}/healthz`)).status).toBe(200);
  });

  test('a chunked body is read', async () => {
    const chunks = [...VALID].map((character) => `1\r\n${character}\r\n`).join('');
    const text = await answer(`${POST}Transfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`, '"status":"running"}');
    expect(text).toMatch(/^HTTP\/1.1 202 /);
  });

  test('a body that comes in pieces is read', async () => {
    const connection = await raw(`${POST}Content-Length: ${VALID.length}\r\n\r\n${VALID.slice(0, 5)}`);
    connection.write(VALID.slice(5));
    await until('the answer', () => connection.received.endsWith('"status":"running"}'));
  });

  test('no body and no length is an empty body', async () => {
    expect(await answer(`${POST}\r\n`, '"input":null}]}')).toMatch(/^HTTP\/1.1 422 /);
  });

  test('Expect: 100-continue is honoured', async () => {
    const text = await answer(
      `${POST}Expect: 100-continue\r\nContent-Length: ${VALID.length}\r\n\r\n${VALID}`,
      '"status":"running"}',
    );
    expect(text).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 202 /);
  });
});

describe('large and slow bodies', () => {
  const fill = (bytes: number) => Buffer.alloc(bytes, 0x20);

  test('exactly the limit is read, one byte more is 413', async () => {
    const post = (body: Uint8Array) =>
      ask(`${server.url}/runs`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const exact = fill(LIMIT);
    exact.write(VALID);
    expect((await post(exact)).status).toBe(202);
    expect(await post(fill(LIMIT + 1))).toMatchObject({ status: 413, text: TOO_LARGE });
  });

  test('a chunked body over the limit is 413 and costs no memory', async () => {
    const before = process.memoryUsage().rss;
    const connection = await raw(`${POST}Transfer-Encoding: chunked\r\n\r\n`);
    const chunk = Buffer.concat([Buffer.from('100000\r\n'), fill(0x100000), Buffer.from('\r\n')]);
    for (let sent = 0; sent < 6; sent++) connection.write(chunk);
    connection.write('0\r\n\r\n');
    await until('the answer', () => connection.received.endsWith(TOO_LARGE));
    await residentWithin(before, 60_000_000);
  });

  test('after a drained oversized body the connection goes on', async () => {
    const connection = await raw(`${POST}Content-Length: ${LIMIT * 2}\r\n\r\n`);
    connection.write(fill(LIMIT * 2));
    await until('the answer', () => connection.received.endsWith(TOO_LARGE));
    connection.write('GET /nope HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('the second answer', () => connection.received.endsWith(NOT_FOUND));
  });

  test('a hopeless length is refused at once and the connection is closed', async () => {
    for (const length of [100_000_000, 10 ** 11]) {
      const connection = await raw(`${POST}Content-Length: ${length}\r\n\r\n{`);
      await until('the answer and the end', () => connection.closed);
      expect(connection.received).toMatch(/^HTTP\/1.1 413 /);
      expect(connection.received).toEndWith(TOO_LARGE);
    }
  });

  test('a sender that is too slow gets 408 and is cut off, others are served meanwhile', async () => {
    const slow = await Promise.all(
      Array.from({ length: 20 }, () => raw(`${POST}Content-Length: ${VALID.length}\r\n\r\n{`)),
    );
    const chunked = await raw(`${POST}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`);
    expect((await ask(`${server.url}/healthz`)).status).toBe(200);
    for (const connection of [...slow, chunked]) {
      await until('the end', () => connection.closed);
      expect(connection.received).toMatch(/^HTTP\/1.1 408 /);
      expect(connection.received).toEndWith('{"detail":"request body timed out"}');
    }
  });

  test('a sender that goes away leaves nothing behind', async () => {
    const count = server.submitted.length;
    for (let i = 0; i < 20; i++) (await raw(`${POST}Content-Length: 500\r\n\r\n{`)).end();
    const logged = () => server.log.filter(({ fields }) => fields.route === '/runs' && fields.status === 400).length;
    await until('the requests to end', () => logged() >= 20);
    expect(server.submitted.length).toBe(count);
    expect(server.log.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
