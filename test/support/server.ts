// Starts the compiled binary as a user would: own process, own empty working directory, a clean environment.
// Readiness is the server's own word (its start log line and /readyz), never a guessed time.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBinary } from './binary.ts';
import { until, within } from './until.ts';

/** What the fake daemon expects in `X-Api-Key`. */
export const DAEMON_KEY = 'golden-daemon-key';

/** How a server is started. */
export interface ServerOptions {
  /** Added to, or with `undefined` taken from, the defaults below. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Default: the compiled binary, built when stale. */
  readonly binary?: string;
  /** Default: `['serve']`. */
  readonly args?: readonly string[];
  /** Default: a new empty directory that is removed at the end. */
  readonly cwd?: string;
  /** The log goes to a file in that directory: nobody has to read along what a load makes it say. Default: collected here. */
  readonly logsToFile?: boolean;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A started process whose output is being collected. */
export interface RunningProcess {
  readonly pid: number;
  readonly cwd: string;
  /** Lines so far. */
  readonly stdoutLines: readonly string[];
  readonly stderrLines: readonly string[];
  readonly exited: Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
  /** SIGKILL if needed, then removes the directory it made. For `finally` and `afterAll`. */
  dispose(): Promise<void>;
}

/** A server that answers. */
export interface TestServer extends RunningProcess {
  /** e.g. `http://127.0.0.1:41234`. */
  readonly url: string;
  readonly port: number;
  /** Sends the signal (default SIGTERM) and waits for the end, at most 20 s. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
}

/** The environment of every test server: nothing inherited but PATH; memory store; no daemon. */
export function defaultEnv(): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    DIFY_AGENT_PORT: '0',
    DIFY_AGENT_STORE_URL: 'sqlite::memory:',
    DIFY_AGENT_PLUGIN_DAEMON_URL: 'http://127.0.0.1:9',
    DIFY_AGENT_PLUGIN_DAEMON_API_KEY: DAEMON_KEY,
    DIFY_AGENT_LOG_FORMAT: 'json',
    DIFY_AGENT_ENABLE_SCRIPTED_MODEL: 'true',
  };
}

/** Starts the binary without waiting for anything. */
export async function startProcess(options: ServerOptions = {}): Promise<RunningProcess> {
  const binary = options.binary ?? (await ensureBinary());
  const made = options.cwd === undefined ? mkdtempSync(join(tmpdir(), 'dify-agent-test-')) : null;
  const cwd = options.cwd ?? made ?? '.';
  const env: Record<string, string> = defaultEnv();
  for (const [name, value] of Object.entries(options.env ?? {})) {
    if (value === undefined) delete env[name];
    else env[name] = value;
  }
  const logFile = options.logsToFile === true ? join(cwd, 'server.log') : null;
  const child = Bun.spawn([binary, ...(options.args ?? ['serve'])], {
    cwd,
    env,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: logFile === null ? 'pipe' : Bun.file(logFile),
  });
  const stdoutLines: string[] = [];
  const collected: string[] = [];
  const drained = Promise.all([
    collect(child.stdout, stdoutLines),
    child.stderr instanceof ReadableStream ? collect(child.stderr, collected) : null,
  ]);
  const exited = child.exited.then(async (): Promise<Exit> => {
    await drained;
    return { code: child.exitCode, signal: child.signalCode as NodeJS.Signals | null }; // Bun types it as a number too; it is a name
  });
  return {
    pid: child.pid,
    cwd,
    stdoutLines,
    get stderrLines() {
      return logFile === null ? collected : readFileSync(logFile, 'utf8').split('\n');
    },
    exited,
    kill: (signal) => child.kill(signal),
    async dispose() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await exited;
      if (made !== null) rmSync(made, { recursive: true, force: true });
    },
  };
}

/** Starts a server and waits until it is ready. A server that ends instead: an error with what it said. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const running = await startProcess(options);
  const said = () => [...running.stdoutLines, ...running.stderrLines].join('\n');
  try {
    const url = await Promise.race([
      until('the start log line', () => announcedUrl([...running.stderrLines, ...running.stdoutLines]), {
        timeoutMs: 20_000,
      }),
      running.exited.then((exit) => {
        throw new Error(`the server ended at once (${exit.code ?? exit.signal}):\n${said()}`);
      }),
    ]);
    await until('/readyz to be 200', async () => (await fetch(`${url}/readyz`, { proxy: false })).status === 200);
    return {
      ...running,
      // The spread would have read it once for all.
      get stderrLines() {
        return running.stderrLines;
      },
      url,
      port: Number(new URL(url).port),
      async stop(signal = 'SIGTERM') {
        running.kill(signal);
        return within(`the server to end after ${signal}`, running.exited, 20_000);
      },
    };
  } catch (error) {
    await running.dispose();
    throw new Error(`the server did not get ready:\n${said()}`, { cause: error });
  }
}

/** A server for the length of `use`. */
export async function withServer<T>(options: ServerOptions, use: (server: TestServer) => Promise<T>): Promise<T> {
  const server = await startServer(options);
  try {
    return await use(server);
  } finally {
    await server.dispose();
  }
}

/** A new directory for the length of `use`. */
export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'dify-agent-test-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The address in the start log: the first `http://host:port` whose line is about listening. */
function announcedUrl(lines: readonly string[]): string | undefined {
  for (const line of lines) {
    if (!/listening|started|serving|ready/i.test(line)) continue;
    const match = /http:\/\/(?:\[[0-9a-f:]+\]|[\w.-]+):(\d+)/.exec(line);
    if (match !== null && match[1] !== '0' && !line.includes('daemon_url')) return match[0];
  }
  return undefined;
}

async function collect(stream: ReadableStream<Uint8Array>, into: string[]): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    into.push(...lines);
  }
  if (rest !== '') into.push(rest);
}
