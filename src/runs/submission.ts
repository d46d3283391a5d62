// What HTTP hands to the scheduler: a validated request and what its headers asked for.

import type { CreateRunRequest } from '../protocol/runs.ts';

/** What happens when the layer names of a snapshot differ from the composition's: fail as the reference, or keep what fits. */
export type SnapshotPolicy = 'reject' | 'rebase';

export interface Submission {
  readonly request: CreateRunRequest;
  /** Header `X-Agent-Snapshot-Policy`; default `reject`. */
  readonly snapshotPolicy: SnapshotPolicy;
}
