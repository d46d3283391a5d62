// A run's events as one stream that survives its connections: the cursor moves before an event is handed out, so that
// delivery has no gap and no repeat; what can be mended is tried again with a growing pause (spec 01 §8.3).

import { isBehind } from './cursor.ts';
import {
  DifyAgentClientError,
  DifyAgentHTTPError,
  DifyAgentStreamError,
  DifyAgentTimeoutError,
  messageOf,
} from './errors.ts';
import { chunks, escaped, httpError, invalid, redirected, runPath, send, type Transport } from './http.ts';
import { readEvent } from './parse.ts';
import { type Frame, FrameReader, FrameTooLargeError } from './sse.ts';
import { pause, Stop } from './stop.ts';
import { isTerminal, type RunEvent } from './types.ts';

export { pause };

export interface StreamOptions {
  /** Events after this cursor, exclusive; default `0-0`: all. */
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
/** The longest pause, in first pauses. */
const MAX_BACKOFF = 30;
/** The longest that a server's `Retry-After` is obeyed. */
const MAX_RETRY_AFTER_MS = 60_000;

/** Streams a run. Throws DifyAgentClientError, or the signal's reason. */
export async function* streamRun(
  transport: Transport,
  runId: string,
  options: StreamOptions = {},
): AsyncGenerator<RunEvent, void, void> {
  const { signal, untilTerminal = true, deadlineMs } = options;
  const { idleTimeoutMs = DEFAULT_IDLE_MS, maxReconnects = 8, reconnectDelayMs = 500 } = options;
  checkNumbers({ idleTimeoutMs, maxReconnects, reconnectDelayMs, deadlineMs });
  const path = `${runPath(runId)}/events/sse?after=`;
  let cursor = options.after ?? '0-0';
  let failures = 0;
  let ended = false;
  const stop = new Stop(signal, deadlineMs);
  const check = (): void => {
    if (signal?.aborted === true) throw signal.reason;
    if (stop.expired) throw new DifyAgentTimeoutError(`stream of run '${runId}' exceeded its timeout`);
  };
  try {
    for (;;) {
      check();
      const connection = new Connection(idleTimeoutMs, stop.signal);
      let problem: unknown = 'SSE stream ended before a terminal event';
      try {
        for await (const frames of connection.read(transport, path + escaped(cursor), options.headers)) {
          for (const frame of frames) {
            const event = eventOf(frame, transport.parse);
            if (isBehind(event.id, cursor)) continue;
            cursor = event.id;
            failures = 0;
            ended ||= isTerminal(event);
            yield event;
            if (ended && untilTerminal) return;
            check();
          }
        }
      } catch (error) {
        check();
        problem = mendable(error);
      }
      if (ended) return;
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

/** One response. */
class Connection {
  readonly #stop: Stop;
  readonly #parent: AbortSignal;
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

  /** Frames in the batches in which they arrive. */
  async *read(
    transport: Transport,
    path: string,
    headers: Readonly<Record<string, string>> | undefined,
  ): AsyncGenerator<readonly Frame[], void, void> {
    const { signal } = this.#stop;
    try {
      const response = await send(transport, { operation: 'streamEvents', method: 'GET', path, headers }, signal);
      this.#opened = this.#heard = performance.now();
      await refuse(response, signal);
      if (response.body === null) return;
      const decoder = new TextDecoder();
      const reader = new FrameReader();
      for await (const chunk of chunks(response.body, signal)) {
        this.#heard = performance.now();
        const frames = reader.push(decoder.decode(chunk, { stream: true }));
        // While the consumer works nobody reads, which is no silence of the server's.
        this.#stop.rest();
        if (frames.length > 0) yield frames;
        this.#stop.restart();
      }
    } catch (error) {
      if (!this.#stop.expired || this.#parent.aborted) throw error;
      throw new DifyAgentTimeoutError('SSE stream was silent for too long', { cause: error });
    } finally {
      this.#stop.release();
    }
  }
}

/** Throws unless the response is a stream of events. */
async function refuse(response: Response, signal: AbortSignal): Promise<void> {
  if (redirected(response)) throw new DifyAgentHTTPError(response.status, 'redirects are not followed');
  if (response.status >= 400) throw await httpError(response, signal);
  const type = response.headers.get('content-type');
  if (type === null || /^text\/event-stream\b/i.test(type)) return;
  response.body?.cancel().catch(() => {});
  throw new DifyAgentStreamError(`not a stream of events but ${type}`);
}

function eventOf({ id, event, data }: Frame, parse: Transport['parse']): RunEvent {
  let read: RunEvent;
  try {
    read = readEvent(parse(data), data, id);
  } catch (error) {
    throw new DifyAgentStreamError(`malformed SSE data frame: ${messageOf(error)}`, { cause: error });
  }
  if (event !== null && event !== read.type) {
    throw new DifyAgentStreamError(`SSE event field '${event}' does not match payload type '${read.type}'`);
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

/** @throws DifyAgentValidationError */
function checkNumbers(options: Readonly<Record<string, number | undefined>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && !(value >= 0)) throw invalid(`${name} must be a number that is not negative`);
  }
}
