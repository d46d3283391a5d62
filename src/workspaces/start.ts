// Starting jobs without losing them: the id of a job comes with the answer of the call that runs it, so a caller that goes away
// before would leave a job behind that nobody knows. And ending jobs that nobody wants any more.

import {
  type CallOptions,
  type JobResult,
  type RunJob,
  type ShellctlClient,
  ShellctlError,
} from '../peers/shellctl/port.ts';
import { type Background, unlessAborted } from './background.ts';

/** For ending and deleting one job, beyond its grace. */
const CLEANUP_LIMIT_MS = 15_000;

/**
 * `client.run`, but when the signal aborts meanwhile, it rejects at once, and the job is ended and deleted as soon as its id is
 * known: at the latest when the time-outs of the call and of its clean-up are over.
 */
export async function startJob(
  client: ShellctlClient,
  job: RunJob,
  call: CallOptions,
  background?: Background,
): Promise<JobResult> {
  const { signal, owner } = call;
  signal.throwIfAborted();
  const running = client.run(job, { signal: new AbortController().signal, owner });
  return await unlessAborted(running, signal, (result) => endJob(client, result, { owner }), background);
}

/**
 * Deletes a job. One that lives gets Ctrl-C and `graceSeconds` (default 0.5) before it is killed. Never rejects, bounded in time:
 * a job that shellctl does not delete now is its garbage collection's (spec 04 §1.2).
 */
export async function endJob(
  client: ShellctlClient,
  job: Pick<JobResult, 'job_id' | 'done'>,
  options: { readonly owner: unknown; readonly graceSeconds?: number },
): Promise<void> {
  const grace = options.graceSeconds ?? DEFAULT_GRACE_SECONDS;
  const call = { signal: AbortSignal.timeout(grace * 1000 + CLEANUP_LIMIT_MS), owner: options.owner };
  if (!job.done && grace > 0) await quietly(client.terminate(job.job_id, grace, call));
  await quietly(client.delete(job.job_id, { force: true, graceSeconds: 0 }, call));
}

/** Between Ctrl-C and kill. */
export const DEFAULT_GRACE_SECONDS = 0.5;

async function quietly(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    // What shellctl refuses and what our own limit aborts; anything else is a bug that must be seen.
    const expected = error instanceof ShellctlError || (error instanceof DOMException && error.name === 'TimeoutError');
    if (!expected) throw error;
  }
}
