// What stands in the row of a session. The head is small and in the clear: what decides who runs next. The body is the conversation:
// the snapshot and the question that waits; it is sealed where the server has a secret (seal.ts).

import { isJsonObject, type JsonValue } from '../base/json.ts';
import type { DeferredToolCall } from '../protocol/events.ts';
import { type SessionSnapshot, sessionSnapshot, type TerminalStatus } from '../protocol/runs.ts';
import { validate } from '../validation/walker.ts';
import { parseJson, stringifyJson } from '../wiretext/json.ts';

/** A run that a session has accepted and not taken in yet. */
export interface QueueEntry {
  readonly runId: string;
  /** `cleanup`: deletes what the layers hold; the last one of a session. */
  readonly kind: 'run' | 'cleanup';
  /** It starts from the snapshot that came with it, whatever is stored. */
  readonly replaces: boolean;
  /** Digest of its idempotency key; null: none. */
  readonly request: string | null;
}

/** What went wrong last, until a run goes well. */
export interface LastError {
  readonly code:
    | 'session_snapshot_too_large'
    | 'session_snapshot_unreadable'
    | 'session_run_lost'
    | 'session_cleanup_failed';
  readonly message: string;
  readonly runId: string | null;
}

/** A session that is over: what it holds is being deleted. */
export interface Ending {
  readonly reason: 'deleted' | 'expired' | 'orphaned';
  /** Clean-ups that failed. */
  readonly attempts: number;
  /** When the next clean-up may start, milliseconds since the epoch. */
  readonly retryAt: number;
}

/** All times are milliseconds since the epoch. */
export interface Head {
  /** Of this life of the key: a session that is made anew has another. */
  readonly id: string;
  /** Counts the snapshots that were stored; 0: none yet. Part of what seals the body. */
  readonly rev: number;
  readonly createdAt: number;
  readonly usedAt: number;
  readonly expiresAt: number;
  /** The first one is active, the others wait for it. */
  readonly queue: readonly QueueEntry[];
  readonly hasSnapshot: boolean;
  /** A question waits for its answer. */
  readonly awaiting: boolean;
  readonly lastRun: {
    readonly id: string;
    /** `unknown`: its end was not found. */
    readonly status: TerminalStatus | 'unknown';
    readonly request: string | null;
  } | null;
  readonly lastError: LastError | null;
  readonly ending: Ending | null;
}

export interface Body {
  readonly snapshot: SessionSnapshot;
  readonly pending: DeferredToolCall | null;
}

/** Runs behind the active one that a session keeps waiting. */
export const MAX_WAITING = 32;

/** A session without runs and without a snapshot. */
export function newHead(id: string, nowMs: number, ttlMs: number): Head {
  return {
    id,
    rev: 0,
    createdAt: nowMs,
    usedAt: nowMs,
    expiresAt: nowMs + ttlMs,
    queue: [],
    hasSnapshot: false,
    awaiting: false,
    lastRun: null,
    lastError: null,
    ending: null,
  };
}

export function printHead(head: Head): string {
  return JSON.stringify(head);
}

/** Null: written by something else, or by a version that knows more. */
export function parseHead(text: string): Head | null {
  try {
    const value: unknown = JSON.parse(text);
    return isHead(value) ? value : null;
  } catch {
    return null;
  }
}

/** As far as it matters: printHead wrote it, or nothing of ours did. */
function isHead(value: unknown): value is Head {
  if (typeof value !== 'object' || value === null) return false;
  const { id, rev, expiresAt, queue, ending } = value as Partial<Record<keyof Head, unknown>>; // an object of unknown members
  return (
    typeof id === 'string' &&
    Number.isSafeInteger(rev) &&
    typeof expiresAt === 'number' &&
    Array.isArray(queue) &&
    queue.every((entry: unknown) => typeof entry === 'object' && entry !== null && 'runId' in entry) &&
    ending !== undefined
  );
}

export function printBody({ snapshot, pending }: Body): string {
  return stringifyJson({ snapshot, pending });
}

/** Numbers and the order of keys are as they were. Null: it is no body. */
export function parseBody(text: string): Body | null {
  const parsed = parseJson(text);
  if (!parsed.ok || !isJsonObject(parsed.value)) return null;
  const snapshot = readSnapshot(parsed.value.snapshot ?? null);
  return snapshot === null ? null : { snapshot, pending: readCall(parsed.value.pending ?? null) };
}

/** Null: it is no snapshot. */
export function readSnapshot(value: JsonValue): SessionSnapshot | null {
  const result = validate(sessionSnapshot, value);
  return result.ok ? result.value : null;
}

/** Null: it is no call. */
export function readCall(value: JsonValue): DeferredToolCall | null {
  if (!isJsonObject(value)) return null;
  const { tool_call_id, tool_name, args = null, metadata = null } = value;
  if (typeof tool_call_id !== 'string' || typeof tool_name !== 'string') return null;
  return { tool_call_id, tool_name, args, metadata };
}
