// The embedded RunStore: one SQLite file, owned by this process alone (sqlite-file.ts), written in group commits
// (write-queue.ts). What the writes do is sqlite-runs.ts; here they meet the transaction, the readers and the clock.
// Durability: a commit survives the death of the process (kill -9); a power cut may take the last commits unless
// `synchronous` is full.

import type { Database } from 'bun:sqlite';
import type { Clock } from '../base/clock.ts';
import type { EventId } from '../base/cursor.ts';
import type { EventStreamSettings } from '../config/settings.ts';
import type { SessionRows } from '../managed/ports.ts';
import type { Logger } from '../observe/logger.ts';
import { NO_PROBE, type Probe } from '../observe/probe.ts';
import { StoreUnavailableError } from '../runs/errors.ts';
import type {
  CancelIntent,
  CancelOutcome,
  CreationFinder,
  FinaliseOutcome,
  OwnRunsWatcher,
  RunLister,
  RunStore,
  StoredEvent,
  TerminalTransition,
} from '../runs/ports.ts';
import { toOpenError, toStoreError } from './errors.ts';
import { outlineTexts } from './outline.ts';
import { sweepStep } from './retention.ts';
import { hasMoved, MEMORY_PATH, openDatabase, type Synchronous } from './sqlite-file.ts';
import { createSqliteLister, type SqliteLister } from './sqlite-list.ts';
import { createRunWrites, toRecord } from './sqlite-runs.ts';
import { createSqliteSessions, prepareSessionStatements } from './sqlite-sessions.ts';
import { prepareStatements, type Statements } from './sqlite-statements.ts';
import { createTrimmer } from './sqlite-trim.ts';
import { createWriteQueue } from './write-queue.ts';

/** Characters of payload after which a page of events ends early (8 Mi); a page has at least one event. */
export const PAGE_MAX_CHARS = 8 * 1024 * 1024;
/** Expired runs are looked for this often, or twice per retention when that is more often; at least a second apart. */
export const SWEEP_INTERVAL_MS = 60_000;

export interface SqliteStoreOptions {
  /** A file in an existing directory, or `:memory:`. */
  readonly path: string;
  /** How long a run is kept after its end, ≥ 1 (spec 01 §6.1). A running run does not expire. */
  readonly retentionSeconds: number;
  /** What is kept of one run's events; all when absent. */
  readonly eventStream?: EventStreamSettings;
  /** When a commit waits for the disk; `normal` when absent. */
  readonly synchronous?: Synchronous;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of sweeps. Default: nobody. */
  readonly probe?: Pick<Probe, 'store'>;
  /** The largest size of the file in pages of 4 KiB; unlimited when absent. A full file answers like a full disk. */
  readonly maxPages?: number;
}

/**
 * A RunStore whose file has no other owner: whoever opens it must end what its last owner left running. Those runs are what
 * `listLost` tells, and nothing is added to them later.
 */
export interface SqliteStore extends RunStore, CreationFinder, RunLister {
  readonly recoveryIntervalMs: null;
  /** Rows of managed sessions. */
  readonly sessions: SessionRows;
  /** Deletes every expired run, in steps that let other writes through. Also done by a timer and at opening. */
  sweep(): Promise<void>;
}

/**
 * Opens (creates, migrates) the store and takes its ownership.
 * @throws StoreOpenError with one line for the operator; `store_locked` when another process has it.
 */
export function openSqliteStore(options: SqliteStoreOptions): SqliteStore {
  const { path, clock, logger } = options;
  const retentionMs = options.retentionSeconds * 1000;
  const nowMs = () => Math.floor(clock.nowMicros() / 1000);
  const { db, sql, sessions, list, lost } = openPrepared(options, nowMs);
  const trimmer = createTrimmer(sql, options.eventStream ?? { maxEvents: null, maxBytes: null });
  const runs = createRunWrites({ sql, clock, retentionMs, trimmer });
  let watcher: OwnRunsWatcher | null = null;
  let sweeping = false;
  let closed = false;
  /** The last transaction failed: whether the next one would is not known. */
  let failing = false;

  const queue = createWriteQueue(
    {
      begin: () => void sql.begin.run(),
      commit() {
        sql.commit.run();
        runs.committed();
        failing = false;
      },
      rollback() {
        failing = true;
        runs.rolledBack();
        // After a full disk or an I/O error SQLite has often rolled back already.
        if (db.inTransaction) sql.rollback.run();
      },
    },
    toStoreError,
  );

  function write<T>(work: () => T, chars = 0): Promise<T> {
    return closed ? Promise.reject(closedError()) : queue.submit(work, chars);
  }

  /** Reads are synchronous and see what is committed: a transaction never stays open across a turn of the event loop. */
  function read<T>(query: () => T): Promise<T> {
    if (closed) return Promise.reject(closedError());
    try {
      return Promise.resolve(query());
    } catch (error) {
      return Promise.reject(toStoreError(error));
    }
  }

  /** New runs are not taken into a file that the next process will not find. Those that run go on. */
  function checkPlace(): void {
    if (path !== MEMORY_PATH && hasMoved(db)) throw new Error(`${path} was removed or replaced`);
  }

  /** Writes what a new run writes, and leaves nothing behind. */
  function tryRun(): void {
    const key = Number(sql.createRun.run('', 'failed', '', '', null, 0, null, null, null, null).lastInsertRowid);
    sql.addEvent.run(key, 0, 0, '');
    sql.deleteEvents.run(key, 1);
    sql.deleteRun.run(key);
  }

  async function finalise(runId: string, transition: TerminalTransition): Promise<FinaliseOutcome> {
    const outcome = await write(() => runs.finalise(runId, transition), transition.payload.length);
    if (outcome.applied) lost.delete(runId);
    return outcome;
  }

  async function finaliseLost(runId: string, transition: TerminalTransition): Promise<FinaliseOutcome> {
    if (lost.has(runId)) return finalise(runId, transition);
    const record = await read(() => sql.record.get(runId, nowMs()));
    return { applied: false, status: record?.status ?? null, cancel: null };
  }

  async function requestCancel(runId: string, intent: CancelIntent): Promise<CancelOutcome> {
    const own = !lost.has(runId);
    const { outcome, first } = await write(() => runs.requestCancel(runId, intent));
    if (first && own) watcher?.cancelRequested(runId, intent);
    return outcome;
  }

  /** Where a run's events are, and the last of them that was dropped. */
  function locate(runId: string): { readonly key: number; readonly dropped: IdNumbers } | null {
    const active = runs.active(runId);
    if (active !== undefined) return { key: active.key, dropped: [active.trimmedMs, active.trimmedSeq] };
    const row = sql.run.get(runId, nowMs());
    return row === null ? null : { key: row.key, dropped: [row.trimmed_ms, row.trimmed_seq] };
  }

  function readPage(runId: string, after: EventId, limit: number): readonly StoredEvent[] {
    const run = limit < 1 ? null : locate(runId);
    const events: StoredEvent[] = [];
    if (run === null) return events;
    const cursor = cursorNumbers(after);
    let chars = 0;
    /** Whether events were dropped after what the reader has. */
    let misses = isBefore(cursor, run.dropped);
    for (const { ms, seq, payload } of sql.page.iterate(run.key, cursor[0], cursor[1], limit)) {
      const afterGap = misses && isBefore(run.dropped, [ms, seq]);
      if (afterGap) misses = false;
      const id = `${ms}-${seq}`;
      events.push(afterGap ? { id, payload, trimmedBefore: true } : { id, payload });
      chars += payload.length;
      if (chars >= PAGE_MAX_CHARS) break;
    }
    return events;
  }

  async function sweep(): Promise<void> {
    if (sweeping) return;
    sweeping = true;
    const scope = (options.probe ?? NO_PROBE).store('sweep');
    let failed = true;
    try {
      while (!closed && (await write(() => sweepStep(db, sql, nowMs())))) {
        // The next step waits for the next turn of the event loop, together with other writes.
      }
      failed = false;
    } finally {
      scope.end({ failed });
      sweeping = false;
    }
  }

  const sweepInBackground = () => {
    if (path !== MEMORY_PATH && hasMoved(db)) logger.error('the store file was removed or replaced', { path });
    sweep().catch((error: unknown) => {
      if (!closed) logger.warn('expired runs could not be deleted', { error });
    });
  };
  const interval = Math.min(SWEEP_INTERVAL_MS, Math.max(1_000, retentionMs / 2));
  const timer = setInterval(sweepInBackground, interval);
  timer.unref();
  sweepInBackground();

  return {
    description: `sqlite:${path}`,
    sessions: createSqliteSessions({ sql: sessions, read, write, nowMs }),
    create(record, deduplication = null, composition = null) {
      const outline = composition === null ? null : outlineTexts(composition);
      return write(() => {
        checkPlace();
        return runs.create(record, deduplication, outline);
      });
    },
    findCreated: (deduplication) => read(() => runs.earlier(deduplication)),
    listRuns: (query) => read(() => list(query)),
    append: (runId, payloads) => write(() => runs.append(runId, payloads), totalChars(payloads)),
    finalise,
    requestCancel,
    watchOwn(own) {
      watcher = own;
    },
    recoveryIntervalMs: null,
    listLost: () => read(() => [...lost]),
    finaliseLost,
    getRecord: (runId) =>
      read(() => {
        const row = sql.record.get(runId, nowMs());
        return row === null ? null : toRecord(row);
      }),
    readEvents: (runId, after, limit) => read(() => readPage(runId, after, limit)),
    async ping() {
      await read(checkPlace);
      await read(() => void sql.ping.get());
      // A full disk can still be read. Only a write tells whether it is over.
      if (failing) await write(tryRun);
    },
    sweep,
    async close() {
      if (closed) return;
      clearInterval(timer);
      queue.flush();
      closed = true;
      db.close(true);
    },
  };
}

/** A file of ours may still lack what it should have, or be damaged: then it is closed again, and nobody's. */
function openPrepared(
  { path, synchronous, maxPages }: SqliteStoreOptions,
  nowMs: () => number,
): {
  readonly db: Database;
  readonly sql: Statements;
  readonly sessions: ReturnType<typeof prepareSessionStatements>;
  readonly list: SqliteLister;
  /** What the last owner left running, oldest first. */
  readonly lost: Set<string>;
} {
  const db = openDatabase(path, synchronous);
  try {
    if (maxPages !== undefined) db.run(`PRAGMA max_page_count = ${maxPages}`);
    const sql = prepareStatements(db);
    const lost = new Set(sql.running.all().map(({ run_id }) => run_id));
    return { db, sql, sessions: prepareSessionStatements(db), list: createSqliteLister(db, nowMs), lost };
  } catch (error) {
    db.close(true);
    throw toOpenError(path, error);
  }
}

function closedError(): StoreUnavailableError {
  return new StoreUnavailableError(new Error('the store is closed'));
}

function totalChars(payloads: readonly string[]): number {
  let chars = 0;
  for (const payload of payloads) chars += payload.length;
  return chars;
}

type IdNumbers = readonly [ms: number, seq: number];

/** A cursor as two numbers. Stored ids stay below 2^53, so nothing follows what is beyond: it can be cut to that. */
function cursorNumbers(cursor: EventId): IdNumbers {
  const dash = cursor.indexOf('-');
  return [safeNumber(cursor.slice(0, dash)), safeNumber(cursor.slice(dash + 1))];
}

function safeNumber(decimal: string): number {
  return Math.min(Number(decimal), Number.MAX_SAFE_INTEGER);
}

function isBefore([ms, seq]: IdNumbers, [otherMs, otherSeq]: IdNumbers): boolean {
  return ms < otherMs || (ms === otherMs && seq < otherSeq);
}
