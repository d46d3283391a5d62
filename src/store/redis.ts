// The shared RunStore: records and events in Redis, under the reference's keys (spec 01 §6), so that several processes, Python
// ones included, see the same runs. Here its parts are put together: what a request waits for fails soon when the store is away
// (redis-requests.ts), writes of events outlive outages (redis-writer.ts), and a lease says whose runs are whose (redis-lease.ts).

import { compareEventIds, type EventId } from '../base/cursor.ts';
import type { SessionRows } from '../managed/ports.ts';
import type { Logger } from '../observe/logger.ts';
import type { RunRecord } from '../protocol/runs.ts';
import type { CreationFinder, RunLister, RunStore, StoredEvent } from '../runs/ports.ts';
import { toStoreError } from './errors.ts';
import { createCancels } from './redis-cancels.ts';
import { type Connection, dial } from './redis-connection.ts';
import { createCreations } from './redis-create.ts';
import { createComplaints, RedisRefusal } from './redis-errors.ts';
import { createRunIndex } from './redis-index.ts';
import { cancelsKey, ownerKeys, type RunKeys, runKeys, runsBase } from './redis-keys.ts';
import { createLease, type LeaseFigures } from './redis-lease.ts';
import { createLink } from './redis-link.ts';
import { createLostRuns } from './redis-lost.ts';
import { createOwnRuns } from './redis-own.ts';
import { parseRecord } from './redis-record.ts';
import { before, createRequests } from './redis-requests.ts';
import { createScripts } from './redis-scripts.ts';
import { createRedisSessions } from './redis-sessions.ts';
import { createRedisTail, type RedisTail } from './redis-tail.ts';
import { createTrimmer, type StreamLimits } from './redis-trim.ts';
import { createWriter } from './redis-writer.ts';

export { REQUEST_DEADLINE_MS } from './redis-requests.ts';
/** Bytes of payload after which a page of events ends early (8 MiB); a page has at least one event. */
export const PAGE_MAX_BYTES = 8 * 1024 * 1024;
/** A time to live is refreshed when it is this much too short, or by a tenth of the retention when that is less, ms. */
export const TTL_SLACK_MS = 60_000;
/** The times to live of silent runs are refreshed this often, or three times per retention when that is more often, ms. */
export const KEEP_ALIVE_MS = 600_000;
/** Keys whose times to live are refreshed in one round trip. */
const KEEP_ALIVE_BATCH = 1_000;
/** How long closing waits for what is on its way, ms. */
const CLOSE_DEADLINE_MS = 1_000;
/** Sets of owners and runs outlive the runs in them by this many leases. */
const INDEX_EXTRA_LEASES = 4;

export interface RedisStoreOptions {
  /** `redis://` or `rediss://`, with credentials. */
  readonly url: string;
  /** Without credentials. */
  readonly description: string;
  readonly prefix: string;
  /** How long a run is kept after its last write, ≥ 1. */
  readonly retentionSeconds: number;
  /** How long running runs go on while the store is away. */
  readonly outageSeconds: number;
  /** How long this process may be silent before others end its runs. */
  readonly leaseSeconds: number;
  /** How much of a run is kept. */
  readonly eventStream: StreamLimits;
  /** Whether an index is kept, so that runs can be listed. Default: no. */
  readonly indexed?: boolean;
  /** Whether records may have keys that implementations of the seed refuse. Default: no. */
  readonly newerRecords?: boolean;
  readonly logger: Logger;
  /** A connection that was dialled already. */
  readonly first: Connection;
}

/** A RunStore that other processes write too, and how to hear of their runs. */
export interface RedisStore extends RunStore, CreationFinder {
  /** Rows of managed sessions. */
  readonly sessions: SessionRows;
  readonly tail: RedisTail;
  /** Null: no index is kept. */
  readonly lister: RunLister | null;
  readonly lease: LeaseFigures;
}

/** Takes over `first` and keeps the store connected until it is closed. */
export function createRedisStore(options: RedisStoreOptions): RedisStore {
  const { url, prefix, logger } = options;
  const retentionMs = options.retentionSeconds * 1000;
  const leaseMs = Math.round(options.leaseSeconds * 1000);
  const keepAliveMs = Math.min(KEEP_ALIVE_MS, retentionMs / 3);
  /** For what is remembered of a run beside its record: refreshed less often, so longer. */
  const besideTtlMs = Math.ceil(retentionMs + 2 * keepAliveMs);
  const indexTtlMs = retentionMs + INDEX_EXTRA_LEASES * leaseMs;
  const ownerId = crypto.randomUUID();
  const owner = ownerKeys(prefix, ownerId);
  const scripts = createScripts();
  const complaints = createComplaints(logger);
  const keysOf = (runId: string): RunKeys => runKeys(prefix, runId);
  let closed = false;

  const link = createLink({
    dial: () => dial({ url, name: 'dify-agent' }),
    first: options.first,
    logger,
    onUp() {
      // First of all the lease, so that what follows is not taken for a dead process's.
      lease.up();
      writer.resume();
    },
    onDown(reason, since) {
      lease.down();
      lost.down();
      writer.suspend(reason, since);
    },
  });
  const requests = createRequests(link, complaints);
  const index =
    options.indexed === true
      ? createRunIndex({ link, requests, scripts, prefix, ttlMs: besideTtlMs, sweepMs: keepAliveMs, logger })
      : null;
  const shared = { link, requests, scripts, prefix, keysOf, logger, complaints, retentionMs, indexTtlMs };
  const ends = { indexBase: index?.base ?? null, newerRecords: options.newerRecords ?? false };
  const own = createOwnRuns({
    ...shared,
    index: owner.index,
    runsBase: runsBase(prefix),
    isEnding: (runId) => writer.isEnding(runId),
    onElsewhere: (runId) => writer.leave(runId),
  });
  const lease = createLease({
    ...shared,
    ownerId,
    leaseMs,
    keys: owner,
    onRenewed() {
      creations.sweep();
      void own.check();
    },
  });
  const writer = createWriter({
    ...shared,
    ...ends,
    index: owner.index,
    slackMs: Math.min(TTL_SLACK_MS, Math.floor(retentionMs / 10)),
    outageMs: options.outageSeconds * 1000,
    trimmer: createTrimmer(options.eventStream, { link, scripts, ttlMs: besideTtlMs, logger }),
    onOver: own.over,
  });
  const lost = createLostRuns({ ...shared, ...ends, ownerId, leaseMs });
  const cancels = createCancels({
    ...shared,
    url,
    key: cancelsKey(prefix),
    onCancel: own.cancelled,
    onUntold: own.look,
    onListening: () => void own.check(),
  });
  const creations = createCreations({
    ...shared,
    owner,
    lease,
    index,
    keyTtlMs: besideTtlMs,
    onCreated(runId, keys, known) {
      writer.begin(runId);
      own.begin(runId, keys, known);
      if (own.watched) cancels.listen();
    },
  });
  const { maxEvents, maxBytes } = options.eventStream;
  const bounded = maxEvents !== null || maxBytes !== null;
  const tail = createRedisTail({ url, link, keysOf, getRecord, readEvents, bounded, logger });

  const keepAliveTimer = setInterval(() => void keepAlive(), keepAliveMs);
  keepAliveTimer.unref();

  /** What belongs to runs that this process executes does not expire under them, however silent they are. */
  async function keepAlive(): Promise<void> {
    const all = [
      ...writer
        .activeKeys()
        .flatMap(({ record, events, intent, trimmed }) => [
          [record, retentionMs] as const,
          [events, retentionMs] as const,
          [intent, retentionMs] as const,
          [trimmed, besideTtlMs] as const,
        ]),
      ...[...new Set(own.keptKeys())].map((key) => [key, besideTtlMs] as const),
    ];
    if (all.length > 0) all.push(...(index?.sharedKeys ?? []).map((key) => [key, besideTtlMs] as const));
    try {
      for (let i = 0; i < all.length; i += KEEP_ALIVE_BATCH) {
        const some = all.slice(i, i + KEEP_ALIVE_BATCH);
        await Promise.all(some.map(([key, ttl]) => link.send(['PEXPIRE', key, String(ttl)])));
      }
    } catch (error) {
      // The next round comes before anything expires.
      logger.debug('times to live could not be refreshed', { error });
    }
  }

  async function getRecord(runId: string): Promise<RunRecord | null> {
    const { record: key } = keysOf(runId);
    try {
      const text = await requests.ask(['GET', key]);
      if (text === null) return null;
      const record = parseRecord(runId, String(text));
      if (record === null) logger.error('unreadable run record skipped', { run_id: runId });
      return record;
    } catch (error) {
      return skipForeign(error, runId, null);
    }
  }

  async function readEvents(runId: string, after: EventId, limit: number): Promise<readonly StoredEvent[]> {
    const { record, events: stream, trimmed } = keysOf(runId);
    const events: StoredEvent[] = [];
    let cursor = after;
    try {
      // An empty page means the end to its reader: one of unreadable entries alone is passed over.
      while (events.length === 0) {
        const args = [cursor, String(limit), String(PAGE_MAX_BYTES)];
        const reply = await requests.run(scripts.page, [record, stream, trimmed], args);
        if (!Array.isArray(reply) || reply.length < 3) break;
        const dropped = String(reply[0]);
        /** What lies behind the gap is told so, if the cursor lies before it. */
        let gap = dropped !== '' && compareEventIds(after, dropped) < 0;
        for (let i = 1; i < reply.length; i += 2) {
          const [id, payload]: unknown[] = [reply[i], reply[i + 1]];
          cursor = String(id);
          if (typeof payload !== 'string') {
            logger.warn('event without payload skipped', { run_id: runId, event_id: cursor });
            continue;
          }
          const marked = gap && compareEventIds(cursor, dropped) > 0;
          if (marked) gap = false;
          events.push(marked ? { id: cursor, payload, trimmedBefore: true } : { id: cursor, payload });
        }
      }
      return events;
    } catch (error) {
      return skipForeign(error, runId, events);
    }
  }

  /** A key of another type is somebody else's mistake: it counts as none. */
  function skipForeign<T>(error: unknown, runId: string, nothing: T): T {
    if (!(error instanceof RedisRefusal) || error.code !== 'WRONGTYPE') throw toStoreError(error);
    logger.error('key of another type skipped', { run_id: runId });
    return nothing;
  }

  return {
    description: options.description,
    tail,
    sessions: createRedisSessions({ requests, scripts, prefix, keysOf }),
    lease: lease.figures,
    lister: index && { listRuns: index.list },
    create: (record, deduplication = null, composition = null) => creations.create(record, deduplication, composition),
    findCreated: creations.findCreated,
    append: (runId, payloads) => writer.append(runId, payloads),
    finalise: (runId, transition) => writer.finalise(runId, transition),
    requestCancel(runId, intent) {
      // What this process asked for before comes before.
      writer.flush();
      return cancels.request(runId, intent);
    },
    watchOwn: own.watch,
    recoveryIntervalMs: lost.intervalMs,
    listLost: lost.list,
    finaliseLost: lost.finalise,
    getRecord,
    readEvents,
    async ping() {
      try {
        await requests.ask(['PING']);
      } catch (error) {
        throw toStoreError(error);
      }
    },
    async close() {
      if (closed) return;
      closed = true;
      const deadline = performance.now() + CLOSE_DEADLINE_MS;
      await writer.drain(CLOSE_DEADLINE_MS);
      requests.close();
      lease.stop();
      index?.close();
      clearInterval(keepAliveTimer);
      cancels.close();
      tail.close();
      writer.close();
      // What could not be ended here is then ended by whoever looks next. If this fails the lease runs out.
      await before(deadline, lease.release()).catch(() => {});
      link.close();
    },
  };
}
