// Agents that remember: runs that go on from where the last one ended, questions that wait for their answers, and layers that
// are cleaned up when a session is over, whatever happens to this process meanwhile (spec 07 §4.3).

import type { JsonValue } from '../client/types.ts';
import { endOwner } from './end.ts';
import {
  type AgentSessionsOptions,
  type BuildRequest,
  type Deps,
  type DrainOptions,
  type DrainReport,
  type EndOptions,
  type EndReport,
  type ResumeOptions,
  type RunOptions,
  withDefaults,
} from './options.ts';
import { drain } from './outbox.ts';
import { ownerKey, scopeKey } from './scope.ts';
import { runTurn } from './turn-runner.ts';
import type { Owner, Scope, StoredSession, TurnResult } from './types.ts';

/**
 * Sessions over one client and one store. Has no state of its own: make as many as you like, in as many processes.
 *
 * ```ts
 * const sessions = new AgentSessions({ client: new Client({ baseUrl }), store: memorySessionStore() });
 * const scope = { tenant: 't-1', ownerKind: 'conversation', ownerId: 'c-7', slot: 'agent' };
 * const result = await sessions.run(scope, () => ({ composition, idempotency_key: messageId }));
 * if (result.kind === 'deferred') await sessions.resume(scope, { status: 'submitted' }, () => ({ composition }));
 * await sessions.end(scope);
 * ```
 */
export class AgentSessions {
  readonly #deps: Deps;

  /** @throws TypeError for options that cannot be. */
  constructor(options: AgentSessionsOptions) {
    this.#deps = withDefaults(options);
  }

  /**
   * One turn: starts from the stored snapshot, if there is one, and stores what the run leaves. A run that fails or is
   * cancelled is a result, not an error.
   *
   * Rejects with AgentSessionError when nothing could be sent; with the client's errors when the server could not be reached or
   * does not know the run any more (the session is as it was); with the signal's reason when the run was not made, is not to
   * be cancelled, or its end is not known; with what a callback threw.
   */
  async run(scope: Scope, build: BuildRequest, options: RunOptions = {}): Promise<TurnResult> {
    scopeKey(scope);
    return runTurn(this.#deps, { scope, mode: 'run', answer: null, build, options });
  }

  /**
   * A turn that answers the open question. `answer` is what the model gets: for `dify.ask_human`
   * `{status: 'submitted' | 'timeout' | 'unavailable', action, values, rendered_content}`. As `run` otherwise.
   * @throws AgentSessionError `agent_session_no_question`
   */
  async resume(scope: Scope, answer: JsonValue, build: BuildRequest, options: ResumeOptions = {}): Promise<TurnResult> {
    scopeKey(scope);
    return runTurn(this.#deps, { scope, mode: 'resume', answer, build, options });
  }

  /**
   * The owner is over: cancels what runs, and cleans up all its sessions. What the server has not confirmed in time is listed,
   * stays in the outbox, and is tried again by `drain`. May be called again.
   */
  async end(owner: Owner, options: EndOptions = {}): Promise<EndReport> {
    ownerKey(owner);
    return endOwner(this.#deps, owner, options);
  }

  /**
   * Works on the outbox, and takes in the ends of runs whose processes are gone. Once, for a scheduled job; or as a loop beside
   * the application. Somebody has to call it: failed sessions and those that `end` could not finish wait here.
   */
  async drain(options: DrainOptions = {}): Promise<DrainReport> {
    return drain(this.#deps, options);
  }

  /** The session as it is stored: its open question, its last run. */
  async load(scope: Scope): Promise<StoredSession | null> {
    return this.#deps.store.load(scope);
  }
}
