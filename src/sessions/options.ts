// What AgentSessions is made of and can be told. Types and defaults.

import type { Client } from '../client/client.ts';
import type { StreamOptions } from '../client/stream.ts';
import type {
  CreateRunRequest,
  DeferredToolCall,
  DeferredToolResults,
  JsonValue,
  RunEvent,
  SessionSnapshot,
} from '../client/types.ts';
import type { SessionStore } from './store.ts';
import type { TopologyPolicy } from './topology.ts';
import type { Scope } from './types.ts';

/** What AgentSessions needs of a client; `Client` of dify-agent/client fits. */
export type SessionClient = Pick<Client, 'createRun' | 'getRun' | 'waitRun' | 'streamEvents' | 'cancelRun'>;

export interface AgentSessionsOptions {
  readonly client: SessionClient;
  readonly store: SessionStore;
  /**
   * How long a turn belongs to a process that gives no sign of life, ms. Default 30,000; a third of it lies between two signs.
   */
  readonly leaseMs?: number;
  /** Types of layers whose specs are not to be stored, beside `CREDENTIAL_LAYERS`. */
  readonly credentialLayers?: readonly string[];
  /** How long to wait for the end of a run that was cancelled, ms. Default 10,000. */
  readonly cancelGraceMs?: number;
  /** The first pause after a failed clean-up, ms; it doubles, with jitter. Default 1,000. */
  readonly retryFirstMs?: number;
  /** The longest such pause, ms. Default 900,000 (15 minutes). */
  readonly retryMaxMs?: number;
}

/** The options, with defaults. */
export interface Deps {
  readonly client: SessionClient;
  readonly store: SessionStore;
  readonly leaseMs: number;
  readonly credentialLayers: ReadonlySet<string>;
  readonly cancelGraceMs: number;
  readonly retryFirstMs: number;
  readonly retryMaxMs: number;
}

/** What a request is built from. */
export interface TurnContext {
  /** What the run will start from, before a rebase; absent: afresh. It is put into the request for you. */
  readonly snapshot?: SessionSnapshot;
  /** The answer to the open question, as it will be sent; absent: none. */
  readonly deferred?: DeferredToolResults;
  /** 1, and one more for every retry after a failed output check. */
  readonly attempt: number;
}

/**
 * Makes the request of a turn. `session_snapshot` and `deferred_tool_results` are set by AgentSessions, `on_exit` and
 * `idempotency_key` when they are missing. A key that names the turn (a message's id) makes a turn that is tried again after a
 * crash find its run; it must be unique on the server, not only in the session. May be called more than once.
 */
export type BuildRequest = (turn: TurnContext) => CreateRunRequest | Promise<CreateRunRequest>;

/** What to do when another turn of the session is going on, in whichever process. */
export type ConflictPolicy = 'reject' | 'wait' | 'cancel_previous';

export interface TurnOptions {
  /** Ends the turn: see `cancelOnAbort`. */
  readonly signal?: AbortSignal;
  /** Every event of every attempt, in order. An error that it throws ends the turn as an abort does, and is thrown. */
  readonly onEvent?: (event: RunEvent) => void | Promise<void>;
  /** For the whole turn with its retries and the wait for another one, ms. Default: none. Ends the turn as an abort does. */
  readonly deadlineMs?: number;
  /**
   * Default `reject`: SessionBusyError. `wait`: until the other is over (not in order of arrival). `cancel_previous`: the other
   * one's run is cancelled first.
   */
  readonly onConflict?: ConflictPolicy;
  /** Default `reject`: SessionConfigurationChangedError. */
  readonly onTopologyChange?: TopologyPolicy;
  /**
   * Default true: an abort or the deadline cancels the run, waits for its end, and the result says what became of it (usually
   * `cancelled`). False: the run goes on by itself, the turn rejects with the signal's reason; `drain` or the next turn takes in
   * what the run left.
   */
  readonly cancelOnAbort?: boolean;
  /** Looks at an output: null: good; a text: why it is not. Deferred, failed and cancelled runs are not looked at. */
  readonly check?: (output: JsonValue, attempt: number) => string | null | Promise<string | null>;
  /** The most runs of one turn, when `check` finds fault with their outputs. Default 3. */
  readonly maxAttempts?: number;
  /** The caller's own name for a question, stored with it: the id of a form that was made for it. */
  readonly correlate?: (call: DeferredToolCall) => string | Promise<string>;
  /** How the run's stream is read. */
  readonly stream?: Omit<StreamOptions, 'after' | 'signal' | 'deadlineMs' | 'untilTerminal'>;
}

export interface RunOptions extends TurnOptions {
  /**
   * What to do while a question waits for its answer. Default `return`: the question again, nothing is run. `reject`:
   * AgentSessionError `agent_session_question_pending`. `ignore`: runs without an answer; most servers fail such a run.
   */
  readonly onPending?: 'return' | 'reject' | 'ignore';
}

export interface ResumeOptions extends TurnOptions {
  /** The question that the answer is for. If another one waits (or none), `agent_session_no_question`. */
  readonly toolCallId?: string;
}

export interface EndOptions {
  /** For everything, ms; what is not confirmed by then stays in the outbox. Default 30,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Only these slots of the owner; default: all. */
  readonly slots?: readonly string[];
}

export interface EndReport {
  /** Sessions that are cleaned now. */
  readonly cleaned: number;
  /** Sessions whose clean-up is in the outbox still. */
  readonly failed: readonly Scope[];
}

export interface DrainOptions {
  /** Default false: until nothing is due. True: until the signal aborts. */
  readonly loop?: boolean;
  readonly signal?: AbortSignal;
  /** Clean-ups at once. Default 4. */
  readonly concurrency?: number;
  /** How long one clean-up run may take, ms. Default 30,000. */
  readonly timeoutMs?: number;
  /** The longest pause between two looks at the store, ms; the pause has jitter. Default 5,000. Loop only. */
  readonly pollMs?: number;
  /** What did not work: a clean-up (it is tried again), or the store (`scope` null; the loop goes on). */
  readonly onError?: (error: unknown, scope: Scope | null) => void;
}

export interface DrainReport {
  /** Outbox entries that are done. */
  readonly cleaned: number;
  /** Outbox entries that were handed back for later. */
  readonly failed: number;
  /** Turns without an owner whose end was taken in. */
  readonly adopted: number;
}

export function withDefaults(options: AgentSessionsOptions): Deps {
  const { client, store, credentialLayers = [], leaseMs = 30_000, cancelGraceMs = 10_000 } = options;
  const { retryFirstMs = 1_000, retryMaxMs = 900_000 } = options;
  for (const [name, value] of Object.entries({ leaseMs, cancelGraceMs, retryFirstMs, retryMaxMs })) {
    if (!(value > 0 && value <= 2 ** 31 - 1)) throw new TypeError(`${name} must be 1 to 2,147,483,647 ms`);
  }
  return {
    client,
    store,
    leaseMs,
    credentialLayers: new Set(credentialLayers),
    cancelGraceMs,
    retryFirstMs,
    retryMaxMs,
  };
}
