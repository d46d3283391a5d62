// What the end of a run does to its session: the table of spec 07 §4.1 as one function. Decides, writes nothing.

import type {
  DeferredToolCall,
  JsonValue,
  RunSucceededEvent,
  SessionSnapshot,
  TerminalEvent,
} from '../client/types.ts';
import { cleanupEntry, type Remains } from './cleanup.ts';
import { removedLayers } from './topology.ts';
import type { CleanupEntry, PendingQuestion, Scope, SessionState, StoredSession, TurnNote } from './types.ts';

/** What is to be saved, in one step. */
export interface Transition {
  /** Null: nothing changes (there was no session, and there is none). */
  readonly next: SessionState | null;
  readonly enqueue: readonly CleanupEntry[];
}

export interface Ending {
  readonly scope: Scope;
  /** What the turn started from. */
  readonly row: StoredSession | null;
  readonly note: Pick<TurnNote, 'runId' | 'fresh' | 'specs' | 'topology'>;
  readonly event: TerminalEvent;
  /** The caller's name for the question, if the run ended with one. */
  readonly correlation?: string;
}

/** The state of a session that is over. */
export const CLEANED: SessionState = {
  status: 'cleaned',
  snapshot: { schema_version: 1, layers: [] },
  specs: [],
  topology: [],
};

/** Whether a run may start from this row. */
export function isUsable(row: StoredSession | null): row is StoredSession {
  return row !== null && row.status === 'active' && row.ending === undefined;
}

/** The transition that belongs to a terminal event. */
export function transition(ending: Ending): Transition {
  const { event, row, note } = ending;
  const snapshot = event.data.session_snapshot ?? null;
  if (snapshot === null) return retired(ending);
  const behind = leftBehind(ending);
  const closed = snapshot.layers.filter(({ lifecycle_state: state }) => state === 'closed');
  const lastRunId = note.runId;
  const { specs, topology } = note;
  if (closed.length > 0) {
    // A closed layer cannot be entered again, and with it the whole snapshot.
    const rest = entries({ scope: ending.scope, reason: 'closed', session: { snapshot, specs, lastRunId } });
    return {
      next: row === null && rest.length === 0 ? null : { ...CLEANED, lastRunId },
      enqueue: [...behind, ...rest],
    };
  }
  const pending = pendingAfter(ending, snapshot);
  return {
    next: { status: 'active', snapshot, specs, topology, lastRunId, ...(pending === null ? {} : { pending }) },
    enqueue: behind,
  };
}

/** After an end without a snapshot the old one is not to be used again: the run may have changed what it names. */
function retired({ scope, row, event, note }: Ending): Transition {
  if (row === null || row.status === 'cleaned') return { next: null, enqueue: [] };
  const reason = event.type === 'run_cancelled' ? 'cancelled' : 'failed';
  return {
    next: { ...CLEANED, lastRunId: note.runId },
    enqueue: isUsable(row) ? entries({ scope, reason, session: row }) : [],
  };
}

/** What the new snapshot does not go on with. */
function leftBehind({ scope, row, note }: Ending): readonly CleanupEntry[] {
  // What is ending is in the outbox already.
  if (!isUsable(row)) return [];
  if (note.fresh) return entries({ scope, reason: 'reset', session: row });
  return entries({ scope, reason: 'rebased', session: row, only: removedLayers(row.topology, note.topology) });
}

function entries(remains: Remains): readonly CleanupEntry[] {
  const entry = cleanupEntry(remains);
  return entry === null ? [] : [entry];
}

function pendingAfter({ row, event, correlation }: Ending, snapshot: SessionSnapshot): PendingQuestion | null {
  if (event.type === 'run_succeeded') {
    const call = questionOf(event);
    return call === null ? null : pendingQuestion(call, correlation);
  }
  // A failed or cancelled answer did not reach the model if its question is still the last word.
  const pending = row?.pending;
  return pending !== undefined && endsWithCall(snapshot, pending.toolCallId) ? pending : null;
}

/** The question that a success ended with. */
export function questionOf({ data }: RunSucceededEvent): DeferredToolCall | null {
  return data.deferred_tool_call ?? null;
}

function pendingQuestion(call: DeferredToolCall, correlation: string | undefined): PendingQuestion {
  return {
    toolCallId: call.tool_call_id,
    toolName: call.tool_name,
    args: call.args ?? null,
    metadata: call.metadata ?? null,
    ...(correlation === undefined ? {} : { correlation }),
  };
}

/** Whether a history ends with this call, unanswered. The only place that looks into a snapshot. */
function endsWithCall(snapshot: SessionSnapshot, toolCallId: string): boolean {
  return snapshot.layers.some(({ runtime_state: { messages } }) => {
    const last = Array.isArray(messages) ? member(messages.at(-1) ?? null, 'parts') : null;
    return Array.isArray(last) && last.some((part: JsonValue) => isCall(part, toolCallId));
  });
}

function isCall(part: JsonValue, toolCallId: string): boolean {
  return member(part, 'part_kind') === 'tool-call' && member(part, 'tool_call_id') === toolCallId;
}

function member(value: JsonValue, key: string): JsonValue {
  // A JSON object that is no list.
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return (value as { readonly [key: string]: JsonValue })[key] ?? null;
}
