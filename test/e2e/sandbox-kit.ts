// The whole chain of a sandbox: a server (the compiled binary), shellctl's fake with the same binary as `dify-agent` on the PATH of its
// jobs, the stub of the server, and the fake Dify API behind it. A forwarder gives the stub an address before the server has one.

import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeDifyApi, startFakeDifyApi } from '../fakes/dify-api.ts';
import { type FakeShellctl, startFakeShellctl } from '../fakes/shellctl.ts';
import { SECRET } from '../stub/kit.ts';
import { ensureBinary } from '../support/binary.ts';
import { type FinishedRun, runToEnd } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { pythonPath } from '../workspaces/python.ts';

export interface SandboxChain {
  readonly server: TestServer;
  readonly shellctl: FakeShellctl;
  readonly api: FakeDifyApi;
  /** What sandboxes are told. */
  readonly stubUrl: string;
  /** Lets the model run these scripts in one session, one `shell_run` each. */
  run(scripts: readonly string[], snapshot?: unknown): Promise<ShellRun>;
  stop(): Promise<void>;
}

/** A finished run, and what its jobs said. */
export interface ShellRun extends FinishedRun {
  readonly results: readonly JobResult[];
  /** What names its workspace in the file endpoints. */
  readonly locator: unknown;
  /** The workspace's directory. */
  readonly directory: string;
}

/** The result of a `shell_run`. */
export interface JobResult {
  readonly exit_code: number | null;
  readonly output: string;
  readonly done: boolean;
}

const CONTEXT = {
  tenant_id: 't-1',
  user_id: 'u-1',
  user_from: 'account',
  agent_mode: 'workflow_run',
  invoke_from: 'service-api',
};
const CONTEXT_LAYER = { name: 'execution_context', type: 'dify.execution_context', config: CONTEXT };
const SHELL_LAYER = { name: 'shell', type: 'dify.shell', deps: { execution_context: 'execution_context' } };

/** Starts everything. */
export async function startSandboxChain(transport: 'http' | 'grpc'): Promise<SandboxChain> {
  const tools = mkdtempSync(join(tmpdir(), 'sandbox-chain-'));
  symlinkSync(await ensureBinary(), join(tools, 'dify-agent'));
  const shellctl = startFakeShellctl({ env: { PATH: `${tools}:${pythonPath()}` } });
  const api = startFakeDifyApi();
  const forwarder = await startForwarder();
  const stubUrl =
    transport === 'grpc' ? `grpc://127.0.0.1:${forwarder.port}` : `http://127.0.0.1:${forwarder.port}/agent-stub`;
  const server = await startServer({
    env: {
      DIFY_AGENT_SHELLCTL_ENTRYPOINT: shellctl.url,
      DIFY_AGENT_SHELLCTL_AUTH_TOKEN: shellctl.token,
      DIFY_AGENT_SERVER_SECRET_KEY: SECRET,
      DIFY_AGENT_STUB_URL: stubUrl,
      DIFY_AGENT_DIFY_API_BASE_URL: api.url,
      DIFY_AGENT_DIFY_API_INNER_API_KEY: api.innerKey,
      ...(transport === 'grpc' ? { DIFY_AGENT_STUB_GRPC_BIND_ADDRESS: '127.0.0.1:0' } : {}),
    },
  });
  forwarder.target =
    transport === 'grpc' ? await until('the gRPC service to listen', () => grpcPort(server)) : server.port;
  return {
    server,
    shellctl,
    api,
    stubUrl,
    async run(scripts, snapshot) {
      const run = await runToEnd(server.url, bodyOf(scripts, snapshot));
      const { layers } = run.terminal.session_snapshot as Snapshot; // spec 02 §6
      const shell = layers.find(({ name }) => name === 'shell');
      return {
        ...run,
        results: resultsOf(run),
        locator: {
          composition: { schema_version: 1, layers: [CONTEXT_LAYER, SHELL_LAYER] },
          session_snapshot: {
            schema_version: 1,
            layers: layers.filter(({ name }) => name === 'shell' || name === CONTEXT_LAYER.name),
          },
        },
        directory: join(shellctl.home, 'workspace', String(shell?.runtime_state.session_id)),
      };
    },
    async stop() {
      await server.dispose();
      forwarder.stop();
      shellctl.stop();
      await api.stop();
      rmSync(tools, { recursive: true, force: true });
    },
  };
}

interface Snapshot {
  readonly layers: readonly { readonly name: string; readonly runtime_state: Readonly<Record<string, unknown>> }[];
}

function bodyOf(scripts: readonly string[], snapshot: unknown) {
  const turns = scripts.map((script, i) => ({
    items: [{ tool_call: { id: `c${i}`, name: 'shell_run', arguments: { script, timeout: 120 } } }],
  }));
  return {
    composition: {
      layers: [
        { name: 'prompt', type: 'plain.prompt', config: { prefix: 'You are terse.', user: 'Go.' } },
        CONTEXT_LAYER,
        SHELL_LAYER,
        { name: 'llm', type: 'test.scripted_llm', config: { turns: [...turns, { items: [{ text: 'done' }] }] } },
      ],
    },
    ...(snapshot === undefined ? {} : { session_snapshot: snapshot }),
  };
}

function resultsOf({ frames }: FinishedRun): readonly JobResult[] {
  return frames.flatMap(({ event, data }) => {
    if (event !== 'pydantic_ai_event') return [];
    const { data: payload } = JSON.parse(data) as { data: { event_kind: string; result?: { content: JobResult } } }; // spec 01 §5
    return payload.event_kind === 'function_tool_result' && payload.result !== undefined
      ? [payload.result.content]
      : [];
  });
}

function grpcPort(server: TestServer): number | undefined {
  for (const line of [...server.stderrLines, ...server.stdoutLines]) {
    if (!line.includes('agent stub listens for gRPC')) continue;
    const { port } = JSON.parse(line) as { readonly port?: number }; // our log, in JSON
    return port;
  }
  return undefined;
}

/** Passes connections on to a port that is known later. */
async function startForwarder() {
  const server = createServer((client) => {
    const upstream = createConnection({ host: '127.0.0.1', port: forwarder.target });
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    client.pipe(upstream);
    upstream.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const forwarder = { port: address.port, target: 0, stop: () => void server.close() };
  return forwarder;
}
