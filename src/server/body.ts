// Reads a request body within bounds: bytes are counted while they arrive, a slow sender is timed out, and what lies
// beyond the limit is thrown away instead of kept. What the bytes mean is input.ts' business.

import { HttpError, unreadableBody } from './errors.ts';

/** Bounds of one body. */
export interface BodyLimits {
  /** Largest body, in bytes. */
  readonly maxBytes: number;
  /** The whole body must be here after this many milliseconds. */
  readonly timeoutMs: number;
}

/** So long may a body take, whatever its size: a sender of single bytes does not hold a connection for ever. */
export const BODY_TIMEOUT_MS = 60_000;

/**
 * An oversized body is read and dropped up to here, so that a client which sends everything before it reads sees the
 * 413; beyond it the connection is closed.
 */
const DRAIN_BYTES = 8 * 1024 * 1024;
const DRAIN_MS = 2_000;

const CLOSE = { connection: 'close' };

/** The body's bytes. Throws HttpError: 413 over the limit, 408 too slow, 400 when the sender broke off. */
export async function readBody(request: Request, limits: BodyLimits): Promise<Uint8Array> {
  const declared = declaredLength(request);
  if (declared !== null && declared > limits.maxBytes) throw await tooLarge(request.body, declared, 0, limits);
  const deadline = startDeadline(limits.timeoutMs);
  try {
    // Bun reads a body of known length in one piece, if nobody touched `request.body` before.
    const reading = declared === null ? readCounted(request.body, limits) : request.bytes();
    const bytes = await Promise.race([reading, deadline.expired]);
    if (bytes !== null) return bytes;
    reading.catch(() => undefined); // the connection is closed under it
    throw new HttpError(408, 'request body timed out', CLOSE);
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw unreadableBody(); // the sender went away; nobody reads this answer
  } finally {
    deadline.clear();
  }
}

function declaredLength(request: Request): number | null {
  const text = request.headers.get('content-length');
  return text === null ? null : Number(text);
}

/** A chunked body: no declared length to trust. */
async function readCounted(body: ReadableStream<Uint8Array> | null, limits: BodyLimits): Promise<Uint8Array> {
  if (body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let total = 0;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks, total);
    total += value.byteLength;
    if (total > limits.maxBytes) {
      chunks.length = 0;
      reader.releaseLock();
      throw await tooLarge(body, null, total, limits);
    }
    chunks.push(value);
  }
}

async function tooLarge(
  body: ReadableStream<Uint8Array> | null,
  declared: number | null,
  alreadyRead: number,
  { maxBytes }: BodyLimits,
): Promise<HttpError> {
  const hopeless = declared !== null && declared > maxBytes + DRAIN_BYTES;
  const drained = !hopeless && body !== null && (await drain(body, DRAIN_BYTES + maxBytes - alreadyRead));
  return new HttpError(413, `request body too large: limit is ${maxBytes} bytes`, drained ? {} : CLOSE);
}

/** Drops what still arrives; true when the body's end was reached within the bounds. */
async function drain(body: ReadableStream<Uint8Array>, maxBytes: number): Promise<boolean> {
  const deadline = startDeadline(DRAIN_MS);
  const reader = body.getReader();
  try {
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
