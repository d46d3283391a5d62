// Deletes jobs of a session, many at once: one by one a live job costs its whole grace (spec 04 §5.5).

import { type CallOptions, type ShellctlClient, ShellctlError } from '../peers/shellctl/port.ts';

/** Deletions under way at once. */
const CONCURRENCY = 8;

/** A job that could not be deleted. */
export interface UndeletedJob {
  readonly jobId: string;
  readonly error: ShellctlError;
}

/**
 * Deletes jobs, live ones too, without grace; those that are gone are fine. Resolves with the ones that shellctl would not
 * delete. When shellctl cannot be reached or refuses the token, the rest is not tried and counts as not deleted.
 * Rejects with the signal's reason.
 */
export async function removeJobs(
  client: ShellctlClient,
  jobIds: Iterable<string>,
  call: CallOptions,
): Promise<readonly UndeletedJob[]> {
  const left = [...new Set(jobIds)].reverse();
  const undeleted: UndeletedJob[] = [];
  let hopeless: ShellctlError | null = null;
  const worker = async (): Promise<void> => {
    for (let jobId = left.pop(); jobId !== undefined; jobId = left.pop()) {
      const error: ShellctlError | null = hopeless ?? (await removeJob(client, jobId, call));
      if (error === null) continue;
      undeleted.push({ jobId, error });
      if (error.status === null || error.status === 401) hopeless = error;
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, left.length) }, worker));
  return undeleted;
}

/** Deletes one job like `removeJobs`. Null: it is gone. */
export async function removeJob(
  client: ShellctlClient,
  jobId: string,
  call: CallOptions,
): Promise<ShellctlError | null> {
  try {
    await client.delete(jobId, { force: true, graceSeconds: 0 }, call);
    return null;
  } catch (error) {
    if (!(error instanceof ShellctlError)) throw error;
    return error.code === 'job_not_found' ? null : error;
  }
}
