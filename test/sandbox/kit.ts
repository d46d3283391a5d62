// What the tests of the sandbox's commands share: a process of the imagination, a folder to work in, the real stub behind a socket.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SandboxIo } from '../../src/sandbox/io.ts';
import { runSandbox } from '../../src/sandbox/run.ts';
import { type FakeDifyApi, startFakeDifyApi } from '../fakes/dify-api.ts';
import { SECRET, startStub, type TestStub } from '../stub/kit.ts';

/** How a command ended. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What of the process a test replaces. */
export type IoChanges = Partial<Pick<SandboxIo, 'env' | 'cwd' | 'progress' | 'timing' | 'events'>> & {
  /** Standard input. */
  readonly input?: string;
};

/** Runs a command in this process. */
export async function runHere(changes: IoChanges, ...args: readonly string[]): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  const io: SandboxIo = {
    env: {},
    cwd: '/nowhere',
    progress: null,
    events: { on() {}, off() {} },
    async print(text) {
      stdout += text;
    },
    async complain(line) {
      stderr += `${line}\n`;
    },
    async readInput(maxBytes) {
      const { input = '' } = changes;
      if (Buffer.byteLength(input) > maxBytes) throw new Error(`standard input is larger than ${maxBytes} bytes`);
      return input;
    },
    ...changes,
  };
  return { code: await runSandbox(io, args), stdout, stderr };
}

/** A new directory under the system's. */
export function newFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'sandbox-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** A sandbox with a stub that it may ask. */
export interface SandboxWorld {
  readonly api: FakeDifyApi;
  readonly stub: TestStub;
  /** Where commands run; emptied by `reset`. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  run(...args: readonly string[]): Promise<Ran>;
  runWith(changes: IoChanges, ...args: readonly string[]): Promise<Ran>;
  reset(): void;
  stop(): Promise<void>;
}

/** Starts stub and Dify API. */
export async function startSandboxWorld(): Promise<SandboxWorld> {
  const api = startFakeDifyApi();
  const stub = startStub({
    SERVER_SECRET_KEY: SECRET,
    STUB_URL: 'https://agent.example.com/agent-stub',
    DIFY_API_BASE_URL: api.url,
    DIFY_API_INNER_API_KEY: api.innerKey,
    STUB_RATE_LIMIT: '0',
  });
  const parent = newFolder();
  const env = { DIFY_AGENT_STUB_URL: stub.url, DIFY_AGENT_STUB_AUTH_JWE: await stub.token() };
  let round = 0;
  const world = {
    api,
    stub,
    env,
    get cwd() {
      return join(parent.path, String(round));
    },
    run: (...args: readonly string[]) => runHere({ env, cwd: world.cwd }, ...args),
    runWith: (changes: IoChanges, ...args: readonly string[]) => runHere({ env, cwd: world.cwd, ...changes }, ...args),
    reset() {
      round += 1;
      Bun.spawnSync(['mkdir', '-p', world.cwd]);
      api.state.files.clear();
      api.state.drives.clear();
      api.state.configs.clear();
    },
    async stop() {
      await stub.stop();
      await api.stop();
      parent.remove();
    },
  };
  world.reset();
  return world;
}

/** A server on loopback for the length of a test file. */
export function serve(fetch: (request: Request) => Response | Promise<Response>): {
  readonly url: string;
  /** Headers of the requests so far. */
  readonly seen: readonly Headers[];
  stop(): Promise<void>;
} {
  const seen: Headers[] = [];
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    development: false,
    fetch(request) {
      seen.push(new Headers(request.headers));
      return fetch(request);
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, seen, stop: () => server.stop(true) };
}
