// Two runs resumed from one snapshot share a directory: inside this process they take turns (spec 04 §5.7). Several processes
// are not kept apart; shellctl has no lock to offer.

import { CodedError } from '../base/errors.ts';
import { createSlots, type Slots } from '../peers/slots.ts';
import { type SessionId, workspacePath } from './session.ts';

/** A longer timer fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Turns at workspaces; one per process. */
export interface WorkspaceLocks {
  /**
   * Waits for the workspace, first come, first served, and returns the function that gives it back (calling it twice does
   * nothing). Rejects with CodedError `workspace_busy` after `timeoutMs`, or with the signal's reason.
   */
  acquire(id: SessionId, timeoutMs: number, signal: AbortSignal): Promise<() => void>;
  /** Workspaces that are held or waited for. */
  readonly size: number;
}

/** Nobody holds anything yet. */
export function createWorkspaceLocks(): WorkspaceLocks {
  const turns = new Map<SessionId, Slots>();

  const forgetIfFree = (id: SessionId): void => {
    const turn = turns.get(id);
    if (turn !== undefined && turn.used === 0 && turn.waiting === 0) turns.delete(id);
  };

  return {
    get size() {
      return turns.size;
    },
    async acquire(id, timeoutMs, signal) {
      signal.throwIfAborted();
      let turn = turns.get(id);
      if (turn === undefined) {
        turn = createSlots(1, () => busy(id));
        turns.set(id, turn);
      }
      try {
        // Every wait is an owner of its own: slots go round between owners, so this is the order of arrival.
        const release = await turn.acquire(Symbol(id), Math.min(timeoutMs, MAX_TIMER_MS), signal);
        return () => {
          release();
          forgetIfFree(id);
        };
      } catch (error) {
        forgetIfFree(id);
        throw error;
      }
    },
  };
}

function busy(id: SessionId): CodedError {
  return new CodedError('workspace_busy', `The shell workspace ${workspacePath(id)} is in use by another run.`);
}
