// The client of the run API: the Python client's contract (spec 01 §8) with its weak spots mended. Works with any server of
// this wire, in Bun, Node, Deno and browsers.

import { DifyAgentClientError, DifyAgentStreamError, DifyAgentTimeoutError } from './errors.ts';
import {
  checkNumbers,
  type Exchange,
  escaped,
  exchange,
  type Fetch,
  headersOf,
  invalid,
  runPath,
  type Transport,
} from './http.ts';
import { readCancelled, readCreated, readPage, readStatus } from './parse.ts';
import { pause } from './stop.ts';
import { type StreamOptions, streamRun } from './stream.ts';
import {
  type CancelRunRequest,
  type CancelRunResponse,
  type CreateRunRequest,
  type CreateRunResponse,
  isTerminal,
  type RunCancelledEvent,
  type RunEvent,
  type RunEventsResponse,
  type RunStatusResponse,
  type TerminalEvent,
} from './types.ts';

export interface ClientOptions {
  /** e.g. `http://localhost:8000`; may have a path. A user and password in it are sent as Basic authentication. */
  readonly baseUrl: string;
  /** Sent as `Authorization: Bearer …`. Surrounding blanks are cut; empty: none. */
  readonly token?: string;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the platform's. */
  readonly fetch?: Fetch;
  /** For requests that are not streams, ms. Default 30,000. */
  readonly timeoutMs?: number;
  /** Reads JSON. Default: JSON.parse. For those who need numbers as they were printed. */
  readonly parse?: (text: string) => unknown;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface WaitOptions extends CallOptions {
  /** Between two looks, ms. Default 1,000. */
  readonly pollIntervalMs?: number;
  /** Default: none. */
  readonly timeoutMs?: number;
}

export interface CompletionOptions extends StreamOptions {
  /** Called with each event; the next one waits for it. */
  readonly onEvent?: (event: RunEvent) => void | Promise<void>;
  /**
   * Cancels the run when the signal aborts, the stream fails or `onEvent` throws. Default false: the run goes on without this
   * client. An abort while the run is being created is then noticed when its id is known, so that there is something to cancel.
   */
  readonly cancelOnAbort?: boolean;
}

/** The largest page that is read, in characters (256 Mi): 500 events with images fit. */
const MAX_PAGE_CHARS = 256 * 1024 * 1024;
/** The most that a failing runToCompletion waits for its cancel, ms. */
const CANCEL_TIMEOUT_MS = 5_000;

/** One server. Holds no connection and no state. Every method rejects with DifyAgentClientError or the signal's reason. */
export class Client {
  readonly #transport: Transport;

  /** @throws DifyAgentClientError for options that cannot be. */
  constructor(options: ClientOptions) {
    const { baseUrl, credentials } = addressOf(options.baseUrl);
    const token = options.token?.trim() ?? '';
    const authorization = token === '' ? credentials : `Bearer ${token}`;
    const headers = authorization === null ? {} : { Authorization: authorization };
    const { timeoutMs = 30_000 } = options;
    checkNumbers({ timeoutMs });
    this.#transport = {
      baseUrl,
      // Called with the global as its `this`, as browsers insist.
      fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
      headers: headersOf(headersOf(new Headers(), headers), options.headers ?? {}),
      timeoutMs,
      parse: options.parse ?? JSON.parse,
    };
  }

  /** The server's address, without `/` at its end and without credentials. */
  get baseUrl(): string {
    return this.#transport.baseUrl;
  }

  /** Starts a run. One attempt: whether a lost answer means a run, the server knows by `idempotency_key`. */
  async createRun(request: CreateRunRequest, options: CallOptions = {}): Promise<CreateRunResponse> {
    // Callers without a compiler.
    if (typeof request?.composition !== 'object')
      throw invalid('request must be a CreateRunRequest: an object with a composition');
    return this.#call(
      { operation: 'createRun', method: 'POST', path: '/runs', body: request, ...options },
      readCreated,
    );
  }

  async getRun(runId: string, options: CallOptions = {}): Promise<RunStatusResponse> {
    return this.#look(runId, options);
  }

  /** One page of events. `limit`: 1 to 500, default 100. */
  async getEvents(
    runId: string,
    options: CallOptions & { readonly after?: string; readonly limit?: number } = {},
  ): Promise<RunEventsResponse> {
    const { after = '0-0', limit = 100, ...rest } = options;
    const path = `${runPath(runId)}/events?after=${escaped(after)}&limit=${limit}`;
    const maxChars = MAX_PAGE_CHARS;
    return this.#call({ operation: 'getEvents', method: 'GET', path, maxChars, ...rest }, readPage);
  }

  /** All events after a cursor, as they come, until the terminal one; connections that break are replaced. */
  streamEvents(runId: string, options: StreamOptions = {}): AsyncGenerator<RunEvent, void, void> {
    return streamRun(this.#transport, runId, options);
  }

  /** Looks until the run is over. */
  async waitRun(runId: string, options: WaitOptions = {}): Promise<RunStatusResponse> {
    const { pollIntervalMs = 1_000, timeoutMs = Number.POSITIVE_INFINITY, ...call } = options;
    checkNumbers({ pollIntervalMs, timeoutMs });
    const end = performance.now() + timeoutMs;
    const late = () => new DifyAgentTimeoutError(`run '${runId}' did not finish before timeout`);
    for (let looks = 0; ; looks += 1) {
      const left = end - performance.now();
      if (left <= 0 && looks > 0) throw late();
      // With no time at all there is still one look, as long as any request may take.
      const isLast = left > 0 && left < this.#transport.timeoutMs;
      const status = await this.#look(runId, call, isLast ? left : undefined).catch((error: unknown) => {
        throw isLast && error instanceof DifyAgentTimeoutError ? late() : error;
      });
      if (status.status !== 'running') return status;
      await pause(Math.min(pollIntervalMs, Math.max(0, end - performance.now())), call.signal);
      call.signal?.throwIfAborted();
    }
  }

  /** Asks for the end of a run. It follows when the run's layers have been left: see cancelRunAndWait. */
  async cancelRun(
    runId: string,
    request: CancelRunRequest = {},
    options: CallOptions = {},
  ): Promise<CancelRunResponse> {
    return this.#cancel(runId, request, options);
  }

  /**
   * Cancels and waits for `run_cancelled`. `after`: where the caller's own stream is; a run that is cancelled already is read
   * from its beginning, because that event may lie before. A run that ended otherwise is a DifyAgentHTTPError (409), or a
   * DifyAgentStreamError when it ended in the meantime.
   */
  async cancelRunAndWait(
    runId: string,
    request: CancelRunRequest = {},
    options: StreamOptions = {},
  ): Promise<RunCancelledEvent> {
    const call = callOf(options);
    await this.#cancel(runId, request, call);
    const over = options.after !== undefined && (await this.getRun(runId, call)).status === 'cancelled';
    for await (const event of this.streamEvents(runId, over ? { ...options, after: '0-0' } : options)) {
      if (event.type === 'run_cancelled') return event;
      if (isTerminal(event))
        throw new DifyAgentStreamError(`run '${runId}' ended with ${event.type} instead of run_cancelled`);
    }
    throw new DifyAgentStreamError('SSE stream ended before a terminal event');
  }

  /** Creates a run and streams it to its end. */
  async runToCompletion(request: CreateRunRequest, options: CompletionOptions = {}): Promise<TerminalEvent> {
    const { onEvent, cancelOnAbort = false, ...stream } = options;
    const { signal: _, ...unsignalled } = callOf(stream);
    stream.signal?.throwIfAborted();
    const { run_id: runId } = await this.createRun(request, cancelOnAbort ? unsignalled : callOf(stream));
    let ended = false;
    try {
      for await (const event of this.streamEvents(runId, stream)) {
        ended = isTerminal(event);
        await onEvent?.(event);
        if (isTerminal(event)) return event;
      }
      throw new DifyAgentStreamError('SSE stream ended before a terminal event');
    } finally {
      if (!ended && cancelOnAbort) {
        // The reason of the failure is the caller's to see; that this did not work either is not.
        await this.#cancel(runId, { reason: 'client_aborted' }, unsignalled, CANCEL_TIMEOUT_MS).catch(() => {});
      }
    }
  }

  #look(runId: string, call: CallOptions, timeoutMs?: number): Promise<RunStatusResponse> {
    const path = runPath(runId);
    return this.#call({ operation: 'getRun', method: 'GET', path, ...call, timeoutMs }, readStatus);
  }

  async #cancel(
    runId: string,
    request: CancelRunRequest,
    options: CallOptions,
    timeoutMs?: number,
  ): Promise<CancelRunResponse> {
    // Callers without a compiler hand in null, as in Python.
    const body = { reason: request?.reason ?? null, message: request?.message ?? null };
    const path = `${runPath(runId)}/cancel`;
    return this.#call({ operation: 'cancelRun', method: 'POST', path, body, ...options, timeoutMs }, readCancelled);
  }

  #call<T>(request: Exchange, read: (value: unknown, text: string) => T): Promise<T> {
    return exchange(this.#transport, request, read);
  }
}

/** What of a stream's options is for its other requests. */
function callOf({ signal, headers }: StreamOptions): CallOptions {
  return { ...(signal === undefined ? {} : { signal }), ...(headers === undefined ? {} : { headers }) };
}

/** The address without `/` at its end, and the header that its user and password become (spec 07 §1.1). */
function addressOf(text: string): { readonly baseUrl: string; readonly credentials: string | null } {
  try {
    const url = new URL(text);
    const { username, password, origin, pathname } = url;
    if (/^https?:$/.test(url.protocol) && url.search === '' && url.hash === '') {
      const baseUrl = origin + pathname.replace(/\/+$/, '');
      if (username === '' && password === '') return { baseUrl, credentials: null };
      const bytes = new TextEncoder().encode(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
      return { baseUrl, credentials: `Basic ${btoa(String.fromCharCode(...bytes))}` };
    }
  } catch {
    // Said below, without the text: it may have a password in it.
  }
  throw new DifyAgentClientError('baseUrl must be an http:// or https:// URL without query or fragment');
}
