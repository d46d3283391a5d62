// A run's events as one stream that survives its connections: the cursor moves before an event is handed out, so that
// delivery has no gap and no repeat; what can be mended is tried again with a growing pause (spec 01 §8.3).

import { DifyAgentClientError, DifyAgentHTTPError, DifyAgentStreamError, DifyAgentTimeoutError } from './errors.ts';
import { anyOf, httpError, messageOf, send, type Transport } from './http.ts';
import { readEvent } from './parse.ts';
import { FrameReader } from './sse.ts';
import { isTerminal, type RunEvent } from './types.ts';

export interface StreamOptions {
  /** Events after this cursor, exclusive; default `0-0`: all. */
  readonly after?: string;
  readonly signal?: AbortSignal;
  /** The longest silence of a connection, ms; comments of the server end it too. Default 30,000; 0: for ever. */
  readonly idleTimeoutMs?: number;
  /** For the whole stream, ms. Default: none. */
  readonly deadlineMs?: number;
  /** Connections in a row that bring no event before the stream gives up. An event resets the count. Default 8. */
  readonly maxReconnects?: number;
  /** The first pause before a new connection, ms; it doubles, up to 30 times as long, with jitter. Default 500. */
  readonly reconnectDelayMs?: number;
  /** Ends with the terminal event. Default true; false: reads on until the server ends the response. */
  readonly untilTerminal?: boolean;
}

const DEFAULTS = { idleTimeoutMs: 30_000, maxReconnects: 8, reconnectDelayMs: 500 };
/** The longest pause, in first pauses. */
const MAX_BACKOFF = 30;

/** Streams a run. Throws DifyAgentClientError, or the signal's reason. */
export async function* streamRun(
  transport: Transport,
  runId: string,
  options: StreamOptions = {},
): AsyncGenerator<RunEvent, void, void> {
  const { signal, maxReconnects = DEFAULTS.maxReconnects, untilTerminal = true } = options;
  const deadline = startDeadline(options.deadlineMs);
  const stop = anyOf(signal, deadline.signal);
  let cursor = options.after ?? '0-0';
  let failures = 0;
  try {
    for (;;) {
      let problem: string;
      let ended = false;
      try {
        for await (const batch of connection(transport, runId, cursor, options, stop)) {
          for (const event of batch) {
            cursor = event.id;
            failures = 0;
            ended ||= isTerminal(event);
            yield event;
            if (ended && untilTerminal) return;
          }
        }
        if (ended) return;
        problem = 'SSE stream ended before a terminal event';
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason;
        if (deadline.signal.aborted) throw new DifyAgentTimeoutError(`stream of run '${runId}' exceeded its timeout`);
        if (ended) return;
        problem = mendable(error);
      }
      failures += 1;
      if (failures > maxReconnects) {
        throw new DifyAgentStreamError(`SSE stream reconnect attempts exhausted: ${problem}`);
      }
      await pause(backoff(failures, options.reconnectDelayMs ?? DEFAULTS.reconnectDelayMs), stop);
    }
  } finally {
    deadline.clear();
  }
}

/** The events of one response, in the batches in which they arrive. */
async function* connection(
  transport: Transport,
  runId: string,
  after: string,
  options: StreamOptions,
  stop: AbortSignal,
): AsyncGenerator<readonly RunEvent[], void, void> {
  const idle = startIdle(options.idleTimeoutMs ?? DEFAULTS.idleTimeoutMs);
  const path = `/runs/${encodeURIComponent(runId)}/events/sse?after=${encodeURIComponent(after)}`;
  let reader: Pick<ReadableStreamDefaultReader, 'cancel'> | null = null;
  try {
    const signal = anyOf(stop, idle.signal);
    const response = await send(transport, { operation: 'streamEvents', method: 'GET', path }, signal);
    if (response.status >= 300) throw await httpError(response);
    if (response.body === null) return;
    const reading = response.body.getReader();
    reader = reading;
    const decoder = new TextDecoder();
    const frames = new FrameReader();
    for (;;) {
      const { done, value } = await reading.read();
      if (done) return;
      idle.touch();
      const events = frames.push(decoder.decode(value, { stream: true })).map(eventOf);
      // While the consumer works nobody reads, which is no silence of the server's.
      if (events.length > 0) {
        idle.stop();
        yield events;
        idle.touch();
      }
    }
  } catch (error) {
    throw idle.signal.aborted && !stop.aborted
      ? new DifyAgentTimeoutError('SSE stream was silent for too long')
      : error;
  } finally {
    idle.stop();
    // Leaving early closes the connection; a broken one has nothing to close.
    reader?.cancel().catch(() => {});
  }
}

function eventOf({
  id,
  event,
  data,
}: {
  readonly id: string | null;
  readonly event: string | null;
  readonly data: string;
}) {
  let read: RunEvent;
  try {
    read = readEvent(JSON.parse(data), id);
  } catch (error) {
    throw new DifyAgentStreamError(`malformed SSE data frame: ${messageOf(error)}`, { cause: error });
  }
  if (event !== null && event !== read.type) {
    throw new DifyAgentStreamError(`SSE event field '${event}' does not match payload type '${read.type}'`);
  }
  return read;
}

/** What went wrong, when connecting again may help; else throws. */
function mendable(error: unknown): string {
  if (error instanceof DifyAgentStreamError) throw error;
  if (error instanceof DifyAgentHTTPError && error.statusCode < 500) throw error;
  if (error instanceof DifyAgentClientError) return error.message;
  return `SSE stream request failed: ${messageOf(error)}`;
}

/** Doubling pauses with jitter, so that a thousand streams do not come back in the same moment. */
function backoff(failures: number, firstMs: number): number {
  const longest = firstMs * Math.min(2 ** (failures - 1), MAX_BACKOFF);
  return longest / 2 + (Math.random() * longest) / 2;
}

/** Waits; an abort ends it at once (and is noticed by the next connection). */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

function startDeadline(ms: number | undefined) {
  const abort = new AbortController();
  const timer = ms === undefined ? undefined : setTimeout(() => abort.abort(), ms);
  if (ms !== undefined && ms <= 0) abort.abort();
  return { signal: abort.signal, clear: () => clearTimeout(timer) };
}

function startIdle(ms: number) {
  const abort = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => clearTimeout(timer);
  const touch = () => {
    stop();
    if (ms > 0) timer = setTimeout(() => abort.abort(), ms);
  };
  touch();
  return { signal: abort.signal, touch, stop };
}
