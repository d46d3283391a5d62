// The worker of the outbox: posts what is owed, waits, and takes it off the list when the server has confirmed; takes in the
// ends of runs whose owners are gone. Any number of workers may do it at once.

import { DifyAgentHTTPError, messageOf } from '../client/errors.ts';
import { pause } from '../client/stop.ts';
import { adoptLapsed } from './adopt.ts';
import { cleanupRequest, saysNothingIsLeft } from './cleanup.ts';
import { SessionConflictError, SessionStoreError } from './errors.ts';
import { newId } from './ids.ts';
import { backoff } from './limits.ts';
import type { Deps, DrainOptions, DrainReport } from './options.ts';
import { CLEANED } from './transition.ts';
import { Turn } from './turn.ts';
import type { ClaimedCleanup, Scope } from './types.ts';

const DEFAULTS = { concurrency: 4, timeoutMs: 30_000, pollMs: 5_000 };
/** Between two looks at a clean-up run, ms: it takes milliseconds. */
const LOOK_MS = 100;
const MAX_ERROR_CHARS = 1_000;

/** How a clean-up is to be done. */
export interface CleanUpOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly onError?: ((error: unknown, scope: Scope | null) => void) | undefined;
}

/** One pass, or one after another until the signal aborts. Rejects (one pass) with SessionStoreError. */
export async function drain(deps: Deps, options: DrainOptions): Promise<DrainReport> {
  const { loop = false, pollMs = DEFAULTS.pollMs, onError } = options;
  const signal = options.signal ?? new AbortController().signal;
  const total = { cleaned: 0, failed: 0, adopted: 0 };
  if (!loop) {
    await pass(deps, options, signal, total);
    return total;
  }
  let troubles = 0;
  while (!signal.aborted) {
    let wait = backoff(1, pollMs, pollMs);
    try {
      await pass(deps, options, signal, total);
      troubles = 0;
      const { nextMs } = await deps.store.backlog();
      wait = Math.min(wait, nextMs ?? wait);
    } catch (error) {
      onError?.(error, null);
      troubles += 1;
      wait = backoff(troubles, deps.retryFirstMs, Math.max(pollMs, deps.retryFirstMs));
    }
    await pause(wait, signal);
  }
  return total;
}

type Totals = { -readonly [Key in keyof DrainReport]: DrainReport[Key] };

async function pass(deps: Deps, options: DrainOptions, signal: AbortSignal, total: Totals): Promise<void> {
  const { concurrency = DEFAULTS.concurrency, timeoutMs = DEFAULTS.timeoutMs, onError } = options;
  total.adopted += await adoptAll(deps, signal, onError);
  const seen = new Set<string>();
  const worker = async (): Promise<void> => {
    while (!signal.aborted) {
      // The claim outlives the time that its run may take.
      const [entry] = await deps.store.claim({ limit: 1, leaseMs: timeoutMs + deps.leaseMs });
      if (entry === undefined) return;
      const again = seen.has(entry.id);
      seen.add(entry.id);
      const cleaned = await cleanUp(deps, entry, { timeoutMs, signal, onError });
      total[cleaned ? 'cleaned' : 'failed'] += 1;
      // Each entry has its chance; one that fails faster than its pause is for the next pass.
      if (again) return;
    }
  };
  // A worker that meets trouble does not stop the others; the first trouble is told when all are done.
  const ended = await Promise.allSettled(Array.from({ length: Math.max(1, concurrency) }, worker));
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
}

/** Does what an entry asks for and takes it off the list; or hands it back for later: false. Rejects with SessionStoreError. */
export async function cleanUp(deps: Deps, entry: ClaimedCleanup, options: CleanUpOptions): Promise<boolean> {
  const { store, retryFirstMs, retryMaxMs } = deps;
  const outcome = await runCleanup(deps, entry, options);
  if (outcome === null) {
    await markCleaned(deps, entry);
    await store.done(entry);
    return true;
  }
  const { error, failedRuns, retryAfterMs } = outcome;
  if (!options.signal.aborted) options.onError?.(error, entry.scope);
  const delayMs = Math.max(Math.min(retryAfterMs, retryMaxMs), backoff(entry.attempts + 1, retryFirstMs, retryMaxMs));
  const text = messageOf(error).slice(0, MAX_ERROR_CHARS);
  await store.retry(entry, { delayMs, failedRuns, error: text });
  return false;
}

interface Unfinished {
  readonly error: unknown;
  readonly failedRuns: number;
  readonly retryAfterMs: number;
}

/** Null: the server has cleaned up, or has nothing to clean up. */
async function runCleanup(
  { client }: Deps,
  entry: ClaimedCleanup,
  options: CleanUpOptions,
): Promise<Unfinished | null> {
  const { failedRuns } = entry;
  const { signal, timeoutMs } = options;
  try {
    const { run_id: runId } = await client.createRun(cleanupRequest(entry, failedRuns), { signal });
    const { status, error = null } = await client.waitRun(runId, { timeoutMs, pollIntervalMs: LOOK_MS, signal });
    if (status === 'succeeded' || saysNothingIsLeft(error)) return null;
    const problem = new Error(`clean-up run ${runId} ${status}: ${error ?? 'no reason given'}`);
    return { error: problem, failedRuns: failedRuns + 1, retryAfterMs: 0 };
  } catch (error) {
    const retryAfterMs = error instanceof DifyAgentHTTPError ? (error.retryAfterMs ?? 0) : 0;
    // Whether a run was made is not known: the same key finds it, where keys are honoured.
    return { error, failedRuns, retryAfterMs };
  }
}

/** The row of a session that was ended becomes `cleaned`, unless it has moved on. Before the entry goes: nobody else would. */
async function markCleaned({ store }: Deps, { id, scope }: ClaimedCleanup): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const row = await store.load(scope);
    if (row?.ending !== id) return;
    const { lastRunId } = row;
    try {
      await store.save(scope, { ...CLEANED, ...(lastRunId === undefined ? {} : { lastRunId }) }, row.rev);
      return;
    } catch (error) {
      if (!(error instanceof SessionConflictError) || tries === 5) throw error;
    }
  }
}

/** Turns without an owner. Trouble with one does not keep the others waiting, but trouble with the store does. */
async function adoptAll(deps: Deps, signal: AbortSignal, onError: DrainOptions['onError']): Promise<number> {
  let adopted = 0;
  for await (const { scope, note } of deps.store.listTurns({ lapsed: true })) {
    if (signal.aborted) return adopted;
    const take = async (): Promise<Turn | null> => {
      const token = newId();
      const outcome = await deps.store.beginTurn(scope, token, deps.leaseMs);
      return outcome.begun ? new Turn(deps, scope, token, outcome.left) : null;
    };
    try {
      if (await adoptLapsed(deps, scope, note, take, signal)) adopted += 1;
    } catch (error) {
      if (signal.aborted) return adopted;
      if (error instanceof SessionStoreError) throw error;
      onError?.(error, scope);
    }
  }
  return adopted;
}
