// A Dify API, or something that stands in its place, that speaks HTTP as no server should: played by raw sockets. Every exchange
// ends with a typed error or with its own answer, in bounded time and memory, and gives its connection back.

import { afterEach, describe, expect, test } from 'bun:test';
import { createServer, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import {
  createDifyApiClient,
  type DifyApiCall,
  type DifyApiClient,
  type DifyApiLimits,
  type DifyApiTarget,
} from '../../../src/peers/dify-api/client.ts';
import { until } from '../../support/until.ts';

const KEY = 'inner-key-of-hostile-tests';
const GET: DifyApiCall = { method: 'GET', path: '/inner/x', owner: 'o', totalMs: null };
const POST: DifyApiCall = { ...GET, method: 'POST', body: { a: 1 } };
const NEVER = new AbortController().signal;

/** What a connection is told after each request on it; `count` is over all connections, from 1. */
type Play = (socket: Socket, count: number, head: string) => void;

interface Upstream {
  readonly port: number;
  readonly url: string;
  /** Heads of requests, in order. */
  readonly heads: readonly string[];
  /** Open connections. */
  open(): number;
}

const servers: { server: Server; sockets: Set<Socket> }[] = [];
const clients: DifyApiClient[] = [];

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  for (const { server, sockets } of servers.splice(0)) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

async function upstream(play: Play): Promise<Upstream> {
  const sockets = new Set<Socket>();
  const heads: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      for (let end = received.indexOf('\r\n\r\n'); end >= 0; end = received.indexOf('\r\n\r\n')) {
        const head = received.slice(0, end);
        const whole = end + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (received.length < whole) return;
        received = received.slice(whole);
        heads.push(head);
        play(socket, heads.length, head);
      }
    });
  });
  servers.push({ server, sockets });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { port: address.port, url: `http://127.0.0.1:${address.port}`, heads, open: () => sockets.size };
}

function client(
  baseUrl: string,
  change: Partial<DifyApiTarget> = {},
  limits: Partial<DifyApiLimits> = {},
): DifyApiClient {
  const made = createDifyApiClient(
    {
      baseUrl,
      innerApiKey: KEY,
      connectTimeoutSeconds: 10,
      readTimeoutSeconds: 10,
      poolTimeoutSeconds: 10,
      maxConnections: 8,
      ...change,
    },
    { userAgent: 'dify-agent/test', limits },
  );
  clients.push(made);
  return made;
}

/** The answer, or the fault. */
async function outcome(play: Play, call = GET, change: Partial<DifyApiTarget> = {}): Promise<unknown> {
  const api = await upstream(play);
  const one = client(api.url, change);
  try {
    return await one.json(call, NEVER);
  } catch (error) {
    expect(String(error)).not.toContain(String(api.port));
    return error instanceof Error && 'fault' in error ? error.fault : error;
  } finally {
    expect(one.load()).toEqual({ active: 0, waiting: 0 });
  }
}

const says =
  (...lines: readonly string[]): Play =>
  (socket) =>
    void socket.write(lines.join('\r\n'));
const OK = 'HTTP/1.1 200 OK';

/** Writes as long as somebody takes it. */
function flood(socket: Socket, piece: string | Buffer): void {
  while (!socket.destroyed && socket.write(piece));
  if (!socket.destroyed) socket.once('drain', () => flood(socket, piece));
}

describe('framing', () => {
  test.each<[string, Play, unknown]>([
    [
      'interim answers first',
      says(
        'HTTP/1.1 100 Continue',
        '',
        'HTTP/1.1 103 Early Hints',
        'Link: x',
        '',
        OK,
        'Content-Length: 7',
        '',
        '{"a":1}',
      ),
      { a: 1 },
    ],
    [
      'another protocol',
      says('HTTP/1.1 101 Switching Protocols', 'Upgrade: x', 'Connection: upgrade', '', '{}'),
      'bad_response',
    ],
    ['no length, an end', (socket) => void socket.end(`${OK}\r\n\r\n{"a":1}`), { a: 1 }],
    ['less than announced', (socket) => void socket.end(`${OK}\r\nContent-Length: 9\r\n\r\n{}`), 'cut_off'],
    ['a negative length', says(OK, 'Content-Length: -1', '', '{}'), 'bad_response'],
    ['two lengths', says(OK, 'Content-Length: 2', 'Content-Length: 3', '', '{}'), 'bad_response'],
    ['headers without end', (socket) => flood(socket, `${OK}\r\nX: ${'a'.repeat(8_000)}\r\n`), 'bad_response'],
    [
      'thousands of headers',
      says(OK, ...Array.from({ length: 3_000 }, (_, i) => `x-${i}: a`), '', '{}'),
      'bad_response',
    ],
    ['no HTTP', (socket) => void socket.end('SSH-2.0-OpenSSH_9.7\r\n\r\n'), 'bad_response'],
    ['a reset', (socket) => socket.resetAndDestroy(), 'disconnected'],
    ['nothing and an end', (socket) => void socket.end(), 'disconnected'],
    ['no content', says('HTTP/1.1 204 No Content', '', ''), 'invalid_json'],
    ['not modified', says('HTTP/1.1 304 Not Modified', '', ''), 'redirected'],
  ])('%s', async (_, play, expected) => {
    expect(await outcome(play)).toEqual(expected);
  });

  test('what follows an answer is never taken for the next one', async () => {
    const api = await upstream(
      says(OK, 'Content-Length: 2', '', `{}${OK}`, 'Content-Length: 14', '', '{"smuggled":1}'),
    );
    const one = client(api.url);
    for (let i = 0; i < 3; i++) expect(await one.json(GET, NEVER)).toEqual({});
  });

  test.each([
    ['interim answers without end', '', 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'],
    ['bytes of a head without end', `${OK}\r\nX: `, 'a'],
  ])('%s are silence', async (_, first, piece) => {
    let timer: Timer | undefined;
    const play: Play = (socket) => {
      socket.write(first);
      timer ??= setInterval(() => socket.write(piece), 10);
    };
    expect(await outcome(play, GET, { readTimeoutSeconds: 0.2 })).toBe('timeout');
    clearInterval(timer);
  });
});

describe('compression that nobody asked for', () => {
  const zipped =
    (body: Buffer): Play =>
    (socket) => {
      socket.write(`${OK}\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`);
      socket.write(body);
    };

  test('is understood', async () => {
    expect(await outcome(zipped(gzipSync('{"a":1}')))).toEqual({ a: 1 });
  });

  test('is counted unpacked: a bomb ends at the bound, whatever its length says', async () => {
    const bomb = gzipSync(Buffer.alloc(300_000_000, 0x20));
    expect(await outcome(zipped(bomb))).toBe('too_large');
    const api = await upstream(zipped(bomb));
    const body = await client(api.url, {}, { passedBytes: 1_000_000 }).bytes(GET, NEVER);
    expect(body.length).toBeNull();
    await expect(new Response(body.stream).bytes()).rejects.toMatchObject({ fault: 'too_large' });
  });

  test('that is broken is an error', async () => {
    expect(await outcome(zipped(Buffer.from('no gzip at all')))).toMatch(/cut_off|bad_response/);
  });
});

describe('redirects', () => {
  test('with user info do not change who we are', async () => {
    const api = await upstream((socket, count) => {
      if (count > 1) socket.write(`${OK}\r\nContent-Length: 2\r\n\r\n{}`);
      else socket.write(`HTTP/1.1 307 X\r\nLocation: http://evil:pw@${hostOf(socket)}/y\r\nContent-Length: 0\r\n\r\n`);
    });
    await client(api.url)
      .json(GET, NEVER)
      .catch(() => {});
    expect(api.heads.join('\n')).not.toMatch(/^authorization:/im);
  });

  test.each([
    '//127.0.0.2:%/y',
    '\\\\127.0.0.2:%\\y',
    'https://127.0.0.1:%/y',
    'http://localhost:%/y',
    'http://127.0.0.1:1/y',
    '///127.0.0.2:%/y',
  ])('to %s are not followed', async (location) => {
    const api = await upstream((socket, count) => {
      if (count > 1) socket.write(`${OK}\r\nContent-Length: 2\r\n\r\n{}`);
      else {
        const port = hostOf(socket).split(':')[1] ?? '';
        socket.write(`HTTP/1.1 302 X\r\nLocation: ${location.replace('%', port)}\r\nContent-Length: 0\r\n\r\n`);
      }
    });
    await expect(client(api.url).json(GET, NEVER)).rejects.toMatchObject({ fault: 'redirected' });
    expect(api.heads).toHaveLength(1);
  });

  test('whose body never ends are followed without it', async () => {
    const api = await upstream((socket, count) => {
      if (count > 1) socket.write(`${OK}\r\nContent-Length: 2\r\n\r\n{}`);
      else {
        socket.write('HTTP/1.1 307 X\r\nLocation: /y\r\nTransfer-Encoding: chunked\r\n\r\n');
        flood(socket, `1000\r\n${'a'.repeat(4096)}\r\n`);
      }
    });
    expect(await client(api.url).json(GET, NEVER)).toEqual({});
    await until('the first connection to close', () => api.open() <= 1);
  });
});

test('a connection that was closed between two calls costs a GET nothing, and is told to others', async () => {
  const play: Play = (socket, count) => {
    if (count % 2 === 1) socket.write(`${OK}\r\nContent-Length: 2\r\n\r\n{}`);
    else socket.destroy();
  };
  const reading = client((await upstream(play)).url);
  for (let i = 0; i < 3; i++) expect(await reading.json(GET, NEVER)).toEqual({});
  const writing = client((await upstream(play)).url);
  expect(await writing.json(POST, NEVER)).toEqual({});
  // It may have been done: only the caller can know whether to ask again.
  await expect(writing.json(POST, NEVER)).rejects.toMatchObject({ fault: 'disconnected' });
});

describe('who may hold connections', () => {
  /** Bodies that begin and never go on; JSON that is answered. */
  const stalling: Play = (socket, _, head) => {
    if (head.startsWith('GET')) socket.write(`${OK}\r\nContent-Length: 1000\r\n\r\nx`);
    else socket.write(`${OK}\r\nContent-Length: 2\r\n\r\n{}`);
  };

  test('bodies have half of them, so that short calls always get through', async () => {
    const one = client((await upstream(stalling)).url, { poolTimeoutSeconds: 0.05 });
    const taken = await Promise.allSettled(Array.from({ length: 8 }, (_, i) => one.bytes({ ...GET, owner: i }, NEVER)));
    expect(taken.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
    expect(one.load()).toEqual({ active: 4, waiting: 0 });
    expect(await one.json(POST, NEVER)).toEqual({});
    for (const result of taken) if (result.status === 'fulfilled') await result.value.stream.cancel();
    expect(one.load()).toEqual({ active: 0, waiting: 0 });
  });

  test('one owner has a quarter of those, so that others get through', async () => {
    const one = client((await upstream(stalling)).url, { poolTimeoutSeconds: 0.05, maxConnections: 16 });
    const mine = await Promise.allSettled(Array.from({ length: 5 }, () => one.bytes(GET, NEVER)));
    expect(mine.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    for (const result of mine) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ fault: 'timeout' });
    }
    const others = await one.bytes({ ...GET, owner: 'another' }, NEVER);
    await others.stream.cancel();
    const [first] = mine;
    if (first?.status === 'fulfilled') await first.value.stream.cancel();
    // A place that is given back is one place.
    const next = await one.bytes(GET, NEVER);
    await expect(one.bytes(GET, NEVER)).rejects.toMatchObject({ fault: 'timeout' });
    await next.stream.cancel();
  });

  test('whoever leaves while waiting leaves nothing behind', async () => {
    const one = client((await upstream(stalling)).url, { maxConnections: 1 });
    const held = await one.bytes(GET, NEVER);
    const leaving = new AbortController();
    const left = Promise.allSettled([GET, { ...GET, owner: 'b' }].map((call) => one.bytes(call, leaving.signal)));
    await until('both to wait', () => one.load().waiting === 2);
    leaving.abort(new Error('gone'));
    const reasons = (await left).map((result) => (result.status === 'rejected' ? String(result.reason) : 'none'));
    expect(reasons).toEqual(['Error: gone', 'Error: gone']);
    expect(one.load()).toEqual({ active: 1, waiting: 0 });
    await held.stream.cancel();
    expect(await one.json(POST, NEVER)).toEqual({});
  });
});

describe('a body that passes through', () => {
  test('dribbles as slowly as it likes, below the silence', async () => {
    const api = await upstream((socket) => {
      socket.write(`${OK}\r\nContent-Length: 20\r\n\r\n`);
      let left = 20;
      const timer = setInterval(() => {
        socket.write('x');
        left -= 1;
        if (left === 0) clearInterval(timer);
      }, 10);
    });
    const body = await client(api.url, { readTimeoutSeconds: 0.5 }).bytes(GET, NEVER);
    expect(await new Response(body.stream).text()).toBe('x'.repeat(20));
    await body.over;
  });

  test('falls silent: an error, and its end is told', async () => {
    const api = await upstream(says(OK, 'Content-Length: 20', '', 'x'));
    const one = client(api.url, { readTimeoutSeconds: 0.5 });
    const body = await one.bytes(GET, NEVER);
    await expect(new Response(body.stream).bytes()).rejects.toMatchObject({ fault: 'timeout' });
    await body.over;
    await until('the socket to close', () => api.open() === 0);
  });

  test('breaks off: an error, not a short body', async () => {
    const api = await upstream((socket) => {
      socket.write(`${OK}\r\nContent-Length: 20\r\n\r\nxxxxx`, () => socket.resetAndDestroy());
    });
    const body = await client(api.url).bytes(GET, NEVER);
    await expect(new Response(body.stream).bytes()).rejects.toMatchObject({ name: 'DifyApiError' });
  });
});

function hostOf(socket: Socket): string {
  return `127.0.0.1:${socket.localPort}`;
}
