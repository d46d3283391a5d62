// Reads a run's events over SSE from any server of this wire, as cheaply as a driver should that shares its cores with it: raw
// sockets, chunked or not, lines of `data: ` kept as they came. It stops at the terminal event, because not every server ends the
// stream then; a connection whose answer did end is used again.

import type { Socket } from 'bun';

/** What was read of one run. Times are `performance.now()`. */
export interface Reading {
  /** JSON texts of the events, in order. */
  readonly events: readonly string[];
  /** `type` of the last one; null: the stream ended before a terminal event. */
  readonly terminal: string | null;
  readonly firstEventAt: number;
  readonly terminalAt: number;
}

/** Bytes that went both ways. */
export interface Traffic {
  received: number;
  sent: number;
}

/** How long an answer may go on after its terminal event before its connection is given up, ms. */
const LINGER_MS = 200;
/** Silence after which a server is given up, ms (spec 07 §6.1). */
const READ_TIMEOUT_MS = 120_000;
const TERMINAL = /"type": ?"(run_succeeded|run_failed|run_cancelled|run_paused)"/;

/** Streams of one server, with the connections that wait to be used again. */
export class EventStreams {
  readonly #url: URL;
  readonly #traffic: Traffic;
  readonly #free: StreamConnection[] = [];

  constructor(url: string, traffic: Traffic) {
    this.#url = new URL(url);
    this.#traffic = traffic;
  }

  /** Follows the stream at a path to its terminal event. Rejects when the server does not answer with a stream. */
  async read(path: string): Promise<Reading> {
    const connection = this.#takeFree() ?? (await StreamConnection.open(this.#url, this.#traffic));
    const request = `GET ${path} HTTP/1.1\r\nHost: ${this.#url.host}\r\nAccept: text/event-stream\r\n\r\n`;
    try {
      const reading = await connection.read(request);
      connection.whenReusable(() => this.#free.push(connection));
      return reading;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  close(): void {
    for (const connection of this.#free) connection.close();
    this.#free.length = 0;
  }

  #takeFree(): StreamConnection | undefined {
    for (let last = this.#free.pop(); last !== undefined; last = this.#free.pop()) if (last.usable) return last;
    return undefined;
  }
}

class StreamConnection {
  #socket: Socket | null = null;
  readonly #traffic: Traffic;
  #answer: Answer | null = null;
  #reusable: (() => void) | null = null;
  #linger: ReturnType<typeof setTimeout> | undefined;

  private constructor(traffic: Traffic) {
    this.#traffic = traffic;
  }

  static async open(url: URL, traffic: Traffic): Promise<StreamConnection> {
    const connection = new StreamConnection(traffic);
    connection.#socket = await Bun.connect({
      hostname: url.hostname,
      port: Number(url.port || 80),
      socket: {
        open: (socket) => void socket.setNoDelay(true),
        data: (_, bytes) => connection.#data(bytes),
        close: () => connection.#closed(),
        error: () => connection.#closed(),
        timeout: () => connection.close(),
      },
    });
    return connection;
  }

  get usable(): boolean {
    return this.#socket !== null;
  }

  async read(request: string): Promise<Reading> {
    const done = Promise.withResolvers<Reading>();
    this.#answer = new Answer(done);
    this.#traffic.sent += request.length;
    this.#socket?.timeout(READ_TIMEOUT_MS / 1000);
    this.#socket?.write(request);
    return done.promise;
  }

  /** Calls back when the answer has ended and the connection can carry another one. */
  whenReusable(use: () => void): void {
    if (this.#answer?.ended === true && this.usable) {
      use();
      return;
    }
    this.#reusable = use;
    this.#linger = setTimeout(() => this.close(), LINGER_MS);
  }

  close(): void {
    this.#socket?.terminate();
    this.#closed();
  }

  #data(bytes: Buffer): void {
    this.#traffic.received += bytes.length;
    const answer = this.#answer;
    if (answer === null) return;
    answer.feed(bytes);
    if (!answer.ended || this.#reusable === null) return;
    clearTimeout(this.#linger);
    const use = this.#reusable;
    this.#reusable = null;
    use();
  }

  #closed(): void {
    clearTimeout(this.#linger);
    this.#socket = null;
    this.#reusable = null;
    this.#answer?.cut();
  }
}

/** One answer as it arrives. */
class Answer {
  readonly #done: PromiseWithResolvers<Reading>;
  readonly #events: string[] = [];
  /** Null: not everything of it is here. */
  #head: { readonly chunked: boolean } | null = null;
  #early = '';
  #line = '';
  /** Bytes left of the current chunk; -1: its size line is next. */
  #left = -1;
  #last = false;
  #firstEventAt = Number.NaN;
  #settled = false;
  ended = false;

  constructor(done: PromiseWithResolvers<Reading>) {
    this.#done = done;
  }

  /** What we look at is ASCII: identifiers, types. Latin-1 decodes fastest and never splits a character. */
  feed(bytes: Buffer): void {
    this.#early += bytes.toString('latin1');
    if (this.#head === null && !this.#readHead()) return;
    if (this.#head?.chunked === true) this.#chunks();
    else this.#text(this.#takeEarly());
  }

  /** The connection is gone. */
  cut(): void {
    this.#settle(null);
  }

  #readHead(): boolean {
    const end = this.#early.indexOf('\r\n\r\n');
    if (end < 0) return false;
    const head = this.#early.slice(0, end).toLowerCase();
    this.#early = this.#early.slice(end + 4);
    if (!/^http\/1\.1 200 /.test(head)) {
      this.#settled = true;
      this.#done.reject(new Error(`no stream: ${head.split('\r\n')[0]} ${this.#early.slice(0, 300)}`));
      return false;
    }
    this.#head = { chunked: /\r\ntransfer-encoding: *chunked/.test(head) };
    return true;
  }

  #chunks(): void {
    const text = this.#takeEarly();
    let from = 0;
    while (from < text.length && !this.ended) {
      if (this.#left < 0) {
        const end = text.indexOf('\r\n', from);
        if (end < 0) break;
        // A size line, the line break that ends the chunk before, or the empty line after the last chunk.
        if (end === from) this.ended = this.#last;
        else this.#left = Number.parseInt(text.slice(from, end), 16);
        from = end + 2;
        if (this.#left === 0) [this.#last, this.#left] = [true, -1];
        continue;
      }
      const piece = text.slice(from, from + this.#left);
      from += piece.length;
      this.#left -= piece.length;
      if (this.#left === 0) this.#left = -1;
      this.#text(piece);
    }
    this.#early = text.slice(from);
    if (this.ended) this.#settle(null);
  }

  #takeEarly(): string {
    const text = this.#early;
    this.#early = '';
    return text;
  }

  #text(text: string): void {
    const lines = (this.#line + text).split('\n');
    this.#line = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('data: ')) continue;
      const event = line.endsWith('\r') ? line.slice(6, -1) : line.slice(6);
      if (this.#events.length === 0) this.#firstEventAt = performance.now();
      this.#events.push(event);
      const terminal = event.includes('run_') ? TERMINAL.exec(event) : null;
      if (terminal !== null) this.#settle(terminal[1] ?? null);
    }
  }

  #settle(terminal: string | null): void {
    if (this.#settled) return;
    this.#settled = true;
    const terminalAt = performance.now();
    this.#done.resolve({ events: this.#events, terminal, firstEventAt: this.#firstEventAt, terminalAt });
  }
}
