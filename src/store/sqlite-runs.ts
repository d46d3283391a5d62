// What writes to the SQLite store do: one run's life from its creation to its end, as synchronous steps inside a transaction of
// sqlite.ts. Every write passes here, so what is known of a running run (its key, its last id) is kept in memory.

import type { Clock } from '../base/clock.ts';
import type { RunRecord, TerminalStatus } from '../protocol/runs.ts';
import type {
  AppendOutcome,
  CancelIntent,
  CancelOutcome,
  CreateOutcome,
  Deduplication,
  FinaliseOutcome,
  StoredEvent,
  TerminalTransition,
} from '../runs/ports.ts';
import { RunExistsError, systemCode } from './errors.ts';
import { factsText, type OutlineTexts } from './outline.ts';
import { storablePayload } from './payload.ts';
import type { EventColumns, RecordRow, Statements } from './sqlite-statements.ts';
import type { RunSize, Trimmer } from './sqlite-trim.ts';

/** What is kept in memory of a running run. */
export interface ActiveRun extends RunSize {
  readonly key: number;
  /** Its last id; 0-0 before the first event. */
  ms: number;
  seq: number;
  /** The accepted cancel. */
  cancel: CancelIntent | null;
}

/** Steps of a transaction; one that throws fails it. */
export interface RunWrites {
  create(record: RunRecord, deduplication: Deduplication | null, outline: OutlineTexts | null): CreateOutcome;
  /** What is in the way of such a creation; null: nothing. Only reads. */
  earlier(deduplication: Deduplication): Exclude<CreateOutcome, { readonly created: true }> | null;
  append(runId: string, payloads: readonly string[]): AppendOutcome;
  finalise(runId: string, transition: TerminalTransition): FinaliseOutcome;
  /** `first`: nobody had asked before. */
  requestCancel(runId: string, intent: CancelIntent): { readonly outcome: CancelOutcome; readonly first: boolean };
  /** What is known of a run that wrote or was created lately. Committed outside of a transaction. */
  active(runId: string): ActiveRun | undefined;
  /** The transaction was written: what it changed in memory stands. */
  committed(): void;
  /** It was not: what it touched is forgotten, and read from the file when it is needed again. */
  rolledBack(): void;
}

export function createRunWrites(deps: {
  readonly sql: Statements;
  readonly clock: Clock;
  readonly retentionMs: number;
  readonly trimmer: Trimmer;
}): RunWrites {
  const { sql, clock, retentionMs, trimmer } = deps;
  const active = new Map<string, ActiveRun>();
  /** Runs that the open transaction has changed in `active`. */
  let touched: string[] = [];

  const nowMs = () => Math.floor(clock.nowMicros() / 1000);

  /** The run if it is running, otherwise why not: its final status, or null when unknown. */
  function find(runId: string): ActiveRun | TerminalStatus | null {
    const known = active.get(runId);
    if (known !== undefined) return known;
    const row = sql.run.get(runId, nowMs());
    if (row === null) return null;
    if (row.status !== 'running') return row.status;
    const last = sql.lastEvent.get(row.key);
    const run: ActiveRun = {
      key: row.key,
      ms: last?.ms ?? 0,
      seq: last?.seq ?? 0,
      // The column holds what requestCancel wrote.
      cancel: row.cancel === null ? null : (JSON.parse(row.cancel) as CancelIntent),
      trimmedMs: row.trimmed_ms,
      trimmedSeq: row.trimmed_seq,
      ...trimmer.measure(row.key),
    };
    active.set(runId, run);
    touched.push(runId);
    return run;
  }

  /** The next event of a run. Spec 01 §6.2: the clock may stand still or go back, ids do not. */
  function numbered(run: ActiveRun, text: string): StoredEvent {
    const now = nowMs();
    if (now > run.ms) {
      run.ms = now;
      run.seq = 0;
    } else {
      run.seq += 1;
    }
    const payload = storablePayload(text);
    trimmer.count(run, payload);
    return { id: `${run.ms}-${run.seq}`, payload };
  }

  function addEvent(run: ActiveRun, text: string): StoredEvent {
    const event = numbered(run, text);
    sql.addEvent.run(run.key, run.ms, run.seq, event.payload);
    return event;
  }

  function addEvents(run: ActiveRun, texts: readonly string[]): readonly StoredEvent[] {
    const columns: EventColumns[] = [];
    const events = texts.map((text) => {
      const event = numbered(run, text);
      columns.push([run.key, run.ms, run.seq, event.payload]);
      return event;
    });
    let at = 0;
    for (const { rows, statement } of sql.addEvents) {
      for (; columns.length - at >= rows; at += rows) statement.run(...columns.slice(at, at + rows).flat());
    }
    for (const row of columns.slice(at)) sql.addEvent.run(...row);
    return events;
  }

  /** What was created before with the same key, or null when there is nothing in the way. */
  function earlier({ key, fingerprint, strict }: Deduplication): ReturnType<RunWrites['earlier']> {
    const now = nowMs();
    const same = sql.sameRequest.get(key, fingerprint, now);
    if (same !== null) return { created: false, existing: toRecord(same) };
    return strict && sql.sameKey.get(key, now) !== null ? { created: false, existing: null } : null;
  }

  return {
    earlier,
    create(record, deduplication, outline) {
      const found = deduplication === null ? null : earlier(deduplication);
      if (found !== null) return found;
      const { run_id, status, created_at, updated_at, error } = record;
      const expiresAt = status === 'running' ? null : nowMs() + retentionMs;
      const { key = null, fingerprint = null } = deduplication ?? {};
      try {
        const done = sql.createRun.run(
          run_id,
          status,
          created_at,
          updated_at,
          errorColumn(error),
          expiresAt,
          key,
          fingerprint,
          outline?.tenant ?? null,
          outline?.layers ?? null,
        );
        if (status !== 'running') return { created: true };
        active.set(run_id, {
          key: Number(done.lastInsertRowid),
          ms: 0,
          seq: 0,
          cancel: null,
          trimmedMs: 0,
          trimmedSeq: 0,
          events: 0,
          bytes: 0,
        });
        touched.push(run_id);
        return { created: true };
      } catch (cause) {
        throw systemCode(cause) === 'SQLITE_CONSTRAINT_UNIQUE' ? new RunExistsError(run_id) : cause;
      }
    },
    append(runId, payloads) {
      const run = find(runId);
      if (run === null || typeof run === 'string') return { appended: false, status: run };
      touched.push(runId);
      const events = addEvents(run, payloads);
      trimmer.trim(run, events.length);
      return { appended: true, events };
    },
    finalise(runId, { status, updatedAt, error, payload, facts }) {
      const run = find(runId);
      if (run === null || typeof run === 'string') return { applied: false, status: run, cancel: null };
      // What was asked for is what happens: with a cancel nothing else, without one not that.
      if ((run.cancel === null) === (status === 'cancelled')) {
        return { applied: false, status: 'running', cancel: run.cancel };
      }
      const event = addEvent(run, payload);
      trimmer.trim(run, 1);
      const expiresAt = nowMs() + retentionMs;
      const [errorType, kept] = facts === undefined ? [null, null] : [facts.errorType, factsText(facts)];
      sql.endRun.run(status, updatedAt, errorColumn(error), errorType, kept, expiresAt, run.key);
      // Should the transaction fail, the run is found in the file again.
      active.delete(runId);
      return { applied: true, event };
    },
    requestCancel(runId, intent) {
      const run = find(runId);
      if (run === null || run === 'succeeded' || run === 'failed') {
        return { outcome: { accepted: false, status: run }, first: false };
      }
      if (run === 'cancelled') return { outcome: { accepted: true, status: run }, first: false };
      const first = run.cancel === null;
      if (first) {
        touched.push(runId);
        sql.cancelRun.run(JSON.stringify(intent), run.key);
        run.cancel = intent;
      }
      return { outcome: { accepted: true, status: 'running' }, first };
    },
    active: (runId) => active.get(runId),
    committed() {
      touched = [];
    },
    rolledBack() {
      for (const runId of touched) active.delete(runId);
      touched = [];
    },
  };
}

function errorColumn(error: string | null): string | null {
  return error === null ? null : JSON.stringify(error);
}

/** A row as the record that it was; the column `error` holds what errorColumn wrote. */
export function toRecord(row: RecordRow): RunRecord {
  const { run_id, status, created_at, updated_at, error_type } = row;
  const error: unknown = row.error === null ? null : JSON.parse(row.error);
  const record = { run_id, status, created_at, updated_at, error: typeof error === 'string' ? error : null };
  return error_type === null ? record : { ...record, error_type };
}
