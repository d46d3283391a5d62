// The smallest HTTP/1.1 client that can drive the server: raw sockets, keep-alive, one request at a time. The driver
// shares two cores with the server, so what it does not do counts: no streams, no header objects, no decoding per chunk.

import type { Socket } from 'bun';

/** A whole answer. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** One keep-alive connection. Reconnects when the server closed it between requests. */
export class Connection {
  /** The path of the server's address, without trailing `/`: what paths of requests begin with. */
  readonly prefix: string;
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | null = null;
  #received: Buffer[] = [];
  #length = 0;
  #waiting: { resolve(answer: Answer): void; reject(error: Error): void } | null = null;
  #firstByte: (() => void) | null = null;
  /** Bytes of the whole answer, when its head declares them; null: chunked; undefined: no whole head yet. */
  #declared: number | null | undefined;

  constructor(url: string) {
    const { hostname, port, pathname } = new URL(url);
    this.#host = hostname;
    this.#port = Number(port || 80);
    this.prefix = pathname.replace(/\/+$/, '');
  }

  /** Sends a request and resolves with its whole answer (a stream: when the server ended it). */
  async send(request: string): Promise<Answer> {
    this.#socket ??= await this.#connect();
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket?.write(request);
    });
  }

  /** Sends a request and resolves with its first bytes; the answer stays open until `close`. */
  async open(request: string): Promise<void> {
    this.#socket ??= await this.#connect();
    const first = Promise.withResolvers<void>();
    this.#firstByte = first.resolve;
    this.#socket.write(request);
    return first.promise;
  }

  close(): void {
    this.#socket?.terminate();
    this.#socket = null;
  }

  #connect(): Promise<Socket> {
    return Bun.connect({
      hostname: this.#host,
      port: this.#port,
      socket: {
        data: (_, bytes) => this.#data(bytes),
        close: () => this.#closed(),
        error: (_, error) => this.#waiting?.reject(error),
      },
    });
  }

  #data(bytes: Buffer): void {
    this.#firstByte?.();
    this.#firstByte = null;
    if (this.#waiting === null) return;
    this.#received.push(Buffer.from(bytes)); // Bun may reuse the buffer it hands out
    this.#length += bytes.length;
    if (this.#declared === undefined) this.#readHead();
    const complete = this.#declared === null ? endsChunks(bytes) : this.#length >= (this.#declared ?? Infinity);
    if (!complete) return;
    this.#finish();
  }

  #readHead(): void {
    // Nearly always one piece.
    const all = Buffer.concat(this.#received);
    const end = all.indexOf('\r\n\r\n');
    if (end < 0) return;
    const declared = /\r\ncontent-length: (\d+)/i.exec(all.toString('latin1', 0, end));
    this.#declared = declared === null ? null : end + 4 + Number(declared[1]);
  }

  #finish(): void {
    const text = Buffer.concat(this.#received).toString('utf8');
    this.#received = [];
    this.#length = 0;
    this.#declared = undefined;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve({ status: Number(text.slice(9, 12)), body: text.slice(text.indexOf('\r\n\r\n') + 4) });
  }

  #closed(): void {
    this.#socket = null;
    this.#waiting?.reject(new Error('the server closed the connection'));
    this.#waiting = null;
  }
}

/** The end of a chunked body. Our streams never contain CR, so it cannot stand inside one. */
function endsChunks(bytes: Buffer): boolean {
  const end = bytes.length;
  return (
    end >= 5 &&
    bytes[end - 1] === 10 &&
    bytes[end - 2] === 13 &&
    bytes[end - 3] === 10 &&
    bytes[end - 4] === 13 &&
    bytes[end - 5] === 48 &&
    (end === 5 || bytes[end - 6] === 10)
  );
}

/** A POST of JSON as text. */
export function postRequest(path: string, body: string, headers: Readonly<Record<string, string>> = {}): string {
  const extra = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${extra.join('')}\r\n${body}`;
}

/** A GET as text. */
export function getRequest(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`;
}
