// One SSE response body: pulls from an EventSubscription when the socket wants more, so a slow client holds one batch.
// Heartbeats and the end at shutdown come from event-streams.ts; what a frame looks like from frames.ts.

import { errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { StoredEventReader } from '../protocol/stored-event.ts';
import type { EventSubscription, StoredEvent } from '../runs/ports.ts';
import { type FrameCache, joinChunks, KEEPALIVE, TRIMMED } from './frames.ts';

/**
 * After a batch of this many events the next one waits for a turn of the event loop: a store of this process answers at
 * once, and replays of long runs would otherwise keep everybody else waiting. The first pages of a replay have 100 (spec 01 §3).
 */
const LONG_BATCH = 100;

/** What a stream needs from its registry. */
export interface StreamHost {
  readonly frames: FrameCache;
  readonly logger: Logger;
  /** Reads the stored events of a run for this server's clients. */
  readonly readerOf: (runId: string) => StoredEventReader;
  /** The registry's time, in heartbeat ticks. */
  tick(): number;
  /** A chunk with events is on its way. */
  sent(events: number, bytes: number): void;
  /** The stream is over, for whatever reason. Called once. */
  ended(stream: EventStream): void;
}

/** The underlying source of one response body. */
export class EventStream {
  readonly runId: string;
  /** Tick of the last bytes. */
  lastTick: number;
  readonly #subscription: EventSubscription;
  readonly #host: StreamHost;
  readonly #reader: StoredEventReader;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #greeted = false;
  #over = false;
  /** The last batch was a long one. */
  #inReplay = false;
  /** The client has asked for more than there was. */
  #asked = false;

  constructor(runId: string, subscription: EventSubscription, host: StreamHost) {
    this.runId = runId;
    this.#subscription = subscription;
    this.#host = host;
    this.#reader = host.readerOf(runId);
    this.lastTick = host.tick();
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller;
  }

  /** The client has not taken what there was. */
  get isStuck(): boolean {
    return !this.#asked;
  }

  /** Events that are stored and not delivered; 0 where that is not known. */
  get behind(): number {
    return this.#subscription.behind ?? 0;
  }

  /**
   * The client takes more: the next batch as one chunk. The first pull sends a comment, so that headers travel at once, with what
   * is at hand.
   */
  pull(): Promise<void> | undefined {
    if (this.#greeted) return this.#advance();
    this.#greeted = true;
    const events = this.#subscription.ready?.() ?? [];
    this.#inReplay = events.length >= LONG_BATCH;
    if (!this.#deliver(events, [KEEPALIVE])) this.#enqueue(KEEPALIVE);
    return undefined;
  }

  /** The client hung up. */
  cancel(): void {
    this.#finish();
  }

  /** Sends a comment if the client waits for bytes; a stuck client is left alone. */
  beat(): void {
    if (!this.#over && this.#greeted && (this.#controller?.desiredSize ?? -1) >= 0) this.#enqueue(KEEPALIVE);
  }

  /** Ends the response without a terminal event; the client will reconnect. */
  end(): void {
    if (this.#over) return;
    this.#finish();
    this.#controller?.close();
  }

  async #advance(): Promise<void> {
    this.#asked = true;
    try {
      for (;;) {
        if (this.#inReplay) await new Promise(setImmediate);
        const events = await this.#subscription.next();
        if (this.#over) return;
        if (events === null) return this.end();
        this.#inReplay = events.length >= LONG_BATCH;
        if (this.#deliver(events)) return;
      }
    } catch (error) {
      if (this.#over) return;
      this.#host.logger.warn('event stream broken', { run_id: this.runId, error: errorText(error) });
      this.#finish();
      this.#controller?.error(error); // cuts the response, so the client reconnects from its last event
    } finally {
      this.#asked = false;
    }
  }

  /** Sends a batch, behind what goes `before`. False: it held nothing that can be sent, and nothing was. */
  #deliver(events: readonly StoredEvent[], before: readonly Uint8Array[] = []): boolean {
    const { chunks, frames, terminal } = encodeBatch(this.#host, this.#reader, this.runId, events);
    if (chunks.length > 0) this.#send(before.length === 0 ? chunks : [...before, ...chunks], frames);
    if (terminal) this.end();
    return terminal || chunks.length > 0;
  }

  #send(chunks: readonly Uint8Array[], frames: number): void {
    const chunk = joinChunks(chunks);
    this.#host.sent(frames, chunk.length);
    this.#enqueue(chunk);
  }

  #enqueue(chunk: Uint8Array): void {
    this.lastTick = this.#host.tick();
    this.#controller?.enqueue(chunk);
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#subscription.close();
    this.#host.ended(this);
  }
}

/** What a batch looks like on the wire. */
export interface EncodedBatch {
  readonly chunks: readonly Uint8Array[];
  /** Events in it. */
  readonly frames: number;
  /** It ends with a terminal event; nothing behind it is in it. */
  readonly terminal: boolean;
}

/** Encodes a batch up to the terminal event; what is no event is skipped and logged. */
export function encodeBatch(
  { frames: cache, logger }: Pick<StreamHost, 'frames' | 'logger'>,
  reader: StoredEventReader,
  runId: string,
  events: readonly StoredEvent[],
): EncodedBatch {
  const chunks: Uint8Array[] = [];
  let frames = 0;
  for (const event of events) {
    if (event.trimmedBefore === true) chunks.push(TRIMMED);
    const frame = cache.frame(reader, event);
    if (frame === null) {
      logger.warn('unreadable event skipped', { run_id: runId, event_id: event.id });
      continue;
    }
    chunks.push(frame.bytes);
    frames += 1;
    if (frame.terminal) return { chunks, frames, terminal: true };
  }
  return { chunks, frames, terminal: false };
}
