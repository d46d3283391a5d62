// What the parts of the store contract share: the store under test, what a kind of store can do, and how runs, events and ends
// look that are given to it.

import { CURSOR_START } from '../../src/base/cursor.ts';
import { newRunId } from '../../src/base/ids.ts';
import type { EventStreamSettings } from '../../src/config/settings.ts';
import type { RunRecord, TerminalStatus } from '../../src/protocol/runs.ts';
import type {
  AppendOutcome,
  CancelIntent,
  CreationFinder,
  FinaliseOutcome,
  OwnRunsWatcher,
  RunLister,
  RunStore,
  StoredEvent,
  TerminalTransition,
} from '../../src/runs/ports.ts';

/** How a store under test is opened. */
export interface ContractOptions {
  readonly retentionSeconds: number;
  readonly eventStream: EventStreamSettings;
}

/** A store under test, empty. */
export interface StoreHarness {
  readonly store: RunStore & Partial<CreationFinder>;
  /** Lists the runs of `store`; null: this one keeps no lists. */
  readonly lister: RunLister | null;
  /** Lets this much time pass for the store (a driven clock, or really). */
  passTime(seconds: number): Promise<void>;
  /** Kinds that outlive their process: the process of `store` dies as by kill -9; the store of the next one. */
  crash?(): Promise<RunStore>;
  /** Shared kinds: the store of one more process that lives beside the others. */
  another?(): Promise<RunStore>;
  /** Closes every store that was opened. */
  close(): Promise<void>;
}

/** One test's store, and what the parts of the contract do with it. Its getters are for use inside a test. */
export interface Contract {
  readonly store: RunStore & Partial<CreationFinder>;
  readonly harness: StoreHarness;
  /** Another harness, with its own limits; closed after the test. */
  open(options: Partial<ContractOptions>): Promise<StoreHarness>;
  startRun(): Promise<string>;
}

/** What a kind of store can do beyond the contract of all. */
export interface Traits {
  /** What is written outlives the process: the harness has `crash`. */
  readonly durable: boolean;
  /** Several processes at once: the harness has `another`. */
  readonly shared: boolean;
  /** Runs can be listed: the harness has a `lister`. */
  readonly listed: boolean;
}

/** Retention of the stores under test, seconds. */
export const RETENTION = 60;

export const UNLIMITED: EventStreamSettings = { maxEvents: null, maxBytes: null };

export function runningRecord(runId = newRunId()): RunRecord {
  return {
    run_id: runId,
    status: 'running',
    created_at: '2026-06-02T08:15:30.204117Z',
    updated_at: '2026-06-02T08:15:30.204131Z',
    error: null,
  };
}

/** A payload as the event sink writes it. */
export function payloadOf(runId: string, data: unknown = {}, type = 'pydantic_ai_event'): string {
  return JSON.stringify({ run_id: runId, created_at: '2026-06-02T08:15:30.209551Z', type, data });
}

export function terminal(runId: string, status: TerminalStatus, error: string | null = null): TerminalTransition {
  return {
    status,
    updatedAt: '2026-06-02T08:15:31.918004Z',
    error,
    payload: payloadOf(runId, { error }, `run_${status}`),
  };
}

export function intentOf(reason: string | null = 'user_cancelled', message: string | null = null): CancelIntent {
  return { reason, message, requestedAt: '2026-06-02T08:15:31.500000Z' };
}

/** As the keys and requests of creations are told to a store: SHA-256, hex. */
export function digest(text: string): string {
  return new Bun.CryptoHasher('sha256').update(text).digest('hex');
}

export function appended(outcome: AppendOutcome) {
  if (!outcome.appended) throw new Error(`refused: ${outcome.status}`);
  return outcome.events;
}

export function applied(outcome: FinaliseOutcome) {
  if (!outcome.applied) throw new Error(`not applied: ${outcome.status}`);
  return outcome.event;
}

/** Ends a run as the owner of an accepted cancel does. */
export async function cancel(store: RunStore, runId: string, intent = intentOf()): Promise<StoredEvent> {
  await store.requestCancel(runId, intent);
  return applied(await store.finalise(runId, terminal(runId, 'cancelled', intent.message ?? intent.reason)));
}

/** All events, page by page, as a reader gets them. */
export async function readAll(store: RunStore, runId: string, after = CURSOR_START): Promise<readonly StoredEvent[]> {
  const all: StoredEvent[] = [];
  for (let cursor = after; ; ) {
    const page = await store.readEvents(runId, cursor, 1_000);
    const last = page.at(-1);
    if (last === undefined) return all;
    all.push(...page);
    cursor = last.id;
  }
}

/** A watcher that keeps what it is told. */
export interface Told extends OwnRunsWatcher {
  readonly cancels: { readonly runId: string; readonly intent: CancelIntent }[];
  readonly ended: string[];
}

export function toldWatcher(): Told {
  const cancels: Told['cancels'] = [];
  const ended: string[] = [];
  return {
    cancels,
    ended,
    cancelRequested: (runId, intent) => void cancels.push({ runId, intent }),
    endedElsewhere: (runId) => void ended.push(runId),
  };
}
