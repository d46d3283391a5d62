// A run's events as one stream that survives its connections: the cursor moves before an event is handed out, so that
// delivery has no gap and no repeat; what can be mended is tried again with a growing pause (spec 01 §8.3).

import { isBehind } from './cursor.ts';
import {
  cut,
  DifyAgentClientError,
  DifyAgentHTTPError,
  DifyAgentStreamError,
  DifyAgentTimeoutError,
  messageOf,
} from './errors.ts';
import {
  Body,
  checkNumbers,
  discard,
  escaped,
  exchange,
  httpError,
  redirected,
  runPath,
  send,
  type Transport,
} from './http.ts';
import { readEvent, readPage, readStatus } from './parse.ts';
import { type Frame, FrameReader, FrameTooLargeError, MAX_FRAME_CHARS } from './sse.ts';
import { pause, Stop } from './stop.ts';
import { isTerminal, type RunEvent } from './types.ts';

export { pause };

export interface StreamOptions {
  /** Events after this cursor, exclusive; default `0-0`: all. Behind the last event of a run there are none. */
  readonly after?: string;
  readonly signal?: AbortSignal;
  /** Sent with every request of the stream. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The longest silence of a connection, ms; comments of the server end it too. Default 30,000; 0: for ever. */
  readonly idleTimeoutMs?: number;
  /** For the whole stream, ms. Default: none. */
  readonly deadlineMs?: number;
  /**
   * New connections in a row without progress before the stream gives up. Progress is an event, or heartbeats for half of
   * the idle time-out. Default 8.
   */
  readonly maxReconnects?: number;
  /** The first pause before a new connection, ms; it doubles, up to 30 times as long, with jitter. Default 500. */
  readonly reconnectDelayMs?: number;
  /** Ends with the terminal event. Default true; false: reads on until the server ends the response. */
  readonly untilTerminal?: boolean;
}

const DEFAULT_IDLE_MS = 30_000;
const SILENT = 'SSE stream was silent for too long';
const ENDED = 'SSE stream ended before a terminal event';
/** The longest pause, in first pauses. */
const MAX_BACKOFF = 30;
/** The longest that a server's `Retry-After` is obeyed. */
const MAX_RETRY_AFTER_MS = 60_000;

/**
 * Streams a run. Throws DifyAgentClientError, or the signal's reason. Leaving it (`break`, `return()`) ends it at once, also
 * while an event is waited for.
 */
export function streamRun(
  transport: Transport,
  runId: string,
  options: StreamOptions = {},
): AsyncGenerator<RunEvent, void, void> {
  const leave = new AbortController();
  const events = eventsOf(transport, runId, options, leave.signal);
  const leaveGenerator = events.return.bind(events);
  // A generator alone would take the wish to leave only after the next event.
  events.return = (value) => {
    leave.abort();
    return leaveGenerator(value);
  };
  return events;
}

async function* eventsOf(
  transport: Transport,
  runId: string,
  options: StreamOptions,
  left: AbortSignal,
): AsyncGenerator<RunEvent, void, void> {
  const { signal, untilTerminal = true, deadlineMs } = options;
  const { idleTimeoutMs = DEFAULT_IDLE_MS, maxReconnects = 8, reconnectDelayMs = 500 } = options;
  checkNumbers({ idleTimeoutMs, maxReconnects, reconnectDelayMs, deadlineMs });
  const path = `${runPath(runId)}/events/sse?after=`;
  let cursor = options.after ?? '0-0';
  let failures = 0;
  let ended = false;
  // A cursor may be that of the run's end. What follows one event of a stream is not in doubt any more.
  let mayBeBehind = cursor !== '0-0';
  const stop = new Stop(signal, deadlineMs);
  left.addEventListener('abort', stop.stop);
  const check = (): void => {
    if (signal?.aborted === true) throw signal.reason;
    if (stop.expired) throw new DifyAgentTimeoutError(`stream of run '${runId}' exceeded its timeout`);
  };
  try {
    while (!left.aborted) {
      check();
      const connection = new Connection(idleTimeoutMs, stop.signal);
      let problem: unknown = ENDED;
      try {
        const body = await connection.open(transport, path + escaped(cursor), options.headers);
        for (;;) {
          const frames = connection.framesOf(body.take(await body.read()));
          if (frames === null) break;
          for (const frame of frames) {
            const event = eventOf(frame, transport.parse);
            if (isBehind(event.id, cursor)) continue;
            cursor = event.id;
            failures = 0;
            mayBeBehind = false;
            ended ||= isTerminal(event);
            yield event;
            if (ended && untilTerminal) return;
            check();
          }
          connection.listen();
        }
      } catch (error) {
        if (left.aborted) return;
        check();
        problem = mendable(connection.isSilent ? new DifyAgentTimeoutError(SILENT, { cause: error }) : error);
      } finally {
        connection.close();
      }
      if (ended) return;
      if (mayBeBehind && (problem === ENDED || connection.isSilent)) {
        try {
          if (await isBehindAll(transport, runId, cursor, options.headers, stop.signal)) return;
          mayBeBehind = false;
        } catch (error) {
          if (left.aborted) return;
          check();
          problem = mendable(error);
        }
      }
      // A silent run behind a proxy that cuts every minute is no reason to give up.
      if (connection.livedMs >= (idleTimeoutMs || DEFAULT_IDLE_MS) / 2) failures = 0;
      failures += 1;
      if (failures > maxReconnects) {
        throw new DifyAgentStreamError(`SSE stream reconnect attempts exhausted: ${messageOf(problem)}`, {
          cause: problem,
        });
      }
      await pause(Math.max(backoff(failures, reconnectDelayMs), retryAfter(problem)), stop.signal);
    }
  } finally {
    stop.release();
  }
}

/** Whether a run is over and has no event after the cursor. In this order: an event that is not there then never comes. */
async function isBehindAll(
  transport: Transport,
  runId: string,
  cursor: string,
  headers: StreamOptions['headers'],
  signal: AbortSignal,
): Promise<boolean> {
  const path = runPath(runId);
  const look = { method: 'GET', headers, signal } as const;
  const { status } = await exchange(transport, { ...look, operation: 'getRun', path }, readStatus);
  if (status === 'running') return false;
  const page = `${path}/events?after=${escaped(cursor)}&limit=1`;
  const request = { ...look, operation: 'getEvents', path: page, maxChars: MAX_FRAME_CHARS };
  return (await exchange(transport, request, readPage)).events.length === 0;
}

/** One response. To be closed. */
class Connection {
  readonly #stop: Stop;
  readonly #parent: AbortSignal;
  readonly #decoder = new TextDecoder();
  readonly #reader = new FrameReader();
  #body: Body | null = null;
  #opened = 0;
  #heard = 0;

  constructor(idleMs: number, parent: AbortSignal) {
    this.#parent = parent;
    this.#stop = new Stop(parent, idleMs === 0 ? undefined : idleMs);
  }

  /** From the response's beginning to the last that was heard, ms. */
  get livedMs(): number {
    return this.#heard - this.#opened;
  }

  /** It was given up because nothing came. */
  get isSilent(): boolean {
    return this.#stop.expired && !this.#parent.aborted;
  }

  /** Sends the request. Rejects unless the answer is a stream of events. */
  async open(transport: Transport, path: string, headers: Readonly<Record<string, string>> | undefined): Promise<Body> {
    const { signal } = this.#stop;
    const response = await send(transport, { operation: 'streamEvents', method: 'GET', path, headers }, signal);
    this.#opened = this.#heard = performance.now();
    await refuse(response, signal);
    this.#body = new Body(response, signal);
    this.listen();
    return this.#body;
  }

  /** Silence counts from now on. */
  listen(): void {
    this.#stop.restart();
  }

  /** The frames that these bytes complete, perhaps none; null for the end. Silence does not count until `listen`. */
  framesOf(bytes: Uint8Array | null): readonly Frame[] | null {
    // While the consumer works nobody reads, which is no silence of the server's.
    this.#stop.rest();
    if (bytes === null) return null;
    this.#heard = performance.now();
    return this.#reader.push(this.#decoder.decode(bytes, { stream: true }));
  }

  close(): void {
    this.#body?.close();
    this.#stop.release();
  }
}

/** Throws unless the response is a stream of events. */
async function refuse(response: Response, signal: AbortSignal): Promise<void> {
  if (response.status >= 400) throw await httpError(response, signal);
  if (redirected(response)) {
    discard(response);
    throw new DifyAgentHTTPError(response.status, 'redirects are not followed');
  }
  const type = response.headers.get('content-type');
  if (type === null || /^text\/event-stream\b/i.test(type)) return;
  discard(response);
  throw new DifyAgentStreamError(`not a stream of events but ${type}`);
}

function eventOf({ id, event, data }: Frame, parse: Transport['parse']): RunEvent {
  let read: RunEvent;
  try {
    read = readEvent(parse(data), data, id);
  } catch (error) {
    throw new DifyAgentStreamError(`malformed SSE data frame: ${cut(messageOf(error))}`, { cause: error });
  }
  if (event !== null && event !== read.type) {
    throw new DifyAgentStreamError(`SSE event field '${cut(event)}' does not match payload type '${read.type}'`);
  }
  return read;
}

/** What went wrong, when connecting again may help; else throws. */
function mendable(error: unknown): unknown {
  if (error instanceof FrameTooLargeError) throw new DifyAgentStreamError(`malformed SSE data frame: ${error.message}`);
  if (error instanceof DifyAgentStreamError) throw error;
  if (error instanceof DifyAgentHTTPError && error.statusCode < 500) throw error;
  if (error instanceof DifyAgentClientError) return error;
  return new DifyAgentClientError(`SSE stream request failed: ${messageOf(error)}`, { cause: error });
}

/** Doubling pauses with jitter, so that a thousand streams do not come back in the same moment. */
function backoff(failures: number, firstMs: number): number {
  const longest = firstMs * Math.min(2 ** (failures - 1), MAX_BACKOFF);
  return longest / 2 + (Math.random() * longest) / 2;
}

function retryAfter(problem: unknown): number {
  const asked = problem instanceof DifyAgentHTTPError ? problem.retryAfterMs : null;
  return Math.min(asked ?? 0, MAX_RETRY_AFTER_MS);
}
