// What jobs in a workspace may be given to reach the Agent Stub (spec 04 §2.7, 05 §3). stub/ implements it; a shell layer and
// the file upload use it; without it nothing is injected.

import type { ExecutionContext } from '../protocol/execution-context.ts';

/** For whom an environment is made. */
export interface StubEnvironmentRequest {
  readonly context: ExecutionContext;
  /** The shell session; it becomes part of the token. */
  readonly sessionId: string | null;
  /** `agent_stub_drive_ref` of the shell layer. */
  readonly driveRef: string | null;
}

/** The environment of one job. */
export interface StubEnvironment {
  /** `DIFY_AGENT_STUB_…` variables, all of them. */
  readonly env: Readonly<Record<string, string>>;
  /** Values that must not be shown to the model or logged: the token. */
  readonly secrets: readonly string[];
  /** The job's run is over: the token is refused from now on, where this process is asked. Calling it again does nothing. */
  revoke(): void;
}

/** Makes a fresh environment per job. */
export interface StubEnvironments {
  /** Rejects with CodedError: `drive_ref_unsafe` (`Agent Stub drive_ref must be a safe relative path`). */
  issue(request: StubEnvironmentRequest): Promise<StubEnvironment>;
}
