// A client that does not give up: follows a run over SSE, or by polling, through cut connections, 503 answers and servers
// that are gone for a while, always going on after the last event it has seen (spec 01 §8.2).

import { at, compact, items, readJson, textOf } from './json-nodes.ts';
import { get } from './runs.ts';
import { openSse, type SseFrame } from './sse.ts';
import { TERMINAL_TYPES } from './strict-client.ts';

/** Between attempts. */
const RETRY_MS = 25;

/** How long to be patient. */
export interface Patience {
  /** Default 60 s. */
  readonly timeoutMs?: number;
  /** Called with each event when it arrives. */
  readonly onEvent?: () => void;
  /** Hangs up and comes back after so many events. Default: never. */
  readonly hangUpAfter?: number;
}

/** What a reader got, in the order in which it arrived. */
export interface Followed {
  readonly frames: readonly SseFrame[];
  /** Connections that it took. */
  readonly connections: number;
}

/** Follows a run to its terminal event over SSE, reconnecting with `Last-Event-ID`. Rejects when there is none in time. */
export async function follow(baseUrl: string, runId: string, options: Patience = {}): Promise<Followed> {
  const late = AbortSignal.timeout(options.timeoutMs ?? 60_000);
  const frames: SseFrame[] = [];
  let connections = 0;
  let last = 'no connection';
  while (!isTerminal(frames.at(-1)?.event)) {
    if (late.aborted) throw new Error(`run ${runId} did not end: ${frames.length} events, then ${last}`);
    const lastEventId = frames.at(-1)?.id;
    const hangUp = new AbortController();
    try {
      const position = lastEventId === undefined ? {} : { lastEventId };
      const stream = await openSse(baseUrl, runId, { ...position, signal: AbortSignal.any([late, hangUp.signal]) });
      connections += 1;
      const enough = frames.length + (options.hangUpAfter ?? Number.POSITIVE_INFINITY);
      for await (const frame of stream.frames) {
        frames.push(frame);
        options.onEvent?.();
        if (frames.length >= enough) break;
      }
      last = 'an end without terminal event';
    } catch (error) {
      last = String(error);
    } finally {
      hangUp.abort();
    }
    if (!isTerminal(frames.at(-1)?.event)) await Bun.sleep(RETRY_MS);
  }
  return { frames, connections };
}

/** Follows a run to its terminal event by polling pages; returns the events as JSON text. */
export async function poll(baseUrl: string, runId: string, options: Patience = {}): Promise<readonly string[]> {
  const deadline = performance.now() + (options.timeoutMs ?? 60_000);
  const texts: string[] = [];
  let cursor = '0-0';
  let over = false;
  while (!over) {
    if (performance.now() > deadline) throw new Error(`run ${runId} did not end: ${texts.length} events polled`);
    const page = await get(`${baseUrl}/runs/${runId}/events?limit=500&after=${cursor}`).catch(() => null);
    if (page?.status !== 200) {
      await Bun.sleep(RETRY_MS);
      continue;
    }
    const body = readJson(page.text);
    const events = items(at(body, 'events'));
    for (const event of events) {
      texts.push(compact(event));
      options.onEvent?.();
      over ||= isTerminal(textOf(at(event, 'type')));
    }
    cursor = textOf(at(body, 'next_cursor')) ?? cursor;
    if (events.length === 0) await Bun.sleep(RETRY_MS);
  }
  return texts;
}

function isTerminal(type: string | undefined): boolean {
  return type !== undefined && TERMINAL_TYPES.includes(type);
}
