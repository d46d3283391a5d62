// What may be sent to shellctl. The Python and the Go server differ in what they refuse, and some of what they take makes a job
// that cannot start (spec 04 §5.13, §5.16): such requests are refused here, in words that do not show the values.

import { type RunJob, ShellctlError, type WaitOptions } from './port.ts';

const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;
/** Go writes the environment with escapes that its runner does not undo; tabs and newlines survive. */
const ENV_CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;
/** Such as `06101432-k7m`. A segment of a URL's path: dots alone must not be one. */
const JOB_ID = /^(?!\.+$)[A-Za-z0-9._-]{1,128}$/;
const MAX_SHOWN_ID_LENGTH = 64;
/** The idle flush of the reference client, seconds. */
const DEFAULT_IDLE_FLUSH_SECONDS = 0.5;

/** Whether a text can be the id of a job: in answers, in requests, and in what is remembered of them. */
export function isJobId(text: string): boolean {
  return JOB_ID.test(text);
}

/** A job id as a path segment. Ids come from models and snapshots too: one that no server gives is refused as unknown. */
export function jobSegment(jobId: string): string {
  if (isJobId(jobId)) return jobId;
  const shown = JSON.stringify(jobId.toWellFormed()).slice(1, MAX_SHOWN_ID_LENGTH + 1);
  throw new ShellctlError('job_not_found', null, `Unknown job id: ${shown.replace(/"$/, '')}`);
}

/** The body of `run`, keys in the reference client's order. */
export function runBody(job: RunJob): object {
  text('script', job.script, /\0/);
  if (job.script.trim() === '') throw refuse('script is required');
  if (job.cwd !== null) text('cwd', job.cwd, CONTROL);
  const env = Object.entries(job.env ?? {});
  for (const [name, value] of env) {
    if (name === '' || name.includes('=')) throw refuse('names in env must not be empty or contain "="');
    text('a name in env', name, CONTROL);
    text(`the value of env ${name}`, value, ENV_CONTROL);
  }
  return {
    script: job.script,
    ...(job.cwd === null ? {} : { cwd: job.cwd }),
    ...(env.length === 0 ? {} : { env: job.env }),
    ...(job.terminal === undefined ? {} : { terminal: job.terminal }),
    ...waiting(job),
  };
}

/** The body of `wait`. */
export function waitBody(options: WaitOptions & { readonly offset: number }): object {
  return { offset: offset(options.offset), ...waiting(options) };
}

/** The body of `input`. Control characters are what terminals are typed at with. */
export function inputBody(options: WaitOptions & { readonly text: string; readonly offset: number }): object {
  text('text', options.text, null);
  return { text: options.text, offset: offset(options.offset), ...waiting(options) };
}

/** Seconds that a server can read. */
export function seconds(field: string, value: number): number {
  if (!Number.isFinite(value) || value < 0) throw refuse(`${field} must be a number of seconds`);
  return value;
}

/** A positive number of something. */
export function count(field: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) throw refuse(`${field} must be a positive integer`);
  return value;
}

function waiting(options: WaitOptions): object {
  return {
    timeout: seconds('timeout', options.timeoutSeconds),
    output_limit: count('output_limit', options.outputLimit),
    idle_flush_seconds: seconds('idle_flush_seconds', options.idleFlushSeconds ?? DEFAULT_IDLE_FLUSH_SECONDS),
  };
}

function offset(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw refuse('offset must be a non-negative integer');
  return value;
}

function text(field: string, value: string, forbidden: RegExp | null): void {
  if (!value.isWellFormed()) throw refuse(`${field} is not valid Unicode`);
  if (forbidden?.test(value) === true) throw refuse(`${field} must not contain control characters`);
}

function refuse(message: string): ShellctlError {
  return new ShellctlError('invalid_request', null, message);
}
