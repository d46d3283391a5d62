// What a session is: one agent in one slot of one owner, kept between runs. Data only; store.ts says how it is kept,
// agent-sessions.ts what is done with it.

import type { DeferredToolCall, JsonValue, LayerSpec, SessionSnapshot, Usage } from '../client/types.ts';

/** Whose session it is. Each part is 1 to 1,024 characters of any kind; equal parts are one session, all others differ. */
export interface Scope {
  readonly tenant: string;
  readonly ownerKind: 'workflow_run' | 'conversation' | (string & {});
  readonly ownerId: string;
  /** Which agent of the owner: a node and its binding, an agent and its configuration. */
  readonly slot: string;
}

/** What a workflow run or a conversation has: all its slots. */
export type Owner = Pick<Scope, 'tenant' | 'ownerKind' | 'ownerId'>;

/** A question that waits for its answer: `AgentSessions.resume` gives it. */
export interface PendingQuestion {
  readonly toolCallId: string;
  readonly toolName: string;
  /** What the model asked. */
  readonly args: JsonValue;
  readonly metadata: JsonValue;
  /** The caller's own name for it: the id of a form. */
  readonly correlation?: string;
}

/** A layer of the composition that a snapshot was made with. */
export interface TopologyEntry {
  readonly name: string;
  readonly type: string;
}

/** The part of a session that is written in one step. */
export interface SessionState {
  /** `cleaned`: over. The next run starts without a snapshot; snapshot, specs and topology are empty. */
  readonly status: 'active' | 'cleaned';
  readonly snapshot: SessionSnapshot;
  /** What cleans up needs of the composition: without credential-bearing layers and secret-looking keys. */
  readonly specs: readonly LayerSpec[];
  /** Names and types of all layers, in order, those without specs too. */
  readonly topology: readonly TopologyEntry[];
  readonly lastRunId?: string;
  readonly pending?: PendingQuestion;
  /**
   * The id of the outbox entry that cleans this snapshot up. The session is over: the next run starts without the snapshot,
   * and the row becomes `cleaned` when the server has confirmed.
   */
  readonly ending?: string;
}

/** A session as it is stored. */
export interface StoredSession extends SessionState {
  readonly scope: Scope;
  /** Changes with every save and never comes back for this scope, not even after a purge. */
  readonly rev: number;
}

/** Why something is cleaned up. */
export type CleanupReason = 'failed' | 'cancelled' | 'ended' | 'reset' | 'rebased' | 'closed' | 'orphaned';

/** A clean-up that is still owed: a run without a model that enters these layers and deletes what they hold. */
export interface CleanupEntry {
  /** Unique. Enqueueing an id again changes nothing. */
  readonly id: string;
  readonly scope: Scope;
  readonly reason: CleanupReason;
  /** The layers to enter, in order, with their entries in `snapshot`. */
  readonly specs: readonly LayerSpec[];
  readonly snapshot: SessionSnapshot;
  /** Layers that are entered only because another needs them: they stay. */
  readonly keep: readonly string[];
  /** The run that the snapshot came with. */
  readonly previousRunId: string | null;
}

/** A clean-up that a worker holds. */
export interface ClaimedCleanup extends CleanupEntry {
  /** Names this claim; another worker that claims the entry later has another. */
  readonly claim: string;
  /** How often it was handed back. */
  readonly attempts: number;
  /** How many clean-up runs ended without success: part of the idempotency key of the next. */
  readonly failedRuns: number;
}

/** What a turn does, written as soon as its run exists: whoever finds a turn without an owner can finish it. */
export interface TurnNote {
  readonly runId: string;
  /** The idempotency key, without the suffix of a retry. */
  readonly key: string;
  readonly mode: 'run' | 'resume';
  /** 1, and one more for every retry after a failed output check. */
  readonly attempt: number;
  /** The revision that the turn started from; null: there was no row. */
  readonly ifRev: number | null;
  /** The run started without the stored snapshot. */
  readonly fresh: boolean;
  readonly specs: readonly LayerSpec[];
  readonly topology: readonly TopologyEntry[];
}

/** What all results say. */
interface Ended {
  readonly runId: string;
  /** 1, and one more for every retry after a failed output check. */
  readonly attempt: number;
  /** Whether the store has what the run left. False changes nothing about the result. */
  readonly persisted: boolean;
  /** Why it has not. */
  readonly persistError?: unknown;
  readonly usage?: Usage;
}

export interface OutputResult extends Ended {
  readonly kind: 'output';
  readonly output: JsonValue;
}

/** The model asks; the question is stored with the session until `resume`. */
export interface DeferredResult extends Ended {
  readonly kind: 'deferred';
  readonly call: DeferredToolCall;
  /** As stored with the question. */
  readonly correlation?: string;
  /** True: nothing was run, the question was open already. */
  readonly repeated: boolean;
}

export interface FailedResult extends Ended {
  readonly kind: 'failed';
  readonly error: string;
  /** The server's code, or `output_type_check_failed`. */
  readonly reason: string | null;
}

export interface CancelledResult extends Ended {
  readonly kind: 'cancelled';
  readonly reason: string | null;
  readonly message: string | null;
}

export type TurnResult = OutputResult | DeferredResult | FailedResult | CancelledResult;
