// What the end-to-end tests of `dify.shell` share: the binary between a fake plugin daemon, which plays the model, and a fake
// shellctl, which runs what the model writes.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { chunk, type FakeDaemon, lastItem, type Reply, startFakeDaemon, toolCallItem } from '../fakes/plugin-daemon.ts';
import { type FakeShellctl, type FakeShellctlOptions, startFakeShellctl } from '../fakes/shellctl.ts';
import { createRun, type FinishedRun, finish, type RunBody } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

/** A server with its peers. */
export interface ShellServer {
  readonly daemon: FakeDaemon;
  readonly shellctl: FakeShellctl;
  readonly server: TestServer;
  /** The model makes these calls, one per turn, then answers `done`. */
  play(...turns: readonly Reply[]): void;
  /** Posts and follows. */
  run(options?: ShellBody): Promise<ShellRun>;
  start(options?: ShellBody): Promise<string>;
  follow(runId: string): Promise<ShellRun>;
  /** Names in `~/workspace`. */
  workspaces(): readonly string[];
  /** Waits until there is no more than that (default: nothing): finished jobs are deleted behind the answer's back. */
  isLeft(left?: { readonly workspaces: readonly string[]; readonly jobs: readonly string[] }): Promise<void>;
  stop(): Promise<void>;
}

/** A request. */
export interface ShellBody {
  readonly config?: unknown;
  /** Layers that come in addition. */
  readonly more?: readonly unknown[];
  readonly snapshot?: unknown;
  readonly onExit?: unknown;
  /** Which script of the daemon answers (`daemon.play(…, key)`). */
  readonly key?: string;
  /** False: without a model, so that the run only enters and exits. Default true. */
  readonly model?: boolean;
}

/** What a tool said: the seed's results are objects. */
export type ToolResult = Readonly<Record<string, unknown>>;

/** State of the shell layer in a snapshot. */
export interface ShellState {
  readonly session_id: string;
  readonly workspace_cwd: string;
  readonly job_ids: readonly string[];
  readonly job_offsets: Readonly<Record<string, number>>;
}

/** A finished run. */
export interface ShellRun extends FinishedRun {
  readonly error: string | undefined;
  /** Results of tools, in the order of their events. */
  readonly results: readonly ToolResult[];
  readonly snapshot: unknown;
  /** Of the terminal event's snapshot. @throws when it has none */
  readonly state: ShellState;
  /** Every event as it was sent. */
  readonly text: string;
}

/** The last turn of a model. */
export const DONE: Reply = ['done', lastItem()];

/** A turn that calls a tool; what is called with may be made when the turn comes. */
export function turn(name: string, args: object | (() => object)): Reply {
  const made = typeof args === 'function' ? (args as () => object) : () => args; // an object with a call signature is no argument
  const id = `call_${name}_${crypto.randomUUID().slice(0, 8)}`;
  return [
    {
      get data() {
        return chunk({
          tool_calls: [{ id, type: 'function', function: { name, arguments: JSON.stringify(made()) } }],
        });
      },
    },
    lastItem('tool_calls'),
  ];
}

/** The id of the job that the model read of last; for calls that are made when their turn comes. */
export function lastJob({ daemon }: Pick<ShellServer, 'daemon'>): string {
  const asked = daemon.llmRequests.at(-1)?.bodyText ?? '';
  const id = [...asked.matchAll(/job_id\\*":\s*\\*"([^"\\]+)/g)].at(-1)?.[1];
  if (id === undefined) throw new Error(`no job in ${asked}`);
  return id;
}

/** A turn that runs a script. */
export function runs(script: string, timeout = 30): Reply {
  return turn('shell_run', { script, timeout });
}

/** A turn that runs several scripts at once. */
export function runsAll(...scripts: readonly string[]): Reply {
  const calls = scripts.map((script, i) => toolCallItem(`c${i}`, 'shell_run', JSON.stringify({ script })));
  return [...calls, lastItem('tool_calls')];
}

/** Starts everything. */
export async function shellServer(
  options: { readonly env?: Readonly<Record<string, string | undefined>>; readonly fake?: FakeShellctlOptions } = {},
): Promise<ShellServer> {
  const daemon = await startFakeDaemon();
  const shellctl = startFakeShellctl(options.fake ?? {});
  const server = await startServer({
    env: {
      DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url,
      DIFY_AGENT_SHELLCTL_ENTRYPOINT: shellctl.url,
      DIFY_AGENT_SHELLCTL_AUTH_TOKEN: shellctl.token,
      ...options.env,
    },
  });
  const start = (body: ShellBody = {}) => createRun(server.url, shellBody(body));
  const follow = async (runId: string) => shellRun(await finish(server.url, runId));
  const workspaces = (): readonly string[] => {
    const folder = join(shellctl.home, 'workspace');
    return existsSync(folder) ? readdirSync(folder).sort() : [];
  };
  return {
    daemon,
    shellctl,
    server,
    play: (...turns) => daemon.play({ llm: [...turns, DONE] }),
    start,
    follow,
    run: async (body) => await follow(await start(body)),
    workspaces,
    async isLeft(left = { workspaces: [], jobs: [] }) {
      const wanted = JSON.stringify({ workspaces: left.workspaces, jobs: left.jobs });
      await until(wanted, () => JSON.stringify({ workspaces: workspaces(), jobs: shellctl.jobIds() }) === wanted);
    },
    async stop() {
      await server.dispose();
      shellctl.stop();
      await daemon.stop();
    },
  };
}

/** A server for the length of `use`. */
export async function withShellServer<T>(
  options: Parameters<typeof shellServer>[0],
  use: (world: ShellServer) => Promise<T>,
): Promise<T> {
  const world = await shellServer(options);
  try {
    return await use(world);
  } finally {
    await world.stop();
  }
}

/** A `POST /runs` body with a shell. */
export function shellBody(options: ShellBody = {}): RunBody {
  const { config = {}, more = [], snapshot, onExit, key = '', model = true } = options;
  const context = { execution_context: 'execution_context' };
  const llm = {
    ...{ plugin_id: 'langgenius/openai', model_provider: 'openai', model: 'gpt-4o-mini' },
    credentials: { openai_api_key: 'sk-golden', script_id: key },
  };
  return {
    composition: {
      layers: [
        { name: 'prompt', type: 'plain.prompt', config: { user: 'Work.' } },
        { name: 'execution_context', type: 'dify.execution_context', config: { tenant_id: 't-1', user_id: 'u-1' } },
        ...(model ? [{ name: 'llm', type: 'dify.plugin.llm', deps: context, config: llm }] : []),
        ...more,
        { name: 'shell', type: 'dify.shell', deps: context, config },
      ],
    },
    ...(snapshot === undefined ? {} : { session_snapshot: snapshot }),
    ...(onExit === undefined ? {} : { on_exit: onExit }),
  };
}

/** The snapshot of `shellBody` with this shell state; made up, or taken on. */
export function snapshotWith(state: unknown, options: { readonly model?: boolean } = {}): object {
  const suspended = (name: string, runtime_state: unknown) => ({ name, lifecycle_state: 'suspended', runtime_state });
  const names = ['prompt', 'execution_context', ...(options.model === false ? [] : ['llm'])];
  return { layers: [...names.map((name) => suspended(name, {})), suspended('shell', state)] };
}

interface Snapshot {
  readonly layers: readonly { readonly name: string; readonly runtime_state: unknown }[];
}

interface ToolEvent {
  readonly data: { readonly event_kind?: string; readonly result?: { readonly content: ToolResult } };
}

function shellRun(run: FinishedRun): ShellRun {
  const snapshot = run.terminal.session_snapshot as Snapshot | undefined; // spec 02 §6
  const results = run.frames.flatMap(({ event, data }) => {
    if (event !== 'pydantic_ai_event') return [];
    const { result } = (JSON.parse(data) as ToolEvent).data; // checked by the reader
    return result === undefined ? [] : [result.content];
  });
  return {
    ...run,
    results,
    snapshot,
    error: run.terminal.error as string | undefined, // run_failed has it (spec 01 §5)
    get state() {
      const layer = snapshot?.layers.find(({ name }) => name === 'shell');
      if (layer === undefined) throw new Error(`no shell in ${JSON.stringify(run.terminal)}`);
      return layer.runtime_state as ShellState; // spec 04 §2.3
    },
    text: run.frames.map(({ data }) => data).join('\n'),
  };
}
