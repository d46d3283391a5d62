// One turn of a session: from the stored snapshot through a run, or several when its output is not good, to the saved one.
// Everything is done under the turn (turn.ts) and noted, so that another process can finish it.

import { DifyAgentNotFoundError } from '../client/errors.ts';
import type { CreateRunRequest, JsonValue, TerminalEvent } from '../client/types.ts';
import { adopt } from './adopt.ts';
import { SessionBusyError } from './errors.ts';
import { type Followed, follow } from './follow.ts';
import { newId } from './ids.ts';
import { limitOf } from './limits.ts';
import type { BuildRequest, Deps, ResumeOptions, RunOptions, TurnContext } from './options.ts';
import { failedCheck, openQuestion, resultOf } from './result.ts';
import { type Settled, settle } from './settle.ts';
import { storedComposition } from './specs.ts';
import { type Start, startFrom } from './topology.ts';
import { isUsable, questionOf } from './transition.ts';
import { type Turn, takeTurn } from './turn.ts';
import type { Scope, SessionState, StoredSession, TurnNote, TurnResult } from './types.ts';

const DEFAULT_ATTEMPTS = 3;

/** What the caller wants. */
export interface Wish {
  readonly scope: Scope;
  readonly mode: 'run' | 'resume';
  /** Of `resume`. */
  readonly answer: JsonValue;
  readonly build: BuildRequest;
  readonly options: RunOptions & ResumeOptions;
}

/** What an attempt starts from. */
interface Base {
  /** For compare-and-set. */
  readonly row: StoredSession | null;
  /** What is resumed; null: afresh. */
  readonly state: SessionState | null;
  /** A reset of this turn that is not saved yet. */
  readonly fresh: boolean;
}

/** A run that is over, and saved as well as it could be. */
interface Ended {
  readonly followed: Followed;
  readonly settled: Settled;
  readonly note: TurnNote;
  readonly correlation: string | undefined;
}

/** Does it. Rejects with AgentSessionError, the client's errors, the signal's reason, or what a callback threw. */
export async function runTurn(deps: Deps, wish: Wish): Promise<TurnResult> {
  const { options, scope } = wish;
  const limit = limitOf('the turn', options.signal, options.deadlineMs);
  try {
    const turn = await takeTurn(deps, scope, options.onConflict ?? 'reject', limit.signal);
    const runner = new TurnRunner(deps, wish, turn, limit.signal);
    try {
      return await runner.run();
    } finally {
      await (runner.unfinished ? turn.abandon() : turn.end());
    }
  } finally {
    limit.clear();
  }
}

class TurnRunner {
  readonly #deps: Deps;
  readonly #wish: Wish;
  readonly #turn: Turn;
  readonly #signal: AbortSignal;
  /** There is a run whose end may not be saved: the turn is left to others with its note. */
  unfinished: boolean;
  /** The idempotency key of the turn, once there is one. */
  #key: string | null = null;

  constructor(deps: Deps, wish: Wish, turn: Turn, signal: AbortSignal) {
    this.#deps = deps;
    this.#wish = wish;
    this.#turn = turn;
    this.#signal = signal;
    this.unfinished = turn.left !== null;
  }

  async run(): Promise<TurnResult> {
    const { options } = this.#wish;
    let { base, ended } = await this.#begin();
    const open = ended === null ? openQuestion(base.row, this.#wish) : null;
    if (open !== null) return open;
    for (let attempt = ended?.note.attempt ?? 1; ; attempt += 1) {
      const { followed, settled, note, correlation } = ended ?? (await this.#attempt(base, attempt));
      ended = null;
      if (followed.fault !== null) throw followed.fault.error;
      const result = resultOf(followed.event, note, settled, correlation);
      const problem = result.kind === 'output' ? ((await options.check?.(result.output, attempt)) ?? null) : null;
      if (problem === null) return result;
      if (attempt >= (options.maxAttempts ?? DEFAULT_ATTEMPTS)) return failedCheck(result, problem);
      this.#signal.throwIfAborted();
      if (!(await this.#turn.keep())) throw new SessionBusyError(null, 'the turn was lost to another process');
      base = { row: settled.row, state: settled.state, fresh: note.fresh && !settled.persisted };
    }
  }

  /** The session as it is, after what the last owner of the turn left; its run, if the caller tries that turn again. */
  async #begin(): Promise<{ base: Base; ended: Ended | null }> {
    const turn = this.#turn;
    const wish = this.#wish;
    const deps = this.#deps;
    const signal = this.#signal;
    let row = await deps.store.load(wish.scope);
    let ended: Ended | null = null;
    const { left } = turn;
    if (left !== null) {
      const { idempotency_key: key } = await wish.build(contextOf(row, wish, 1));
      if (key === left.key && wish.mode === left.mode) ended = await this.#join(left, baseOf(row));
      else row = await adopt(deps, { turn, left, row, policy: wish.options.onConflict ?? 'reject', signal });
    }
    if (ended === null) this.unfinished = false;
    return { base: baseOf(row), ended };
  }

  /** The run of an interrupted turn, as if it had not been; null when the server has forgotten it. */
  async #join(left: TurnNote, base: Base): Promise<Ended | null> {
    this.#key = left.key;
    try {
      return await this.#finish(left, base);
    } catch (error) {
      if (error instanceof DifyAgentNotFoundError) return null;
      throw error;
    }
  }

  async #attempt(base: Base, attempt: number): Promise<Ended> {
    const note = await this.#start(base, attempt);
    try {
      return await this.#finish(note, base);
    } catch (error) {
      // The server has forgotten the run: there is nothing for others to find out.
      if (error instanceof DifyAgentNotFoundError) this.unfinished = false;
      throw error;
    }
  }

  /** Makes the run and notes it. */
  async #start({ row, state, fresh }: Base, attempt: number): Promise<TurnNote> {
    const turn = this.#turn;
    const wish = this.#wish;
    const deps = this.#deps;
    const context = contextOf(state, wish, attempt);
    const built = await wish.build(context);
    const stored = storedComposition(built.composition, deps.credentialLayers);
    const from = starting(state, wish, stored.topology);
    // A retry goes on under the key of the first attempt.
    this.#key ??= built.idempotency_key ?? newId();
    this.#signal.throwIfAborted();
    // The signal does not interrupt this: a run that was made must be known, or nobody could end it.
    const { run_id: runId } = await deps.client.createRun(requestOf(built, from, this.#key, context));
    this.unfinished = true;
    const note: TurnNote = {
      runId,
      key: this.#key,
      mode: wish.mode,
      attempt,
      ifRev: row?.rev ?? null,
      fresh: fresh || from.fresh,
      ...stored,
    };
    // A store that cannot answer: the run goes on, its end is saved if the store is back by then.
    await turn.keep(note).catch(() => false);
    return note;
  }

  /** Follows a run to its end and saves it. */
  async #finish(note: TurnNote, { row }: Base): Promise<Ended> {
    const wish = this.#wish;
    const deps = this.#deps;
    const followed = await follow(deps, note.runId, { ...wish.options, signal: this.#signal });
    const correlation = await this.#correlation(followed.event, row, note);
    const named = correlation === undefined ? {} : { correlation };
    const settled = await settle(deps, { scope: wish.scope, row, note, event: followed.event, ...named });
    this.unfinished = settled.unsaved;
    return { followed, settled, note, correlation };
  }

  /** The caller's name for a question; the stored one if the question is stored already. */
  async #correlation(event: TerminalEvent, row: StoredSession | null, note: TurnNote): Promise<string | undefined> {
    const call = event.type === 'run_succeeded' ? questionOf(event) : null;
    if (call === null) return undefined;
    return row?.lastRunId === note.runId ? row.pending?.correlation : await this.#wish.options.correlate?.(call);
  }
}

function baseOf(row: StoredSession | null): Base {
  return { row, state: isUsable(row) ? row : null, fresh: false };
}

function starting(state: SessionState | null, { mode, options }: Wish, given: TurnNote['topology']): Start {
  if (state === null) return { snapshot: null, fresh: false };
  const from = startFrom(state, given, options.onTopologyChange ?? 'reject');
  // An answer needs its question.
  if (from.fresh && mode === 'resume') startFrom(state, given, 'reject');
  return from;
}

function requestOf(built: CreateRunRequest, from: Start, key: string, context: TurnContext): CreateRunRequest {
  const { attempt, deferred = null } = context;
  return {
    ...built,
    idempotency_key: attempt === 1 ? key : `${key}:retry-${attempt - 1}`,
    session_snapshot: from.snapshot,
    deferred_tool_results: deferred,
    on_exit: built.on_exit ?? { default: 'suspend', layers: {} },
  };
}

function contextOf(state: SessionState | null, { mode, answer }: Wish, attempt: number): TurnContext {
  const usable = state?.status === 'active' && state.ending === undefined ? state : null;
  const question = mode === 'resume' && attempt === 1 ? usable?.pending : undefined;
  return {
    attempt,
    ...(usable === null ? {} : { snapshot: usable.snapshot }),
    ...(question === undefined ? {} : { deferred: { calls: { [question.toolCallId]: answer } } }),
  };
}
