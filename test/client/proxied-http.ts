// Just enough HTTP/1.1 for a proxy that takes answers apart: a request as text, the server's answer as bytes without their
// chunks, and an answer to the client whose every byte and ending is the caller's choice. One request for each connection.

import { createConnection, type Socket } from 'node:net';

export interface ProxiedRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Lines as they came, without the one that says what becomes of the connection. */
  readonly headers: readonly string[];
  readonly body: Buffer;
}

/** What the server answers. */
export interface Upstream {
  readonly status: number;
  /** Lines as they came, without those on framing and connections. */
  readonly headers: readonly string[];
  /** The body without its chunks' sizes. Ends when the connection does, however that came. */
  readonly body: AsyncIterable<Buffer>;
  /** The body in frames of server-sent events, each with its empty line. What is not whole is dropped. */
  frames(): AsyncGenerator<Buffer, void, void>;
  close(): void;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const FRAME_END = Buffer.from('\n\n');

/** Calls back when a request is there. What follows it on the same connection is not read. */
export function readProxied(socket: Socket, then: (request: ProxiedRequest) => void): void {
  let received = Buffer.alloc(0);
  let begun = false;
  socket.on('data', (chunk: Buffer) => {
    if (begun) return;
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf(HEAD_END);
    if (end === -1) return;
    const [first = '', ...lines] = received.subarray(0, end).toString('latin1').split('\r\n');
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(received.subarray(0, end).toString('latin1'))?.[1] ?? 0);
    const body = received.subarray(end + 4);
    if (body.length < length) return;
    begun = true;
    const [method = '', path = ''] = first.split(' ');
    then({ method, path, headers: lines.filter((line) => !/^(?:connection|keep-alive):/i.test(line)), body });
  });
}

/** Sends a request and resolves with the head of its answer. The connection ends with the client's. */
export async function openUpstream(
  port: number,
  { method, path, headers, body }: ProxiedRequest,
  client: Socket,
  keep: (socket: Socket) => Socket,
): Promise<Upstream> {
  const socket = keep(createConnection({ host: '127.0.0.1', port }));
  const close = (): void => void socket.destroy();
  client.on('close', close);
  if (client.destroyed) close();
  const queue = new ByteQueue();
  socket.on('data', (chunk: Buffer) => queue.push(chunk));
  socket.on('error', close);
  socket.on('close', () => {
    client.off('close', close);
    queue.end();
  });
  socket.write(
    Buffer.concat([
      Buffer.from(`${[`${method} ${path} HTTP/1.1`, ...headers, 'connection: close'].join('\r\n')}\r\n\r\n`, 'latin1'),
      body,
    ]),
  );
  const head = await queue.through(HEAD_END);
  if (head === null) throw new Error('the server left without an answer');
  const [first = '', ...lines] = head.toString('latin1').trimEnd().split('\r\n');
  const chunked = lines.some((line) => /^transfer-encoding: *chunked/i.test(line));
  const bytes = chunked ? dechunked(queue) : rest(queue);
  return {
    status: Number(first.split(' ')[1]),
    headers: lines.filter((line) => !/^(?:connection|keep-alive|transfer-encoding|content-length):/i.test(line)),
    body: bytes,
    async *frames() {
      let held: Buffer = Buffer.alloc(0);
      for await (const piece of bytes) {
        held = Buffer.concat([held, piece]);
        let from = 0;
        for (let at = held.indexOf(FRAME_END); at !== -1; at = held.indexOf(FRAME_END, from)) {
          yield held.subarray(from, at + 2);
          from = at + 2;
        }
        held = held.subarray(from);
      }
    },
    close,
  };
}

/** The answer to a client. */
export class Answer {
  readonly #socket: Socket;
  #chunked = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The head of what the server said, in a framing of our own. */
  head({ status, headers }: Pick<Upstream, 'status' | 'headers'>, framing: 'chunked' | 'until closed'): void {
    this.#chunked = framing === 'chunked';
    const lines = [
      `HTTP/1.1 ${status} Reason`,
      ...headers,
      'connection: close',
      ...(this.#chunked ? ['transfer-encoding: chunked'] : []),
    ];
    this.#socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  }

  /** Resolves when more may be written, or never will. */
  async write(bytes: Buffer): Promise<void> {
    if (bytes.length === 0 || this.#socket.destroyed) return;
    const framed = this.#chunked
      ? Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
      : bytes;
    if (this.#socket.write(framed)) return;
    await new Promise<void>((resolve) => {
      this.#socket.once('drain', resolve);
      this.#socket.once('close', () => resolve());
    });
  }

  /** An answer of ours. */
  whole(status: number, body: string, headers: Readonly<Record<string, string>>): void {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    this.head({ status, headers: [...lines, `content-length: ${Buffer.byteLength(body)}`] }, 'until closed');
    this.#socket.end(body);
  }

  /** The server's answer as it is. */
  async passOn(upstream: Upstream): Promise<void> {
    this.head(upstream, 'until closed');
    for await (const piece of upstream.body) await this.write(piece);
    this.#socket.end();
  }

  /** The proper end. */
  end(): void {
    this.#socket.end(this.#chunked ? '0\r\n\r\n' : '');
  }

  /** Closes without the end of the chunks. Where there are none, that is a proper end too. */
  truncate(): void {
    this.#socket.end(this.#chunked ? '400\r\nid: 1' : '');
  }

  /** Breaks the connection as a dying machine does. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }
}

/** Bytes as they arrive, taken as they are needed. */
class ByteQueue {
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake = (): void => {};

  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** What is there, at most so much; waits for something. Null: nothing comes any more. */
  async some(most = Number.POSITIVE_INFINITY): Promise<Buffer | null> {
    while (this.#bytes.length === 0) if (!(await this.#more())) return null;
    const taken = this.#bytes.subarray(0, most);
    this.#bytes = this.#bytes.subarray(taken.length);
    return taken;
  }

  /** All up to a mark, with it. Null: it does not come any more. */
  async through(mark: Buffer): Promise<Buffer | null> {
    for (;;) {
      const at = this.#bytes.indexOf(mark);
      if (at !== -1) return this.some(at + mark.length);
      if (!(await this.#more())) return null;
    }
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return true;
  }
}

async function* rest(queue: ByteQueue): AsyncGenerator<Buffer, void, void> {
  for (let piece = await queue.some(); piece !== null; piece = await queue.some()) yield piece;
}

async function* dechunked(queue: ByteQueue): AsyncGenerator<Buffer, void, void> {
  const lineEnd = Buffer.from('\r\n');
  for (;;) {
    const line = await queue.through(lineEnd);
    let left = line === null ? 0 : Number.parseInt(line.toString('latin1'), 16);
    if (!(left > 0)) return;
    while (left > 0) {
      const piece = await queue.some(left);
      if (piece === null) return;
      left -= piece.length;
      yield piece;
    }
    await queue.through(lineEnd);
  }
}
