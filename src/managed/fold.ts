// What the end of a run does to its session (spec 07 §4.1), as a pure function: the same end always means the same, so that it does
// not matter who takes it in, and how often it is tried.

import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import type { DeferredToolCall } from '../protocol/events.ts';
import type { SessionSnapshot, TerminalStatus } from '../protocol/runs.ts';
import { parseJson } from '../wiretext/json.ts';
import { type Holding, type Holdings, without } from './holdings.ts';
import { type Body, type LastError, printBody, readCall, readSnapshot } from './record.ts';

/** What a run was and how it ended. */
export interface RunEnd {
  readonly runId: string;
  /** `unknown`: the run is not in the store any more. */
  readonly status: TerminalStatus | 'unknown';
  /** Of the terminal event; null: it was not found. */
  readonly payload: string | null;
}

/** What it changes. */
export interface Folded {
  /** Absent: what is stored stays. Null: the session has no snapshot any more. */
  readonly body?: { readonly value: Body; readonly text: string } | null;
  readonly lastError: LastError | null;
  /** What nobody names any more. */
  readonly orphans: readonly Holding[];
}

/**
 * Takes in the end of a run. `former`: what the session has; null: nothing.
 *
 * An end with a snapshot replaces what is stored, however the run ended. One without leaves it: the next run goes on from there. A
 * snapshot with a closed layer cannot be entered again: the session goes on without any.
 */
export function fold(end: RunEnd, former: Body | null, maxBytes: number, holdings: Holdings): Folded {
  const { runId } = end;
  if (end.status === 'unknown' || end.payload === null) {
    return { lastError: lost(runId, 'the end of the run was not found; its snapshot is lost'), orphans: [] };
  }
  const data = dataOf(end.payload);
  if (data === null) return { lastError: lost(runId, 'the end of the run cannot be read'), orphans: [] };
  const given = data.session_snapshot ?? null;
  if (given === null) return { lastError: null, orphans: [] };
  const snapshot = readSnapshot(given);
  if (snapshot === null) return { lastError: lost(runId, 'the snapshot of the run cannot be read'), orphans: [] };

  const old = holdings.of(former?.snapshot ?? null);
  const all = distinct([...old, ...holdings.of(snapshot)]);
  const closed = closedOf(snapshot, holdings);
  const isOver = snapshot.layers.some(({ lifecycle_state: state }) => state === 'closed');
  if (isOver) return { body: null, lastError: null, orphans: without(all, closed) };

  const pending = pendingAfter(end, data, former, snapshot);
  const value = { snapshot, pending };
  const text = printBody(value);
  const bytes = Buffer.byteLength(text);
  if (bytes > maxBytes) {
    const message = `the snapshot of the run has ${bytes} bytes, more than the ${maxBytes} that are kept`;
    return { lastError: { code: 'session_snapshot_too_large', message, runId }, orphans: without(all, old) };
  }
  return { body: { value, text }, lastError: null, orphans: without(all, holdings.of(snapshot)) };
}

function lost(runId: string, message: string): LastError {
  return { code: 'session_run_lost', message, runId };
}

function dataOf(payload: string): JsonObject | null {
  const parsed = parseJson(payload);
  if (!parsed.ok || !isJsonObject(parsed.value)) return null;
  const { data } = parsed.value;
  return isJsonObject(data) ? data : null;
}

function distinct(all: readonly Holding[]): readonly Holding[] {
  return [...new Map(all.map((holding) => [holding.identity, holding])).values()];
}

/** What the run itself has deleted. */
function closedOf(snapshot: SessionSnapshot, holdings: Holdings): readonly Holding[] {
  const layers = snapshot.layers.filter(({ lifecycle_state: state }) => state === 'closed');
  return holdings.of({ ...snapshot, layers: layers.map((layer) => ({ ...layer, lifecycle_state: 'suspended' })) });
}

function pendingAfter(end: RunEnd, data: JsonObject, former: Body | null, snapshot: SessionSnapshot) {
  if (end.status === 'succeeded') return readCall(data.deferred_tool_call ?? null);
  // A failed or cancelled answer did not reach the model if its question is still the last word.
  const pending = former?.pending ?? null;
  return pending !== null && endsWithCall(snapshot, pending) ? pending : null;
}

/** Whether a history ends with this call, unanswered. */
function endsWithCall(snapshot: SessionSnapshot, { tool_call_id: id }: DeferredToolCall): boolean {
  return snapshot.layers.some(({ runtime_state: { messages } }) => {
    const last: JsonValue = Array.isArray(messages) ? (messages.at(-1) ?? null) : null;
    const parts = isJsonObject(last) ? last.parts : null;
    return Array.isArray(parts) && parts.some((part: JsonValue) => isCall(part, id));
  });
}

function isCall(part: JsonValue, id: string): boolean {
  return isJsonObject(part) && part.part_kind === 'tool-call' && part.tool_call_id === id;
}
