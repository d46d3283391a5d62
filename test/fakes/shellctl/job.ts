// One job of the fake shellctl: a real process, its log, and who waits for either. There is no terminal: stdin is a pipe, stdout
// and stderr are one other, typed text is not echoed, and Ctrl-C is a SIGINT to the process group.

import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export type Status = 'created' | 'starting' | 'running' | 'exited' | 'terminated' | 'failed' | 'lost';

/** What a job runs as. */
export interface JobStart {
  readonly id: string;
  readonly script: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Where the directories of jobs are. */
  readonly jobsDir: string;
  /** Bytes that are no UTF-8 become U+FFFD in the log; control sequences and CR go. */
  readonly sanitise: boolean;
}

/** A job. */
export interface Job {
  readonly id: string;
  readonly outputPath: string;
  /** Of the log; for reading. */
  readonly fd: number;
  readonly status: Status;
  readonly done: boolean;
  readonly exitCode: number | null;
  /** Bytes of the log. */
  readonly size: number;
  /** When the log grew last, `performance.now()`. */
  readonly grownAt: number;
  readonly createdAt: number;
  readonly endedAt: number | null;
  /** Resolves with the next change of the status or the log, or after `ms`, or when the signal aborts. */
  changed(ms: number, signal: AbortSignal): Promise<void>;
  type(text: string): void;
  /** Sends Ctrl-C; the job counts as terminated from now on. */
  interrupt(exitCode: number | null): void;
  kill(): void;
  /** Kills it, and removes its directory. */
  destroy(): void;
}

/** What a background process of the script may hold the log open for, after the script is over. */
const DRAIN_MS = 100;
const DONE = new Set<Status>(['exited', 'terminated', 'failed', 'lost']);
const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/** Writes the script and runs it. */
export function startJob(start: JobStart): Job {
  const dir = join(start.jobsDir, start.id);
  mkdirSync(dir, { recursive: true });
  const scriptPath = join(dir, 'script');
  writeFileSync(scriptPath, start.script);
  const outputPath = join(dir, 'output.log');
  const fd = openSync(outputPath, 'w+');
  const createdAt = Date.now();
  let status: Status = 'running';
  let exitCode: number | null = null;
  let size = 0;
  let grownAt = performance.now();
  let endedAt: number | null = null;
  let closed = false;
  const watchers = new Set<() => void>();

  const notify = (): void => {
    for (const wake of [...watchers]) wake();
  };
  const append = (bytes: Uint8Array): void => {
    if (closed || bytes.length === 0) return;
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, size + at);
    size += bytes.length;
    grownAt = performance.now();
    notify();
  };
  const end = (final: Status, code: number | null): void => {
    if (!DONE.has(status)) status = final;
    exitCode ??= status === 'exited' ? code : null;
    endedAt ??= Date.now();
    notify();
  };

  const child = launch(start, scriptPath);
  const clean = start.sanitise ? createSanitiser() : (bytes: Uint8Array) => bytes;
  child.stdout?.on('data', (bytes: Uint8Array) => append(clean(bytes)));
  child.stdin?.on('error', () => {});
  child.on('error', () => end('failed', null));
  child.on('exit', (code, signal) => {
    const recorded = code ?? 128 + (SIGNALS[signal ?? ''] ?? 0);
    // A terminal that closes hangs up on what the script left behind.
    signalGroup(child, 'SIGHUP');
    const drained = (): void => {
      clearTimeout(timer);
      child.stdout?.destroy();
      end('exited', recorded);
    };
    const timer = setTimeout(drained, DRAIN_MS);
    if (child.stdout?.readableEnded === true) drained();
    else child.stdout?.once('end', drained);
  });

  return {
    id: start.id,
    outputPath,
    fd,
    createdAt,
    get status() {
      return status;
    },
    get done() {
      return DONE.has(status);
    },
    get exitCode() {
      return exitCode;
    },
    get size() {
      return size;
    },
    get grownAt() {
      return grownAt;
    },
    get endedAt() {
      return endedAt;
    },
    async changed(ms, signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, ms);
      watchers.add(resolve);
      const onAbort = (): void => resolve();
      signal.addEventListener('abort', onAbort, { once: true });
      await promise;
      signal.removeEventListener('abort', onAbort);
      watchers.delete(resolve);
      clearTimeout(timer);
    },
    type: (text) => void child.stdin?.write(text),
    interrupt(code) {
      end('terminated', null);
      exitCode = code;
      signalGroup(child, 'SIGINT');
    },
    kill: () => signalGroup(child, 'SIGKILL'),
    destroy() {
      signalGroup(child, 'SIGKILL');
      child.stdout?.destroy();
      if (!closed) closeSync(fd);
      closed = true;
      end('lost', null);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A group of its own, so that all of it can be signalled; stderr goes where stdout goes. */
function launch(start: JobStart, scriptPath: string): ChildProcess {
  const direct = start.script.startsWith('#!');
  if (direct) chmodSync(scriptPath, 0o755);
  const words = direct ? [scriptPath] : ['sh', scriptPath];
  return spawn('/bin/sh', ['-c', 'exec "$@" 2>&1', 'sh', ...words], {
    cwd: start.cwd,
    env: start.env,
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Nobody of the group is left.
  }
}

// Sequences that are cut by two reads stay: the real filter knows them, tests need not.
const CONTROL_SEQUENCES = /\x1b\[[0-?]*[ -/]*[@-~]|\r/g;

function createSanitiser(): (bytes: Uint8Array) => Uint8Array {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  return (bytes) => encoder.encode(decoder.decode(bytes, { stream: true }).replace(CONTROL_SEQUENCES, ''));
}
