// How a session looks to its caller: keys in the order in which they are printed. Times are RFC 3339.

import { rfc3339 } from '../base/clock.ts';
import type { DeferredToolCall } from '../protocol/events.ts';
import type { SessionSnapshot, TerminalStatus } from '../protocol/runs.ts';
import type { Ending, LastError } from './record.ts';
import type { Session, WholeSession } from './repository.ts';

/** `awaiting`: its last run asked a question. `ending`: what it holds is being deleted. */
export type SessionStatus = 'idle' | 'running' | 'awaiting' | 'ending';

/** A session in a list. */
export interface ListedSession {
  readonly key: string;
  readonly status: SessionStatus;
  readonly rev: number;
  readonly tenant_id: string | null;
  /** The run that is active; null: none. */
  readonly active_run_id: string | null;
  /** Runs that wait for it, in order. */
  readonly waiting_run_ids: readonly string[];
  readonly last_run_id: string | null;
  readonly last_run_status: TerminalStatus | 'unknown' | null;
  readonly last_error: {
    readonly code: LastError['code'];
    readonly message: string;
    readonly run_id: string | null;
  } | null;
  readonly ending: {
    readonly reason: Ending['reason'];
    readonly failed_attempts: number;
    readonly retry_at: string;
  } | null;
  readonly created_at: string;
  readonly used_at: string;
  readonly expires_at: string;
}

/** A session by itself. */
export interface DescribedSession extends ListedSession {
  /** Of the stored snapshot, in order; null: there is none, or it cannot be opened. */
  readonly layer_names: readonly string[] | null;
  /** The question that waits for its answer. */
  readonly deferred_tool_call: DeferredToolCall | null;
  /** Only where it was asked for. */
  readonly session_snapshot?: SessionSnapshot | null;
}

export function listed({ key, tenant, head }: Session): ListedSession {
  const [active, ...waiting] = head.queue;
  const { lastRun, lastError, ending } = head;
  return {
    key,
    status: statusOf(head),
    rev: head.rev,
    tenant_id: tenant,
    active_run_id: active?.runId ?? null,
    waiting_run_ids: waiting.map(({ runId }) => runId),
    last_run_id: lastRun?.id ?? null,
    last_run_status: lastRun?.status ?? null,
    last_error: lastError && { code: lastError.code, message: lastError.message, run_id: lastError.runId },
    ending: ending && { reason: ending.reason, failed_attempts: ending.attempts, retry_at: time(ending.retryAt) },
    created_at: time(head.createdAt),
    used_at: time(head.usedAt),
    expires_at: time(head.expiresAt),
  };
}

export function described(session: WholeSession, withSnapshot: boolean): DescribedSession {
  const body = session.body === 'unreadable' ? null : session.body;
  const view = listed(session);
  const unreadable = {
    code: 'session_snapshot_unreadable',
    message: 'the stored snapshot cannot be opened with the secrets of this server',
    run_id: null,
  } as const;
  return {
    ...view,
    last_error: session.body === 'unreadable' ? unreadable : view.last_error,
    layer_names: body?.snapshot.layers.map(({ name }) => name) ?? null,
    deferred_tool_call: body?.pending ?? null,
    ...(withSnapshot ? { session_snapshot: body?.snapshot ?? null } : {}),
  };
}

function statusOf({ ending, queue, awaiting }: Session['head']): SessionStatus {
  if (ending !== null) return 'ending';
  if (queue.length > 0) return 'running';
  return awaiting ? 'awaiting' : 'idle';
}

/** 9999-12-31T23:59:59Z: the last second that clients can read. */
const MAX_MS = 253_402_300_799_000;

function time(ms: number): string {
  return rfc3339(Math.min(ms, MAX_MS) * 1000);
}
