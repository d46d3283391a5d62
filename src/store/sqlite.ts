// The embedded RunStore: one SQLite file, owned by this process alone (sqlite-file.ts), written in group commits
// (write-queue.ts). Every write passes here, so what is known of a running run (its key, its last id) is kept in memory.
// Durability: a commit survives the death of the process (kill -9); a power cut may take the last commits (synchronous = NORMAL).

import type { Database } from 'bun:sqlite';
import type { Clock } from '../base/clock.ts';
import type { EventId } from '../base/cursor.ts';
import type { Logger } from '../observe/logger.ts';
import type { RunRecord, RunStatus } from '../protocol/runs.ts';
import { StoreUnavailableError } from '../runs/errors.ts';
import type { AppendOutcome, FinaliseOutcome, RunStore, StoredEvent, TerminalTransition } from '../runs/ports.ts';
import { RunExistsError, systemCode, toOpenError, toStoreError } from './errors.ts';
import { storablePayload } from './payload.ts';
import { sweepStep } from './retention.ts';
import { hasMoved, MEMORY_PATH, openDatabase } from './sqlite-file.ts';
import { prepareStatements, type Statements } from './sqlite-statements.ts';
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
  readonly clock: Clock;
  readonly logger: Logger;
  /** The largest size of the file in pages of 4 KiB; unlimited when absent. A full file answers like a full disk. */
  readonly maxPages?: number;
}

/** A RunStore whose file has no other owner, so that whoever opens it must end what its last owner left running. */
export interface SqliteStore extends RunStore {
  /** The runs with status `running`, oldest first. Right after opening: those whose process died (`worker_lost`). */
  listRunning(): Promise<readonly RunRecord[]>;
  /** Deletes every expired run, in steps that let other writes through. Also done by a timer and at opening. */
  sweep(): Promise<void>;
}

/** What is kept in memory of a running run. */
interface ActiveRun {
  readonly key: number;
  /** Its last id; 0-0 before the first event. */
  ms: number;
  seq: number;
}

/**
 * Opens (creates, migrates) the store and takes its ownership.
 * @throws StoreOpenError with one line for the operator; `store_locked` when another process has it.
 */
export function openSqliteStore(options: SqliteStoreOptions): SqliteStore {
  const { path, clock, logger } = options;
  const retentionMs = options.retentionSeconds * 1000;
  const { db, sql } = openPrepared(path, options.maxPages);
  const active = new Map<string, ActiveRun>();
  /** Takes back what the open transaction changed in `active`, newest last. */
  let undo: (() => void)[] = [];
  let sweeping = false;
  let closed = false;
  /** The last transaction failed: whether the next one would is not known. */
  let failing = false;

  const queue = createWriteQueue(
    {
      begin: () => void sql.begin.run(),
      commit() {
        sql.commit.run();
        undo = [];
        failing = false;
      },
      rollback() {
        failing = true;
        for (const step of undo.reverse()) step();
        undo = [];
        // After a full disk or an I/O error SQLite has often rolled back already.
        if (db.inTransaction) sql.rollback.run();
      },
    },
    toStoreError,
  );

  const nowMs = () => Math.floor(clock.nowMicros() / 1000);

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

  /** The run if it is running, otherwise why not: its final status, or null when unknown. */
  function findActive(runId: string): ActiveRun | RunStatus | null {
    const known = active.get(runId);
    if (known !== undefined) return known;
    const row = sql.run.get(runId, nowMs());
    if (row === null) return null;
    if (row.status !== 'running') return row.status;
    const last = sql.lastEvent.get(row.key);
    const run: ActiveRun = { key: row.key, ms: last?.ms ?? 0, seq: last?.seq ?? 0 };
    active.set(runId, run);
    return run;
  }

  /** Spec 01 §6.2. The clock may stand still or go back: ids do not. */
  function addEvent(run: ActiveRun, text: string): StoredEvent {
    const now = nowMs();
    if (now > run.ms) {
      run.ms = now;
      run.seq = 0;
    } else {
      run.seq += 1;
    }
    const payload = storablePayload(text);
    sql.addEvent.run(run.key, run.ms, run.seq, payload);
    return { id: `${run.ms}-${run.seq}`, payload };
  }

  function saveForUndo(run: ActiveRun): void {
    const { ms, seq } = run;
    undo.push(() => {
      run.ms = ms;
      run.seq = seq;
    });
  }

  /** New runs are not taken into a file that the next process will not find. Those that run go on. */
  function checkPlace(): void {
    if (path !== MEMORY_PATH && hasMoved(db)) throw new Error(`${path} was removed or replaced`);
  }

  function createNow(record: RunRecord): void {
    checkPlace();
    const expiresAt = record.status === 'running' ? null : nowMs() + retentionMs;
    const { run_id, status, created_at, updated_at, error } = record;
    try {
      const done = sql.createRun.run(run_id, status, created_at, updated_at, errorColumn(error), expiresAt);
      if (status !== 'running') return;
      active.set(run_id, { key: Number(done.lastInsertRowid), ms: 0, seq: 0 });
      undo.push(() => active.delete(run_id));
    } catch (cause) {
      throw systemCode(cause) === 'SQLITE_CONSTRAINT_UNIQUE' ? new RunExistsError(run_id) : cause;
    }
  }

  /** Writes what a new run writes, and leaves nothing behind. */
  function tryRun(): void {
    const key = Number(sql.createRun.run('', 'failed', '', '', null, 0).lastInsertRowid);
    sql.addEvent.run(key, 0, 0, '');
    sql.deleteEvents.run(key, 1);
    sql.deleteRun.run(key);
  }

  function appendNow(runId: string, payloads: readonly string[]): AppendOutcome {
    const run = findActive(runId);
    if (run === null || typeof run === 'string') return { appended: false, status: run };
    saveForUndo(run);
    return { appended: true, events: payloads.map((payload) => addEvent(run, payload)) };
  }

  function finaliseNow(runId: string, { status, updatedAt, error, payload }: TerminalTransition): FinaliseOutcome {
    const run = findActive(runId);
    if (run === null || typeof run === 'string') return { applied: false, status: run };
    saveForUndo(run);
    const event = addEvent(run, payload);
    sql.endRun.run(status, updatedAt, errorColumn(error), nowMs() + retentionMs, run.key);
    active.delete(runId);
    undo.push(() => active.set(runId, run));
    return { applied: true, event };
  }

  function readPage(runId: string, after: EventId, limit: number): readonly StoredEvent[] {
    const key = active.get(runId)?.key ?? sql.run.get(runId, nowMs())?.key;
    const events: StoredEvent[] = [];
    if (key === undefined || limit < 1) return events;
    const [ms, seq] = cursorNumbers(after);
    let chars = 0;
    for (const row of sql.page.iterate(key, ms, seq, limit)) {
      events.push({ id: `${row.ms}-${row.seq}`, payload: row.payload });
      chars += row.payload.length;
      if (chars >= PAGE_MAX_CHARS) break;
    }
    return events;
  }

  async function sweep(): Promise<void> {
    if (sweeping) return;
    sweeping = true;
    try {
      while (!closed && (await write(() => sweepStep(db, sql, nowMs())))) {
        // The next step waits for the next turn of the event loop, together with other writes.
      }
    } finally {
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
    create: (record) => write(() => createNow(record)),
    append: (runId, payloads) => write(() => appendNow(runId, payloads), totalChars(payloads)),
    finalise: (runId, transition) => write(() => finaliseNow(runId, transition), transition.payload.length),
    getRecord: (runId) =>
      read(() => {
        const row = sql.record.get(runId, nowMs());
        return row === null ? null : toRecord(row);
      }),
    readEvents: (runId, after, limit) => read(() => readPage(runId, after, limit)),
    listRunning: () => read(() => sql.runningRecords.all().map(toRecord)),
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

/** A file of ours may still lack what it should have: then it is closed again, and nobody's. */
function openPrepared(path: string, maxPages: number | undefined): { readonly db: Database; readonly sql: Statements } {
  const db = openDatabase(path);
  try {
    if (maxPages !== undefined) db.run(`PRAGMA max_page_count = ${maxPages}`);
    return { db, sql: prepareStatements(db) };
  } catch (error) {
    db.close(true);
    throw toOpenError(path, error);
  }
}

function closedError(): StoreUnavailableError {
  return new StoreUnavailableError(new Error('the store is closed'));
}

function errorColumn(error: string | null): string | null {
  return error === null ? null : JSON.stringify(error);
}

/** The column `error` holds what errorColumn wrote. */
function toRecord<R extends { readonly error: string | null }>(row: R): R {
  if (row.error === null) return row;
  const error: unknown = JSON.parse(row.error);
  return { ...row, error: typeof error === 'string' ? error : null };
}

function totalChars(payloads: readonly string[]): number {
  let chars = 0;
  for (const payload of payloads) chars += payload.length;
  return chars;
}

/** A cursor as two numbers. Stored ids stay below 2^53, so nothing follows what is beyond: it can be cut to that. */
function cursorNumbers(cursor: EventId): readonly [ms: number, seq: number] {
  const dash = cursor.indexOf('-');
  return [safeNumber(cursor.slice(0, dash)), safeNumber(cursor.slice(dash + 1))];
}

function safeNumber(decimal: string): number {
  return Math.min(Number(decimal), Number.MAX_SAFE_INTEGER);
}
