// What the page asks of the server, with the token that its user typed. The token lives in this object only and goes to this
// server only. Runs are the client's; the rest (the list, the status, the metrics) is read here and may be missing.

import { computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import { Client } from '../client/client.ts';
import { DifyAgentHTTPError, messageOf } from '../client/errors.ts';
import { parseExactly } from './json.ts';
import { type ListQuery, listPath } from './list/filters.ts';

/** An answer that is none. `missing`: the server has no such page. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }

  get missing(): boolean {
    return this.status === 404 || this.status === 405 || this.status === 501;
  }
}

export interface Api {
  /** Without `/` at its end. */
  readonly base: string;
  /** Empty: none. */
  readonly token: Signal<string>;
  /** The server refused the last request for want of the right token. */
  readonly denied: ReadonlySignal<boolean>;
  /** Of runs, with the present token. */
  readonly client: ReadonlySignal<Client>;
  /** GET as text. Rejects with ApiError, or as fetch does. */
  text(path: string, signal: AbortSignal): Promise<string>;
  /** GET as JSON, of unknown shape. */
  json(path: string, signal: AbortSignal): Promise<unknown>;
  /** Whether the server lists runs; null: it was not asked yet. */
  readonly lists: ReadonlySignal<boolean | null>;
  /** A page of the list of runs, of unknown shape. */
  list(query: ListQuery, signal: AbortSignal): Promise<unknown>;
}

/** For one request that is not a stream, ms. */
const TIMEOUT_MS = 10_000;
/** The longest answer that is looked at, in characters. */
const MAX_CHARS = 16_777_216;

/** Whether a text can be sent as a token. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]{0,4096}$/.test(text);
}

export function createApi(base: string): Api {
  const token = signal('');
  const denied = signal(false);
  const lists = signal<boolean | null>(null);
  const watched = async (input: string, init: RequestInit): Promise<Response> => {
    const response = await fetch(input, init);
    denied.value = response.status === 401;
    return response;
  };
  const client = computed(
    () => new Client({ baseUrl: base, token: token.value, fetch: watched, parse: parseExactly, timeoutMs: TIMEOUT_MS }),
  );
  const text = async (path: string, signal: AbortSignal): Promise<string> => {
    const headers: Record<string, string> = token.value === '' ? {} : { authorization: `Bearer ${token.value}` };
    const response = await watched(`${base}${path}`, {
      headers,
      redirect: 'error',
      credentials: 'omit',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const body = await response.text();
    if (body.length > MAX_CHARS) throw new ApiError(response.status, 'the answer is too large');
    if (!response.ok) throw new ApiError(response.status, detailOf(body, response.status));
    return body;
  };
  const json = async (path: string, signal: AbortSignal): Promise<unknown> => JSON.parse(await text(path, signal));
  const list = async (query: ListQuery, signal: AbortSignal): Promise<unknown> => {
    try {
      const page = await json(listPath(query), signal);
      lists.value = true;
      return page;
    } catch (error) {
      if (error instanceof ApiError && error.missing) lists.value = false;
      throw error;
    }
  };
  return { base, token, denied, client, lists, text, json, list };
}

function detailOf(body: string, status: number): string {
  try {
    const { detail } = JSON.parse(body) as { readonly detail?: unknown }; // any member may be missing
    if (typeof detail === 'string') return detail;
  } catch {
    // Not one of ours.
  }
  return `the server answered ${status}`;
}

/** What to tell about a failure. */
export function problemOf(error: unknown): string {
  if (error instanceof DifyAgentHTTPError) return error.message.replace(/^Dify Agent HTTP /, 'HTTP ');
  if (error instanceof DOMException && error.name === 'TimeoutError') return 'the server did not answer in time';
  if (error instanceof TypeError) return 'the server cannot be reached';
  return messageOf(error);
}
