// All open SSE streams of a server: one heartbeat timer for all of them, and their orderly end at shutdown.

import type { Logger } from '../observe/logger.ts';
import type { StreamFigures } from '../observe/metrics/sources.ts';
import type { EventSubscription, RunReader, StoredEvent } from '../runs/ports.ts';
import { EventStream, encodeBatch, type StreamHost } from './event-stream.ts';
import { createFrameCache, KEEPALIVE } from './frames.ts';

/** Silence after which a comment is sent (spec 01 §10.1: 10–15 s; clients of the August vintage read for 30 s). */
export const HEARTBEAT_MS = 15_000;
/** A stream's silence is measured in ticks; this many make the heartbeat interval. */
const TICKS_PER_HEARTBEAT = 3;
/** A client that takes nothing for so many ticks is stuck: for 5 to 10 s with the usual heartbeat. */
const STUCK_TICKS = 2;
/** At shutdown streams get this long to deliver what is stored. */
export const DRAIN_MS = 5_000;

export interface EventStreamsOptions {
  readonly runs: Pick<RunReader, 'getRecord'>;
  readonly logger: Logger;
  readonly readerOf: StreamHost['readerOf'];
  readonly heartbeatMs: number;
  readonly drainMs: number;
}

export interface EventStreams {
  /**
   * A response body with the events of a subscription; owns the subscription from now on. What is left of a run that is
   * over comes as a whole where it is at hand: a stream costs as much again as a short run.
   */
  open(runId: string, subscription: EventSubscription): ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer>;
  /** Streams not yet ended. */
  readonly size: number;
  /** How they are doing. Looks at each. */
  figures(): StreamFigures;
  /**
   * Waits (bounded) until the streams of finished runs have delivered their terminal event, ends the others. Streams
   * that open meanwhile are treated alike.
   */
  drain(): Promise<void>;
}

/** An empty registry. Its timer runs only while there are streams. */
export function createEventStreams(options: EventStreamsOptions): EventStreams {
  const { runs, logger, readerOf, heartbeatMs, drainMs } = options;
  const streams = new Set<EventStream>();
  let tick = 0;
  let timer: ReturnType<typeof setInterval> | undefined;
  let draining = false;
  let [opened, eventsSent, bytesSent] = [0, 0, 0];
  let onEmpty: (() => void) | undefined;

  const host: StreamHost = {
    frames: createFrameCache(),
    logger,
    readerOf,
    tick: () => tick,
    sent(events, bytes) {
      eventsSent += events;
      bytesSent += bytes;
    },
    ended(stream) {
      streams.delete(stream);
      if (streams.size > 0) return;
      clearInterval(timer);
      timer = undefined;
      onEmpty?.();
    },
  };

  function beat(): void {
    tick++;
    for (const stream of streams) if (tick - stream.lastTick >= TICKS_PER_HEARTBEAT) stream.beat();
  }

  /** A run that is still running here or elsewhere will not end before we do: its stream has nothing to wait for. */
  async function endIfRunning(stream: EventStream): Promise<void> {
    const record = await runs.getRecord(stream.runId).catch(() => null);
    if (record === null || record.status === 'running') stream.end();
  }

  function whole(runId: string, events: readonly StoredEvent[]): Uint8Array<ArrayBuffer> {
    const { chunks, frames } = encodeBatch(host, readerOf(runId), runId, events);
    const bytes = Buffer.concat([KEEPALIVE, ...chunks]);
    opened += 1;
    host.sent(frames, bytes.length);
    return bytes;
  }

  return {
    open(runId, subscription) {
      const rest = subscription.rest?.() ?? null;
      if (rest !== null) return whole(runId, rest);
      const stream = new EventStream(runId, subscription, host);
      streams.add(stream);
      opened += 1;
      timer ??= setInterval(beat, heartbeatMs / TICKS_PER_HEARTBEAT);
      if (draining) void endIfRunning(stream);
      return new ReadableStream(stream, { highWaterMark: 0 });
    },
    get size() {
      return streams.size;
    },
    figures() {
      let [behind, maxBehind, stuck] = [0, 0, 0];
      for (const stream of streams) {
        const events = stream.behind;
        if (events > 0) behind += 1;
        maxBehind = Math.max(maxBehind, events);
        if (stream.isStuck && tick - stream.lastTick >= STUCK_TICKS) stuck += 1;
      }
      return { open: streams.size, opened, eventsSent, bytesSent, behind, maxBehind, stuck };
    },
    async drain() {
      draining = true;
      for (const stream of streams) void endIfRunning(stream);
      if (streams.size === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const deadline = setTimeout(resolve, drainMs);
      onEmpty = resolve;
      await promise;
      clearTimeout(deadline);
      onEmpty = undefined;
      for (const stream of streams) stream.end();
    },
  };
}
