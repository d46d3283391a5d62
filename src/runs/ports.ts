// What the life of a run needs from a store, and what readers of runs may ask of it. store/ implements these;
// test/contract runs one suite over every implementation. Nothing here knows SQLite, Redis or HTTP.

import type { EventId } from '../base/cursor.ts';
import type { RunRecord, RunStatus, TerminalStatus } from '../protocol/runs.ts';

/** An event as it is stored: the payload without `id`, exactly as it was serialised once (design §3). */
export interface StoredEvent {
  readonly id: EventId;
  /** `{"run_id":…,"created_at":…,"type":…,"data":…}` */
  readonly payload: string;
}

/** The end of a run: status, record text and terminal event, written in one atomic step. */
export interface TerminalTransition {
  readonly status: TerminalStatus;
  /** RFC 3339. */
  readonly updatedAt: string;
  /** `RunStatusResponse.error`. */
  readonly error: string | null;
  readonly payload: string;
}

export type AppendOutcome =
  | { readonly appended: true; readonly events: readonly StoredEvent[] }
  /** Refused: the run is over (its status) or unknown (null). Nothing was written, no TTL refreshed. */
  | { readonly appended: false; readonly status: RunStatus | null };

export type FinaliseOutcome =
  | { readonly applied: true; readonly event: StoredEvent }
  /** The run was already over (the winner's status) or is unknown (null). Nothing was written. */
  | { readonly applied: false; readonly status: RunStatus | null };

/** Thrown by every operation when the store cannot answer; HTTP 503 `store unavailable`. */
export { StoreUnavailableError } from './errors.ts';

/** Records and events of runs. Ids are strictly increasing per run; several processes may share one store. */
export interface RunStore {
  /** For logs and `check`, without credentials: `sqlite:/var/lib/x.db`. */
  readonly description: string;
  /** Writes the record of a new run (status `running`). It is durable when the promise resolves. */
  create(record: RunRecord): Promise<void>;
  /** Appends payloads in order, in one step, if the run is `running`. */
  append(runId: string, payloads: readonly string[]): Promise<AppendOutcome>;
  /** Ends a `running` run: event, status and error in one atomic step. The first call wins. */
  finalise(runId: string, transition: TerminalTransition): Promise<FinaliseOutcome>;
  /** The record, or null when unknown or expired. */
  getRecord(runId: string): Promise<RunRecord | null>;
  /** Events after the cursor, oldest first, at most `limit`. Empty when the run is unknown. */
  readEvents(runId: string, after: EventId, limit: number): Promise<readonly StoredEvent[]>;
  /** Resolves when the store answers; rejects with StoreUnavailableError. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** A reader of one run's events: replay, then live, without gap or repeat, ending after the terminal event. */
export interface EventSubscription {
  /**
   * The next events after those already delivered: waits while the run is running and has none.
   * Null: the stream is over (the terminal event was delivered, or nothing can follow the cursor any more).
   * Only one call at a time. Rejects with StoreUnavailableError; the subscription is then over.
   */
  next(): Promise<readonly StoredEvent[] | null>;
  /** Ends the subscription; a pending `next` resolves with null. */
  close(): void;
}

/** What HTTP reads. */
export interface RunReader {
  getRecord(runId: string): Promise<RunRecord | null>;
  readEvents(runId: string, after: EventId, limit: number): Promise<readonly StoredEvent[]>;
  /** Null when the run is unknown. */
  subscribe(runId: string, after: EventId): Promise<EventSubscription | null>;
}
