// Saving what a run left, and finding out what happened when that did not work: the answer of the store may be lost, or
// somebody else may have been faster. The result of the run is not touched by any of it.

import { pause } from '../client/stop.ts';
import { cleanupEntry } from './cleanup.ts';
import { SessionConflictError, SessionTooLargeError } from './errors.ts';
import { backoff } from './limits.ts';
import type { Deps } from './options.ts';
import { CLEANED, type Ending, isUsable, type Transition, transition } from './transition.ts';
import type { Scope, SessionState, StoredSession, TurnNote } from './types.ts';

/** How often a save is tried while the store does not answer, and the first pause between, ms. */
const TRIES = 3;
const FIRST_PAUSE_MS = 100;

/** How the saving ended. */
export interface Settled {
  readonly persisted: boolean;
  /** Why it is not. */
  readonly error?: unknown;
  /** The row as far as known. */
  readonly row: StoredSession | null;
  /** What the run left, saved or not: the next attempt starts from it. */
  readonly state: SessionState | null;
  /** The store did not answer: the note of the turn must stay, so that somebody can try again. */
  readonly unsaved: boolean;
}

/** Applies the transition that belongs to a run's end. Does not reject. */
export async function settle(deps: Deps, ending: Ending & { readonly note: TurnNote }): Promise<Settled> {
  const { scope, row, note } = ending;
  const change = transition(ending);
  const state = change.next;
  if (state === null) return { persisted: true, row, state: row, unsaved: false };
  if ((row?.rev ?? null) !== note.ifRev) return overtaken(deps, ending, state);
  for (let tries = 1; ; tries += 1) {
    try {
      const rev = await deps.store.save(scope, state, note.ifRev, { enqueue: change.enqueue });
      return { persisted: true, row: { ...state, scope, rev }, state, unsaved: false };
    } catch (error) {
      if (error instanceof SessionTooLargeError) return { persisted: false, error, row, state, unsaved: false };
      if (error instanceof SessionConflictError) return overtaken(deps, ending, state);
      const found = await wasSaved(deps, scope, note.runId);
      if (found !== null) return { persisted: true, row: found, state, unsaved: false };
      if (tries === TRIES) return { persisted: false, error, row, state, unsaved: true };
    }
    await pause(backoff(tries, FIRST_PAUSE_MS, 1_000), new AbortController().signal);
  }
}

/** The row, if it is what this run left. */
async function wasSaved({ store }: Deps, scope: Scope, runId: string): Promise<StoredSession | null> {
  const found = await store.load(scope).catch(() => null);
  return found?.lastRunId === runId ? found : null;
}

/**
 * The row is not the one that the turn started from. Either this run's end is in it already (an answer that was lost, somebody
 * who finished the turn), or the session was ended meanwhile, and what the run left has nobody. A session that goes on
 * otherwise is left alone: it may hold the same things.
 */
async function overtaken(deps: Deps, { scope, note }: Ending & { readonly note: TurnNote }, state: SessionState) {
  let error: unknown;
  let row: StoredSession | null = null;
  for (let tries = 1; tries <= TRIES; tries += 1) {
    try {
      row = await deps.store.load(scope);
      if (row?.lastRunId === note.runId) return { persisted: true, row, state, unsaved: false };
      error = new SessionConflictError(note.ifRev, row?.rev ?? null);
      const orphan: Transition['enqueue'] = state.status === 'active' && !isUsable(row) ? orphanOf(scope, state) : [];
      if (orphan.length > 0) await deps.store.save(scope, stateOf(row), row?.rev ?? null, { enqueue: orphan });
      return { persisted: false, error, row, state, unsaved: false };
    } catch (problem) {
      error = problem;
      await pause(backoff(tries, FIRST_PAUSE_MS, 1_000), new AbortController().signal);
    }
  }
  return { persisted: false, error, row, state, unsaved: true };
}

function orphanOf(scope: Scope, session: SessionState): Transition['enqueue'] {
  const entry = cleanupEntry({ scope, reason: 'orphaned', session });
  return entry === null ? [] : [entry];
}

/** The row without what the store adds. */
export function stateOf(row: StoredSession | null): SessionState {
  if (row === null) return CLEANED;
  const { scope: _scope, rev: _rev, ...state } = row;
  return state;
}
