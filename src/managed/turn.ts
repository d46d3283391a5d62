// The turn of one run of a session: from its creation through the wait for those before it to what it leaves. A run exists, counts and
// can be cancelled from the moment that it is accepted; only its execution waits.

import { CURSOR_START } from '../base/cursor.ts';
import { CodedError } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { CreateRunRequest } from '../protocol/runs.ts';
import type { Ender } from '../runs/endings.ts';
import { StoreUnavailableError } from '../runs/errors.ts';
import type { RunReader } from '../runs/ports.ts';
import type { RunFunction } from '../runs/scheduler.ts';
import type { SessionTurn, SnapshotPolicy, Submission } from '../runs/submission.ts';
import { sessionEnding, snapshotUnreadable } from './errors.ts';
import type { SessionRows } from './ports.ts';
import type { Repository, Session } from './repository.ts';
import type { Settler } from './settle.ts';

/** A run that waits looks by itself after this long, ms: the end of the one before may have been missed. */
const LOOK_AGAIN_MS = 15_000;
/** Pauses while the store is away, ms; tries after which a waiting run fails. */
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 5_000;
const WAIT_TRIES = 10;
/** Tries to take in what a run left, before that is left to the sweep. */
const SETTLE_TRIES = 5;

export interface TurnDeps {
  readonly repository: Repository;
  readonly settler: Settler;
  readonly rows: Pick<SessionRows, 'lastEvent'>;
  readonly runs: Pick<RunReader, 'subscribe'>;
  readonly logger: Logger;
  /** Called when a run of a session that is to end was the last one. Never rejects. */
  readonly pursue: (key: string) => Promise<void>;
}

/** What the creation of a run came to. */
export type Verdict =
  | { readonly accepted: true }
  /** The session would not take it: it ends as failed, and nobody was told of it. */
  | { readonly accepted: false; readonly error: CodedError };

export interface PendingTurn extends SessionTurn {
  /** The run that was created with this turn; null: none was (yet). */
  readonly runId: string | null;
  /** Says what became of it. Without a call the run never starts. */
  decide(verdict: Verdict): void;
}

/** Executes runs of sessions in their turns, and others at once. `ender`: for those that are never started. */
export function withTurns(run: RunFunction, ender: Pick<Ender, 'endAtLast'>): RunFunction {
  return (runId, submission, signal, reporter) => {
    const { turn } = submission;
    if (turn === undefined) return run(runId, submission, signal, reporter);
    return turn.execute(runId, signal, {
      run: (mine) => run(runId, mine, signal, reporter),
      async fail({ code, message }) {
        const event = { type: 'run_failed', error: message, reason: code } as const;
        const outcome = await ender.endAtLast(runId, { ...event, errorType: null, snapshot: null, usage: null });
        if (outcome?.applied !== true) return reporter.ended(null, 'unwritten');
        reporter.stored(1, outcome.event.payload.length, 0);
        reporter.ended(outcome.ending, 'error');
      },
    });
  };
}

/** A turn of the session `key` for a run that is about to be created. */
export function createTurn(
  deps: TurnDeps,
  key: string,
  given: { readonly request: CreateRunRequest; readonly snapshotPolicy: SnapshotPolicy },
): PendingTurn {
  const { repository, settler, logger } = deps;
  const verdict = Promise.withResolvers<Verdict>();
  let created: string | null = null;

  /** Waits until the run is the first one. Null: the signal has aborted. */
  async function first(runId: string, signal: AbortSignal): Promise<Session | null> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        const session = await settler.settle(key);
        const head = session?.head.queue[0];
        if (session === null || !session.head.queue.some((entry) => entry.runId === runId)) {
          throw new CodedError('session_lost', 'the session of this run is gone');
        }
        if (head === undefined || head.runId === runId) {
          // Its cancel is on the way. A clean-up is what an end is for.
          if (session.head.ending !== null && head?.kind === 'run') throw sessionEnding();
          return session;
        }
        await endOf(head.runId, signal);
        failures = 0;
      } catch (error) {
        failures += 1;
        if (!(error instanceof StoreUnavailableError) || failures >= WAIT_TRIES) throw error;
        await pause(Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failures), signal);
      }
    }
    return null;
  }

  /** Resolves when another run is over, when the signal aborts, or after a while. */
  async function endOf(runId: string, signal: AbortSignal): Promise<void> {
    const last = await deps.rows.lastEvent(runId);
    const subscription = await deps.runs.subscribe(runId, last?.id ?? CURSOR_START);
    if (subscription === null || signal.aborted) {
      subscription?.close();
      return;
    }
    const stop = () => subscription.close();
    const timer = setTimeout(stop, LOOK_AGAIN_MS);
    signal.addEventListener('abort', stop, { once: true });
    try {
      while ((await subscription.next()) !== null) {
        // Only the end matters.
      }
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      subscription.close();
    }
  }

  /** What the run is to be started with. */
  async function requestOf(runId: string): Promise<CreateRunRequest> {
    const session = await repository.loadWhole(key);
    const entry = session?.head.queue.find((one) => one.runId === runId);
    const { request } = given;
    if (session === null || entry === undefined || entry.kind === 'cleanup' || entry.replaces) return request;
    if (session.body === 'unreadable') {
      throw snapshotUnreadable();
    }
    return session.body === null ? request : { ...request, session_snapshot: session.body.snapshot };
  }

  /** What to run when the time has come, or why nothing can be. Aborted: what was given, for its end. Rejects as the store does. */
  async function begin(runId: string, signal: AbortSignal): Promise<Submission | CodedError> {
    try {
      const session = await first(runId, signal);
      return session === null ? given : { ...given, request: await requestOf(runId) };
    } catch (error) {
      if (signal.aborted) return given;
      if (error instanceof CodedError && !(error instanceof StoreUnavailableError)) return error;
      throw error;
    }
  }

  /** The run does not wait any more. When it was the first one it is left to the settler. */
  async function leave(runId: string): Promise<void> {
    await repository.change(key, (session) => {
      const queue = session?.head.queue ?? [];
      if (session === null || !queue.slice(1).some((entry) => entry.runId === runId)) return { result: null };
      const rest = queue.filter((entry) => entry.runId !== runId);
      return { result: null, write: { head: { ...session.head, queue: rest } } };
    });
  }

  /** Never rejects. */
  async function finish(runId: string): Promise<void> {
    for (let failures = 0; failures < SETTLE_TRIES; failures += 1) {
      try {
        await leave(runId);
        await settler.settle(key);
        await deps.pursue(key);
        return;
      } catch (error) {
        if (failures === 0)
          logger.warn('the end of a run is not stored in its session yet', { session: key, run_id: runId, error });
        await pause(RETRY_FIRST_MS * 2 ** failures, null);
      }
    }
  }

  return {
    get runId() {
      return created;
    },
    decide: verdict.resolve,
    async execute(runId, signal, { run, fail }) {
      created = runId;
      const decided = await verdict.promise;
      if (!decided.accepted) return fail(decided.error);
      try {
        const start = await begin(runId, signal);
        if (start instanceof CodedError) await fail(start);
        else await run(start);
      } finally {
        await finish(runId);
      }
    },
  };
}

async function pause(ms: number, signal: AbortSignal | null): Promise<void> {
  const over = Promise.withResolvers<void>();
  const stop = () => over.resolve();
  const timer = setTimeout(stop, ms);
  signal?.addEventListener('abort', stop, { once: true });
  await over.promise;
  clearTimeout(timer);
  signal?.removeEventListener('abort', stop);
}
