// Sessions that the server keeps for its callers (spec 07 §4.4): the door of this room. A caller names a session with each run; the
// server loads what the one before left, lets one run at a time, and keeps what it leaves. What is here is the wiring and the small
// operations; runs are accepted in submit.ts, wait in turn.ts, are taken in by settle.ts, and end in cleanup.ts.

import type { Clock } from '../base/clock.ts';
import { errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { CancelRunRequest, RunRecord } from '../protocol/runs.ts';
import type { RunReader } from '../runs/ports.ts';
import type { Submission } from '../runs/submission.ts';
import { type Cleanup, createCleanup } from './cleanup.ts';
import { SessionRefusal, sessionEnding, sessionNotFound, snapshotUnreadable } from './errors.ts';
import { type Holdings, startedAnew } from './holdings.ts';
import type { SessionQuery, SessionRows } from './ports.ts';
import { newHead, parseHead, printBody } from './record.ts';
import { createRepository, type Session } from './repository.ts';
import { createBodySeal, type SealSecrets } from './seal.ts';
import { createSettler } from './settle.ts';
import { type AcceptedRun, createSubmit, type SessionSubmission } from './submit.ts';
import { createSweep } from './sweep.ts';
import { createTurn, type PendingTurn } from './turn.ts';
import { type DescribedSession, described, type ListedSession, listed } from './views.ts';

export interface ManagedSessionsDeps {
  readonly rows: SessionRows;
  readonly runs: RunReader;
  /** Where runs go. Asked when there is one to be accepted: it executes them through turn.ts, and so is made later. */
  readonly scheduler: () => SessionScheduler;
  readonly holdings: Holdings;
  readonly secrets: SealSecrets;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly ttlSeconds: number;
  /** Of a snapshot. */
  readonly maxBytes: number;
  /** How long ended runs are kept: the sweep must be faster. */
  readonly runRetentionSeconds: number;
  readonly deduplicates: boolean;
  /** Other timings than the usual ones; for tests. */
  readonly timings?: { readonly lookMs?: number; readonly retryFirstMs?: number };
}

/** Where runs go: the scheduler. */
export interface SessionScheduler {
  submit(submission: Submission): Promise<RunRecord>;
  cancel(runId: string, request: CancelRunRequest): Promise<unknown>;
}

/** What became of a session that was to end. */
export interface EndedSession {
  readonly key: string;
  /** `ended`: nothing is left of it. */
  readonly status: 'ended' | 'ending';
  /** The run that cleans up; null: it has not begun, or there is nothing to do. */
  readonly run_id: string | null;
}

/** All methods reject with SessionRefusal and StoreUnavailableError. */
export interface ManagedSessions {
  submit(submission: SessionSubmission): Promise<AcceptedRun>;
  describe(key: string, options: { readonly snapshot: boolean }): Promise<DescribedSession>;
  list(query: SessionQuery): Promise<readonly ListedSession[]>;
  /** Cancels the session's runs and deletes what it holds, then the session. */
  end(key: string): Promise<EndedSession>;
  /** The same for one page of keys; `nextAfter`: where the next begins, null: there is none. */
  endAll(
    query: SessionQuery,
  ): Promise<{ readonly sessions: readonly EndedSession[]; readonly nextAfter: string | null }>;
  /** A new session with the snapshot of this one. `workspaces` null: refused if it holds any; `new`: the fork starts with new ones. */
  fork(key: string, newKey: string, workspaces: 'new' | null): Promise<DescribedSession>;
  /** Begins to look for what is due. To be called once, after recovery. */
  start(): void;
  /** Looks no more. */
  stop(): Promise<void>;
}

/** A session with runs is looked at, and expired ones are looked for, this often, ms; four times per retention if that is more. */
const LOOK_MS = 15_000;
const MIN_LOOK_MS = 1_000;
/** Sessions that are ended at once. */
const AT_ONCE = 8;

export function createManagedSessions(deps: ManagedSessionsDeps): ManagedSessions {
  const { rows, runs, holdings, logger, secrets, timings = {} } = deps;
  const ttlMs = deps.ttlSeconds * 1000;
  const lookMs = timings.lookMs ?? Math.max(MIN_LOOK_MS, Math.min(LOOK_MS, deps.runRetentionSeconds * 250));
  const repository = createRepository({ rows, seal: createBodySeal(secrets), clock: deps.clock, lookMs });
  const settler = createSettler({
    repository,
    rows,
    runs,
    holdings,
    logger,
    ttlMs,
    maxBytes: deps.maxBytes,
    ...(timings.retryFirstMs === undefined ? {} : { retryFirstMs: timings.retryFirstMs }),
  });

  const submitRun = (submission: Submission): Promise<RunRecord> => deps.scheduler().submit(submission);
  const cancelRun = (runId: string, request: CancelRunRequest): Promise<unknown> =>
    deps.scheduler().cancel(runId, request);
  const turnFor = (key: string, given: Submission): PendingTurn =>
    createTurn({ repository, settler, rows, runs, logger, pursue: quietly }, key, given);
  const cleanup: Cleanup = createCleanup({
    repository,
    settler,
    holdings,
    logger,
    submit: submitRun,
    cancel: cancelRun,
    turnFor,
  });
  const submit = createSubmit({
    repository,
    settler,
    logger,
    ttlMs,
    deduplicates: deps.deduplicates,
    submit: submitRun,
    cancel: cancelRun,
    turnFor,
  });
  const sweep = createSweep({ rows, pursue: cleanup.pursue, nowMs: repository.nowMs, everyMs: lookMs, logger });

  /** What cannot be done now is found by the sweep. */
  async function quietly(key: string): Promise<void> {
    await cleanup.pursue(key).catch((error: unknown) => {
      logger.debug('a session is left to the sweep', { session: key, error: errorText(error) });
    });
  }

  async function end(key: string): Promise<EndedSession | null> {
    await settler.settle(key);
    const found = await repository.change<Session | null>(key, (session) => {
      if (session === null || session.head.ending !== null) return { result: session };
      const ending = { reason: 'deleted', attempts: 0, retryAt: repository.nowMs() } as const;
      return { result: session, write: { head: { ...session.head, ending } } };
    });
    if (found === null) return null;
    const runId = await cleanup.pursue(key).catch((error: unknown) => {
      logger.warn('the clean-up of a session could not begin yet', { session: key, error });
      return null;
    });
    const left = runId !== null || (await repository.load(key)) !== null;
    return { key, status: left ? 'ending' : 'ended', run_id: runId };
  }

  return {
    submit,
    async describe(key, { snapshot }) {
      await settler.settle(key);
      const session = await repository.loadWhole(key);
      if (session === null) throw sessionNotFound();
      return described(session, snapshot);
    },
    async list(query) {
      const found = await rows.list(query);
      return found.flatMap((row) => {
        const head = parseHead(row.head);
        return head === null ? [] : [listed({ key: row.key, tenant: row.tenant, head, row })];
      });
    },
    async end(key) {
      const ended = await end(key);
      if (ended === null) throw sessionNotFound();
      return ended;
    },
    async endAll(query) {
      const found = await rows.list(query);
      const keys = found.map(({ key }) => key);
      const sessions: EndedSession[] = [];
      const left = [...keys].reverse();
      const worker = async (): Promise<void> => {
        for (let key = left.pop(); key !== undefined; key = left.pop()) {
          const ended = await end(key);
          if (ended !== null) sessions.push(ended);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      return { sessions, nextAfter: keys.length < query.limit ? null : (keys.at(-1) ?? null) };
    },
    async fork(key, newKey, workspaces) {
      await settler.settle(key);
      const session = await repository.loadWhole(key);
      if (session === null) throw sessionNotFound();
      if (session.head.ending !== null) throw sessionEnding();
      if (session.body === 'unreadable') {
        throw snapshotUnreadable();
      }
      if (session.body === null) throw new SessionRefusal('session_empty', 'the session has no snapshot yet');
      const { snapshot, pending } = session.body;
      const held = holdings.of(snapshot);
      if (held.length > 0 && workspaces === null) {
        throw new SessionRefusal(
          'session_holds_workspace',
          'the session has a workspace, which two sessions cannot share: ask for new ones with "workspaces": "new"',
        );
      }
      const now = repository.nowMs();
      const head = {
        ...newHead(crypto.randomUUID(), now, ttlMs),
        rev: 1,
        hasSnapshot: true,
        awaiting: pending !== null,
      };
      const body = printBody({ snapshot: startedAnew(snapshot, held), pending });
      await repository.save(newKey, null, { head, body, tenant: session.tenant });
      const forked = await repository.loadWhole(newKey);
      if (forked?.head.id !== head.id) {
        throw new SessionRefusal('session_exists', 'there is a session of the new key already');
      }
      return described(forked, false);
    },
    start() {
      if (secrets.current === null) {
        logger.info('managed sessions are stored unencrypted: DIFY_AGENT_SERVER_SECRET_KEY is not set');
      }
      sweep.start();
    },
    stop: () => sweep.stop(),
  };
}
