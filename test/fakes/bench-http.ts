// How the benchmark's fake peers read HTTP/1.1 from raw TCP: whole requests with a Content-Length, one after the other, each with
// the time of its last byte. Nothing else: what they are asked is written by the servers under measurement.

/** A request that has arrived. */
export interface BenchRequest {
  readonly method: string;
  /** Without a query. */
  readonly path: string;
  /** Parsed JSON; undefined when there is none. */
  readonly body: unknown;
  /** Head and body. */
  readonly bytes: number;
  /** `performance.now()` when its last byte had been read. */
  readonly at: number;
}

/** What one connection has received. */
export class BenchInbox {
  #received = Buffer.alloc(0);
  #at = 0;

  feed(bytes: Buffer): void {
    this.#at = performance.now();
    // Bun may reuse the buffer that it hands out.
    this.#received = Buffer.concat([this.#received, bytes]);
  }

  /** Cuts off the first whole request, or null. */
  take(): BenchRequest | null {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end < 0) return null;
    const head = this.#received.toString('latin1', 0, end);
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    const bytes = end + 4 + length;
    if (this.#received.length < bytes) return null;
    const text = this.#received.toString('utf8', end + 4, bytes);
    this.#received = this.#received.subarray(bytes);
    const [method = '', target = ''] = head.slice(0, head.indexOf('\r\n')).split(' ');
    return { method, path: target.split('?')[0] ?? '', body: parse(text), bytes, at: this.#at };
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
