// Accepting a run for a session: whether it may be, its creation, and its place in the queue. The run exists before the session names
// it, and starts after; when this process dies in between, recovery ends a run that nobody was told of.

import { CodedError, errorText } from '../base/errors.ts';
import type { Logger } from '../observe/logger.ts';
import type { CancelRunRequest, CreateRunRequest, RunRecord } from '../protocol/runs.ts';
import type { SnapshotPolicy, Submission } from '../runs/submission.ts';
import { statedTenant } from '../runs/tenant.ts';
import { stringifyJson } from '../wiretext/json.ts';
import { SessionRefusal, sessionEnding, sessionNotFound, snapshotUnreadable } from './errors.ts';
import { createLocks } from './locks.ts';
import { type Head, MAX_WAITING, newHead, type QueueEntry } from './record.ts';
import type { Decision, Repository, Session } from './repository.ts';
import type { Settler } from './settle.ts';
import type { PendingTurn } from './turn.ts';

/** What happens when a run of the session is active: refused, waits its turn, or takes the place of those before. */
export type ConflictPolicy = 'reject' | 'enqueue' | 'interrupt';
/**
 * What happens when what is given does not go with what is stored. `reject`: refused. `replace`: a snapshot in the body takes the place
 * of the stored one. `former`: after a snapshot that was too large, the one before it is gone on with.
 */
export type SnapshotChoice = 'reject' | 'replace' | 'former';

/** A run for a session. */
export interface SessionSubmission {
  readonly key: string;
  readonly request: CreateRunRequest;
  readonly snapshotPolicy: SnapshotPolicy;
  readonly conflict: ConflictPolicy;
  readonly snapshot: SnapshotChoice;
  /** It must answer the question that the session waits with. */
  readonly resume: boolean;
}

export interface AcceptedRun {
  readonly record: RunRecord;
  /** Of the session, as the run was accepted: what it starts from, unless it waits for others. */
  readonly rev: number;
}

export interface SubmitDeps {
  readonly repository: Repository;
  readonly settler: Settler;
  readonly logger: Logger;
  readonly ttlMs: number;
  /** False: idempotency keys are ignored. */
  readonly deduplicates: boolean;
  /** As the scheduler's. */
  readonly submit: (submission: Submission) => Promise<RunRecord>;
  readonly cancel: (runId: string, request: CancelRunRequest) => Promise<unknown>;
  readonly turnFor: (key: string, given: Submission) => PendingTurn;
}

/** Why a run is cancelled that another one interrupts. */
export const SUPERSEDED: CancelRunRequest = { reason: 'superseded', message: null };

/** Accepts runs. Rejects with SessionRefusal and as the scheduler's `submit`. */
export function createSubmit(deps: SubmitDeps): (submission: SessionSubmission) => Promise<AcceptedRun> {
  const { repository, settler, logger, ttlMs } = deps;
  const locks = createLocks();

  async function accept(given: SessionSubmission): Promise<AcceptedRun> {
    const { key, request } = given;
    const digest = deps.deduplicates ? digestOf(request) : null;
    const session = await settler.settle(key);
    // A repeated request is not refused for what the first one did: the scheduler knows its run.
    if (!isRepeated(session, digest)) {
      check(session, given);
      if (given.resume) await checkAnswer(given);
    }
    const submission: Submission = { request: scoped(request, key), snapshotPolicy: given.snapshotPolicy };
    const turn = deps.turnFor(key, submission);
    const record = await deps.submit({ ...submission, turn });
    if (turn.runId !== record.run_id) return { record, rev: session?.head.rev ?? 0 };
    try {
      const { rev, before } = await enqueue(given, { runId: record.run_id, digest });
      turn.decide({ accepted: true });
      if (given.conflict === 'interrupt') await interrupt(key, before);
      return { record, rev };
    } catch (error) {
      turn.decide({ accepted: false, error: refusalOf(error) });
      throw error;
    }
  }

  function enqueue(given: SessionSubmission, { runId, digest }: { runId: string; digest: string | null }) {
    const { key, request } = given;
    const tenant = tenantOf(request);
    return repository.change(key, (session): Decision<{ rev: number; before: readonly QueueEntry[] }> => {
      // The answer to a write was lost, and somebody has written since.
      if (session?.head.queue.some((entry) => entry.runId === runId) === true) {
        return { result: { rev: session.head.rev, before: session.head.queue.filter((one) => one.runId !== runId) } };
      }
      check(session, given);
      const now = repository.nowMs();
      const head: Head = session?.head ?? newHead(crypto.randomUUID(), now, ttlMs);
      const entry: QueueEntry = {
        runId,
        kind: 'run',
        replaces: request.session_snapshot !== null,
        request: digest,
      };
      return {
        result: { rev: head.rev, before: head.queue },
        write: {
          tenant: tenant ?? session?.tenant ?? null,
          head: { ...head, queue: [...head.queue, entry], usedAt: now, expiresAt: now + ttlMs, lastError: null },
        },
      };
    });
  }

  /** The session has the run: a cancel that fails leaves it waiting, which is what it would do anyway. */
  async function interrupt(key: string, before: readonly QueueEntry[]): Promise<void> {
    const cancelled = await Promise.allSettled(before.map(({ runId }) => deps.cancel(runId, SUPERSEDED)));
    for (const outcome of cancelled) {
      if (outcome.status === 'rejected') {
        logger.warn('a run of a session could not be interrupted', { session: key, error: outcome.reason });
      }
    }
  }

  async function checkAnswer({ key, request }: SessionSubmission): Promise<void> {
    const session = await repository.loadWhole(key);
    if (session === null) throw sessionNotFound();
    if (session.body === 'unreadable') {
      throw snapshotUnreadable();
    }
    const call = session.body?.pending?.tool_call_id;
    if (call === undefined || !Object.hasOwn(request.deferred_tool_results?.calls ?? {}, call)) {
      throw new SessionRefusal(
        'session_not_awaiting',
        call === undefined
          ? 'the session waits for no answer'
          : `the session waits for the result of call '${call}', which deferred_tool_results.calls does not have`,
      );
    }
  }

  return (submission) => locks.within(submission.key, () => accept(submission));
}

/** @throws SessionRefusal */
function check(session: Session | null, given: SessionSubmission): void {
  if (session === null) {
    if (given.resume) throw sessionNotFound();
    return;
  }
  const { queue, ending, hasSnapshot, awaiting, lastError } = session.head;
  if (ending !== null) throw sessionEnding();
  if (queue.length > 0 && given.conflict === 'reject') {
    throw new SessionRefusal('session_busy', `the session is busy with run ${queue[0]?.runId}`);
  }
  // Those that are interrupted leave soon, but not before their turn.
  const limit = given.conflict === 'interrupt' ? 2 * MAX_WAITING : MAX_WAITING;
  if (queue.length > limit) {
    throw new SessionRefusal(
      'session_queue_full',
      `${queue.length - 1} runs wait for their turn in the session already`,
    );
  }
  if (given.resume && !awaiting) throw new SessionRefusal('session_not_awaiting', 'the session waits for no answer');
  if (given.request.session_snapshot !== null && given.snapshot !== 'replace' && (hasSnapshot || queue.length > 0)) {
    throw new SessionRefusal(
      'session_snapshot_exists',
      'the session has a snapshot or will have one: leave session_snapshot out, or say that it is to be replaced',
    );
  }
  const replaces = given.snapshot === 'replace' && given.request.session_snapshot !== null;
  if (lastError?.code === 'session_snapshot_too_large' && given.snapshot !== 'former' && !replaces) {
    throw new SessionRefusal('session_snapshot_too_large', `${lastError.message}; the session has the one before it`);
  }
}

function isRepeated(session: Session | null, digest: string | null): boolean {
  if (session === null || digest === null) return false;
  const { queue, lastRun } = session.head;
  return queue.some(({ request }) => request === digest) || lastRun?.request === digest;
}

/** An idempotency key counts within its session: the same request in another is another run. */
function scoped(request: CreateRunRequest, key: string): CreateRunRequest {
  const { idempotency_key: own } = request;
  return own === null || own === '' ? request : { ...request, idempotency_key: `${own}\n${key}` };
}

function digestOf(request: CreateRunRequest): string | null {
  const { idempotency_key: own } = request;
  if (own === null || own === '') return null;
  return new Bun.CryptoHasher('sha256').update(stringifyJson(request)).digest('hex');
}

/** Whose session it is, for listing. */
function tenantOf({ composition }: CreateRunRequest): string | null {
  const tenant = statedTenant(composition.layers);
  return tenant === null || tenant.length > MAX_TENANT_CHARS ? null : tenant.toWellFormed();
}

/** A longer name is no tenant's. */
const MAX_TENANT_CHARS = 1024;

function refusalOf(error: unknown): CodedError {
  return error instanceof CodedError ? error : new CodedError('session_failed', errorText(error));
}
