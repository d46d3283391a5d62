// A server whose every byte and connection a test decides: requests are answered by a script of handlers, one per request,
// in order. Speaks just enough HTTP/1.1; each connection carries one request.

import { createServer, type Socket } from 'node:net';

/** A request as it came. */
export interface RawRequest {
  readonly method: string;
  /** With its query, as sent. */
  readonly path: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The way back. */
export interface RawConnection {
  /** Status line and headers; the body follows until the connection ends. */
  head(status: number, headers?: Readonly<Record<string, string>>): void;
  /** Bytes of the body, as they are. Resolves when the kernel has taken them. */
  write(bytes: string | Uint8Array): Promise<void>;
  /** Ends the body properly. */
  end(): void;
  /** Breaks the connection, as a dying machine does. */
  reset(): void;
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<void>;
}

export type Handler = (connection: RawConnection, request: RawRequest) => void | Promise<void>;

export interface RawServer {
  readonly url: string;
  /** All requests so far. */
  readonly requests: readonly RawRequest[];
  /** Appends handlers; a request without one is answered 599. */
  answer(...handlers: readonly Handler[]): void;
  close(): Promise<void>;
}

/** Starts a server on loopback. */
export async function startRawServer(): Promise<RawServer> {
  const requests: RawRequest[] = [];
  const handlers: Handler[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    socket.on('close', () => {
      sockets.delete(socket);
      resolve();
    });
    socket.on('error', () => {});
    let received = Buffer.alloc(0);
    let begun = false;
    socket.on('data', (chunk: Buffer) => {
      if (begun) return;
      received = Buffer.concat([received, chunk]);
      const request = readRequest(received);
      if (request === null) return;
      begun = true;
      requests.push(request);
      const handler = handlers.shift() ?? json(599, { detail: 'no handler' });
      void handler(connectionOf(socket, closed), request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    answer: (...more) => void handlers.push(...more),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function connectionOf(socket: Socket, closed: Promise<void>): RawConnection {
  return {
    head(status, headers = {}) {
      const lines = Object.entries({ connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 ${status} Reason\r\n${lines.join('')}\r\n`);
    },
    write: (bytes) => new Promise((resolve) => void socket.write(bytes, () => resolve())),
    end: () => void socket.end(),
    reset: () => void socket.resetAndDestroy(),
    closed,
  };
}

function readRequest(bytes: Buffer): RawRequest | null {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const [method = '', path = ''] = first.split(' ');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const body = bytes.subarray(end + 4);
  if (body.length < Number(headers['content-length'] ?? 0)) return null;
  return { method, path, headers, body: body.toString('utf8') };
}

/** A whole JSON answer. */
export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Handler {
  return text(status, JSON.stringify(value), { 'content-type': 'application/json', ...headers });
}

/** A whole answer. */
export function text(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Handler {
  return (connection) => {
    connection.head(status, { 'content-length': String(Buffer.byteLength(body)), ...headers });
    void connection.write(body);
    connection.end();
  };
}

/** A stream of these pieces, each in a write of its own, that then ends. */
export function stream(...pieces: readonly (string | Uint8Array)[]): Handler {
  return async (connection) => {
    connection.head(200, SSE);
    for (const piece of pieces) await connection.write(piece);
    connection.end();
  };
}

/** A stream that stays open after these pieces, until the client leaves. */
export function openStream(...pieces: readonly (string | Uint8Array)[]): Handler {
  return async (connection) => {
    connection.head(200, SSE);
    for (const piece of pieces) await connection.write(piece);
  };
}

/** Headers of a stream. */
export const SSE = { 'content-type': 'text/event-stream; charset=utf-8' };
