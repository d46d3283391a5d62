// The client of the run API: the Python client's contract (spec 01 §8) with its weak spots mended. Works with any server of
// this wire, in Bun, Node, Deno and browsers.

import {
  DifyAgentClientError,
  DifyAgentStreamError,
  DifyAgentTimeoutError,
  DifyAgentValidationError,
} from './errors.ts';
import { type Exchange, exchange, type Fetch, type Transport } from './http.ts';
import { readCancelled, readCreated, readPage, readStatus } from './parse.ts';
import { pause, type StreamOptions, streamRun } from './stream.ts';
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
  /** e.g. `http://localhost:8000`; may have a path. */
  readonly baseUrl: string;
  /** Sent as `Authorization: Bearer …`. */
  readonly token?: string;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Default: the platform's. */
  readonly fetch?: Fetch;
  /** For requests that are not streams, ms. Default 30,000. */
  readonly timeoutMs?: number;
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

export interface CompletionOptions extends StreamOptions, CallOptions {
  readonly onEvent?: (event: RunEvent) => void | Promise<void>;
  /** Cancels the run when the signal aborts or the stream fails. Default false: the run goes on without this client. */
  readonly cancelOnAbort?: boolean;
}

/** One server. Holds no connection and no state. Every method rejects with DifyAgentClientError or the signal's reason. */
export class Client {
  readonly #transport: Transport;

  /** @throws DifyAgentClientError for options that cannot be. */
  constructor(options: ClientOptions) {
    const baseUrl = options.baseUrl.replace(/\/+$/, '');
    if (!/^https?:\/\/[^/?#]+[^?#]*$/i.test(baseUrl)) {
      throw new DifyAgentClientError('baseUrl must be an http:// or https:// URL without query or fragment');
    }
    const { token = '' } = options;
    this.#transport = {
      baseUrl,
      // Called with the global as its `this`, as browsers insist.
      fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
      headers: { ...(token === '' ? {} : { Authorization: `Bearer ${token}` }), ...options.headers },
      timeoutMs: options.timeoutMs ?? 30_000,
    };
  }

  /** Starts a run. One attempt: whether a lost answer means a run is for `idempotency_key` to find out. */
  createRun(request: CreateRunRequest, options: CallOptions = {}): Promise<CreateRunResponse> {
    return this.#call(
      { operation: 'createRun', method: 'POST', path: '/runs', body: request, ...options },
      readCreated,
    );
  }

  getRun(runId: string, options: CallOptions = {}): Promise<RunStatusResponse> {
    return this.#call({ operation: 'getRun', method: 'GET', path: pathOf(runId), ...options }, readStatus);
  }

  /** One page of events. `limit`: 1 to 500, default 100. */
  getEvents(
    runId: string,
    options: CallOptions & { readonly after?: string; readonly limit?: number } = {},
  ): Promise<RunEventsResponse> {
    const { after = '0-0', limit = 100, ...rest } = options;
    const path = `${pathOf(runId)}/events?after=${encodeURIComponent(after)}&limit=${limit}`;
    return this.#call({ operation: 'getEvents', method: 'GET', path, ...rest }, readPage);
  }

  /** All events after a cursor, as they come, until the terminal one; connections that break are replaced. */
  streamEvents(runId: string, options: StreamOptions = {}): AsyncGenerator<RunEvent, void, void> {
    return streamRun(this.#transport, runId, options);
  }

  /** Looks until the run is over. */
  async waitRun(runId: string, options: WaitOptions = {}): Promise<RunStatusResponse> {
    const { pollIntervalMs = 1_000, timeoutMs, ...call } = options;
    const end = timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
    for (;;) {
      const status = await this.getRun(runId, call);
      if (status.status !== 'running') return status;
      const left = end - performance.now();
      if (left <= 0) throw new DifyAgentTimeoutError(`run '${runId}' did not finish before timeout`);
      await pause(Math.min(pollIntervalMs, left), call.signal ?? new AbortController().signal);
      call.signal?.throwIfAborted();
    }
  }

  /** Asks for the end of a run. It follows when the run's layers have been left: see cancelRunAndWait. */
  cancelRun(runId: string, request: CancelRunRequest = {}, options: CallOptions = {}): Promise<CancelRunResponse> {
    const body = { reason: request.reason ?? null, message: request.message ?? null };
    return this.#call(
      { operation: 'cancelRun', method: 'POST', path: `${pathOf(runId)}/cancel`, body, ...options },
      readCancelled,
    );
  }

  /**
   * Cancels and waits for `run_cancelled`. `after`: where the caller's own stream is; a run that is cancelled already is read
   * from its beginning, because that event may lie before.
   */
  async cancelRunAndWait(
    runId: string,
    request: CancelRunRequest = {},
    options: StreamOptions = {},
  ): Promise<RunCancelledEvent> {
    const call = options.signal === undefined ? {} : { signal: options.signal };
    const over = options.after !== undefined && (await this.getRun(runId, call)).status === 'cancelled';
    if (!over) await this.cancelRun(runId, request, call);
    for await (const event of this.streamEvents(runId, over ? { ...options, after: '0-0' } : options)) {
      if (event.type === 'run_cancelled') return event;
      if (isTerminal(event))
        throw new DifyAgentStreamError(`run '${runId}' ended with ${event.type} instead of run_cancelled`);
    }
    throw new DifyAgentStreamError('SSE stream ended before a terminal event');
  }

  /** Creates a run and streams it to its end. */
  async runToCompletion(request: CreateRunRequest, options: CompletionOptions = {}): Promise<TerminalEvent> {
    const { onEvent, cancelOnAbort = false, headers, ...stream } = options;
    const call = {
      ...(stream.signal === undefined ? {} : { signal: stream.signal }),
      ...(headers === undefined ? {} : { headers }),
    };
    const { run_id: runId } = await this.createRun(request, call);
    let ended = false;
    try {
      for await (const event of this.streamEvents(runId, stream)) {
        ended = isTerminal(event);
        await onEvent?.(event);
        if (isTerminal(event)) return event;
      }
      throw new DifyAgentStreamError('SSE stream ended before a terminal event');
    } finally {
      // The reason of the failure is the caller's to see; that this did not work either is not.
      if (!ended && cancelOnAbort) await this.cancelRun(runId, { reason: 'client_aborted' }).catch(() => {});
    }
  }

  #call<T>(request: Exchange, read: (value: unknown) => T): Promise<T> {
    return exchange(this.#transport, request, read);
  }
}

/** The id as one segment, with nothing left unescaped that means something in a path. */
function pathOf(runId: string): string {
  if (runId === '' || runId === '.' || runId === '..') {
    throw new DifyAgentValidationError(422, `not a run id: ${JSON.stringify(runId)}`);
  }
  return `/runs/${encodeURIComponent(runId)}`;
}
