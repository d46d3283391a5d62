// The shared RunStore: records and events in Redis, under the reference's keys (spec 01 §6), so that several processes, Python
// ones included, see the same runs. Writes of events go through redis-writer.ts, which outlives outages; everything that a
// request waits for is here and fails soon when the store is away.

import type { EventId } from '../base/cursor.ts';
import type { Logger } from '../observe/logger.ts';
import type { RunRecord } from '../protocol/runs.ts';
import { StoreUnavailableError } from '../runs/errors.ts';
import type { RunStore, StoredEvent } from '../runs/ports.ts';
import { RunExistsError, toStoreError } from './errors.ts';
import { type Connection, dial } from './redis-connection.ts';
import { createComplaints, LinkDownError, LinkLostError, RedisRefusal } from './redis-errors.ts';
import { type RunKeys, runKeys } from './redis-keys.ts';
import { createLink } from './redis-link.ts';
import { createOrphans } from './redis-orphans.ts';
import { parseRecord, recordText } from './redis-record.ts';
import { createScripts, type Script } from './redis-scripts.ts';
import { createRedisTail, type RedisTail } from './redis-tail.ts';
import { createWriter } from './redis-writer.ts';

/** How long a request waits for an answer, or for a store that has just gone away to come back, ms. */
export const REQUEST_DEADLINE_MS = 2_000;
/** Bytes of payload after which a page of events ends early (8 MiB); a page has at least one event. */
export const PAGE_MAX_BYTES = 8 * 1024 * 1024;
/** A time to live is refreshed when it is this much too short, or by a tenth of the retention when that is less, ms. */
export const TTL_SLACK_MS = 60_000;
/** The times to live of silent runs are refreshed this often, or three times per retention when that is more often, ms. */
export const KEEP_ALIVE_MS = 600_000;
/** Runs whose times to live are refreshed in one round trip. */
const KEEP_ALIVE_BATCH = 500;
/** How long closing waits for what is on its way, ms. */
const CLOSE_DEADLINE_MS = 1_000;

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
  readonly logger: Logger;
  /** A connection that was dialled already. */
  readonly first: Connection;
}

/** A RunStore that other processes write too, and how to hear of their runs. */
export interface RedisStore extends RunStore {
  readonly tail: RedisTail;
}

/** Takes over `first` and keeps the store connected until it is closed. */
export function createRedisStore(options: RedisStoreOptions): RedisStore {
  const { url, prefix, logger } = options;
  const retentionMs = options.retentionSeconds * 1000;
  const scripts = createScripts();
  const complaints = createComplaints(logger);
  const keysOf = (runId: string): RunKeys => runKeys(prefix, runId);
  let closed = false;

  const link = createLink({
    dial: () => dial({ url, name: 'dify-agent' }),
    first: options.first,
    logger,
    onUp() {
      writer.resume();
      orphans.sweep();
    },
    onDown: (reason, since) => writer.suspend(reason, since),
  });
  const writer = createWriter({
    link,
    scripts,
    keysOf,
    retentionMs,
    slackMs: Math.min(TTL_SLACK_MS, Math.floor(retentionMs / 10)),
    outageMs: options.outageSeconds * 1000,
    logger,
    complaints,
  });
  const orphans = createOrphans(link);
  const tail = createRedisTail({ url, link, keysOf, getRecord, readEvents, logger });

  const keepAliveMs = Math.min(KEEP_ALIVE_MS, retentionMs / 3);
  const keepAliveTimer = setInterval(() => void keepAlive(), keepAliveMs);
  keepAliveTimer.unref();

  /** The records and events of runs that this process executes do not expire under them, however silent they are. */
  async function keepAlive(): Promise<void> {
    const all = writer.activeKeys();
    const ttl = String(retentionMs);
    try {
      for (let i = 0; i < all.length; i += KEEP_ALIVE_BATCH) {
        const keys = all.slice(i, i + KEEP_ALIVE_BATCH).flatMap(({ record, events }) => [record, events]);
        await Promise.all(keys.map((key) => link.send(['PEXPIRE', key, ttl])));
      }
    } catch (error) {
      // The next round comes before anything expires.
      logger.debug('times to live could not be refreshed', { error });
    }
  }

  /**
   * Sends a command for somebody who waits. `repeatable`: it may be sent again when its reply was lost.
   * Rejects with StoreUnavailableError, at the latest after REQUEST_DEADLINE_MS; with RedisRefusal when it is about this key.
   */
  async function ask(command: readonly string[], repeatable: boolean): Promise<unknown> {
    const deadline = performance.now() + REQUEST_DEADLINE_MS;
    for (;;) {
      if (closed) throw new StoreUnavailableError(new Error('the store is closed'));
      // A store that has been away for long is not waited for.
      const patience = Math.min(deadline, (link.downSince ?? deadline) + REQUEST_DEADLINE_MS);
      if (link.connection === null) await link.whenUp(patience - performance.now());
      try {
        return await before(deadline, link.send(command));
      } catch (error) {
        if (repeatable && error instanceof LinkLostError && performance.now() < deadline) continue;
        if (!(error instanceof RedisRefusal)) throw new StoreUnavailableError(error);
        if (!error.transient) throw error;
        complaints.about(error, command[0] ?? '');
        if (error.wantsReconnect) link.reset(error);
        throw new StoreUnavailableError(error);
      }
    }
  }

  async function run(script: Script, keys: RunKeys, args: readonly string[]): Promise<unknown> {
    try {
      return await ask(script.bySha(keys, args), true);
    } catch (error) {
      if (!(error instanceof RedisRefusal) || error.code !== 'NOSCRIPT') throw error;
      return ask(script.byText(keys, args), true);
    }
  }

  async function create(record: RunRecord): Promise<void> {
    const { record: key } = keysOf(record.run_id);
    let reply: unknown;
    try {
      reply = await ask(['SET', key, recordText(record), 'NX', 'PX', String(retentionMs)], false);
    } catch (error) {
      const { cause } = toStoreError(error);
      // Unless it was refused or not even sent it may have been applied, or be on its way still. Nobody else knows this id,
      // so the record is taken away again.
      if (!(cause instanceof RedisRefusal || cause instanceof LinkDownError)) orphans.add(key);
      throw toStoreError(error);
    }
    if (reply !== 'OK') throw new RunExistsError(record.run_id);
    if (record.status === 'running') writer.begin(record.run_id);
  }

  async function getRecord(runId: string): Promise<RunRecord | null> {
    const { record: key } = keysOf(runId);
    try {
      const text = await ask(['GET', key], true);
      if (text === null) return null;
      const record = parseRecord(runId, String(text));
      if (record === null) logger.error('unreadable run record skipped', { run_id: runId });
      return record;
    } catch (error) {
      return skipForeign(error, runId, null);
    }
  }

  async function readEvents(runId: string, after: EventId, limit: number): Promise<readonly StoredEvent[]> {
    const keys = keysOf(runId);
    const events: StoredEvent[] = [];
    let cursor = after;
    try {
      // An empty page means the end to its reader: one of unreadable entries alone is passed over.
      while (events.length === 0) {
        const reply = await run(scripts.page, keys, [cursor, String(limit), String(PAGE_MAX_BYTES)]);
        if (!Array.isArray(reply) || reply.length === 0) break;
        for (let i = 0; i < reply.length; i += 2) {
          const [id, payload]: unknown[] = [reply[i], reply[i + 1]];
          cursor = String(id);
          if (typeof payload === 'string') events.push({ id: cursor, payload });
          else logger.warn('event without payload skipped', { run_id: runId, event_id: cursor });
        }
      }
      return events;
    } catch (error) {
      return skipForeign(error, runId, events);
    }
  }

  /** A key of this name that is no record or stream is somebody else's: as good as none. */
  function skipForeign<T>(error: unknown, runId: string, nothing: T): T {
    if (!(error instanceof RedisRefusal) || error.code !== 'WRONGTYPE') throw toStoreError(error);
    logger.error('key of another type skipped', { run_id: runId });
    return nothing;
  }

  return {
    description: options.description,
    tail,
    create,
    append: (runId, payloads) => writer.append(runId, payloads),
    finalise: (runId, transition) => writer.finalise(runId, transition),
    getRecord,
    readEvents,
    async ping() {
      try {
        await ask(['PING'], true);
      } catch (error) {
        throw toStoreError(error);
      }
    },
    async close() {
      if (closed) return;
      await writer.drain(CLOSE_DEADLINE_MS);
      closed = true;
      clearInterval(keepAliveTimer);
      orphans.close();
      tail.close();
      writer.close();
      link.close();
    },
  };
}

/** `work`, or a rejection at the deadline (`performance.now()`); the work goes on. */
async function before<T>(deadline: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error('no answer in time')),
    Math.max(0, deadline - performance.now()),
  );
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}
