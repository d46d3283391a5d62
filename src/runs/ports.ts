// What the life of a run needs from a store, and what readers of runs may ask of it. store/ implements these;
// test/contract runs one suite over every implementation. Nothing here knows SQLite, Redis or HTTP.

import type { EventId } from '../base/cursor.ts';
import type { RunUsage } from '../protocol/events.ts';
import type { OutlinedLayer, RunComposition, RunRecord, RunStatus, TerminalStatus } from '../protocol/runs.ts';

/** An event as it is stored: the payload without `id`, exactly as it was serialised once (design §3). */
export interface StoredEvent {
  readonly id: EventId;
  /** `{"run_id":…,"created_at":…,"type":…,"data":…}` */
  readonly payload: string;
  /** Events between this one and the one before it (or the reader's cursor) were dropped to keep the stream bounded. */
  readonly trimmedBefore?: true;
}

/** The end of a run: status, record text and terminal event, written in one atomic step. */
export interface TerminalTransition {
  readonly status: TerminalStatus;
  /** RFC 3339. */
  readonly updatedAt: string;
  /** `RunStatusResponse.error`. */
  readonly error: string | null;
  readonly payload: string;
  /** What else is known of the end, for the record (`error_type`) and for lists. Absent: nothing. */
  readonly facts?: EndFacts;
}

/** How a run ended, beside its status and error. */
export interface EndFacts {
  /** `run_failed` and `run_cancelled`: `data.reason`. */
  readonly reason: string | null;
  /** `RunStatusResponse.error_type` (spec 01 §1.5, V3). */
  readonly errorType: string | null;
  /** Null: no model has reported any. */
  readonly usage: RunUsage | null;
}

/** A durable wish to cancel a run (spec 01 §6.1, V4). The first one of a run stands. */
export interface CancelIntent {
  readonly reason: string | null;
  readonly message: string | null;
  /** RFC 3339. */
  readonly requestedAt: string;
}

/** What makes two creations one: the digest of the caller's key, and of what it asked for. */
export interface Deduplication {
  /** SHA-256, hex, of `idempotency_key`: the key itself is not stored. */
  readonly key: string;
  /** SHA-256, hex, of the validated request. */
  readonly fingerprint: string;
  /** The same key with another fingerprint is a conflict instead of a new run. */
  readonly strict: boolean;
}

export type CreateOutcome =
  | { readonly created: true }
  /** A run was created for the same key and fingerprint before, and is still kept. Nothing was written. */
  | { readonly created: false; readonly existing: RunRecord }
  /** Strict only: the key was used for something else. Nothing was written. */
  | { readonly created: false; readonly existing: null };

export type AppendOutcome =
  | { readonly appended: true; readonly events: readonly StoredEvent[] }
  /** Refused: the run is over (its status) or unknown (null). Nothing was written, no TTL refreshed. */
  | { readonly appended: false; readonly status: RunStatus | null };

export type FinaliseOutcome =
  | { readonly applied: true; readonly event: StoredEvent }
  /**
   * Nothing was written. The run was already over (the winner's status), is unknown (null), or is `running` because
   * - a cancel was accepted (`cancel`) and the transition is not `cancelled`: end it as cancelled instead;
   * - the transition is `cancelled` and nobody asked for that (`cancel` null);
   * - `finaliseLost` only: its owner lives (`cancel` null).
   */
  | { readonly applied: false; readonly status: RunStatus | null; readonly cancel: CancelIntent | null };

export type CancelOutcome =
  /** The wish is durable (or was before: the first reason stays), or the run is cancelled already. */
  | { readonly accepted: true; readonly status: 'running' | 'cancelled' }
  /** The run ended otherwise, or is unknown (null). Nothing was written. */
  | { readonly accepted: false; readonly status: 'succeeded' | 'failed' | null };

/** Thrown by every operation when the store cannot answer; HTTP 503 `store unavailable`. */
export { StoreUnavailableError } from './errors.ts';

/** What a store tells the process about the runs that it created there and that are not over. */
export interface OwnRunsWatcher {
  /** A cancel was accepted, by whichever process. Once per run, as soon as it is durable. */
  cancelRequested(runId: string, intent: CancelIntent): void;
  /** Somebody else ended the run: this process was away for longer than its lease. Stop it; nothing can be written. */
  endedElsewhere(runId: string): void;
}

/**
 * Records and events of runs. Ids are strictly increasing per run; several processes may share one store. A run belongs to
 * the process that created it, as long as that process holds its lease (a shared store) or lives (an embedded one).
 */
export interface RunStore {
  /** For logs and `check`, without credentials: `sqlite:/var/lib/x.db`. */
  readonly description: string;
  /**
   * Writes the record of a new run (status `running`) as this process's own, unless `deduplication` finds an earlier one.
   * It is durable when the promise resolves. Of `composition` a store that lists runs keeps the outline, never a
   * configuration; other stores keep nothing.
   */
  create(
    record: RunRecord,
    deduplication?: Deduplication | null,
    composition?: RunComposition | null,
  ): Promise<CreateOutcome>;
  /** Appends payloads in order, in one step, if the run is `running`. */
  append(runId: string, payloads: readonly string[]): Promise<AppendOutcome>;
  /**
   * Ends a `running` run: event, status and error in one atomic step. The first call wins. `cancelled` needs an accepted
   * cancel, and where there is one nothing else is taken (spec 01 §6.1).
   */
  finalise(runId: string, transition: TerminalTransition): Promise<FinaliseOutcome>;
  /** Records the wish to cancel a `running` run, whoever owns it. */
  requestCancel(runId: string, intent: CancelIntent): Promise<CancelOutcome>;
  /** To be called once, before the first `create`. */
  watchOwn(watcher: OwnRunsWatcher): void;
  /**
   * How often to look for runs of dead owners, ms; null: only after opening, because nobody else can write this store.
   */
  readonly recoveryIntervalMs: number | null;
  /**
   * Running runs whose owner is dead. Runs that were not created through this implementation are never among them (another
   * one may share the store and has no lease).
   */
  listLost(): Promise<readonly string[]>;
  /** `finalise`, applied only if the run's owner is (still) dead. Two processes may try at once: one succeeds. */
  finaliseLost(runId: string, transition: TerminalTransition): Promise<FinaliseOutcome>;
  /** The record, or null when unknown or expired. */
  getRecord(runId: string): Promise<RunRecord | null>;
  /** Events after the cursor, oldest first, at most `limit`. Empty when the run is unknown. */
  readEvents(runId: string, after: EventId, limit: number): Promise<readonly StoredEvent[]>;
  /** Resolves when the store answers; rejects with StoreUnavailableError. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Finds creations without creating. */
export interface CreationFinder {
  /** What would stand in the way of such a creation now, as `create` would tell; null: nothing. */
  findCreated(deduplication: Deduplication): Promise<Exclude<CreateOutcome, { readonly created: true }> | null>;
}

/** What of a run's composition is shown in lists: bounded, without any configuration. */
export interface RunOutline {
  /** Of the execution context, as the caller gave it; null without one. */
  readonly tenantId: string | null;
  readonly layers: readonly OutlinedLayer[];
  /** Layers that are left out at the end, because the composition has too many or their names are too long. */
  readonly layersOmitted: number;
}

/** A run as a list shows it. */
export interface ListedRun {
  readonly record: RunRecord;
  /** Null: not kept (the run was created by a version that kept none). */
  readonly outline: RunOutline | null;
  /** Null: the run is running, or nothing is kept of its end. */
  readonly facts: EndFacts | null;
}

/** Which runs to list. */
export interface RunListQuery {
  /** Any of these; empty: whatever the status. */
  readonly statuses: readonly RunStatus[];
  readonly tenant: string | null;
  /** What the run's id begins with. */
  readonly prefix: string | null;
  /** `RunListPage.nextAfter` of an earlier page; null: from the newest run on. */
  readonly after: string | null;
  /** ≥ 1. */
  readonly limit: number;
}

export interface RunListPage {
  /** Newest first; may be fewer than asked for, or none, when a search took too long. */
  readonly runs: readonly ListedRun[];
  /** Where the next page begins; null: there is none. */
  readonly nextAfter: string | null;
}

/** Finds runs whose ids nobody knows. */
export interface RunLister {
  /** One page; null: `after` is none of this store's cursors. Rejects with StoreUnavailableError. */
  listRuns(query: RunListQuery): Promise<RunListPage | null>;
}

/** A reader of one run's events: replay, then live, without gap or repeat, ending after the terminal event. */
export interface EventSubscription {
  /**
   * The next events after those already delivered: waits while the run is running and has none.
   * Null: the stream is over (the terminal event was delivered, or nothing can follow the cursor any more).
   * Only one call at a time. Rejects with StoreUnavailableError; the subscription is then over.
   */
  next(): Promise<readonly StoredEvent[] | null>;
  /** What `next` would resolve with at once, delivered by this call; null: nothing is at hand, use `next`. Not while one is pending. */
  ready?(): readonly StoredEvent[] | null;
  /**
   * All that is left of a run that is over, where it is at hand; the subscription is then over, too. Null: use `next`. Not
   * while a `next` is pending.
   */
  rest?(): readonly StoredEvent[] | null;
  /** Events that are stored and not delivered yet, as far as this process knows; 256 stands for more. Absent: unknown. */
  readonly behind?: number;
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
