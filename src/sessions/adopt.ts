// Finishing a turn that somebody left: its run has ended, or will, and what it left belongs to the session.

import { DifyAgentHTTPError, DifyAgentNotFoundError } from '../client/errors.ts';
import type { RunStatus } from '../client/types.ts';
import { SessionBusyError } from './errors.ts';
import { follow } from './follow.ts';
import type { ConflictPolicy, Deps } from './options.ts';
import { settle } from './settle.ts';
import type { Turn } from './turn.ts';
import type { Scope, StoredSession, TurnNote } from './types.ts';

export interface Left {
  readonly turn: Turn;
  readonly left: TurnNote;
  readonly row: StoredSession | null;
  readonly policy: ConflictPolicy;
  readonly signal: AbortSignal;
  /** Given to the server with a cancel. */
  readonly cancelReason?: string;
}

/**
 * Takes in the end of a run that another owner of the turn made; the row after that. A run that the server has forgotten
 * leaves the row as it is. @throws SessionBusyError when the run goes on and is not to be waited for; what `follow` throws.
 */
export async function adopt(deps: Deps, { turn, left, row, policy, signal, cancelReason }: Left) {
  const { store } = deps;
  const { scope } = turn;
  if (row?.lastRunId === left.runId) return row;
  const status = await statusOf(deps, left.runId, signal);
  if (status === null) return row;
  if (status === 'running') {
    if (policy === 'reject') throw new SessionBusyError(left.runId);
    // The caller gave it up, and the server cannot end it: it may run for ever, and nobody waits that long.
    if (policy === 'cancel_previous' && !(await cancel(deps, left.runId, cancelReason, signal))) return row;
  }
  try {
    const { event } = await follow(deps, left.runId, { signal, cancelOnAbort: false });
    const settled = await settle(deps, { scope, row, note: left, event });
    // Somebody has to try again.
    if (settled.unsaved) throw settled.error;
  } catch (error) {
    if (!(error instanceof DifyAgentNotFoundError)) throw error;
  }
  return store.load(scope);
}

/** False: the server has no such operation (the oldest ones have not). Rejects when it does not answer. */
async function cancel({ client }: Deps, runId: string, reason = 'superseded', signal: AbortSignal): Promise<boolean> {
  try {
    await client.cancelRun(runId, { reason }, { signal });
    return true;
  } catch (error) {
    if (!(error instanceof DifyAgentHTTPError)) throw error;
    // 409: it is over. 404 may be the run or the operation; whoever looks for its end finds out.
    return error.statusCode !== 404 && error.statusCode !== 405;
  }
}

/** Null: the server has forgotten the run. */
export async function statusOf({ client }: Deps, runId: string, signal: AbortSignal): Promise<RunStatus | null> {
  try {
    return (await client.getRun(runId, { signal })).status;
  } catch (error) {
    if (error instanceof DifyAgentNotFoundError) return null;
    throw error;
  }
}

/** A turn without an owner whose run is over: takes it and finishes it. False: there is nothing to do, or not yet. */
export async function adoptLapsed(
  deps: Deps,
  scope: Scope,
  note: TurnNote | null,
  take: () => Promise<Turn | null>,
  signal: AbortSignal,
): Promise<boolean> {
  if (note !== null && (await statusOf(deps, note.runId, signal)) === 'running') return false;
  const turn = await take();
  if (turn === null) return false;
  let finished = false;
  try {
    const { left } = turn;
    if (left !== null) {
      const row = await deps.store.load(scope);
      await adopt(deps, { turn, left, row, policy: 'reject', signal });
    }
    finished = true;
    return left !== null;
  } finally {
    await (finished ? turn.end() : turn.abandon());
  }
}
