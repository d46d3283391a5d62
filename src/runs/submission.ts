// What HTTP hands to the scheduler: a validated request and what its headers asked for.

import type { CodedError } from '../base/errors.ts';
import type { CreateRunRequest } from '../protocol/runs.ts';

/** What happens when the layer names of a snapshot differ from the composition's: fail as the reference, or keep what fits. */
export type SnapshotPolicy = 'reject' | 'rebase';

export interface Submission {
  readonly request: CreateRunRequest;
  /** Header `X-Agent-Snapshot-Policy`; default `reject`. */
  readonly snapshotPolicy: SnapshotPolicy;
  /** The run is one of a session that the server keeps. Absent: it stands alone. */
  readonly turn?: SessionTurn;
}

/** What stands around the execution of a run of a managed session (managed/turn.ts implements it). */
export interface SessionTurn {
  /**
   * Waits until the session is the run's, runs what is to be run, and takes in what it leaves. A signal that aborts while it waits
   * runs nothing: `run` is called with the signal aborted, and ends the run. Rejects as a RunFunction.
   */
  execute(runId: string, signal: AbortSignal, how: TurnExecution): Promise<void>;
}

/** How a run is brought to its end. */
export interface TurnExecution {
  /** As a RunFunction. */
  run(submission: Submission): Promise<void>;
  /** Ends a run that was never started as failed, with the error's code as reason. Never rejects. */
  fail(error: CodedError): Promise<void>;
}
