// The client of shellctl: one per process, shared by all runs (spec 04 §1). Which call is which request; requests.ts says what
// may be sent, connection.ts sends it, answers.ts reads what comes back.

import type { Probe } from '../../observe/probe.ts';
import { type Answer, answerObject, jobList, jobResult, jobStatusView, refusesEnv } from './answers.ts';
import { withEnvironment } from './carried-env.ts';
import { createConnection, type ShellctlAddress, type ShellctlRequest, type ShellctlTiming } from './connection.ts';
import type { CallOptions, JobResult, RunJob, ShellctlClient, WaitOptions } from './port.ts';
import { count, inputBody, jobSegment, runBody, seconds, waitBody } from './requests.ts';

/** Options beside the address. */
export interface ShellctlClientOptions {
  /** `User-Agent`, e.g. `dify-agent/0.1.0`. */
  readonly userAgent: string;
  /** Other durations than the reference client's; for tests. */
  readonly timing?: Partial<ShellctlTiming>;
  /** Told of every call. Default: nobody. */
  readonly probe?: Pick<Probe, 'peer'>;
}

/** A client that tells how busy it is. */
export interface LoadedShellctlClient extends ShellctlClient {
  /** How many calls hold a connection and how many wait for one. */
  load(): { readonly active: number; readonly waiting: number };
}

/** What a forced deletion is granted for ending the job when nothing is said, seconds. */
const DEFAULT_GRACE_SECONDS = 5;
/** A longer grace is a wait like any other; the servers sleep all of it. What is granted when nobody says anything is less. */
const PROMPT_GRACE_SECONDS = 10;

/**
 * A client with its connections. Throws ShellctlError `invalid_request` when the address or the token cannot be used. Bun
 * repeats a GET or DELETE whose kept connection turns out to be closed; nothing else is sent twice.
 */
export function createShellctlClient(address: ShellctlAddress, options: ShellctlClientOptions): LoadedShellctlClient {
  const connection = createConnection(address, options);
  // Known from the first job that has one; a server that is replaced by a newer one is asked again by the next process.
  let takesEnv = true;

  const start = <T>(body: object, job: RunJob, call: CallOptions, read: (answer: Answer) => T): Promise<T> =>
    connection.ask({ ...waiting('jobs/run', '/v1/jobs/run', body, job), env: job.env }, call, read);
  const started = (answer: Answer): JobResult => jobResult(answer, { jobId: null, offset: 0 });

  return {
    // Async throughout: what may not be sent rejects like what could not be.
    async run(job, call) {
      const body = runBody(job);
      if (!('env' in body)) return await start(body, job, call, started);
      if (takesEnv) {
        const result = await start(body, job, call, (answer) => (refusesEnv(answer) ? null : started(answer)));
        if (result !== null) return result;
        takesEnv = false;
      }
      const script = withEnvironment(job.script, job.env ?? {});
      return await start(runBody({ ...job, script, env: null }), job, call, started);
    },
    async wait(jobId, options, call) {
      const request = waiting('jobs/wait', `${jobPath(jobId)}/wait`, waitBody(options), options);
      return await connection.ask(request, call, (answer) => jobResult(answer, { jobId, offset: options.offset }));
    },
    async input(jobId, options, call) {
      const request = waiting('jobs/input', `${jobPath(jobId)}/input`, inputBody(options), options);
      return await connection.ask(request, call, (answer) => jobResult(answer, { jobId, offset: options.offset }));
    },
    async tail(jobId, outputLimit, call) {
      const request = plain(
        'jobs/tail',
        `${jobPath(jobId)}/log/tail?output_limit=${count('output_limit', outputLimit)}`,
      );
      return await connection.ask({ ...request, outputLimit }, call, (answer) =>
        jobResult(answer, { jobId, offset: 0 }),
      );
    },
    async status(jobId, call) {
      return await connection.ask(plain('jobs/status', jobPath(jobId)), call, (answer) => jobStatusView(answer, jobId));
    },
    async terminate(jobId, graceSeconds, call) {
      const request: ShellctlRequest = {
        operation: 'jobs/terminate',
        method: 'POST',
        path: `${jobPath(jobId)}/terminate`,
        body: { grace_seconds: seconds('grace_seconds', graceSeconds) },
        agreedSeconds: graceSeconds,
        patient: graceSeconds > PROMPT_GRACE_SECONDS,
      };
      return await connection.ask(request, call, (answer) => jobStatusView(answer, jobId));
    },
    async delete(jobId, { force, graceSeconds }, call) {
      const query = new URLSearchParams();
      if (force) query.set('force', 'true');
      if (graceSeconds !== undefined) query.set('grace_seconds', String(seconds('grace_seconds', graceSeconds)));
      const request: ShellctlRequest = {
        operation: 'jobs/delete',
        method: 'DELETE',
        path: `${jobPath(jobId)}${query.size === 0 ? '' : `?${query}`}`,
        agreedSeconds: force ? (graceSeconds ?? DEFAULT_GRACE_SECONDS) : null,
      };
      await connection.ask(request, call, answerObject);
    },
    async list(limit, call) {
      return await connection.ask(plain('jobs/list', `/v1/jobs?limit=${count('limit', limit)}`), call, jobList);
    },
    async health(call) {
      await connection.ask(plain('healthz', '/healthz'), call, answerObject);
    },
    load: () => connection.load(),
    close: () => connection.close(),
  };
}

function jobPath(jobId: string): string {
  return `/v1/jobs/${jobSegment(jobId)}`;
}

function plain(operation: string, path: string): ShellctlRequest {
  return { operation, method: 'GET', path, agreedSeconds: null };
}

function waiting(
  operation: string,
  path: string,
  body: object,
  { timeoutSeconds, outputLimit }: WaitOptions,
): ShellctlRequest {
  return { operation, method: 'POST', path, body, agreedSeconds: timeoutSeconds, patient: true, outputLimit };
}
