// HTTP/1.1 on raw TCP for the fake shellctl: what a connection does is exact, and can be wrong on purpose. It can vanish (close the
// port and all connections) and come back on the same port. Bodies need a Content-Length.

import type { Socket, TCPSocketListener } from 'bun';

/** A request as it arrived. Header names in lower case. */
export interface HttpRequest {
  readonly method: string;
  /** Without the query, as it was written. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyText: string;
  /** Aborts when the client goes away. */
  readonly gone: AbortSignal;
}

/** A whole answer. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** An answer; `cut`: the connection is closed without one; raw bytes go out as they are, and then it is closed. */
export type HttpReply = HttpAnswer | 'cut' | { readonly raw: string | Uint8Array };

/** A server. */
export interface HttpServer {
  readonly port: number;
  openSockets(): number;
  acceptedSockets(): number;
  /** Closes the port and every connection. */
  vanish(): void;
  /** Listens again. */
  reappear(): void;
}

interface Connection {
  readonly socket: Socket<Connection | undefined>;
  pieces: Buffer[];
  received: number;
  /** Bytes that the request under way needs, as far as known. */
  needed: number;
  busy: boolean;
  readonly gone: AbortController;
  outbox: Uint8Array[];
  closing: boolean;
}

/** Listens on 127.0.0.1, on a free port unless one is given. */
export function startHttpServer(
  handle: (request: HttpRequest) => Promise<HttpReply>,
  options: { readonly port?: number } = {},
): HttpServer {
  const connections = new Set<Connection>();
  let accepted = 0;
  const listen = (port: number): TCPSocketListener<Connection | undefined> =>
    Bun.listen<Connection | undefined>({
      hostname: '127.0.0.1',
      port,
      socket: {
        open(socket) {
          const gone = new AbortController();
          const connection = {
            socket,
            pieces: [],
            received: 0,
            needed: 0,
            busy: false,
            gone,
            outbox: [],
            closing: false,
          };
          socket.data = connection;
          socket.setNoDelay(true);
          connections.add(connection);
          accepted += 1;
        },
        data(socket, bytes) {
          const connection = socket.data;
          if (connection === undefined) return;
          connection.pieces.push(Buffer.from(bytes));
          connection.received += bytes.length;
          void serve(connection, handle);
        },
        drain(socket) {
          if (socket.data !== undefined) flush(socket.data);
        },
        close(socket) {
          if (socket.data === undefined) return;
          connections.delete(socket.data);
          socket.data.gone.abort();
        },
        error() {},
      },
    });
  let listener: TCPSocketListener<Connection | undefined> | null = listen(options.port ?? 0);
  const { port } = listener;
  return {
    port,
    openSockets: () => connections.size,
    acceptedSockets: () => accepted,
    vanish() {
      listener?.stop(true);
      listener = null;
      for (const { socket } of connections) socket.terminate();
    },
    reappear() {
      listener ??= listen(port);
    },
  };
}

async function serve(connection: Connection, handle: (request: HttpRequest) => Promise<HttpReply>): Promise<void> {
  if (connection.busy) return;
  connection.busy = true;
  for (let request = takeRequest(connection); request !== null; request = takeRequest(connection)) {
    const reply = await handle(request);
    if (connection.gone.signal.aborted) return;
    if (reply === 'cut') {
      connection.socket.end();
      return;
    }
    connection.closing = 'raw' in reply;
    write(connection, 'raw' in reply ? Buffer.from(reply.raw) : wholeAnswer(reply));
  }
  connection.busy = false;
}

function wholeAnswer({ status, headers, body }: HttpAnswer): Buffer {
  const bytes = Buffer.from(body);
  const all = { 'content-type': 'application/json', ...headers, 'content-length': String(bytes.length) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} X\r\n${lines.join('')}\r\n`, 'latin1'), bytes]);
}

function write(connection: Connection, bytes: Uint8Array): void {
  connection.outbox.push(bytes);
  if (connection.outbox.length === 1) flush(connection);
}

function flush(connection: Connection): void {
  for (let first = connection.outbox[0]; first !== undefined; first = connection.outbox[0]) {
    const written = Math.max(0, connection.socket.write(first));
    if (written < first.length) {
      connection.outbox[0] = first.subarray(written);
      return;
    }
    connection.outbox.shift();
  }
  if (connection.closing) connection.socket.end();
}

/** Cuts one complete request off the received bytes, or null. */
function takeRequest(connection: Connection): HttpRequest | null {
  if (connection.received === 0 || connection.received < connection.needed) return null;
  const bytes = Buffer.concat(connection.pieces);
  connection.pieces = [bytes];
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [requestLine = '', ...headerLines] = bytes.toString('latin1', 0, end).split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of headerLines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  connection.needed = end + 4 + Number(headers['content-length'] ?? 0);
  if (connection.received < connection.needed) return null;
  const bodyText = bytes.toString('utf8', end + 4, connection.needed);
  connection.pieces = [bytes.subarray(connection.needed)];
  connection.received -= connection.needed;
  connection.needed = 0;
  const [method = '', target = ''] = requestLine.split(' ');
  const mark = target.indexOf('?');
  return {
    method,
    path: mark < 0 ? target : target.slice(0, mark),
    query: new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1)),
    headers,
    bodyText,
    gone: connection.gone.signal,
  };
}
