// The end of an owner: every session of it is put into the outbox, and what is there is worked on for a while. What is not
// confirmed by then is for `drain`.

import { pause } from '../client/stop.ts';
import { adopt } from './adopt.ts';
import { cleanupEntry } from './cleanup.ts';
import { SessionConflictError } from './errors.ts';
import { type Limit, limitOf } from './limits.ts';
import type { Deps, EndOptions, EndReport } from './options.ts';
import { cleanUp } from './outbox.ts';
import { scopeKey } from './scope.ts';
import { stateOf } from './settle.ts';
import { CLEANED } from './transition.ts';
import { type Turn, takeTurn } from './turn.ts';
import type { Owner, Scope } from './types.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
/** Sessions that are ended at once. */
const CONCURRENCY = 8;

/** What became of a session when it was to be ended. */
type Ended =
  /** Nothing is stored of it, or nothing is left to clean up. `counted`: it was active until now. */
  | { readonly done: true; readonly counted: boolean }
  /** In the outbox, under this id. */
  | { readonly done: false; readonly id: string };

/** Rejects with SessionStoreError when the sessions cannot be listed, else reports. */
export async function endOwner(deps: Deps, owner: Owner, options: EndOptions): Promise<EndReport> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
  const limit = limitOf('the end of the sessions', signal, timeoutMs);
  // Half of the time for turns that are going on, the rest for the clean-up.
  const patience = limitOf('the end of a turn', limit.signal, timeoutMs / 2);
  try {
    const waiting = new Map<string, Scope>();
    const failed: Scope[] = [];
    let cleaned = 0;
    const scopes = await scopesOf(deps, owner, options);
    const worker = async (): Promise<void> => {
      for (let scope = scopes.pop(); scope !== undefined; scope = scopes.pop()) {
        const ended = await endSession(deps, scope, patience).catch(() => null);
        if (ended === null) failed.push(scope);
        else if (!ended.done) waiting.set(ended.id, scope);
        else if (ended.counted) cleaned += 1;
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
    cleaned += await work(deps, waiting, limit.signal, timeoutMs);
    return { cleaned, failed: [...failed, ...waiting.values()] };
  } finally {
    patience.clear();
    limit.clear();
  }
}

/** Those with something stored, and those whose first run is going on. */
async function scopesOf({ store }: Deps, owner: Owner, { slots }: EndOptions): Promise<Scope[]> {
  const found = new Map<string, Scope>();
  for await (const { scope } of store.listActive(owner)) found.set(scopeKey(scope), scope);
  for await (const { scope } of store.listTurns({ owner })) found.set(scopeKey(scope), scope);
  return [...found.values()].filter(({ slot }) => slots?.includes(slot) ?? true);
}

/** Ends one session after its turn, or during it when that does not end in time. */
async function endSession(deps: Deps, scope: Scope, patience: Limit): Promise<Ended> {
  const { signal } = patience;
  const turn = await takeTurn(deps, scope, 'cancel_previous', signal, 'session_ended').catch((error: unknown) => {
    if (!signal.aborted) throw error;
    return null;
  });
  let finished = turn?.left === null;
  try {
    if (turn !== null) finished = finished || (await takeIn(deps, turn, signal));
    const ended = await retire(deps, scope);
    // Its run would save a session again: the caller has to come back.
    if (turn === null && ended.done) throw new Error('a turn is going on');
    return ended;
  } finally {
    await (finished ? turn?.end() : turn?.abandon());
  }
}

/** What a run of an owner that is gone left. False: that is not known yet; it is cleaned up when it is (settle.ts). */
async function takeIn(deps: Deps, turn: Turn, signal: AbortSignal): Promise<boolean> {
  const { left, scope } = turn;
  if (left === null) return true;
  try {
    const row = await deps.store.load(scope);
    await adopt(deps, { turn, left, row, policy: 'cancel_previous', signal, cancelReason: 'session_ended' });
    return true;
  } catch {
    return false;
  }
}

/** The session is over from here on: no run starts from its snapshot any more. */
async function retire({ store }: Deps, scope: Scope): Promise<Ended> {
  for (let tries = 1; ; tries += 1) {
    const row = await store.load(scope);
    if (row === null || row.status === 'cleaned') return { done: true, counted: false };
    if (row.ending !== undefined) return { done: false, id: row.ending };
    const entry = cleanupEntry({ scope, reason: 'ended', session: row });
    try {
      if (entry === null) {
        await store.save(scope, CLEANED, row.rev);
        return { done: true, counted: true };
      }
      await store.save(scope, { ...stateOf(row), ending: entry.id }, row.rev, { enqueue: [entry] });
      return { done: false, id: entry.id };
    } catch (error) {
      if (!(error instanceof SessionConflictError) || tries === 5) throw error;
    }
  }
}

/** Cleans up until all is done or the signal aborts; what is left stays in `waiting`. How many were done. */
async function work(deps: Deps, waiting: Map<string, Scope>, signal: AbortSignal, timeoutMs: number): Promise<number> {
  const before = waiting.size;
  let wait = Math.min(100, deps.retryFirstMs);
  while (waiting.size > 0 && !signal.aborted) {
    try {
      await workOnce(deps, waiting, signal, timeoutMs);
    } catch {
      // The store: tried again, as the rest.
    }
    if (waiting.size === 0) break;
    await pause(wait * (0.5 + Math.random() / 2), signal);
    wait = Math.min(wait * 2, deps.retryMaxMs);
  }
  return before - waiting.size;
}

async function workOnce(
  deps: Deps,
  waiting: Map<string, Scope>,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<void> {
  // The claims outlive this call.
  const claim = { limit: CONCURRENCY, leaseMs: timeoutMs + deps.leaseMs, ids: [...waiting.keys()] };
  const claimed = await deps.store.claim(claim);
  await Promise.all(
    claimed.map(async (entry) => {
      if (await cleanUp(deps, entry, { timeoutMs, signal })) waiting.delete(entry.id);
    }),
  );
  // Another worker may have had them.
  for (const [id, scope] of waiting) {
    if ((await deps.store.load(scope))?.ending !== id) waiting.delete(id);
  }
}
