// Two ways to fail: what a tool refuses to do, and a call of shellctl that the result can do without.

import { CodedError } from '../../base/errors.ts';
import { type JobResult, ShellctlError } from '../../peers/shellctl/port.ts';

/** What the model is told instead of a result. */
export function refused(text: string): CodedError {
  return new CodedError('shell_refused', text);
}

/** What shellctl answers, or null when it fails. Rejects with the signal's reason. */
export async function orNull(answer: Promise<JobResult>): Promise<JobResult | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ShellctlError) return null;
    throw error;
  }
}
