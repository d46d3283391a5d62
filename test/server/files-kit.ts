// File routes in a real server, over a fake shellctl: what the tests of the routes share.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { createLayerRegistry } from '../../src/compositor/registry.ts';
import { locateSandbox } from '../../src/layers/sandbox-locator.ts';
import { shellLayer } from '../../src/layers/shell.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import type { FileRoutesDeps } from '../../src/server/routes/files.ts';
import { createBackgroundWork } from '../../src/workspaces/background.ts';
import { createWorkspaceFiles } from '../../src/workspaces/files.ts';
import { createWorkspaceLocks, type WorkspaceLocks } from '../../src/workspaces/locks.ts';
import type { StubEnvironmentRequest } from '../../src/workspaces/ports.ts';
import { type FakeShellctl, startFakeShellctl } from '../fakes/shellctl.ts';
import { layerTypes } from '../layers/fixtures.ts';
import { clientFor } from '../peers/shellctl/kit.ts';
import { pythonPath } from '../workspaces/python.ts';
import { type Overrides, startServer, type TestServer } from './support.ts';

/** The session of `locatorOf`. */
export const SESSION = '3f9a0c4';

/** An environment that was issued for a job. */
export interface Issued extends StubEnvironmentRequest {
  revoked: boolean;
}

export interface FilesWorld {
  readonly fake: FakeShellctl;
  readonly server: TestServer;
  readonly locks: WorkspaceLocks;
  /** The workspace's directory. */
  readonly root: string;
  readonly issued: readonly Issued[];
  /** Gives jobs a `dify-agent` that is this shell script. */
  tool(script: string): void;
  /** An empty workspace again. */
  reset(): void;
  /** JSON in, status and parsed JSON out. */
  post(path: string, body: unknown, init?: RequestInit): Promise<FileAnswer>;
  get(path: string): Promise<FileAnswer>;
  /** Waits for jobs that are cleaned up behind an answer. */
  settle(): Promise<void>;
  stop(): Promise<void>;
}

export interface FileAnswer {
  readonly status: number;
  readonly json: unknown;
  readonly type: string | null;
}

/** Starts both. `stub` false: jobs have no way to the Agent Stub. */
export async function startFilesWorld(
  options: { readonly stub?: boolean; readonly token?: string; readonly overrides?: Overrides } = {},
): Promise<FilesWorld> {
  const tools = mkdtempSync(join(tmpdir(), 'files-kit-'));
  const fake = startFakeShellctl({ env: { PATH: `${tools}:${pythonPath()}` } });
  const client = clientFor({ url: fake.url, token: options.token ?? fake.token });
  const background = createBackgroundWork();
  const locks = createWorkspaceLocks();
  const issued: Issued[] = [];
  const stub: FileRoutesDeps['stub'] =
    options.stub === false
      ? null
      : {
          async issue(request) {
            const one = { ...request, revoked: false };
            issued.push(one);
            return {
              env: { DIFY_AGENT_STUB_AUTH_JWE: `token-${issued.length}` },
              secrets: [],
              revoke() {
                one.revoked = true;
              },
            };
          },
        };
  const shell = shellLayer({
    client,
    locks,
    stub: null,
    background: background.track,
    clock: systemClock(),
    logger: noopLogger,
    bootstrapTimeoutSeconds: 30,
    redactPatterns: [],
    newerResults: false,
  });
  const registry = createLayerRegistry([...layerTypes().filter(({ typeId }) => typeId !== 'dify.shell'), shell]);
  const server = await startServer({
    ...options.overrides,
    files: {
      files: createWorkspaceFiles(client, background.track),
      stub,
      locate: (locator) => locateSandbox(locator, registry),
    },
  });
  const root = join(fake.home, 'workspace', SESSION);
  mkdirSync(root, { recursive: true });
  const answerOf = async (response: Response): Promise<FileAnswer> => {
    const text = await response.text();
    const { headers, status } = response;
    return { status, type: headers.get('content-type'), json: text.startsWith('{') ? JSON.parse(text) : text };
  };
  return {
    fake,
    server,
    locks,
    root,
    issued,
    tool(script) {
      writeFileSync(join(tools, 'dify-agent'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    },
    reset() {
      fake.fault(null);
      fake.setToken(fake.token);
      fake.forgetRequests();
      issued.length = 0;
      rmSync(root, { recursive: true, force: true });
      mkdirSync(root, { recursive: true });
    },
    async post(path, body, init = {}) {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      const headers = { 'content-type': 'application/json' };
      return answerOf(await fetch(`${server.url}${path}`, { method: 'POST', headers, body: text, ...init }));
    },
    get: async (path) => answerOf(await fetch(`${server.url}${path}`)),
    settle: () => background.settle(10_000),
    async stop() {
      await server.stop();
      await background.settle(1_000);
      client.close();
      fake.stop();
      rmSync(tools, { recursive: true, force: true });
    },
  };
}

/** The members of an execution context that uploads need. */
const CONTEXT = { tenant_id: 't-1', user_id: 'u-1', agent_mode: 'workflow_run', invoke_from: 'service-api' };

/** The locator of spec 04 §3.2. */
export function locatorOf(changes: { readonly sessionId?: string; readonly config?: object } = {}) {
  const { sessionId = SESSION, config = {} } = changes;
  const state = { session_id: sessionId, workspace_cwd: `~/workspace/${sessionId}`, job_ids: [], job_offsets: {} };
  return {
    composition: {
      schema_version: 1,
      layers: [
        { name: 'execution_context', type: 'dify.execution_context', deps: {}, metadata: {}, config: CONTEXT },
        { name: 'shell', type: 'dify.shell', deps: { execution_context: 'execution_context' }, metadata: {}, config },
      ],
    },
    session_snapshot: {
      schema_version: 1,
      layers: [
        { name: 'execution_context', lifecycle_state: 'suspended', runtime_state: {} },
        { name: 'shell', lifecycle_state: 'suspended', runtime_state: state },
      ],
    },
  };
}
