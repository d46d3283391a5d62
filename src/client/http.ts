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
}

/** The largest answer that is read, in characters (256 Mi): a page of 500 events with images fits. */
const MAX_ANSWER_CHARS = 256 * 1024 * 1024;
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
    const text = await readText(response, stop.signal, MAX_ANSWER_CHARS);
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
  const init: RequestInit = {
    method,
    headers: headersOf(transport.headers, {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    }),
    // The token is for this server alone.
    redirect: 'manual',
    signal,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  signal.throwIfAborted();
  // Not every fetch that is handed in heeds its signal.
  return abortable(transport.fetch(`${transport.baseUrl}${path}`, init), signal);
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
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'detail' in value ? value.detail : value;
  } catch {
    return text;
  }
}

/** Seconds or a date. */
function retryAfter(header: string | null): number | null {
  if (header === null) return null;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

/** The body; null: it is longer. Rejects with the signal's reason. */
async function readText(response: Response, signal: AbortSignal, maxChars: number): Promise<string | null> {
  if (response.body === null) return '';
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of chunks(response.body, signal)) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > maxChars) return null;
  }
  return text + decoder.decode();
}

/** A body as it comes. An abort ends it with the signal's reason; who stops reading closes it. */
export async function* chunks(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const reader = body.getReader();
  // A broken body has nothing to close. A pending read ends with this too.
  const close = () => void reader.cancel().catch(() => {});
  signal.addEventListener('abort', close);
  try {
    while (!signal.aborted) {
      const { done, value } = await reader.read();
      if (signal.aborted) break;
      if (done) return;
      yield value;
    }
    throw signal.reason;
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
}
