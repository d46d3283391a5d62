// A body that passes through without being kept: pulled by whoever takes it, counted, and ended when that one pauses for too
// long, since it holds a connection meanwhile.

import { DifyApiError } from './errors.ts';
import type { Exchange } from './exchange.ts';

/** A body on its way. */
export interface PassedBody {
  /** Null: not told. */
  readonly contentType: string | null;
  /** Whether the API calls it an attachment: a page of a proxy is none. */
  readonly attachment: boolean;
  /** Bytes to come; null: not told. */
  readonly length: number | null;
  /** Errors with DifyApiError. */
  readonly stream: ReadableStream<Uint8Array>;
  /** Resolves when nothing more will be read, for whatever reason. */
  readonly over: Promise<void>;
}

/** Bounds. */
export interface PassLimits {
  readonly maxBytes: number;
  /** How long the taker may pause, in milliseconds. */
  readonly stallMs: number;
}

/** The body of an exchange; `done` is called once, when it is over. Throws DifyApiError `too_large`. */
export function passBody(exchange: Exchange, done: () => void, { maxBytes, stallMs }: PassLimits): PassedBody {
  const { headers, status } = exchange;
  // Bun unpacks compressed bodies and leaves their length in the header.
  const plain = (headers.get('content-encoding') ?? 'identity') === 'identity';
  const declared = headers.get('content-length');
  const length = plain && declared !== null && /^\d{1,15}$/.test(declared) ? Number(declared) : null;
  if (length !== null && length > maxBytes) {
    done();
    throw new DifyApiError('too_large', status);
  }
  let total = 0;
  let stall: Timer | undefined;
  const over = Promise.withResolvers<void>();
  const finish = (): void => {
    clearTimeout(stall);
    done();
    over.resolve();
  };
  /** The taker has what there was: it is its turn. */
  function arm(controller: ReadableStreamDefaultController<Uint8Array>): void {
    stall = setTimeout(() => {
      finish();
      controller.error(new DifyApiError('timeout', status));
    }, stallMs);
  }
  const stream = new ReadableStream<Uint8Array>(
    {
      start: arm,
      async pull(controller) {
        clearTimeout(stall);
        try {
          const chunk = await exchange.read();
          if (chunk === null) {
            finish();
            controller.close();
            return;
          }
          total += chunk.length;
          if (total > maxBytes) throw new DifyApiError('too_large', status);
          controller.enqueue(chunk);
          arm(controller);
        } catch (error) {
          finish();
          controller.error(error);
        }
      },
      cancel: finish,
    },
    { highWaterMark: 0 },
  );
  return {
    contentType: headers.get('content-type'),
    attachment: /^\s*attachment\b/i.test(headers.get('content-disposition') ?? ''),
    length,
    stream,
    over: over.promise,
  };
}
