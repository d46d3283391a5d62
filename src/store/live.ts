// Fan-out: a RunStore that tells subscribers of this process about each event once the store has acknowledged it
// (durable before visible), and the subscriptions: replay from the store, then live, without gap or repeat.
// What a run's live end remembers is channel.ts; runs of other processes need a Tail (Redis brings one, SQLite has no others).

import { CURSOR_START, compareEventIds, type EventId } from '../base/cursor.ts';
import type {
  CreationFinder,
  EventSubscription,
  FinaliseOutcome,
  RunLister,
  RunReader,
  RunStore,
  StoredEvent,
} from '../runs/ports.ts';
import { Channel, RING_MAX_EVENTS, type Waiter } from './channel.ts';
import type { LeaseFigures } from './redis-lease.ts';

/** Events that a subscription reads from the store at once (spec 01 §3). */
export const REPLAY_PAGE = 100;

/** A store whose events can be watched. Every write of this process must go through it. */
export interface LiveStore extends RunStore, RunReader, Partial<CreationFinder> {
  /** Null: this store keeps no lists. */
  readonly lister: RunLister | null;
  /** Null: runs of this store need no lease. */
  readonly lease: LeaseFigures | null;
  /** How many runs are remembered because they run here or are watched; 0 when nothing happens. */
  channels(): number;
}

/** How to hear of runs that other processes write. */
export interface Tail {
  /**
   * Calls `publish` with every event after the cursor, in order; `ended` with the terminal one. Called when the first subscriber of
   * a run that this process does not write has caught up; one tail serves all its subscribers. Returns what stops it.
   */
  follow(runId: string, after: EventId, publish: (events: readonly StoredEvent[], ended: boolean) => void): () => void;
}

export interface LiveOptions {
  /** Null or absent: no lease is needed. */
  readonly lease?: LeaseFigures | null;
  /** Absent: the store has no other writers. */
  readonly tail?: Tail;
  /** Null or absent: the store keeps no lists. */
  readonly lister?: RunLister | null;
}

/** Puts the fan-out before `store`. Closing it ends the subscriptions and closes the store. */
export function createLive(store: RunStore & Partial<CreationFinder>, options: LiveOptions = {}): LiveStore {
  const channels = new Map<string, Channel>();
  /** For subscriptions to runs that are over: everything is in the store. */
  const finished = new Channel('', null);
  finished.ended = true;

  function channelOf(runId: string): Channel {
    let channel = channels.get(runId);
    if (channel === undefined) {
      channel = new Channel(runId, null);
      channels.set(runId, channel);
    }
    return channel;
  }

  function release(channel: Channel): void {
    if (channel.subscribers > 0 || channel.writing > 0 || (channel.local && !channel.ended)) return;
    channel.stopTail?.();
    channel.stopTail = null;
    if (channels.get(channel.runId) === channel) channels.delete(channel.runId);
  }

  /** Writes, then publishes in the order in which writes of this run were asked for. */
  async function writeThrough<T>(
    runId: string,
    write: () => Promise<T>,
    publish: (channel: Channel, outcome: T) => void,
  ): Promise<T> {
    const channel = channelOf(runId);
    const ticket = channel.ticket();
    try {
      const outcome = await write();
      channel.redeem(ticket, () => publish(channel, outcome));
      return outcome;
    } catch (error) {
      channel.redeem(ticket, () => channel.doubt());
      throw error;
    } finally {
      release(channel);
    }
  }

  /** What this process wrote. Into another process's run: what that one wrote before may not have been heard of yet. */
  function publishOwn(channel: Channel, events: readonly StoredEvent[], ended: boolean): void {
    if (!channel.local) channel.doubt();
    channel.publish(events, ended);
  }

  function endThrough(runId: string, write: () => Promise<FinaliseOutcome>): Promise<FinaliseOutcome> {
    return writeThrough(runId, write, (channel, outcome) => {
      if (outcome.applied) publishOwn(channel, [outcome.event], true);
      // A run that is still running ends later: refused was only this way of ending it.
      else if (outcome.status !== 'running' && !channel.ended) channel.endUnseen();
    });
  }

  function follow(channel: Channel, cursor: EventId): void {
    if (channel.local || channel.stopTail !== null || options.tail === undefined) return;
    channel.stopTail = options.tail.follow(channel.runId, cursor, (events, ended) => channel.publish(events, ended));
  }

  const host: Host = { store, follow, release };

  return {
    description: store.description,
    lister: options.lister ?? null,
    lease: options.lease ?? null,
    ...(store.findCreated === undefined ? {} : { findCreated: store.findCreated }),
    async create(record, deduplication, composition) {
      const outcome = await store.create(record, deduplication, composition);
      if (!outcome.created || record.status !== 'running') return outcome;
      let channel = channels.get(record.run_id);
      if (channel === undefined) {
        channel = new Channel(record.run_id, CURSOR_START);
        channels.set(record.run_id, channel);
      }
      channel.local = true;
      return outcome;
    },
    append: (runId, payloads) =>
      writeThrough(
        runId,
        () => store.append(runId, payloads),
        (channel, outcome) => {
          if (outcome.appended) {
            channel.local ||= options.tail === undefined;
            publishOwn(channel, outcome.events, false);
          } else if (!channel.ended) channel.endUnseen();
        },
      ),
    finalise: (runId, transition) => endThrough(runId, () => store.finalise(runId, transition)),
    requestCancel: (runId, intent) => store.requestCancel(runId, intent),
    watchOwn: (watcher) =>
      store.watchOwn({
        cancelRequested: (runId, intent) => watcher.cancelRequested(runId, intent),
        endedElsewhere(runId) {
          // Nobody may write here any more, and so nobody would tell those who watch.
          const channel = channels.get(runId);
          if (channel !== undefined && !channel.ended) {
            channel.endUnseen();
            release(channel);
          }
          watcher.endedElsewhere(runId);
        },
      }),
    recoveryIntervalMs: store.recoveryIntervalMs,
    listLost: () => store.listLost(),
    finaliseLost: (runId, transition) => endThrough(runId, () => store.finaliseLost(runId, transition)),
    getRecord: (runId) => store.getRecord(runId),
    readEvents: (runId, after, limit) => store.readEvents(runId, after, limit),
    ping: () => store.ping(),
    async subscribe(runId, after) {
      // Attached before the record is read: an end that comes in between is not missed.
      const channel = channelOf(runId);
      channel.subscribers += 1;
      const detach = () => {
        channel.subscribers -= 1;
        release(channel);
      };
      try {
        // A run that is executed here, of which all that follows is at hand: the store has nothing to add.
        if (channel.local && !channel.ended && channel.covers(after)) {
          return new Subscription(host, runId, after, channel);
        }
        const record = await store.getRecord(runId);
        if (record !== null && (record.status === 'running' || channel.ended)) {
          return new Subscription(host, runId, after, channel);
        }
        detach();
        if (record === null) return null;
        finished.subscribers += 1;
        return new Subscription(host, runId, after, finished);
      } catch (error) {
        detach();
        throw error;
      }
    },
    channels: () => channels.size,
    async close() {
      for (const channel of channels.values()) {
        channel.stopTail?.();
        channel.stopTail = null;
        channel.ended = true;
        channel.wakeAll();
      }
      channels.clear();
      await store.close();
    },
  };
}

/** What all subscriptions share. */
interface Host {
  readonly store: RunStore;
  /** Called when a subscriber has caught up. */
  readonly follow: (channel: Channel, cursor: EventId) => void;
  /** Called when one left. */
  readonly release: (channel: Channel) => void;
}

/** One reader's place in a run's events. There may be thousands: no closures, no buffers. */
class Subscription implements EventSubscription, Waiter {
  cursor: EventId;
  readonly #host: Host;
  readonly #runId: string;
  readonly #channel: Channel;
  #closed = false;
  #resolve: ((events: readonly StoredEvent[]) => void) | null = null;

  constructor(host: Host, runId: string, after: EventId, channel: Channel) {
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
      return await this.#host.store.readEvents(this.#runId, this.cursor, REPLAY_PAGE);
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
