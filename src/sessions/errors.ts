// What can go wrong with a session. `code` is for programs and does not change. Names are written out: a bundler that shortens
// classes must not shorten what people read.

export type AgentSessionErrorCode =
  | 'agent_session_invalid_scope'
  | 'agent_session_configuration_changed'
  | 'agent_session_busy'
  | 'agent_session_question_pending'
  | 'agent_session_no_question'
  | 'agent_session_conflict'
  | 'agent_session_too_large'
  | 'agent_session_store_unavailable';

/** Anything that this library throws, but for the client's errors and an aborted signal's reason. */
export class AgentSessionError extends Error {
  override readonly name: string = 'AgentSessionError';
  readonly code: AgentSessionErrorCode;

  constructor(code: AgentSessionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The composition does not have the layers that the stored snapshot was made with. Nothing was sent. */
export class SessionConfigurationChangedError extends AgentSessionError {
  override readonly name = 'SessionConfigurationChangedError';
  /** `name (type)` of each layer, in order. */
  readonly stored: readonly string[];
  readonly given: readonly string[];

  constructor(stored: readonly string[], given: readonly string[]) {
    super(
      'agent_session_configuration_changed',
      `the session was made with the layers [${stored.join(', ')}], the composition has [${given.join(', ')}]; ` +
        "choose onTopologyChange 'rebase' or 'reset', or end the session",
    );
    this.stored = stored;
    this.given = given;
  }
}

/** Another turn of this session is going on. */
export class SessionBusyError extends AgentSessionError {
  override readonly name = 'SessionBusyError';
  /** Its run, as far as known. */
  readonly runId: string | null;

  constructor(runId: string | null, message = 'another turn of this session is going on') {
    super('agent_session_busy', runId === null ? message : `${message} (run ${runId})`);
    this.runId = runId;
  }
}

/** Compare-and-set: the row is not the one that was read. Nothing was written. */
export class SessionConflictError extends AgentSessionError {
  override readonly name = 'SessionConflictError';
  /** What was expected; null: no row. */
  readonly expected: number | null;
  /** What is there; null: no row. */
  readonly actual: number | null;

  constructor(expected: number | null, actual: number | null) {
    super(
      'agent_session_conflict',
      `the session is at revision ${actual ?? 'none'}, not at ${expected ?? 'none'}: somebody else saved it`,
    );
    this.expected = expected;
    this.actual = actual;
  }
}

/** A session or a clean-up has more characters than the store takes. Nothing was written. */
export class SessionTooLargeError extends AgentSessionError {
  override readonly name = 'SessionTooLargeError';
  constructor(what: string, characters: number, limit: number) {
    super('agent_session_too_large', `${what} of ${characters} characters; the limit is ${limit}`);
  }
}

/** The store cannot answer, or has something unreadable. The step may have happened or not. */
export class SessionStoreError extends AgentSessionError {
  override readonly name = 'SessionStoreError';
  constructor(message: string, options?: ErrorOptions) {
    super('agent_session_store_unavailable', message, options);
  }
}
