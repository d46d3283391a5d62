// The door of the shellctl client: what can be asked of a shellctl server (spec 04 §1), and the errors that come back.
// client.ts implements it over HTTP; tests may implement it otherwise.

import { CodedError } from '../../base/errors.ts';

/** `created|starting|running` are live; the others are final (spec 04 §1.7). Unknown words of newer servers pass through. */
export type JobStatus =
  | 'created'
  | 'starting'
  | 'running'
  | 'exited'
  | 'terminated'
  | 'failed'
  | 'lost'
  | (string & {});

/** What run, wait, input and tail answer. Offsets are bytes of the job's log. */
export interface JobResult {
  readonly job_id: string;
  readonly done: boolean;
  readonly status: JobStatus;
  readonly exit_code: number | null;
  /** Where the whole log lies, on shellctl's side; null when the server does not say. */
  readonly output_path: string | null;
  readonly output: string;
  /** The next unread byte. */
  readonly offset: number;
  /** More can be read at once from `offset`. */
  readonly truncated: boolean;
}

/** What status and terminate answer. */
export interface JobStatusView {
  readonly job_id: string;
  readonly status: JobStatus;
  readonly done: boolean;
  readonly exit_code: number | null;
  /** Size of the log in bytes. */
  readonly offset: number;
}

/** What a list shows of a job. */
export interface JobInfo {
  readonly job_id: string;
  readonly status: JobStatus;
}

/** How long and how much to wait for (spec 04 §1.5). */
export interface WaitOptions {
  /** The server's wait, seconds; its answer may come earlier, whenever the output pauses. */
  readonly timeoutSeconds: number;
  /** Bytes of output at most. */
  readonly outputLimit: number;
  /** Default 0.5 s. */
  readonly idleFlushSeconds?: number;
}

export interface RunJob extends WaitOptions {
  readonly script: string;
  /** `~` is the server's home. Left out when null. */
  readonly cwd: string | null;
  /** Added to the server's environment; put into the script for a server that takes none. Left out when null or empty. */
  readonly env: Readonly<Record<string, string>> | null;
  readonly terminal?: { readonly cols: number; readonly rows: number };
}

/** Who calls, and until when. */
export interface CallOptions {
  /** Aborting closes the connection; the call rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** For fairness between runs when connections are scarce: calls of one run share one value. */
  readonly owner: unknown;
}

/** A client of one shellctl server; one per process. Every method rejects with ShellctlError, or with the signal's reason. */
export interface ShellctlClient {
  run(job: RunJob, call: CallOptions): Promise<JobResult>;
  wait(jobId: string, options: WaitOptions & { readonly offset: number }, call: CallOptions): Promise<JobResult>;
  input(
    jobId: string,
    options: WaitOptions & { readonly text: string; readonly offset: number },
    call: CallOptions,
  ): Promise<JobResult>;
  /** The last bytes of the log; `offset` is its end. */
  tail(jobId: string, outputLimit: number, call: CallOptions): Promise<JobResult>;
  status(jobId: string, call: CallOptions): Promise<JobStatusView>;
  /** Resolves after the grace at the earliest, unless the job is over already (spec 04 §1.9). */
  terminate(jobId: string, graceSeconds: number, call: CallOptions): Promise<JobStatusView>;
  /** `force`: a live job is terminated first, with this grace. */
  delete(
    jobId: string,
    options: { readonly force: boolean; readonly graceSeconds?: number },
    call: CallOptions,
  ): Promise<void>;
  /** The newest jobs. Of all calls the cheapest that needs the token: `check` learns from it whether the token is good. */
  list(limit: number, call: CallOptions): Promise<readonly JobInfo[]>;
  /** Resolves when the server says that it is well; needs no token. */
  health(call: CallOptions): Promise<void>;
  /** Closes idle connections. */
  close(): void;
}

/**
 * A failure of shellctl or of the way to it. `code` is shellctl's own (spec 04 §1.1), or
 * - `invalid_json`, `invalid_payload`, `request_failed`: an answer that cannot be used;
 * - `timeout`, `request_error`, `pool_timeout`: no answer, `status` null;
 * - `invalid_request`, and for ids that no server can have given `job_not_found`: not sent, `status` null.
 * The message is what the model sees: `<code> (<status>): <message>`, without the parenthesis where there was no answer. The
 * token, and secrets of a job's `env`, are masked in it.
 */
export class ShellctlError extends CodedError {
  /** The HTTP status; null when there was no answer. */
  readonly status: number | null;
  /** The message alone. */
  readonly detail: string;

  constructor(code: string, status: number | null, detail: string, options?: ErrorOptions) {
    super(code, status === null ? `${code}: ${detail}` : `${code} (${status}): ${detail}`, options);
    this.status = status;
    this.detail = detail;
  }
}
