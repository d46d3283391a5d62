// The memory that request bodies share while they are received: what is taken is given back, whatever becomes of a request,
// and what does not fit is told so.

import { afterEach, expect, test } from 'bun:test';
import { createBodyBudget, readBody, tryReadBody } from '../../src/server/body.ts';
import { residentWithin } from '../support/memory.ts';
import { until } from '../support/until.ts';
import { startWithDoors } from './doors.ts';
import { ask, connect, type RawConnection, type TestServer } from './support.ts';

const open: RawConnection[] = [];
const servers: TestServer[] = [];

afterEach(async () => {
  for (const connection of open.splice(0)) connection.end();
  for (const server of servers.splice(0)) await server.stop();
});

async function serverWith(maxPendingRequestBytes: number, maxRequestBytes = 1_000_000, bodyTimeoutMs = 30_000) {
  const server = await startWithDoors({ maxPendingRequestBytes, maxRequestBytes }, { timings: { bodyTimeoutMs } });
  servers.push(server);
  return server;
}

async function raw(port: number, text: string | Uint8Array): Promise<RawConnection> {
  const connection = await connect(port);
  open.push(connection);
  connection.write(text);
  return connection;
}

const HEAD = 'POST /runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
const VALID = '{"composition":{"layers":[]}}';
const declared = (bytes: number, body: string | Uint8Array = '') =>
  Buffer.concat([Buffer.from(`${HEAD}Content-Length: ${bytes}\r\n\r\n`), Buffer.from(body)]);
const spaces = (bytes: number) => Buffer.alloc(bytes, 0x20);
const chunk = (bytes: number) =>
  Buffer.concat([Buffer.from(`${bytes.toString(16)}\r\n`), spaces(bytes), Buffer.from('\r\n')]);
const END = Buffer.from('0\r\n\r\n');
const chunked = (...chunks: readonly Uint8Array[]) =>
  Buffer.concat([Buffer.from(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`), ...chunks]);
const full = (limit: number) => `{"detail":"too many request bodies at once: limit is ${limit} bytes"}`;
const post = (server: TestServer, body: string | Uint8Array = VALID) =>
  ask(`${server.url}/runs`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });

/** Sends what stays unfinished; resolves when the server waits for the rest, so that `more` bytes do not fit beside it. */
async function hold(server: TestServer, request: Uint8Array, more: number): Promise<RawConnection> {
  let connection = await raw(server.port, request);
  await ask(`${server.url}/healthz`); // the server has most likely seen it by now
  await until('the budget to be taken', async () => {
    if (connection.received !== '') connection = await raw(server.port, request); // a probe was there before it
    return (await post(server, spaces(more))).status === 503;
  });
  return connection;
}

test('a body that does not fit beside the others is 503 with Retry-After, and fits when one of them is gone', async () => {
  const server = await serverWith(1_000_000);
  const first = await hold(server, declared(600_000, '{'), 500_000);
  const refused = await post(server, spaces(500_000));
  expect([refused.status, refused.text, refused.headers.get('retry-after')]).toEqual([503, full(1_000_000), '1']);
  expect((await post(server, VALID.padEnd(399_000))).status).toBe(202);
  first.end();
  await until('the budget to be given back', async () => (await post(server, VALID.padEnd(900_000))).status === 202);
});

test('200 senders of 2 MB who stop half-way hold no more than the budget, and callers are told at once', async () => {
  const budget = 50_000_000;
  const server = await serverWith(budget, 4_000_000);
  const before = process.memoryUsage().rss;
  const half = spaces(1_000_000);
  const senders: RawConnection[] = [];
  for (let i = 0; i < 200; i++) senders.push(await raw(server.port, declared(2_000_000, half)));
  await until('the refusals', () => senders.filter(({ received }) => received.endsWith(full(budget))).length === 175);
  await residentWithin(before, 200_000_000);
  expect((await ask(`${server.url}/healthz`)).status).toBe(200);
  for (const sender of senders) sender.end();
  await until('room for a body', async () => (await post(server, VALID.padEnd(3_000_000))).status === 202);
}, 30_000);

test('chunked bodies take what has arrived of them', async () => {
  const server = await serverWith(1_000_000);
  const first = await hold(server, chunked(chunk(700_000)), 400_000);
  const second = await raw(server.port, chunked(chunk(400_000), END));
  await until('the refusal', () => second.received.endsWith(full(1_000_000)));
  expect(second.received).toMatch(/^HTTP\/1.1 503 /);
  second.write('GET /nope HTTP/1.1\r\nHost: x\r\n\r\n'); // all of it came, so the connection goes on
  await until('the next answer', () => second.received.endsWith('{"detail":"Not Found"}'));
  first.end();
  await until('the budget to be given back', async () => (await post(server, VALID.padEnd(900_000))).status === 202);
});

test.each([
  ['read and valid', declared(VALID.length, VALID), '"status":"running"}'],
  ['read and invalid', declared(2, '{}'), '"input":{}}]}'],
  ['read and malformed', declared(900_000, spaces(900_000)), '"ctx":{"error":"Expecting value"}}]}'],
  ['too slow', declared(900_000, '{'), '{"detail":"request body timed out"}'],
  ['too large', declared(1_000_001, spaces(1_000_001)), '{"detail":"request body too large: limit is 1000000 bytes"}'],
  [
    'chunked and too large',
    chunked(chunk(1_100_000), END),
    '{"detail":"request body too large: limit is 1000000 bytes"}',
  ],
  ['chunked and too slow', chunked(chunk(800_000)), '{"detail":"request body timed out"}'],
])('nothing is left of a body that was %s', async (_, request, end) => {
  const server = await serverWith(1_000_000, 1_000_000, 400);
  const connection = await raw(server.port, request);
  await until('the answer', () => connection.received.endsWith(end));
  expect((await post(server, VALID.padEnd(1_000_000))).status).toBe(202);
});

test('a stranger cannot take the room of those with a token', async () => {
  const access = { apiToken: 'secret-token', apiTokensPrevious: [], allowAnonymous: false };
  const server = await startWithDoors({ access, maxPendingRequestBytes: 1_000_000, maxRequestBytes: 1_000_000 });
  servers.push(server);
  const silent = await Promise.all(Array.from({ length: 30 }, () => raw(server.port, declared(60_000, '{'))));
  const answer = await ask(`${server.url}/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer secret-token' },
    body: VALID.padEnd(1_000_000),
  });
  expect(answer.status).toBe(202);
  expect(silent.every(({ received }) => received === '')).toBe(true); // they are still being waited for
});

test('a budget never gives more than it has, and every reader gives back what it took', async () => {
  const budget = createBodyBudget(10);
  expect([budget.take(10), budget.take(0), budget.take(1), budget.pendingBytes]).toEqual([true, true, false, 10]);
  budget.give(10);
  const limits = { maxBytes: 100, timeoutMs: 1000, budget };
  const request = (body: string | ReadableStream, headers: Record<string, string> = {}) =>
    new Request('http://x', { method: 'POST', headers, body });
  expect(await tryReadBody(request('x'.repeat(10), { 'content-length': '10' }), limits)).toHaveLength(10);
  expect(await tryReadBody(request('x', { 'content-length': '11' }), limits)).toMatchObject({ kind: 'no_budget' });
  expect(await tryReadBody(request('x', { 'content-length': '101' }), limits)).toMatchObject({ kind: 'too_large' });
  const pieces = (count: number, error?: Error) =>
    request(
      new ReadableStream({
        pull(controller) {
          if (count-- > 0) controller.enqueue(new Uint8Array(3));
          else if (error) controller.error(error);
          else controller.close();
        },
      }),
    );
  expect(await tryReadBody(pieces(3), limits)).toHaveLength(9);
  expect(await tryReadBody(pieces(4), limits)).toMatchObject({ kind: 'no_budget', received: 12 });
  expect(await tryReadBody(pieces(2, new Error('gone')), limits)).toEqual({ kind: 'broken' });
  expect(await tryReadBody(request(new ReadableStream()), { ...limits, timeoutMs: 1 })).toEqual({ kind: 'late' });
  await expect(readBody(pieces(40), limits)).rejects.toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  await until('all to be given back', () => budget.pendingBytes === 0);
});
