// Reads shellctl's answers: the Python and the Go server's, which differ in their errors and in what they leave out (spec 04 §1).
// Unknown keys are ignored, missing ones that have an obvious value get it, wrong types are refused.

import { type JobInfo, type JobResult, type JobStatusView, ShellctlError } from './port.ts';
import { isJobId } from './requests.ts';

/** An answer as it came. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Longest message of the server that is passed on. */
const MAX_DETAIL_LENGTH = 2000;
/** Most problems of one 422 that are told. */
const MAX_PROBLEMS = 8;
const FINAL = new Set(['exited', 'terminated', 'failed', 'lost']);
const CODE = /^[\w.-]{1,64}$/;

type Fields = Readonly<Record<string, unknown>>;

/** The object of a good answer. Throws ShellctlError for any other (spec 04 §1.10). */
export function answerObject({ status, body }: Answer): Fields {
  const value = parse(status, body);
  if (status >= 400) throw declaredError(status, value, body);
  if (status < 200 || status >= 300) throw new ShellctlError('request_failed', status, clip(body));
  if (!isFields(value)) throw new ShellctlError('invalid_payload', status, 'the answer is not a JSON object');
  return value;
}

/**
 * The answer of run, wait, input and tail. What a server leaves out because it is zero or empty is filled in from `asked`: the
 * job and the offset of the request; run has no job to ask for, so its answer must name one.
 */
export function jobResult(
  answer: Answer,
  asked: { readonly jobId: string | null; readonly offset: number },
): JobResult {
  const read = reader(answer);
  const status = read.text('status', '');
  return {
    job_id: asked.jobId ?? read.id(),
    done: read.flag('done', FINAL.has(status)),
    status,
    exit_code: read.integerOrNull('exit_code'),
    output_path: read.textOrNull('output_path'),
    output: read.text('output', '').toWellFormed(),
    offset: read.natural('offset', asked.offset),
    truncated: read.flag('truncated', false),
  };
}

/** Whether a run was refused because the server knows no `env` (the Python server before it took one): nothing was started. */
export function refusesEnv({ status, body }: Answer): boolean {
  if (status !== 422) return false;
  const value = parse(status, body);
  const problems: readonly unknown[] = isFields(value) && Array.isArray(value.detail) ? value.detail : [];
  return problems.some(
    (problem) =>
      isFields(problem) &&
      problem.type === 'extra_forbidden' &&
      Array.isArray(problem.loc) &&
      problem.loc.join('.') === 'body.env',
  );
}

/** The answer of status and terminate. */
export function jobStatusView(answer: Answer, jobId: string): JobStatusView {
  const read = reader(answer);
  const status = read.text('status', '');
  return {
    job_id: jobId,
    status,
    done: read.flag('done', FINAL.has(status)),
    exit_code: read.integerOrNull('exit_code'),
    offset: read.natural('offset', 0),
  };
}

/** The answer of list. The Go server writes no list as null (spec 04 §5.13). */
export function jobList(answer: Answer): readonly JobInfo[] {
  const { jobs } = answerObject(answer);
  if (jobs === undefined || jobs === null) return [];
  if (!Array.isArray(jobs)) throw wrong(answer, 'jobs');
  return jobs.map((job: unknown) => {
    if (!isFields(job) || typeof job.job_id !== 'string' || typeof job.status !== 'string') throw wrong(answer, 'jobs');
    return { job_id: job.job_id, status: job.status };
  });
}

function reader(answer: Answer) {
  const fields = answerObject(answer);
  /** The value of a key, `missing` where there is none or null. */
  const value = <T>(key: string, missing: T, accept: (found: unknown) => found is T): T => {
    const found = fields[key];
    if (found === undefined || found === null) return missing;
    if (!accept(found)) throw wrong(answer, key);
    return found;
  };
  return {
    id(): string {
      const id = fields.job_id;
      // What names a job goes into paths and snapshots later.
      if (typeof id !== 'string' || !isJobId(id)) throw wrong(answer, 'job_id');
      return id;
    },
    text: (key: string, missing: string) => value(key, missing, isText),
    textOrNull: (key: string) => value<string | null>(key, null, isText),
    flag: (key: string, missing: boolean) => value(key, missing, (found) => typeof found === 'boolean'),
    natural: (key: string, missing: number) => value(key, missing, isNatural),
    integerOrNull: (key: string) => value<number | null>(key, null, isInteger),
  };
}

function parse(status: number, body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw new ShellctlError('invalid_json', status, body === '' ? 'the answer is empty' : clip(body));
  }
}

function declaredError(status: number, value: unknown, body: string): ShellctlError {
  const error = isFields(value) ? value.error : undefined;
  if (isFields(error) && typeof error.code === 'string' && CODE.test(error.code)) {
    return new ShellctlError(error.code, status, typeof error.message === 'string' ? clip(error.message) : '');
  }
  const problems = isFields(value) && Array.isArray(value.detail) ? value.detail : null;
  return new ShellctlError('request_failed', status, problems === null ? clip(body) : problemsText(problems));
}

/** FastAPI's problems without their `input`, which repeats what was sent: scripts, tokens. */
function problemsText(problems: readonly unknown[]): string {
  const lines = problems.slice(0, MAX_PROBLEMS).map((problem) => {
    const { loc, msg } = isFields(problem) ? problem : {};
    const where = Array.isArray(loc) ? loc.map(String).join('.') : 'request';
    return `${where}: ${typeof msg === 'string' ? msg : 'invalid'}`;
  });
  const more = problems.length - lines.length;
  return clip(lines.join('; ') + (more > 0 ? `; and ${more} more` : ''));
}

function clip(text: string): string {
  return text.length <= MAX_DETAIL_LENGTH ? text : `${text.slice(0, MAX_DETAIL_LENGTH).toWellFormed()}…`;
}

function wrong({ status }: Answer, key: string): ShellctlError {
  return new ShellctlError('invalid_payload', status, `the answer has no usable ${key}`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const isText = (found: unknown): found is string => typeof found === 'string';
const isInteger = (found: unknown): found is number => Number.isSafeInteger(found);
const isNatural = (found: unknown): found is number => isInteger(found) && found >= 0;
