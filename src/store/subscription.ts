// One reader's place in a run's events: replay from the store, then live, without gap or repeat. What a run's live end remembers is
// channel.ts, who watches which run live.ts.

import { compareEventIds, type EventId } from '../base/cursor.ts';
import type { EventSubscription, RunStore, StoredEvent } from '../runs/ports.ts';
import { type Channel, RING_MAX_EVENTS, type Waiter } from './channel.ts';

/** Events that a subscription reads from the store at once (spec 01 §3). */
export const REPLAY_PAGE = 100;
/** The same for a reader that took several pages: each costs a query and a turn of the event loop. */
export const LONG_REPLAY_PAGE = 400;

/** What all subscriptions share. */
export interface SubscriptionHost {
  readonly store: RunStore;
  /** Called when a subscriber has caught up. */
  readonly follow: (channel: Channel, cursor: EventId) => void;
  /** Called when one left. */
  readonly release: (channel: Channel) => void;
}

/** One reader's place in a run's events. There may be thousands: no closures, no buffers. */
export class Subscription implements EventSubscription, Waiter {
  cursor: EventId;
  readonly #host: SubscriptionHost;
  readonly #runId: string;
  readonly #channel: Channel;
  #closed = false;
  /** Events to read at once. */
  #page = REPLAY_PAGE;
  #resolve: ((events: readonly StoredEvent[]) => void) | null = null;

  constructor(host: SubscriptionHost, runId: string, after: EventId, channel: Channel) {
    this.cursor = after;
    this.#host = host;
    this.#runId = runId;
    this.#channel = channel;
  }

  async next(): Promise<readonly StoredEvent[] | null> {
    const channel = this.#channel;
    while (!this.#closed) {
      let events = channel.tail(this.cursor);
      if (events === null) {
        const { version } = channel;
        events = await this.#read();
        // Something was published during the read: whether it is on the page or behind it, look again.
        if (events.length === 0 && version !== channel.version) continue;
        if (events.length === 0 && this.#isBehind()) break;
      }
      if (events.length === 0) {
        if (channel.ended || this.#closed) break;
        events = await this.#wait();
      }
      if (this.#closed) break;
      const last = events.at(-1);
      if (last !== undefined) {
        this.cursor = last.id;
        return events;
      }
    }
    this.close();
    return null;
  }

  get behind(): number {
    const { head } = this.#channel;
    if (head === null || compareEventIds(this.cursor, head) >= 0) return 0;
    return this.#channel.tail(this.cursor)?.length ?? RING_MAX_EVENTS;
  }

  ready(): readonly StoredEvent[] | null {
    const events = this.#closed ? null : this.#channel.tail(this.cursor);
    const last = events?.at(-1);
    if (last === undefined) return null;
    this.cursor = last.id;
    return events;
  }

  rest(): readonly StoredEvent[] | null {
    const events = this.#channel.ended && !this.#closed ? this.#channel.tail(this.cursor) : null;
    if (events === null || events.length === 0) return null;
    this.close();
    return events;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#channel.subscribers -= 1;
    if (this.#resolve !== null) this.#channel.forget(this);
    this.wake([]);
    this.#host.release(this.#channel);
  }

  wake(events: readonly StoredEvent[]): void {
    this.#resolve?.(events);
    this.#resolve = null;
  }

  async #read(): Promise<readonly StoredEvent[]> {
    try {
      const events = await this.#host.store.readEvents(this.#runId, this.cursor, this.#page);
      if (events.length === this.#page) this.#page = Math.min(this.#page * 2, LONG_REPLAY_PAGE);
      return events;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #wait(): Promise<readonly StoredEvent[]> {
    return new Promise((resolve) => {
      this.#resolve = resolve;
      this.#channel.wait(this);
      this.#host.follow(this.#channel, this.cursor);
    });
  }

  /** Events were published that the store does not have any more: the run is gone. */
  #isBehind(): boolean {
    const { head } = this.#channel;
    return head !== null && compareEventIds(this.cursor, head) < 0;
  }
}
