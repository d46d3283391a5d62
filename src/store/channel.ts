// One run's live end: what was published lately and who waits for more. live.ts decides when to publish and when to read the
// store instead. Subscribers keep no buffer of their own: only a cursor, so a slow one costs no more than an idle one.

import { compareEventIds, type EventId } from '../base/cursor.ts';
import type { StoredEvent } from '../runs/ports.ts';

/** Events that a channel keeps for subscribers that are busy; who is further behind reads the store. */
export const RING_MAX_EVENTS = 256;
/** Characters of payload that a channel keeps (256 Ki). */
export const RING_MAX_CHARS = 256 * 1024;
/** The same while nobody is subscribed: whoever created a run mostly comes to watch it a moment later. */
export const UNWATCHED_MAX_EVENTS = 16;
/** 8 Ki. Times the runs that are active and not watched. */
export const UNWATCHED_MAX_CHARS = 8 * 1024;

/** Somebody at the head of the stream. */
export interface Waiter {
  readonly cursor: EventId;
  /** Called once, with what is new after the cursor; empty: look again (the run is over, or the store knows more). */
  wake(events: readonly StoredEvent[]): void;
}

export class Channel {
  readonly runId: string;
  /** Subscribers that have not closed. The owner counts. */
  subscribers = 0;
  /** Writes on their way to the store; the channel lives while there are any. */
  writing = 0;
  /** This process runs the run: the channel lives until the terminal event. */
  local = false;
  /** No event will be published any more. */
  ended = false;
  /** The last published id; null before the first. */
  head: EventId | null = null;
  /** Counts publications: who read the store meanwhile looks again. */
  version = 0;
  /** Stops the tail of a foreign run. */
  stopTail: (() => void) | null = null;

  /** Every event after this id is in the ring; null: unknown, the store must be asked. */
  #floor: EventId | null;
  #ring: StoredEvent[] = [];
  #chars = 0;
  #waiters: Waiter[] = [];
  /** A write failed: whether the store has it is not known. */
  #doubtful = false;
  /** Writes are published in the order in which they were asked for. */
  #nextTicket = 0;
  #turn = 0;
  #parked: Map<number, () => void> | null = null;

  /** `floor`: `0-0` for a new run, whose every event will pass here; null otherwise. */
  constructor(runId: string, floor: EventId | null) {
    this.runId = runId;
    this.#floor = floor;
  }

  /** A place in the order of publication; every ticket must be redeemed, whatever became of its write. */
  ticket(): number {
    this.writing += 1;
    return this.#nextTicket++;
  }

  /** Runs `publish` when every earlier ticket was redeemed: mostly at once. */
  redeem(ticket: number, publish: () => void): void {
    this.writing -= 1;
    if (ticket !== this.#turn) {
      this.#parked ??= new Map();
      this.#parked.set(ticket, publish);
      return;
    }
    let next: (() => void) | undefined = publish;
    while (next !== undefined) {
      next();
      this.#turn += 1;
      next = this.#parked?.get(this.#turn);
      this.#parked?.delete(this.#turn);
    }
  }

  /** Events that the store has acknowledged, in order. Those up to the head are ignored. */
  publish(published: readonly StoredEvent[], ended: boolean): void {
    const events = this.head === null ? published : after(published, this.head);
    const last = events.at(-1);
    if (last === undefined && !ended) return;
    const before = this.head;
    // Where a tail met a gap, each reader has its own: the store tells it what it misses, if anything.
    const doubtful = this.#doubtful || events.some(({ trimmedBefore }) => trimmedBefore === true);
    this.#doubtful = false;
    this.ended ||= ended;
    this.version += 1;
    const waiters = this.#waiters;
    this.#waiters = [];
    if (last !== undefined) {
      this.head = last.id;
      // With everybody waiting at the head nobody needs the ring: they get the events now, who comes later reads the store.
      if (doubtful || (waiters.length > 0 && waiters.length === this.subscribers)) this.#clear(last.id);
      else this.#keep(events);
    }
    for (const waiter of waiters) {
      if (doubtful) {
        waiter.wake([]);
        continue;
      }
      const news = waiter.cursor === before ? events : after(events, waiter.cursor);
      if (news.length > 0 || this.ended) waiter.wake(news);
      else this.#waiters.push(waiter);
    }
  }

  /** The run ended without our seeing its last event: subscribers read the rest from the store. */
  endUnseen(): void {
    this.ended = true;
    this.version += 1;
    this.#clear(null);
    this.wakeAll();
  }

  /** A write was rejected, yet the store may have it: with the next publication everybody looks into the store. */
  doubt(): void {
    this.#doubtful = true;
  }

  /** Whether everything after the cursor is known here. */
  covers(cursor: EventId): boolean {
    return this.#floor !== null && compareEventIds(cursor, this.#floor) >= 0;
  }

  /** What follows the cursor, as far as it is known here; null: ask the store. */
  tail(cursor: EventId): readonly StoredEvent[] | null {
    if (!this.covers(cursor)) return null;
    const events = after(this.#ring, cursor);
    return events === this.#ring ? [...events] : events;
  }

  wait(waiter: Waiter): void {
    this.#waiters.push(waiter);
  }

  forget(waiter: Waiter): void {
    const index = this.#waiters.indexOf(waiter);
    if (index >= 0) this.#waiters.splice(index, 1);
  }

  wakeAll(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.wake([]);
  }

  #keep(events: readonly StoredEvent[]): void {
    const [first] = events;
    // What came before the first publication is not in the ring, so coverage begins at that event itself.
    if (this.#floor === null && first !== undefined) this.#floor = first.id;
    for (const event of events) {
      this.#ring.push(event);
      this.#chars += event.payload.length;
    }
    const [maxEvents, maxChars] =
      this.subscribers > 0 ? [RING_MAX_EVENTS, RING_MAX_CHARS] : [UNWATCHED_MAX_EVENTS, UNWATCHED_MAX_CHARS];
    let drop = 0;
    while (this.#ring.length - drop > maxEvents || this.#chars > maxChars) {
      const dropped = this.#ring[drop];
      if (dropped === undefined) break;
      this.#chars -= dropped.payload.length;
      this.#floor = dropped.id;
      drop += 1;
    }
    if (drop > 0) this.#ring.splice(0, drop);
  }

  #clear(floor: EventId | null): void {
    this.#floor = floor;
    this.#chars = 0;
    if (this.#ring.length > 0) this.#ring = [];
  }
}

/** The events after the cursor: the list itself when that is all of them, so that subscribers share it. */
function after(events: readonly StoredEvent[], cursor: EventId): readonly StoredEvent[] {
  let start = events.length;
  while (start > 0) {
    const event = events[start - 1];
    if (event === undefined || compareEventIds(event.id, cursor) <= 0) break;
    start -= 1;
  }
  return start === 0 ? events : events.slice(start);
}
