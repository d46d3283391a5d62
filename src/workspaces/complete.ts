// Runs a server-owned script to its end (spec 04 §2.8): windows until the job is done and read, within a time and a number of
// bytes. Whatever happens, the job is deleted afterwards and nobody keeps its id.

import {
  type CallOptions,
  type JobResult,
  type RunJob,
  type ShellctlClient,
  ShellctlError,
  type WaitOptions,
} from '../peers/shellctl/port.ts';
import { atMost, type Background } from './background.ts';
import { DEFAULT_GRACE_SECONDS, endJob, startJob } from './start.ts';
import { nextWindow } from './windows.ts';

/** How long and how much. */
export interface CompletionLimits {
  /** For everything: start, run, reading. Milliseconds. */
  readonly deadlineMs: number;
  /** UTF-8 bytes of output that are kept or handed on. */
  readonly maxBytes: number;
  /** What one answer may carry. Default DEFAULT_WINDOW_BYTES. */
  readonly windowBytes?: number;
  /** For a job that must be ended: between its Ctrl-C and its kill, seconds. Default 0.5. */
  readonly graceSeconds?: number;
  /** Learns of clean-ups that outlive the call. */
  readonly background?: Background;
}

/** Both servers give more at once (spec 04 §1.2); larger windows are hardly faster and cost memory. */
export const DEFAULT_WINDOW_BYTES = 128 * 1024;

/** Why output is missing: too much of it, the deadline, or a log that cannot be read on. */
export type IncompleteReason = 'output_limit' | 'timeout' | 'stalled';

/** How a job ended. */
export interface StreamedCompletion {
  /** shellctl's word when it was last asked: `exited`, `failed`, …; a live one when `complete` is false. */
  readonly status: string;
  /** Null when there is none (yet). */
  readonly exitCode: number | null;
  /** The job ended and all its output was read. */
  readonly complete: boolean;
  /** Null when complete. */
  readonly incompleteReason: IncompleteReason | null;
  /** UTF-8 bytes of output. */
  readonly bytes: number;
}

/** How a job ended, and what it printed. */
export interface Completion extends StreamedCompletion {
  readonly output: string;
}

/** A job without waiting options: those are ours. */
export type ScriptJob = Omit<RunJob, 'timeoutSeconds' | 'outputLimit' | 'idleFlushSeconds'>;

/** How long the call that starts the job waits, so that its id is known soon; further calls wait longer. */
const FIRST_WAIT_SECONDS = 1;
const WAIT_SECONDS = 30;
/** The least that a server takes for `run`. */
const MIN_WAIT_SECONDS = 0.05;
/** Pauses of the output are of no interest here: answers come when the job is done, the window is full, or the wait is over. */
const IDLE_FLUSH_SECONDS = 30;
/** How much later than the deadline an answer may come that was asked for before. */
const ANSWER_SLACK_MS = 2000;
/** How long an answer waits for the deletion of a job that is over. */
const DELETION_WAIT_MS = 250;
/** How long it waits for the end of a live one, beyond its grace: what follows may need the directory for itself. */
const KILL_WAIT_MS = 2000;
/** Bytes that cannot be read are stepped over so many times. */
const MAX_SKIPS = 64;
/** Before asking again when a server answers at once that there is nothing. */
const IDLE_ANSWER_MS = 50;

/**
 * Runs a script to its end and collects its output. Rejects with ShellctlError, or with the signal's reason at once; the job is
 * ended and deleted then too, behind the caller's back (`background`). A job that is incomplete has been ended, as a rule, when
 * the promise resolves.
 */
export async function runToCompletion(
  client: ShellctlClient,
  job: ScriptJob,
  limits: CompletionLimits,
  call: CallOptions,
): Promise<Completion> {
  const pieces: string[] = [];
  const streamed = await streamToCompletion(client, job, limits, (text) => void pieces.push(text), call);
  return { ...streamed, output: pieces.join('') };
}

/**
 * Like `runToCompletion`, but hands the output on window by window (never empty) and keeps none of it. The next window is asked
 * for when `onWindow` has resolved; what it throws ends the job and rejects.
 */
export async function streamToCompletion(
  client: ShellctlClient,
  job: ScriptJob,
  limits: CompletionLimits,
  onWindow: (text: string) => void | Promise<void>,
  call: CallOptions,
): Promise<StreamedCompletion> {
  const deadline = performance.now() + limits.deadlineMs;
  const graceSeconds = limits.graceSeconds ?? DEFAULT_GRACE_SECONDS;
  const background = limits.background ?? (() => {});
  const reader = createReader(limits.maxBytes, onWindow);
  const bounded = boundedCall(call, limits.deadlineMs + ANSWER_SLACK_MS);
  const waitOptions = (seconds: number): WaitOptions => ({
    timeoutSeconds: Math.min(seconds, Math.max(deadline - performance.now(), 0) / 1000),
    outputLimit: Math.max(1, Math.min(limits.windowBytes ?? DEFAULT_WINDOW_BYTES, reader.room + 1)),
    idleFlushSeconds: IDLE_FLUSH_SECONDS,
  });
  let window: JobResult | null = null;
  const cleanUp = (): Promise<void> => {
    const work = window === null ? Promise.resolve() : endJob(client, window, { owner: call.owner, graceSeconds });
    background(work);
    return work;
  };
  try {
    const options = waitOptions(FIRST_WAIT_SECONDS);
    const timeoutSeconds = Math.max(options.timeoutSeconds, MIN_WAIT_SECONDS);
    window = await startJob(client, { ...job, ...options, timeoutSeconds }, bounded.call, background);
    let state = await reader.take(window);
    while (state === 'more' && performance.now() < deadline) {
      const asked: ReaderPosition = { offset: reader.offset, at: performance.now() };
      const options = { ...waitOptions(window.truncated ? 0 : WAIT_SECONDS), offset: reader.offset };
      window = await client.wait(window.job_id, options, bounded.call);
      state = await reader.take(window);
      if (state === 'more' && isRushed(asked, reader.offset)) await pause(IDLE_ANSWER_MS, bounded.call.signal);
    }
    // Not in the background alone: what follows may need the directory, or count on the job being gone.
    await atMost(window.done ? DELETION_WAIT_MS : graceSeconds * 1000 + KILL_WAIT_MS, cleanUp());
    const incompleteReason = state === 'done' ? null : state === 'more' ? 'timeout' : state;
    return {
      status: window.status,
      exitCode: window.exit_code,
      complete: incompleteReason === null,
      incompleteReason,
      bytes: reader.bytes,
    };
  } catch (error) {
    void cleanUp();
    throw error;
  } finally {
    bounded.end();
  }
}

interface ReaderPosition {
  readonly offset: number;
  /** `performance.now()` */
  readonly at: number;
}

/** A server that does not wait although it has nothing must not be asked in a circle. */
function isRushed(asked: ReaderPosition, offset: number): boolean {
  return offset === asked.offset && performance.now() - asked.at < IDLE_ANSWER_MS;
}

/** Takes windows in order: hands their text on, counts it, and knows where to go on. */
function createReader(maxBytes: number, onWindow: (text: string) => void | Promise<void>) {
  let offset = 0;
  let bytes = 0;
  let skips = 0;

  /** False: it did not fit. */
  const handOn = async (text: string): Promise<boolean> => {
    const size = Buffer.byteLength(text);
    const fits = bytes + size <= maxBytes;
    const taken = fits ? text : firstBytes(text, maxBytes - bytes);
    bytes += fits ? size : Buffer.byteLength(taken);
    if (taken !== '') await onWindow(taken);
    return fits;
  };

  return {
    get offset() {
      return offset;
    },
    get bytes() {
      return bytes;
    },
    /** Bytes that may still come. */
    get room() {
      return maxBytes - bytes;
    },
    async take(window: JobResult): Promise<'more' | 'done' | IncompleteReason> {
      if (!(await handOn(window.output))) return 'output_limit';
      const next = nextWindow(offset, window);
      offset = next.offset;
      if (next.skipped) {
        skips += 1;
        if (skips > MAX_SKIPS) return 'stalled';
        if (!(await handOn('\ufffd'))) return 'output_limit';
      }
      return window.done && !window.truncated ? 'done' : 'more';
    },
  };
}

/** The longest beginning that takes at most so many UTF-8 bytes. */
function firstBytes(text: string, limit: number): string {
  const bytes = Buffer.from(text);
  let end = limit;
  // Back over continuation bytes, to the beginning of the character that does not fit.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

/** The call with a limit of its own; `end` lets go of the timer and the signal. */
function boundedCall(call: CallOptions, limitMs: number): { readonly call: CallOptions; end(): void } {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(call.signal.reason);
  const timer = setTimeout(
    () => controller.abort(new ShellctlError('timeout', null, 'shellctl did not answer in time')),
    Math.min(limitMs, 2 ** 31 - 1),
  );
  if (call.signal.aborted) onAbort();
  call.signal.addEventListener('abort', onAbort, { once: true });
  return {
    call: { signal: controller.signal, owner: call.owner },
    end() {
      clearTimeout(timer);
      call.signal.removeEventListener('abort', onAbort);
    },
  };
}

/** Rejects with the signal's reason. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => reject(signal.reason);
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}
