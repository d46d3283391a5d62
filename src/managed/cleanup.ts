// The end of a session: what its layers hold is deleted by a run that anybody can see, tried again while a peer is away, and the row
// goes last. Whoever finds a session that is due does the next step; the queue of the session lets one clean-up run at a time.

import type { Logger } from '../observe/logger.ts';
import type { CancelRunRequest, RunRecord } from '../protocol/runs.ts';
import type { Submission } from '../runs/submission.ts';
import { SessionRefusal } from './errors.ts';
import { cleanupRequest, type Holdings } from './holdings.ts';
import type { Head } from './record.ts';
import type { Repository, Session, WholeSession } from './repository.ts';
import type { Settler } from './settle.ts';
import type { PendingTurn, Verdict } from './turn.ts';

/** How long a process that takes up a clean-up has before others may, ms: it creates a run. */
const CLAIM_MS = 30_000;
/** Looks at one session in a row: a settled run, an expiry and a clean-up are three. */
const STEPS = 10;

/** Why runs of a session that ends are cancelled. */
const SESSION_ENDED: CancelRunRequest = { reason: 'session_ended', message: null };

/** Somebody else was faster. */
function refused(): Verdict {
  return {
    accepted: false,
    error: new SessionRefusal('session_busy', 'another clean-up of the session is under way'),
  };
}

export interface CleanupDeps {
  readonly repository: Repository;
  readonly settler: Settler;
  readonly holdings: Holdings;
  readonly logger: Logger;
  /** As the scheduler's. */
  readonly submit: (submission: Submission) => Promise<RunRecord>;
  readonly cancel: (runId: string, request: CancelRunRequest) => Promise<unknown>;
  readonly turnFor: (key: string, given: Submission) => PendingTurn;
}

export interface Cleanup {
  /**
   * Takes in what has ended, and if the session is over does what is next. The clean-up run that is under way, if any. Rejects with
   * StoreUnavailableError, SessionRefusal.
   */
  pursue(key: string): Promise<string | null>;
}

export function createCleanup(deps: CleanupDeps): Cleanup {
  const { repository, settler, holdings, logger } = deps;

  /** One step; the run that is under way, null when there is nothing to do now, `again` when something was done. */
  async function step(key: string): Promise<string | null | 'again'> {
    const session = await settler.settle(key);
    if (session === null) return null;
    const { head } = session;
    const now = repository.nowMs();
    const [active] = head.queue;
    if (active !== undefined) {
      // The next look is written down, so that what is due is not always the same.
      if (session.row.dueAt <= now) await repository.save(key, session, { head });
      if (active.kind === 'cleanup') return active.runId;
      // Who ended the session may have died before it could say so.
      if (head.ending !== null) await Promise.all(head.queue.map(({ runId }) => deps.cancel(runId, SESSION_ENDED)));
      return null;
    }
    if (head.ending === null) {
      if (head.expiresAt > now) return null;
      logger.info('session expired', { session: key });
      const ending = { reason: 'expired', attempts: 0, retryAt: now } as const;
      await repository.save(key, session, { head: { ...head, ending } });
      return 'again';
    }
    if (head.ending.retryAt > now) return null;
    const whole = await repository.loadWhole(key);
    if (whole === null || whole.row.version !== session.row.version) return 'again';
    return begin(whole, head, head.ending);
  }

  async function begin(whole: WholeSession, head: Head, ending: NonNullable<Head['ending']>) {
    const { key, body } = whole;
    if (body === 'unreadable') {
      const problem = 'its snapshot cannot be opened';
      await apply(whole, settler.failed(whole, head, problem, null));
      return null;
    }
    const held = holdings.of(body?.snapshot ?? null);
    if (held.length === 0) {
      if (!(await repository.remove(whole))) return 'again';
      logger.info('session ended', { session: key });
      return null;
    }
    const claimed = { ...head, ending: { ...ending, retryAt: repository.nowMs() + CLAIM_MS } };
    if (!(await repository.save(key, whole, { head: claimed }))) return 'again';
    return start(key, { request: cleanupRequest(held, head.lastRun?.id ?? null), snapshotPolicy: 'reject' });
  }

  /** Creates the clean-up run and gives it the session. A refused creation is tried again when the claim has lapsed. */
  async function start(key: string, given: Submission): Promise<string | null> {
    const turn = deps.turnFor(key, given);
    const { run_id: runId } = await deps.submit({ ...given, turn });
    const taken = await enqueue(key, runId).catch((error: unknown) => {
      logger.warn('a clean-up run could not be given its session', { session: key, run_id: runId, error });
      return false;
    });
    turn.decide(taken ? { accepted: true } : refused());
    return taken ? runId : null;
  }

  function enqueue(key: string, runId: string): Promise<boolean> {
    return repository.change<boolean>(key, (session) => {
      if (session === null || session.head.ending === null) return { result: false };
      const [active] = session.head.queue;
      // Ours, where the answer to a write was lost.
      if (active !== undefined) return { result: active.runId === runId };
      const entry = { runId, kind: 'cleanup', replaces: false, request: null } as const;
      return { result: true, write: { head: { ...session.head, queue: [entry] } } };
    });
  }

  async function apply(session: Session, write: ReturnType<Settler['failed']>): Promise<void> {
    if (write === 'remove') await repository.remove(session);
    else await repository.save(session.key, session, write);
  }

  return {
    async pursue(key) {
      for (let steps = 0; steps < STEPS; steps += 1) {
        const done = await step(key);
        if (done !== 'again') return done;
      }
      return null;
    },
  };
}
