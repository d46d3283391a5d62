// Taking in what has ended. The terminal event of a run is what counts, and it is durable before anybody gets here: whoever looks at a
// session first (the process that executed the run, the next request, the sweep) does the same with it, and one of them writes.

import type { Logger } from '../observe/logger.ts';
import type { RunReader } from '../runs/ports.ts';
import { fold, type RunEnd } from './fold.ts';
import type { Holding, Holdings } from './holdings.ts';
import { snapshotOf } from './holdings.ts';
import { orphanKey } from './key.ts';
import type { SessionRows } from './ports.ts';
import { type Body, type Head, newHead, printBody, type QueueEntry } from './record.ts';
import type { Repository, Session, WholeSession, Write } from './repository.ts';

/** Clean-ups that are tried: with the pauses between them, most of a day. */
export const MAX_ATTEMPTS = 32;
/** The first pause, doubled from failure to failure up to the longest, ms. */
export const RETRY_FIRST_MS = 5_000;
export const RETRY_MAX_MS = 3_600_000;

export interface SettleDeps {
  readonly repository: Repository;
  readonly rows: Pick<SessionRows, 'lastEvent'>;
  readonly runs: Pick<RunReader, 'getRecord'>;
  readonly holdings: Holdings;
  readonly logger: Logger;
  readonly ttlMs: number;
  readonly maxBytes: number;
  /** Default RETRY_FIRST_MS. */
  readonly retryFirstMs?: number;
}

export interface Settler {
  /**
   * The session after everything that has ended was taken in; null: there is none (any more). Its first run, if any, is running.
   * Rejects with StoreUnavailableError, SessionRefusal.
   */
  settle(key: string): Promise<Session | null>;
  /** After a clean-up that did not work, or could not be started: when to try again, or that it is given up. */
  failed(session: Session, head: Head, message: string, runId: string | null): Write | 'remove';
}

export function createSettler(deps: SettleDeps): Settler {
  const { repository, holdings, logger, ttlMs, maxBytes, retryFirstMs = RETRY_FIRST_MS } = deps;

  async function endOf({ runId }: QueueEntry): Promise<RunEnd | 'running'> {
    const record = await deps.runs.getRecord(runId);
    if (record === null) return { runId, status: 'unknown', payload: null };
    if (record.status === 'running') return 'running';
    const event = await deps.rows.lastEvent(runId);
    return { runId, status: record.status, payload: event?.payload ?? null };
  }

  /** The row without its first run, and with what that one left. */
  async function afterRun(session: WholeSession, entry: QueueEntry, end: RunEnd): Promise<Write> {
    const { head, key } = session;
    const former = session.body === 'unreadable' ? null : session.body;
    const { body, lastError, orphans } = fold(end, former, maxBytes, holdings);
    if (lastError !== null) logger.warn(lastError.message, { session: key, run_id: entry.runId });
    // First what would be forgotten: when this process dies in between, the same is found again.
    if (orphans.length > 0) await abandon(entry.runId, orphans);
    const now = repository.nowMs();
    const next: Head = {
      ...head,
      queue: head.queue.slice(1),
      usedAt: now,
      expiresAt: now + ttlMs,
      lastRun: { id: entry.runId, status: end.status, request: entry.request },
      lastError,
    };
    if (body === undefined) return { head: next };
    return {
      head: {
        ...next,
        rev: head.rev + 1,
        hasSnapshot: body !== null,
        awaiting: (body?.value.pending ?? null) !== null,
      },
      body: body?.text ?? null,
    };
  }

  /** A row of its own for what a run left behind, which is cleaned up like a session that was deleted. */
  async function abandon(runId: string, orphans: readonly Holding[]): Promise<void> {
    const key = orphanKey(runId);
    const now = repository.nowMs();
    const body: Body = { snapshot: snapshotOf(orphans), pending: null };
    // Only if there is none: then somebody else was first.
    await repository.save(key, null, {
      head: {
        ...newHead(crypto.randomUUID(), now, ttlMs),
        rev: 1,
        hasSnapshot: true,
        lastRun: { id: runId, status: 'unknown', request: null },
        ending: { reason: 'orphaned', attempts: 0, retryAt: now },
      },
      body: printBody(body),
    });
  }

  async function afterCleanup(session: WholeSession, end: RunEnd): Promise<Write | 'remove'> {
    const { head, key, body } = session;
    const rest: Head = { ...head, queue: head.queue.slice(1) };
    if (end.status === 'succeeded') {
      const held = body === null || body === 'unreadable' ? [] : holdings.of(body.snapshot);
      if (await holdings.areGone(held)) {
        logger.info('session cleaned up', { session: key, run_id: end.runId });
        return 'remove';
      }
    }
    const problem =
      end.status === 'succeeded' ? 'what it held is not known to be gone' : `its clean-up run ended as ${end.status}`;
    return failed(session, rest, problem, end.runId);
  }

  function failed({ key, head: { ending } }: Session, head: Head, message: string, runId: string | null) {
    const attempts = (ending?.attempts ?? 0) + 1;
    if (attempts >= MAX_ATTEMPTS) {
      logger.error('the clean-up of a session is given up', { session: key, attempts, reason: message, run_id: runId });
      return 'remove';
    }
    logger.warn('a session could not be cleaned up yet', { session: key, attempts, reason: message, run_id: runId });
    const delay = Math.min(RETRY_MAX_MS, retryFirstMs * 2 ** (attempts - 1));
    const retryAt = repository.nowMs() + delay;
    return {
      head: {
        ...head,
        ending: { reason: ending?.reason ?? 'deleted', attempts, retryAt },
        lastError: { code: 'session_cleanup_failed', message, runId },
      },
    } satisfies Write;
  }

  async function settle(key: string): Promise<Session | null> {
    for (;;) {
      const session = await repository.load(key);
      const entry = session?.head.queue[0];
      if (session === null || entry === undefined) return session;
      const end = await endOf(entry);
      if (end === 'running') return session;
      const whole = await repository.loadWhole(key);
      // Somebody else was faster.
      if (whole === null || whole.head.queue[0]?.runId !== entry.runId) continue;
      const write = entry.kind === 'run' ? await afterRun(whole, entry, end) : await afterCleanup(whole, end);
      if (write === 'remove') await repository.remove(whole);
      else await repository.save(key, whole, write);
      // Whether it was written or not: what is there now is what counts.
    }
  }

  return { settle, failed };
}
