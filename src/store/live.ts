// Fan-out: a RunStore that tells subscribers of this process about each event once the store has acknowledged it
// (durable before visible), and who watches which run. One reader is subscription.ts.
// What a run's live end remembers is channel.ts; runs of other processes need a Tail (Redis brings one, SQLite has no others).

import type { Clock } from '../base/clock.ts';
import { CURSOR_START, type EventId } from '../base/cursor.ts';
import type { CreationFinder, FinaliseOutcome, RunLister, RunReader, RunStore, StoredEvent } from '../runs/ports.ts';
import { Channel } from './channel.ts';
import type { LeaseFigures } from './redis-lease.ts';
import { Subscription, type SubscriptionHost } from './subscription.ts';

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
  /** With it, runs that ended here a moment ago are read from memory. */
  readonly clock?: Clock;
}

/** Runs that ended here lately and are kept in memory, at most; each has UNWATCHED_MAX_CHARS of payload, at most. */
const LATELY_MAX_RUNS = 256;
/** How long, microseconds: the shortest time that a store keeps a run. */
const LATELY_MICROS = 1_000_000;

/** Puts the fan-out before `store`. Closing it ends the subscriptions and closes the store. */
export function createLive(store: RunStore & Partial<CreationFinder>, options: LiveOptions = {}): LiveStore {
  const channels = new Map<string, Channel>();
  /**
   * Runs that are over before their caller asks for their events: short ones, mostly. Only those of which every event is at
   * hand, the oldest first.
   */
  const lately = new Map<string, { readonly channel: Channel; readonly until: number }>();
  let forgetting: ReturnType<typeof setTimeout> | null = null;
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
    if (channels.get(channel.runId) !== channel) return;
    channels.delete(channel.runId);
    if (options.clock === undefined || !channel.local || !channel.ended || !channel.covers(CURSOR_START)) return;
    lately.set(channel.runId, { channel, until: options.clock.nowMicros() + LATELY_MICROS });
    for (const runId of lately.keys()) {
      if (lately.size <= LATELY_MAX_RUNS) break;
      lately.delete(runId);
    }
    forgetInTime(options.clock);
  }

  /** Drops what is older than a moment, when that is over; an idle server remembers nothing. */
  function forgetInTime(clock: Clock): void {
    if (forgetting !== null) return;
    forgetting = setTimeout(() => {
      forgetting = null;
      const now = clock.nowMicros();
      for (const [runId, { until }] of lately) {
        if (until > now) break;
        lately.delete(runId);
      }
      if (lately.size > 0) forgetInTime(clock);
    }, LATELY_MICROS / 1000);
    forgetting.unref();
  }

  /** The channel of a run that ended here a moment ago. */
  function endedLately(runId: string): Channel | null {
    const kept = lately.get(runId);
    if (kept === undefined || options.clock === undefined) return null;
    if (options.clock.nowMicros() < kept.until) return kept.channel;
    lately.delete(runId);
    return null;
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

  const host: SubscriptionHost = { store, follow, release };

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
      const over = endedLately(runId);
      if (over !== null) {
        over.subscribers += 1;
        return new Subscription(host, runId, after, over);
      }
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
      lately.clear();
      if (forgetting !== null) clearTimeout(forgetting);
      await store.close();
    },
  };
}
