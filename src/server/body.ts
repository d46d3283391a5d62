// Reads a request body within bounds: bytes are counted while they arrive, a slow sender is timed out, what lies beyond the
// limit is thrown away instead of kept, and all bodies together stay within one budget. What the bytes mean is input.ts'
// business.

import { HttpError, unreadableBody } from './errors.ts';

/** Bounds of one body. */
export interface BodyLimits {
  /** Largest body, in bytes. */
  readonly maxBytes: number;
  /** The whole body must be here after this many milliseconds. */
  readonly timeoutMs: number;
  /** Memory that all bodies being received share. Absent: this one is not counted. */
  readonly budget?: BodyBudget;
}

/** So long may a body take, whatever its size: a sender of single bytes does not hold a connection for ever. */
export const BODY_TIMEOUT_MS = 60_000;

/**
 * An oversized body is read and dropped up to here, so that a client which sends everything before it reads sees the
 * answer; beyond it the connection is closed.
 */
const DRAIN_BYTES = 8 * 1024 * 1024;
const DRAIN_MS = 2_000;

const CLOSE = { connection: 'close' };
/** Bodies that are being received take seconds at most. */
const RETRY_AFTER = { 'retry-after': '1' };

/** Memory for bodies that are being received. Who takes must give back. */
export interface BodyBudget {
  readonly limitBytes: number;
  /** Taken and not given back, in bytes. */
  readonly pendingBytes: number;
  /** False: it does not fit, and nothing was taken. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

/** A budget of which nothing is taken. */
export function createBodyBudget(limitBytes: number): BodyBudget {
  let pending = 0;
  return {
    limitBytes,
    get pendingBytes() {
      return pending;
    },
    take(bytes) {
      if (pending + bytes > limitBytes) return false;
      pending += bytes;
      return true;
    },
    give(bytes) {
      pending -= bytes;
    },
  };
}

/** Why there are no bytes. `received`: what a chunked sender had sent by then. */
export type BodyFault =
  | { readonly kind: 'too_large' | 'no_budget'; readonly declared: number | null; readonly received: number }
  /** The time is over, or the sender went away. */
  | { readonly kind: 'late' | 'broken' };

/** The body's bytes. Throws HttpError: 413 over the limit, 503 over the budget, 408 too slow, 400 when the sender broke off. */
export async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const read = await tryReadBody(request, limits);
  if (read instanceof Uint8Array) return read;
  switch (read.kind) {
    case 'late':
      throw new HttpError(408, 'request body timed out', CLOSE);
    case 'broken':
      throw unreadableBody(); // the sender went away; nobody reads this answer
    case 'too_large': {
      const text = `request body too large: limit is ${limits.maxBytes} bytes`;
      throw new HttpError(413, text, await drained(request.body, read, limits.maxBytes));
    }
    case 'no_budget': {
      const text = `too many request bodies at once: limit is ${limits.budget?.limitBytes} bytes`;
      const headers =
        read.declared === null ? await drained(request.body, read, limits.maxBytes) : unreadHeaders(request);
      throw new HttpError(503, text, { ...RETRY_AFTER, ...headers });
    }
  }
}

/** The body's bytes, or why not; the rest of a refused body is left where it is. Never rejects. */
export async function tryReadBody(request: Request, limits: BodyLimits): Promise<Uint8Array | BodyFault> {
  const declared = declaredLength(request);
  if (declared !== null && declared > limits.maxBytes) return { kind: 'too_large', declared, received: 0 };
  const share = new Share(limits.budget);
  if (!share.grow(declared ?? 0)) return { kind: 'no_budget', declared, received: 0 };
  const deadline = startDeadline(limits.timeoutMs);
  try {
    // Bun reads a body of known length in one piece, if nobody touched `request.body` before.
    const reading = declared === null ? readCounted(request.body, limits, share) : request.bytes();
    const read = await Promise.race([reading, deadline.expired]);
    if (read !== null) return read;
    reading.catch(() => undefined); // the connection is closed under it
    return { kind: 'late' };
  } catch {
    return { kind: 'broken' };
  } finally {
    deadline.clear();
    // What is read is parsed before anybody else's bytes are taken: nothing happens in between that waits.
    share.close();
  }
}

/**
 * Headers of an answer to a request whose body nobody reads to its end: Bun drops the rest of a short one by itself, once
 * it is answered; where that may take long, the connection is closed.
 */
export function unreadHeaders(request: Request, fault?: BodyFault): Readonly<Record<string, string>> {
  const declared = declaredLength(request);
  const short = declared === null ? !request.headers.has('transfer-encoding') : declared <= DRAIN_BYTES;
  return short && fault?.kind !== 'late' ? {} : CLOSE;
}

/** One body's part of the budget. */
class Share {
  readonly #budget: BodyBudget | undefined;
  #bytes = 0;
  #closed = false;

  constructor(budget: BodyBudget | undefined) {
    this.#budget = budget;
  }

  grow(bytes: number): boolean {
    if (this.#closed || this.#budget?.take(bytes) === false) return false;
    this.#bytes += bytes;
    return true;
  }

  close(): void {
    this.#closed = true;
    this.#budget?.give(this.#bytes);
    this.#bytes = 0;
  }
}

/** Null: chunked, or no body. Bun refuses requests whose framing is ambiguous. */
function declaredLength(request: Request): number | null {
  const text = request.headers.get('content-length');
  return text === null ? null : Number(text);
}

/** A chunked body: no declared length to trust. */
async function readCounted(
  body: ReadableStream<Uint8Array> | null,
  limits: BodyLimits,
  share: Share,
): Promise<Uint8Array | BodyFault> {
  if (body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let received = 0;
  const reader = body.getReader();
  const refuse = (kind: 'too_large' | 'no_budget'): BodyFault => {
    chunks.length = 0;
    reader.releaseLock();
    return { kind, declared: null, received };
  };
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks, received);
    received += value.byteLength;
    if (received > limits.maxBytes) return refuse('too_large');
    if (!share.grow(value.byteLength)) return refuse('no_budget');
    chunks.push(value);
  }
}

/** Drops the rest of a body, within bounds; the headers of the answer say whether that was all. */
async function drained(
  body: ReadableStream<Uint8Array> | null,
  { declared, received }: { readonly declared: number | null; readonly received: number },
  maxBytes: number,
): Promise<Readonly<Record<string, string>>> {
  const hopeless = declared !== null && declared > maxBytes + DRAIN_BYTES;
  return !hopeless && body !== null && (await drain(body, DRAIN_BYTES + maxBytes - received)) ? {} : CLOSE;
}

/** Drops what still arrives; true when the body's end was reached within the bounds. */
async function drain(body: ReadableStream<Uint8Array>, maxBytes: number): Promise<boolean> {
  const deadline = startDeadline(DRAIN_MS);
  try {
    const reader = body.getReader();
    for (let total = 0; total <= maxBytes; ) {
      const result = await Promise.race([reader.read(), deadline.expired]);
      if (result === null) return false;
      if (result.done) return true;
      total += result.value.byteLength;
    }
    return false;
  } catch {
    return false; // the sender went away
  } finally {
    deadline.clear();
  }
}

/** A promise of null after `ms`, and the way to call it off. */
function startDeadline(ms: number): { readonly expired: Promise<null>; clear(): void } {
  const { promise, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(resolve, ms, null);
  return { expired: promise, clear: () => clearTimeout(timer) };
}
