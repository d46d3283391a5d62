// Where the Python and the Go server of shellctl differ (spec 04 §1.1, §1.2). Numbers of Python were checked against
// shell-session-manager 2.4.1.

/** Which server the fake answers like. */
export type Dialect = 'python' | 'go';

/** The numbers of a server. Seconds and bytes. */
export interface Limits {
  readonly outputLimit: number;
  readonly maxOutputLimit: number;
  readonly idleFlush: number;
  readonly grace: number;
  readonly listLimit: number;
  readonly maxListLimit: number;
  /** How long a finished job is kept. */
  readonly retention: number;
  /** The exit code of a terminated job. */
  readonly terminatedExitCode: number | null;
}

/** Both wait as long when nothing is said. */
export const DEFAULT_TIMEOUT = 30;
/** Python only: Go does not enforce its own. */
export const MAX_TIMEOUT = 300;
export const MAX_GRACE = 300;
export const MAX_IDLE_FLUSH = 30;

export const LIMITS: Readonly<Record<Dialect, Limits>> = {
  python: {
    outputLimit: 8192,
    maxOutputLimit: 1_048_576,
    idleFlush: 0.5,
    grace: 5,
    listLimit: 100,
    maxListLimit: 1000,
    retention: 24 * 3600,
    terminatedExitCode: null,
  },
  go: {
    outputLimit: 16_384,
    maxOutputLimit: 524_288,
    idleFlush: 0.5,
    grace: 10,
    listLimit: 50,
    maxListLimit: 200,
    retention: 300,
    terminatedExitCode: 130,
  },
};

/** An answer that is an error. */
export class Refusal extends Error {
  readonly status: number;
  readonly body: string;

  constructor(status: number, body: object | string) {
    super(`refused with ${status}`);
    this.status = status;
    this.body = typeof body === 'string' ? body : JSON.stringify(body);
  }
}

/** A declared error. */
export function declared(status: number, code: string, message: string): Refusal {
  return new Refusal(status, { error: { code, message } });
}

/** `job_not_found`. */
export function unknownJob(jobId: string): Refusal {
  return declared(404, 'job_not_found', `Unknown job id: ${jobId}`);
}
