// The calls of the fake shellctl on its jobs: checks, the wait of spec 04 §1.5, and the views of §1.3.

import { randomBytes } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  DEFAULT_TIMEOUT,
  type Dialect,
  declared,
  LIMITS,
  MAX_GRACE,
  MAX_IDLE_FLUSH,
  MAX_TIMEOUT,
  unknownJob,
} from './dialect.ts';
import { type FieldRule, type Rules, readBody, readQuery, type Values } from './fields.ts';
import { type Job, startJob } from './job.ts';
import { forwardWindow, tailWindow, type Window } from './windows.ts';

/** Options of the service. */
export interface ServiceOptions {
  readonly dialect: Dialect;
  /** `~` and `$HOME` of jobs. */
  readonly home: string;
  readonly jobsDir: string;
  /** What jobs inherit. */
  readonly env: Readonly<Record<string, string>>;
  readonly sanitise: boolean;
  /** Whether a run may have `env`. */
  readonly takesEnv: boolean;
}

/** Answers calls; throws Refusal. */
export interface Service {
  run(body: string, gone: AbortSignal): Promise<object>;
  wait(id: string, body: string, gone: AbortSignal): Promise<object>;
  input(id: string, body: string, gone: AbortSignal): Promise<object>;
  tail(id: string, query: URLSearchParams): object;
  status(id: string): object;
  list(query: URLSearchParams): object;
  terminate(id: string, body: string): Promise<object>;
  delete(id: string, query: URLSearchParams): Promise<object>;
  /** Ids of jobs that are kept, oldest first. */
  jobIds(): readonly string[];
  /** Removes finished jobs, as the garbage collection does when their time is over. */
  expire(): void;
  /** Windows do not move on any more (§5.11). */
  stall(on: boolean): void;
  /** Kills and removes everything. */
  close(): void;
}

const INTEGER = { kind: 'integer' } as const;
const NUMBER = { kind: 'number' } as const;
const ID_LETTERS = '0123456789abcdefghjkmnpqrstvwxyz';

export function createService({ dialect, home, jobsDir, env, sanitise, takesEnv }: ServiceOptions): Service {
  const limits = LIMITS[dialect];
  const jobs = new Map<string, Job>();
  let stalled = false;

  const outputLimit: FieldRule = { ...INTEGER, min: 1, max: limits.maxOutputLimit };
  const idleFlush: FieldRule = { ...NUMBER, min: 0, max: MAX_IDLE_FLUSH };
  const waiting: Rules = { output_limit: outputLimit, idle_flush_seconds: idleFlush };
  const RUN: Rules = {
    script: { kind: 'text', required: true },
    cwd: { kind: 'text', nullable: true },
    ...(takesEnv ? { env: { kind: 'env', nullable: true } satisfies FieldRule } : {}),
    terminal: { kind: 'terminal', nullable: true },
    timeout: { ...NUMBER, above: 0, max: MAX_TIMEOUT },
    ...waiting,
  };
  const WAIT: Rules = {
    offset: { ...INTEGER, min: 0, required: true },
    timeout: { ...NUMBER, min: 0, max: MAX_TIMEOUT },
    ...waiting,
  };
  const INPUT: Rules = {
    text: { kind: 'text', required: true },
    offset: { ...INTEGER, min: 0, required: true },
    timeout: { ...NUMBER, above: 0, max: MAX_TIMEOUT },
    ...waiting,
  };
  const grace: FieldRule = { ...NUMBER, min: 0, max: MAX_GRACE };

  const find = (id: string): Job => {
    const job = jobs.get(id);
    const expired = job?.endedAt != null && Date.now() - job.endedAt > limits.retention * 1000;
    if (expired) forget(id);
    if (job === undefined || expired) throw unknownJob(id);
    return job;
  };
  const forget = (id: string): void => {
    jobs.get(id)?.destroy();
    jobs.delete(id);
  };
  const windowOf = (job: Job, offset: number, limit: number): Window =>
    stalled && job.size > offset
      ? { output: '', offset, truncated: true }
      : forwardWindow(job.fd, job.size, offset, limit);

  /** Spec 04 §1.5. */
  const waitFor = async (job: Job, offset: number, values: Values, gone: AbortSignal): Promise<object> => {
    const limit = Math.min(number(values.output_limit, limits.outputLimit), limits.maxOutputLimit);
    const sentIdle = number(values.idle_flush_seconds, limits.idleFlush);
    const idleMs = (dialect === 'go' && sentIdle === 0 ? limits.idleFlush : sentIdle) * 1000;
    const called = performance.now();
    const deadline = called + number(values.timeout, DEFAULT_TIMEOUT) * 1000;
    for (;;) {
      if (jobs.get(job.id) !== job) throw unknownJob(job.id);
      checkOffset(job, offset);
      const now = performance.now();
      if (job.done || now >= deadline || gone.aborted) return resultOf(job, windowOf(job, offset, limit));
      let wake = deadline;
      if (job.size > offset) {
        const window = windowOf(job, offset, limit);
        const idleAt = Math.max(job.grownAt, called) + idleMs;
        if (window.truncated || now >= idleAt) return resultOf(job, window);
        wake = Math.min(wake, idleAt);
      }
      await job.changed(Math.max(wake - now, 1), gone);
    }
  };

  return {
    async run(body, gone) {
      const values = readBody(dialect, body, RUN);
      const script = text(values.script);
      if (dialect === 'go' && script === '') throw declared(400, 'invalid_request', 'script is required');
      if (!script.isWellFormed()) throw new Error('surrogates not allowed');
      const cwd = directory(home, typeof values.cwd === 'string' ? values.cwd : home);
      // Its values were checked: texts.
      const own = (values.env ?? {}) as Readonly<Record<string, string>>;
      const id = newJobId(jobs);
      const job = startJob({ id, script, cwd, env: { ...env, ...own }, jobsDir, sanitise });
      jobs.set(id, job);
      return await waitFor(job, 0, values, gone);
    },
    async wait(id, body, gone) {
      const values = readBody(dialect, body, WAIT);
      return await waitFor(find(id), number(values.offset, 0), values, gone);
    },
    async input(id, body, gone) {
      const values = readBody(dialect, body, INPUT);
      const job = find(id);
      const offset = number(values.offset, 0);
      if (job.done) throw declared(409, 'job_not_running', `Job ${id} is already terminal`);
      checkOffset(job, offset);
      job.type(text(values.text));
      return await waitFor(job, offset, values, gone);
    },
    tail(id, query) {
      const { output_limit } = readQuery(dialect, query, { output_limit: outputLimit });
      const job = find(id);
      return resultOf(
        job,
        tailWindow(job.fd, job.size, Math.min(number(output_limit, limits.outputLimit), limits.maxOutputLimit)),
      );
    },
    status: (id) => statusOf(find(id)),
    list(query) {
      const { status, limit } = readQuery(dialect, query, {
        status: { kind: 'text' },
        limit: { ...INTEGER, min: 1, max: limits.maxListLimit },
      });
      const newest = [...jobs.values()].reverse().filter((job) => status === undefined || job.status === status);
      const infos = newest.slice(0, number(limit, limits.listLimit)).map((job) => infoOf(job, dialect));
      return { jobs: dialect === 'go' && infos.length === 0 ? null : infos };
    },
    async terminate(id, body) {
      const { grace_seconds } = readBody(dialect, body, { grace_seconds: grace });
      const job = find(id);
      await terminate(job, number(grace_seconds, limits.grace), limits.terminatedExitCode);
      return statusOf(job);
    },
    async delete(id, query) {
      const rules: Rules = { force: { kind: 'flag' }, grace_seconds: grace };
      const { force, grace_seconds } = readQuery(dialect, query, rules);
      const job = find(id);
      if (!job.done) {
        if (force !== true) throw declared(409, 'job_running', `Job ${id} is still running`);
        await terminate(job, number(grace_seconds, limits.grace), limits.terminatedExitCode);
      }
      forget(id);
      return { job_id: id, deleted: true };
    },
    jobIds: () => [...jobs.keys()],
    expire() {
      for (const job of [...jobs.values()]) if (job.done) forget(job.id);
    },
    stall(on) {
      stalled = on;
    },
    close() {
      for (const id of [...jobs.keys()]) forget(id);
    },
  };
}

function checkOffset(job: Job, offset: number): void {
  if (offset <= job.size) return;
  throw declared(400, 'invalid_offset', `offset ${offset} exceeds current file size ${job.size}`);
}

/** Marks, interrupts, sleeps for the whole grace, kills (spec 04 §1.9), whether or not anybody waits for the answer. */
async function terminate(job: Job, seconds: number, exitCode: number | null): Promise<void> {
  if (job.done) return;
  job.interrupt(exitCode);
  await Bun.sleep(seconds * 1000);
  job.kill();
}

function resultOf(job: Job, { output, offset, truncated }: Window): object {
  return {
    job_id: job.id,
    done: job.done,
    status: job.status,
    exit_code: job.exitCode,
    output_path: job.outputPath,
    output,
    offset,
    truncated,
  };
}

function statusOf(job: Job): object {
  return {
    job_id: job.id,
    status: job.status,
    done: job.done,
    exit_code: job.exitCode,
    created_at: stamp(job.createdAt),
    started_at: stamp(job.createdAt),
    ended_at: job.endedAt === null ? null : stamp(job.endedAt),
    offset: job.size,
  };
}

function infoOf(job: Job, dialect: Dialect): object {
  const { id: job_id, status } = job;
  const times = { created_at: stamp(job.createdAt), started_at: stamp(job.createdAt) };
  if (job.endedAt !== null) return { job_id, status, ...times, ended_at: stamp(job.endedAt) };
  return dialect === 'go' ? { job_id, status, ...times } : { job_id, status, ...times, ended_at: null };
}

function stamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** `MMDDHHMM-` and three letters. */
function newJobId(jobs: ReadonlyMap<string, unknown>): string {
  const minute = new Date().toISOString().slice(5, 16).replace(/\D/g, '');
  for (;;) {
    const letters = [...randomBytes(3)].map((byte) => ID_LETTERS[byte % ID_LETTERS.length]).join('');
    if (!jobs.has(`${minute}-${letters}`)) return `${minute}-${letters}`;
  }
}

/** `~` is the private home; a directory must be there. */
function directory(home: string, cwd: string): string {
  const path = resolve(home, cwd === '~' || cwd.startsWith('~/') ? `${home}${cwd.slice(1)}` : cwd);
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw declared(400, 'invalid_cwd', `cwd is not a directory: ${path}`);
  }
  return realpathSync(path);
}

function number(value: unknown, missing: number): number {
  return typeof value === 'number' ? value : missing;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
