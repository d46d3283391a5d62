// Hears of events that other processes write: one connection, one blocking XREAD over the streams of all followed runs. When
// the set of runs grows, CLIENT UNBLOCK ends the wait early. Who follows which run is live.ts's business.

import { compareEventIds, type EventId } from '../base/cursor.ts';
import { errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { RunRecord } from '../protocol/runs.ts';
import { isTerminalType, storedEventType } from '../protocol/stored-event.ts';
import type { StoredEvent } from '../runs/ports.ts';
import type { Tail } from './live.ts';
import { dial } from './redis-connection.ts';
import { RedisRefusal } from './redis-errors.ts';
import type { RunKeys } from './redis-keys.ts';
import { besides, createLink, type RedisLink } from './redis-link.ts';

/** The longest wait of one XREAD, ms. */
export const TAIL_BLOCK_MS = 5_000;
/** Instead, when this user may not use CLIENT UNBLOCK: how late a newly followed run may be heard of, ms. */
const UNAIDED_BLOCK_MS = 250;
/** Events of one run that one XREAD brings at most. */
const TAIL_COUNT = 64;
/** The records of followed runs are looked at this often: a run may expire, or end without an event that can be read, ms. */
export const TAIL_CHECK_MS = 10_000;
/** Records that are looked at in one round trip. */
const CHECK_BATCH = 200;
/** Delay before CLIENT UNBLOCK is repeated, when it came before the XREAD, or before a failed reading is, ms. */
const UNBLOCK_AGAIN_MS = 5;
const REFUSED_AGAIN_MS = 1_000;
/** Events that are read at once otherwise: from a run that is over, or whose stream is trimmed. */
const REST_PAGE = 500;

export interface RedisTailOptions {
  readonly url: string;
  /** The connection for commands that do not block. */
  readonly link: RedisLink;
  readonly keysOf: (runId: string) => RunKeys;
  readonly getRecord: (runId: string) => Promise<RunRecord | null>;
  readonly readEvents: (runId: string, after: EventId, limit: number) => Promise<readonly StoredEvent[]>;
  /** Streams are trimmed: what is new is read by pages, which tell where something is missing. XREAD only says that there is. */
  readonly bounded: boolean;
  readonly logger: Logger;
  /** Default TAIL_CHECK_MS. */
  readonly checkMs?: number;
}

export interface RedisTail extends Tail {
  close(): void;
}

interface Followed {
  readonly runId: string;
  readonly key: string;
  cursor: EventId;
  /** The record was looked at since the run is followed. */
  checked: boolean;
  readonly publish: (events: readonly StoredEvent[], ended: boolean) => void;
}

/** A tail that connects when the first run is followed. */
export function createRedisTail(options: RedisTailOptions): RedisTail {
  const { url, link, logger, checkMs = TAIL_CHECK_MS } = options;
  /** By stream key. */
  const followed = new Map<string, Followed>();
  let blocking: RedisLink | null = null;
  let blockMs = TAIL_BLOCK_MS;
  let closed = false;
  let checkTimer: ReturnType<typeof setInterval> | undefined;
  /** Runs that the XREAD under way does not know. */
  let news = false;
  /** Number of the XREAD under way; 0: none. */
  let reading = 0;
  let reads = 0;
  let unblocking = false;
  /** Ends the loop's sleep. */
  let wake: (() => void) | null = null;

  function start(): void {
    if (blocking !== null) return;
    blocking = createLink({
      dial: () => dial({ url, name: 'dify-agent-tail', blockMs: TAIL_BLOCK_MS }),
      logger: besides(link, logger, 'no connection to follow foreign runs'),
      onUp: () => wake?.(),
    });
    checkTimer = setInterval(() => void check([...followed.values()]), checkMs);
    checkTimer.unref();
    void loop(blocking);
  }

  async function loop(own: RedisLink): Promise<void> {
    while (!closed) {
      if (followed.size === 0 || own.connection === null) {
        await sleep();
        continue;
      }
      news = false;
      const runs = [...followed.values()];
      const unchecked = runs.filter((run) => !run.checked);
      if (unchecked.length > 0) void check(unchecked);
      reads += 1;
      reading = reads;
      try {
        const reply = await own.send([
          ...['XREAD', 'COUNT', String(options.bounded ? 1 : TAIL_COUNT), 'BLOCK', String(blockMs), 'STREAMS'],
          ...runs.map((run) => run.key),
          ...runs.map((run) => run.cursor),
        ]);
        reading = 0;
        await dispatch(reply);
      } catch (error) {
        if (error instanceof RedisRefusal) await refused(own, error);
        else await sleep(REFUSED_AGAIN_MS); // a connection that is there again ends it
      } finally {
        reading = 0;
      }
    }
  }

  /** Until there is something to do. */
  function sleep(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      wake = () => {
        wake = null;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async function refused(own: RedisLink, error: RedisRefusal): Promise<void> {
    if (error.code === 'UNBLOCKED' || error.wantsReconnect) {
      own.reset(error);
      return;
    }
    logger.warn('foreign runs cannot be followed', { reason: error.message });
    // One key of another type spoils the whole command; the check takes such runs out.
    for (const run of followed.values()) run.checked = false;
    await check([...followed.values()]);
    await sleep(REFUSED_AGAIN_MS);
  }

  /** RESP2: [[key, [[id, [field, value, …]], …]], …], or null when the wait was over. */
  async function dispatch(reply: unknown): Promise<void> {
    if (!Array.isArray(reply)) return;
    const moved: Promise<void>[] = [];
    for (const stream of reply) {
      if (!Array.isArray(stream) || !Array.isArray(stream[1])) continue;
      const run = followed.get(String(stream[0]));
      if (run === undefined) continue;
      if (options.bounded) {
        moved.push(readPast(run, String(stream[1][0]?.[0])));
        continue;
      }
      const events: StoredEvent[] = [];
      for (const entry of stream[1]) {
        if (!Array.isArray(entry)) continue;
        const id = String(entry[0]);
        // A run that was left and followed anew may stand further than this XREAD knew.
        if (compareEventIds(id, run.cursor) <= 0) continue;
        run.cursor = id;
        const payload = payloadOf(entry[1]);
        if (payload === null) logger.warn('event without payload skipped', { run_id: run.runId, event_id: id });
        else events.push({ id, payload });
      }
      deliver(run, events);
    }
    await Promise.all(moved);
  }

  /** Reads on, at least past an event that was announced: it may be one that cannot be read. */
  async function readPast(run: Followed, id: EventId): Promise<void> {
    if (!(await readOn(run)) && compareEventIds(id, run.cursor) > 0) run.cursor = id;
  }

  /** Delivers a page of what follows; false when nothing does. */
  async function readOn(run: Followed): Promise<boolean> {
    const events = await options.readEvents(run.runId, run.cursor, REST_PAGE);
    const last = events.at(-1);
    if (last !== undefined && compareEventIds(last.id, run.cursor) > 0) {
      run.cursor = last.id;
      deliver(run, events);
    }
    return last !== undefined;
  }

  function deliver(run: Followed, events: readonly StoredEvent[]): void {
    // Another implementation may write the status later than the event, or never: the event counts.
    const end = events.findIndex(isTerminal);
    if (end >= 0) finish(run, events.slice(0, end + 1));
    else if (events.length > 0) run.publish(events, false);
  }

  function finish(run: Followed, events: readonly StoredEvent[]): void {
    if (followed.get(run.key) !== run) return;
    followed.delete(run.key);
    run.publish(events, true);
  }

  /** Finds runs that expired, ended, or had ended where they were begun to be followed. */
  async function check(runs: readonly Followed[]): Promise<void> {
    for (let i = 0; i < runs.length; i += CHECK_BATCH) await Promise.all(runs.slice(i, i + CHECK_BATCH).map(checkOne));
  }

  async function checkOne(run: Followed): Promise<void> {
    const first = !run.checked;
    run.checked = true;
    try {
      const record = await options.getRecord(run.runId);
      if (record === null) finish(run, []);
      else if (record.status !== 'running') await finishRest(run);
      else if (first) {
        const reply = await link.send(['XRANGE', run.key, run.cursor, run.cursor]);
        const payload = Array.isArray(reply) && Array.isArray(reply[0]) ? payloadOf(reply[0][1]) : null;
        if (payload !== null && isTerminal({ id: run.cursor, payload })) finish(run, []);
      }
    } catch (error) {
      if (error instanceof RedisRefusal && error.code === 'WRONGTYPE') finish(run, []);
      else {
        run.checked = !first;
        logger.debug('followed run could not be checked', { run_id: run.runId, reason: errorText(error) });
      }
    }
  }

  /** The run is over: whatever it has left is published, though none of it may be recognised as its end. */
  async function finishRest(run: Followed): Promise<void> {
    while (followed.get(run.key) === run) if (!(await readOn(run))) finish(run, []);
  }

  /** Ends the XREAD under way, so that the next one has all runs. An UNBLOCK that comes before the XREAD is repeated. */
  async function unblock(own: RedisLink): Promise<void> {
    const target = reading;
    const id = own.connection?.info.clientId;
    if (unblocking || target === 0 || id === undefined) return;
    unblocking = true;
    try {
      while (reading === target && !closed) {
        if ((await link.send(['CLIENT', 'UNBLOCK', id])) === 1) break;
        await new Promise((resolve) => setTimeout(resolve, UNBLOCK_AGAIN_MS));
      }
    } catch (error) {
      if (error instanceof RedisRefusal && !error.wantsReconnect) {
        blockMs = UNAIDED_BLOCK_MS;
        logger.warn('CLIENT UNBLOCK is refused; foreign runs are followed with a delay', { reason: error.message });
        own.reset(error); // the long wait under way is not sat out
      }
    } finally {
      unblocking = false;
    }
    // More may have come while the last one was on its way.
    if (news && reading !== 0 && reading !== target) await unblock(own);
  }

  return {
    follow(runId, after, publish) {
      const { events: key } = options.keysOf(runId);
      const run: Followed = { runId, key, cursor: after, checked: false, publish };
      followed.set(key, run);
      start();
      news = true;
      wake?.();
      if (blocking !== null && blockMs === TAIL_BLOCK_MS) void unblock(blocking);
      return () => {
        if (followed.get(key) === run) followed.delete(key);
      };
    },
    close() {
      closed = true;
      clearInterval(checkTimer);
      followed.clear();
      blocking?.close();
      wake?.();
    },
  };
}

function isTerminal(event: StoredEvent): boolean {
  const type = storedEventType(event.payload);
  return type !== null && isTerminalType(type);
}

function payloadOf(fields: unknown): string | null {
  if (!Array.isArray(fields)) return null;
  for (let i = 0; i + 1 < fields.length; i += 2) if (fields[i] === 'payload') return String(fields[i + 1]);
  return null;
}
