// One HTTP exchange with the server: headers, time-out, abort, and errors in the Python client's classes and texts.

import {
  DifyAgentClientError,
  DifyAgentHTTPError,
  DifyAgentNotFoundError,
  DifyAgentTimeoutError,
  DifyAgentValidationError,
} from './errors.ts';
import { MalformedError } from './parse.ts';

/** What sends requests; `globalThis.fetch` fits. */
export type Fetch = (input: string, init: RequestInit) => Promise<Response>;

export interface Transport {
  readonly fetch: Fetch;
  /** Without trailing `/`. */
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  /** For requests that are not streams, ms. */
  readonly timeoutMs: number;
}

export interface Exchange {
  /** In messages: `createRun`. */
  readonly operation: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The largest answer that is read, in characters (256 Mi): a page of 500 events with images fits. */
const MAX_ANSWER_CHARS = 256 * 1024 * 1024;

/** Sends, and reads the answer with `read`. Rejects with DifyAgentClientError or with the signal's reason. */
export async function exchange<T>(transport: Transport, request: Exchange, read: (value: unknown) => T): Promise<T> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), transport.timeoutMs);
  const { operation, signal } = request;
  try {
    const response = await send(transport, request, anyOf(signal, timeout.signal));
    if (response.status >= 400) throw await httpError(response);
    const text = await response.text();
    try {
      if (text.length > MAX_ANSWER_CHARS) throw new MalformedError('the answer is too large');
      return read(JSON.parse(text));
    } catch (error) {
      throw new DifyAgentValidationError(response.status, `invalid ${operation} response: ${messageOf(error)}`);
    }
  } catch (error) {
    if (error instanceof DifyAgentClientError) throw error;
    if (signal?.aborted === true) throw signal.reason;
    if (timeout.signal.aborted) throw new DifyAgentTimeoutError(`${operation} timed out`, { cause: error });
    throw new DifyAgentClientError(`${operation} request failed: ${messageOf(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** Sends and answers with whatever came, unread. Rejects with what fetch rejects with. */
export function send(transport: Transport, request: Exchange, signal: AbortSignal): Promise<Response> {
  const { method, path, body, headers } = request;
  return transport.fetch(`${transport.baseUrl}${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...transport.headers,
      ...headers,
    },
    // The token is for this server alone.
    redirect: 'manual',
    signal,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

/** The error of a status ≥ 400; reads the body. */
export async function httpError(response: Response): Promise<DifyAgentHTTPError> {
  const text = await response.text().catch(() => '');
  const detail = detailOf(text) ?? (text === '' ? response.statusText : text);
  const { status } = response;
  if (status === 404) return new DifyAgentNotFoundError(status, detail);
  if (status === 422) return new DifyAgentValidationError(status, detail);
  return new DifyAgentHTTPError(status, detail, retryAfter(response.headers.get('retry-after')));
}

function detailOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    const hasDetail = typeof value === 'object' && value !== null && 'detail' in value;
    return hasDetail ? value.detail : value;
  } catch {
    return undefined;
  }
}

function retryAfter(header: string | null): number | null {
  return header !== null && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : null;
}

/** A signal that aborts with the first of these. */
export function anyOf(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  const present = signals.filter((signal) => signal !== undefined);
  const [only] = present;
  return present.length === 1 && only !== undefined ? only : AbortSignal.any([...present]);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
