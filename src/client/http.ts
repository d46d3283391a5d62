// One HTTP exchange with the server: address, headers, time-out, abort, and errors in the Python client's classes and texts.

import {
  DifyAgentClientError,
  DifyAgentHTTPError,
  DifyAgentNotFoundError,
  DifyAgentTimeoutError,
  DifyAgentValidationError,
  messageOf,
} from './errors.ts';
import { abortable, Stop } from './stop.ts';

/** What sends requests; `globalThis.fetch` fits. */
export type Fetch = (input: string, init: RequestInit) => Promise<Response>;

export interface Transport {
  readonly fetch: Fetch;
  /** Without trailing `/`. */
  readonly baseUrl: string;
  readonly headers: Headers;
  /** For requests that are not streams, ms. */
  readonly timeoutMs: number;
  /** JSON.parse, or the caller's own. */
  readonly parse: (text: string) => unknown;
}

export interface Exchange {
  /** In messages: `createRun`. */
  readonly operation: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** Printed as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Instead of the transport's, ms. */
  readonly timeoutMs?: number | undefined;
  /** The largest answer that is read, in characters. Default 16 Mi. */
  readonly maxChars?: number | undefined;
}

const MAX_ANSWER_CHARS = 16 * 1024 * 1024;
/** The most that is read of an error's body (1 Mi). */
const MAX_ERROR_CHARS = 1024 * 1024;

/**
 * Sends, and reads the answer with `read`, which gets the JSON and its text. Rejects with DifyAgentClientError or with the
 * signal's reason.
 */
export async function exchange<T>(
  transport: Transport,
  request: Exchange,
  read: (value: unknown, text: string) => T,
): Promise<T> {
  const { operation, signal } = request;
  const stop = new Stop(signal, request.timeoutMs ?? transport.timeoutMs);
  try {
    const response = await send(transport, request, stop.signal);
    if (response.status >= 400) throw await httpError(response, stop.signal);
    const text = await readText(response, stop.signal, request.maxChars ?? MAX_ANSWER_CHARS);
    try {
      if (text === null) throw new Error('it is too large');
      return read(transport.parse(text), text);
    } catch (error) {
      throw new DifyAgentValidationError(
        response.status,
        `invalid ${operation} response: ${redirected(response) ? 'redirects are not followed' : messageOf(error)}`,
      );
    }
  } catch (error) {
    if (error instanceof DifyAgentClientError) throw error;
    if (signal?.aborted === true) throw signal.reason;
    if (stop.expired) throw new DifyAgentTimeoutError(`${operation} timed out`, { cause: error });
    throw new DifyAgentClientError(`${operation} request failed: ${messageOf(error)}`, { cause: error });
  } finally {
    stop.release();
  }
}

/** Sends and answers with whatever came, unread. Rejects with what fetch rejects with, or with the signal's reason. */
export async function send(transport: Transport, request: Exchange, signal: AbortSignal): Promise<Response> {
  const { method, path, body, headers } = request;
  const init: RequestInit & { readonly timeout: false } = {
    method,
    headers: headersOf(transport.headers, {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    }),
    // The token is for this server alone.
    redirect: 'manual',
    signal,
    // How long to wait is said by the signal; Bun would leave a silent connection after five minutes on its own.
    timeout: false,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  signal.throwIfAborted();
  const answering = transport.fetch(`${transport.baseUrl}${path}`, init);
  try {
    // Not every fetch that is handed in heeds its signal.
    return await abortable(answering, signal);
  } catch (error) {
    // Nor closes what comes too late.
    answering.then(discard).catch(() => {});
    throw error;
  }
}

/** Closes an answer that nobody reads. */
export function discard({ body }: Response): void {
  body?.cancel().catch(() => {});
}

/** What every runtime sends and every server reads. Runtimes differ in what else they let through. */
const HEADER_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Some headers and others over them. @throws DifyAgentValidationError without the value, which may be a secret. */
export function headersOf(some: Headers, others: Readonly<Record<string, string>>): Headers {
  const headers = new Headers(some);
  for (const [name, value] of Object.entries(others)) {
    try {
      if (!HEADER_TEXT.test(value)) throw new TypeError();
      headers.set(name, value);
    } catch {
      throw invalid(`the header ${JSON.stringify(name)} cannot be sent`);
    }
  }
  return headers;
}

/** `/runs/{id}`: the id as one segment, with nothing left unescaped that means something in a path. */
export function runPath(runId: string): string {
  if (typeof runId !== 'string' || runId === '' || runId === '.' || runId === '..') throw invalid('not a run id');
  return `/runs/${escaped(runId)}`;
}

/** Percent-encoded. @throws DifyAgentValidationError for half a surrogate pair */
export function escaped(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    throw invalid('not Unicode text');
  }
}

/** What is wrong with an argument: a 422 that no server was asked for. */
export function invalid(detail: string): DifyAgentValidationError {
  return new DifyAgentValidationError(422, detail);
}

/** A redirect, also as browsers show it: without its status. */
export function redirected({ status, type }: Response): boolean {
  return type === 'opaqueredirect' || (status >= 300 && status < 400);
}

/** The error of an answer that is none; reads the body. */
export async function httpError(response: Response, signal: AbortSignal): Promise<DifyAgentHTTPError> {
  const text = await readText(response, signal, MAX_ERROR_CHARS);
  const { status } = response;
  const detail = detailOf(text ?? '', response.statusText);
  if (status === 404) return new DifyAgentNotFoundError(status, detail);
  if (status === 422) return new DifyAgentValidationError(status, detail);
  return new DifyAgentHTTPError(status, detail, retryAfter(response.headers.get('retry-after')));
}

function detailOf(text: string, reason: string): unknown {
  if (text === '') return reason;
  if (isDeep(text)) return text;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'detail' in value ? value.detail : value;
  } catch {
    return text;
  }
}

/**
 * Whether brackets are nested more deeply than a server means anything by (1,000). Those in strings count too. What is, takes
 * JSON.stringify seconds, and overflows its stack.
 */
function isDeep(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length && depth <= 1_000; i++) {
    const char = text[i];
    if (char === '[' || char === '{') depth += 1;
    else if (char === ']' || char === '}') depth -= 1;
  }
  return depth > 1_000;
}

/** Seconds or a date. */
function retryAfter(header: string | null): number | null {
  if (header === null) return null;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

/** The body; null: it is longer. Rejects with the signal's reason. */
async function readText(response: Response, signal: AbortSignal, maxChars: number): Promise<string | null> {
  const body = new Body(response, signal);
  try {
    let text = '';
    const decoder = new TextDecoder();
    for (;;) {
      const bytes = body.take(await body.read());
      if (bytes === null) return text + decoder.decode();
      text += decoder.decode(bytes, { stream: true });
      if (text.length > maxChars) return null;
    }
  } finally {
    body.close();
  }
}

type Read = { readonly done: boolean; readonly value?: Uint8Array | undefined };
/** What is used of a ReadableStreamDefaultReader, which runtimes type differently. */
type Reader = { read(): Promise<Read>; cancel(): Promise<void> };

/**
 * A response's body as it comes: `take(await read())`. In two steps, so that no promise is made for each piece but the
 * stream's own. To be closed, however reading ended.
 */
export class Body {
  readonly #reader: Reader | undefined;
  readonly #signal: AbortSignal;

  constructor({ body }: Response, signal: AbortSignal) {
    this.#reader = body?.getReader();
    this.#signal = signal;
    // A pending read ends with this too.
    signal.addEventListener('abort', this.close);
  }

  /** Waits for more. Rejects when the body breaks. @throws the signal's reason */
  read(): Promise<Read> {
    this.#signal.throwIfAborted();
    return this.#reader?.read() ?? Promise.resolve({ done: true });
  }

  /** The bytes of what was read; null: there are no more. @throws the signal's reason */
  take({ done, value }: Read): Uint8Array | null {
    this.#signal.throwIfAborted();
    return done || value === undefined ? null : value;
  }

  readonly close = (): void => {
    this.#signal.removeEventListener('abort', this.close);
    // A broken body has nothing to close.
    this.#reader?.cancel().catch(() => {});
  };
}

/** @throws DifyAgentValidationError for a number that cannot be */
export function checkNumbers(options: Readonly<Record<string, number | undefined>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && !(value >= 0)) throw invalid(`${name} must be a number that is not negative`);
  }
}
