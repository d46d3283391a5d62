// The turn of a session: one process at a time works on it, as long as it gives signs of life. What it does is
// turn-runner.ts; what happens to a turn whose owner died is adopt.ts.

import { pause } from '../client/stop.ts';
import { SessionBusyError } from './errors.ts';
import { newId } from './ids.ts';
import type { ConflictPolicy, Deps } from './options.ts';
import type { TurnOutcome } from './store.ts';
import type { Scope, TurnNote } from './types.ts';

/** Between two looks at somebody else's turn, ms: the first pause and the longest. */
const LOOK_FIRST_MS = 25;
const LOOK_MAX_MS = 1_000;

/** A turn that this process has. */
export class Turn {
  readonly scope: Scope;
  /** What its last owner did not finish. */
  readonly left: TurnNote | null;
  readonly #deps: Deps;
  readonly #token: string;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #over = false;

  constructor(deps: Deps, scope: Scope, token: string, left: TurnNote | null) {
    this.#deps = deps;
    this.scope = scope;
    this.#token = token;
    this.left = left;
    this.#beat();
  }

  /** Prolongs it, with a new note if one is given. False: somebody else has it. */
  keep(note?: TurnNote): Promise<boolean> {
    return this.#deps.store.keepTurn(this.scope, this.#token, this.#deps.leaseMs, note);
  }

  /** Nothing of it is left to do. A store that cannot answer lets it lapse. */
  async end(): Promise<void> {
    this.#stop();
    await this.#deps.store.endTurn(this.scope, this.#token).catch(() => false);
  }

  /** Gives it up with its note: whoever comes next finishes it. */
  async abandon(): Promise<void> {
    this.#stop();
    await this.#deps.store.keepTurn(this.scope, this.#token, 0).catch(() => false);
  }

  #stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  /** A sign of life. One that fails is followed by the next; a turn that is lost shows at the next save. */
  #beat(): void {
    this.#timer = setTimeout(async () => {
      await this.keep().catch(() => false);
      if (!this.#over) this.#beat();
    }, this.#deps.leaseMs / 3);
  }
}

/** Takes the turn of a session, if need be after another's. @throws SessionBusyError; the signal's reason. */
export async function takeTurn(
  deps: Deps,
  scope: Scope,
  policy: ConflictPolicy,
  signal: AbortSignal,
  cancelReason = 'superseded',
): Promise<Turn> {
  const token = newId();
  let cancelled: string | null = null;
  let wait = LOOK_FIRST_MS;
  for (;;) {
    signal.throwIfAborted();
    const outcome = await begin(deps, scope, token);
    if (outcome.begun) return new Turn(deps, scope, token, outcome.left);
    const runId = outcome.note?.runId ?? null;
    if (policy === 'reject') throw new SessionBusyError(runId);
    if (policy === 'cancel_previous' && runId !== null && runId !== cancelled) {
      cancelled = runId;
      // A server that cannot cancel, or a run that is over: then it is waited for.
      await deps.client.cancelRun(runId, { reason: cancelReason }, { signal }).catch(() => {});
    }
    await pause(Math.min(wait * (0.5 + Math.random() / 2), outcome.remainingMs + 1), signal);
    wait = Math.min(wait * 2, LOOK_MAX_MS);
  }
}

/** A turn that may have begun though the store's answer was lost is given up at once: nobody has to wait for its lease. */
async function begin({ store, leaseMs }: Deps, scope: Scope, token: string): Promise<TurnOutcome> {
  try {
    return await store.beginTurn(scope, token, leaseMs);
  } catch (error) {
    await store.keepTurn(scope, token, 0).catch(() => false);
    throw error;
  }
}
