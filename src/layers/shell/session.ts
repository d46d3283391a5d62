// One run's hold of a shell session: what the four tools do (spec 04 §2.5). Whatever goes wrong is told to the model; only a
// cancelled run is not. Reading output is reading.ts, wording results is results.ts, the tools' schemas are tools.ts.

import { CodedError, errorText } from '../../base/errors.ts';
import type { JsonValue } from '../../base/json.ts';
import type { Logger } from '../../observe/logger.ts';
import { type CallOptions, type JobResult, type ShellctlClient, ShellctlError } from '../../peers/shellctl/port.ts';
import { isBlank } from '../../wiretext/strip.ts';
import type { Background } from '../../workspaces/background.ts';
import type { StubEnvironment } from '../../workspaces/ports.ts';
import { type SessionId, workspacePath } from '../../workspaces/session.ts';
import { endJob, startJob } from '../../workspaces/start.ts';
import { type Environment, jobEnvironment } from './environment.ts';
import { orNull, refused } from './failures.ts';
import type { JobBook, JobPosition } from './jobs.ts';
import { RedactionCostError } from './patterns.ts';
import { readOutput } from './reading.ts';
import { failed, type ResultStyle } from './results.ts';
import type { Scrubber } from './scrub.ts';

/** Jobs that a session knows at once. */
export const MAX_JOBS = 128;
/** How long the call that starts a job waits at most. */
const FIRST_WAIT_SECONDS = 2;
/** Of the oldest jobs so many are asked whether they can be given up when there are too many. */
const GIVE_UP_TRIES = 16;

/** What a session works with. */
export interface SessionDeps {
  readonly id: SessionId;
  readonly client: ShellctlClient;
  readonly jobs: JobBook;
  readonly scrubber: Scrubber;
  readonly style: ResultStyle;
  /** The configured variables. */
  readonly env: Environment;
  /** A fresh environment for a job, or null where there is none. */
  readonly issueStub: () => Promise<StubEnvironment | null>;
  /** Makes the workspace anew after it has vanished; false when that is not possible. */
  readonly remake: (signal: AbortSignal) => Promise<boolean>;
  readonly background: Background;
  readonly logger: Logger;
}

/** Arguments of `shell_run`; times are seconds. */
export interface RunArguments {
  readonly script: string;
  readonly timeout: number;
}

/** The tools' work. Every method resolves with what the model is told, and rejects only with the signal's reason. */
export class ShellSession {
  readonly #deps: SessionDeps;
  #remaking: Promise<string> | null = null;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
  }

  /** Starts a job in the workspace. */
  run({ script, timeout }: RunArguments, signal: AbortSignal): Promise<JsonValue> {
    return this.#told(null, signal, async () => {
      if (isBlank(script)) throw refused('script must not be blank.');
      await this.#makeRoom(this.#call(signal));
      const { client, style, env, jobs } = this.#deps;
      const stub = await this.#deps.issueStub();
      const { answer, elapsedMs } = await this.#start(script, jobEnvironment(env, stub?.env ?? null), timeout, signal);
      const jobId = answer.job_id;
      // Known before anything else can fail: an untracked job could never be read or removed.
      jobs.note(jobId, START, answer.done);
      const shown = jobs.inTurn(jobId, async () => {
        const left = timeout - elapsedMs / 1000;
        const cutShort = !answer.done && !answer.truncated && elapsedMs >= FIRST_WAIT_SECONDS * 1000 && left > 0;
        const options = { offset: 0, timeoutSeconds: left, outputLimit: style.windowBytes };
        const later = cutShort ? await orNull(client.wait(jobId, options, this.#call(signal))) : null;
        return await this.#show(later ?? answer, START, signal);
      });
      // Nobody has seen its id: it ends with the call, as a job does whose start is aborted.
      return await this.#endingIfAborted(shown, answer, signal);
    });
  }

  /** Waits for output or for the end of a job. */
  wait(jobId: string, timeout: number, signal: AbortSignal): Promise<JsonValue> {
    const { client, jobs, style } = this.#deps;
    return this.#ofJob(jobId, signal, () =>
      jobs.inTurn(jobId, async () => {
        const from = jobs.position(jobId);
        const options = { offset: from.offset, timeoutSeconds: timeout, outputLimit: style.windowBytes };
        return await this.#show(await client.wait(jobId, options, this.#call(signal)), from, signal);
      }),
    );
  }

  /** Sends text to a job, then waits. */
  input(jobId: string, text: string, timeout: number, signal: AbortSignal): Promise<JsonValue> {
    return this.#ofJob(jobId, signal, async (from) => {
      const { client, style } = this.#deps;
      const options = {
        text: text.toWellFormed(),
        offset: from.offset,
        timeoutSeconds: timeout,
        outputLimit: style.windowBytes,
      };
      return await this.#show(await client.input(jobId, options, this.#call(signal)), from, signal);
    });
  }

  /** Ends a job; it stays known. What it printed and was not read yet is skipped. */
  interrupt(jobId: string, graceSeconds: number, signal: AbortSignal): Promise<JsonValue> {
    return this.#ofJob(jobId, signal, async (from) => {
      const { client, style, jobs } = this.#deps;
      const call = this.#call(signal);
      const ended = await client.terminate(jobId, graceSeconds, call);
      jobs.note(jobId, passedOver(from, ended), ended.done);
      const tail = style.skipsMiddle ? orNull(client.tail(jobId, 1, call)) : null;
      return style.interrupted(ended, (await tail)?.output_path ?? null);
    });
  }

  /**
   * Starts a job and waits a little for its output. The rest of the wait is another call: a job whose id is not known cannot be
   * ended, and a run that is cancelled should not leave one behind for minutes.
   */
  async #start(
    script: string,
    env: Environment | null,
    timeout: number,
    signal: AbortSignal,
  ): Promise<{ readonly answer: JobResult; readonly elapsedMs: number }> {
    const { client, style, background, id } = this.#deps;
    const job = {
      script: script.toWellFormed(),
      cwd: workspacePath(id),
      env,
      timeoutSeconds: Math.min(timeout, FIRST_WAIT_SECONDS),
      outputLimit: style.windowBytes,
    };
    const started = performance.now();
    try {
      const answer = await startJob(client, job, this.#call(signal), background);
      return { answer, elapsedMs: performance.now() - started };
    } catch (error) {
      if (!(error instanceof ShellctlError) || error.code !== 'invalid_cwd') throw error;
      throw refused(await this.#vanished(signal));
    }
  }

  async #endingIfAborted<T>(task: Promise<T>, job: JobResult, signal: AbortSignal): Promise<T> {
    try {
      return await task;
    } catch (error) {
      const { client, background, jobs } = this.#deps;
      // It stays in the book until it is gone: a session that is deleted meanwhile ends it at once.
      if (signal.aborted) background(endJob(client, job, { owner: this }).then(() => jobs.forget(job.job_id)));
      throw error;
    }
  }

  async #show(answer: JobResult, from: JobPosition, signal: AbortSignal): Promise<JsonValue> {
    const { client, scrubber, style, jobs } = this.#deps;
    try {
      const read = await readOutput(answer, from, { client, scrubber, style, call: this.#call(signal) });
      jobs.note(answer.job_id, read.position, read.job.done);
      return style.output(read.job, read.shown);
    } catch (error) {
      if (!(error instanceof RedactionCostError)) throw error;
      // The model must learn the id: the job may live. What cannot be checked is passed over.
      jobs.note(answer.job_id, passedOver(from, answer), answer.done);
      return failed(error.message, answer.job_id);
    }
  }

  /** Not in turn: what a job waits for must not queue behind a wait for that job. */
  #ofJob(jobId: string, signal: AbortSignal, task: (from: JobPosition) => Promise<JsonValue>): Promise<JsonValue> {
    const { jobs } = this.#deps;
    return this.#told(jobId, signal, async () => {
      if (!jobs.has(jobId)) throw refused(`Unknown shell job id for this session: ${jobId}.`);
      return await task(jobs.position(jobId));
    });
  }

  async #told(jobId: string | null, signal: AbortSignal, task: () => Promise<JsonValue>): Promise<JsonValue> {
    signal.throwIfAborted();
    try {
      return await task();
    } catch (error) {
      signal.throwIfAborted();
      const { jobs, logger, scrubber, id } = this.#deps;
      if (!(error instanceof CodedError)) {
        const stack = error instanceof Error ? error.stack : undefined;
        logger.error('a shell tool met an unexpected error', { session_id: id, error, stack });
      }
      if (jobId !== null && error instanceof ShellctlError && error.code === 'job_not_found') jobs.forget(jobId);
      return failed(scrubber.ownText(errorText(error)), jobId);
    }
  }

  /** Gives up old jobs that are over when there are too many. @throws CodedError when all of them live */
  async #makeRoom(call: CallOptions): Promise<void> {
    const { jobs, client } = this.#deps;
    if (jobs.size < MAX_JOBS) return;
    for (const jobId of jobs.ids.slice(0, GIVE_UP_TRIES)) {
      try {
        await client.delete(jobId, { force: false }, call);
      } catch (error) {
        if (!(error instanceof ShellctlError)) throw error;
        if (error.code === 'job_running') continue;
        if (error.code !== 'job_not_found') throw error;
      }
      jobs.forget(jobId);
      return;
    }
    throw refused(`This session has ${jobs.size} shell jobs that are not over. Interrupt some of them first.`);
  }

  /** What the model is told instead of `invalid_cwd`; calls that find out at the same time share one remaking. */
  #vanished(signal: AbortSignal): Promise<string> {
    this.#remaking ??= this.#remake(signal).finally(() => {
      this.#remaking = null;
    });
    return this.#remaking;
  }

  async #remake(signal: AbortSignal): Promise<string> {
    const path = workspacePath(this.#deps.id);
    const gone = `The shell workspace ${path} has vanished, with all files in it; the script was not run.`;
    try {
      if (await this.#deps.remake(signal)) {
        return `${gone} A new and empty workspace is in its place now: restore what you need, then run the script again.`;
      }
      return `${gone} A new one cannot be made: what is at its place is no directory.`;
    } catch (error) {
      signal.throwIfAborted();
      return `${gone} A new one could not be set up: ${errorText(error)}`;
    }
  }

  #call(signal: AbortSignal): CallOptions {
    return { signal, owner: this };
  }
}

/** Behind what was not shown. */
function passedOver(from: JobPosition, { offset }: { readonly offset: number }): JobPosition {
  return { offset: Math.max(from.offset, offset), context: '', ambiguousBytes: 0 };
}

const START: JobPosition = { offset: 0, context: '', ambiguousBytes: 0 };
