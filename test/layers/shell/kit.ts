// What the tests of `dify.shell` share: a fake shellctl with its real client, and runs of compositions with a shell layer.

import { systemClock } from '../../../src/base/clock.ts';
import type { JsonObject, JsonValue } from '../../../src/base/json.ts';
import { planRun } from '../../../src/compositor/plan.ts';
import { createLayerRegistry } from '../../../src/compositor/registry.ts';
import { type CompositorRun, prepareRun } from '../../../src/compositor/run.ts';
import { executionContextLayer } from '../../../src/layers/execution-context.ts';
import { type ShellDependencies, shellLayer } from '../../../src/layers/shell.ts';
import type { AgentLayer } from '../../../src/layers/types.ts';
import type { LogFields, Logger } from '../../../src/observe/logger.ts';
import { createShellctlClient } from '../../../src/peers/shellctl/client.ts';
import type { ExitIntent, LifecycleState, SessionSnapshot } from '../../../src/protocol/runs.ts';
import { type BackgroundWork, createBackgroundWork } from '../../../src/workspaces/background.ts';
import { createWorkspaceLocks } from '../../../src/workspaces/locks.ts';
import {
  type FakeShellctl,
  type FakeShellctlOptions,
  type RecordedRequest,
  startFakeShellctl,
} from '../../fakes/shellctl.ts';

/** A signal that nobody aborts. */
export const quiet = () => new AbortController().signal;

/** A server's side of shell layers. */
export interface ShellWorld {
  readonly fake: FakeShellctl;
  readonly deps: ShellDependencies;
  readonly background: BackgroundWork;
  /** What was logged. */
  readonly logged: readonly string[];
  /** Prepares a run of `execution_context` and `shell`. */
  prepare(options?: ShellRunOptions): CompositorRun<AgentLayer>;
  /** Runs a script to its end behind the layer's back, so that all of its output is there; resolves with the job's id. */
  finishedJob(script: string, env?: Readonly<Record<string, string>>): Promise<string>;
  /** Prepares and enters. */
  enter(options?: ShellRunOptions): Promise<ShellRun>;
  stop(): Promise<void>;
}

/** Which run. */
export interface ShellRunOptions {
  readonly config?: JsonValue;
  readonly snapshot?: SessionSnapshot | null;
  readonly signal?: AbortSignal;
  /** False: the shell layer depends on nothing. */
  readonly context?: boolean;
}

/** An entered run. */
export interface ShellRun {
  readonly run: CompositorRun<AgentLayer>;
  /** Calls a tool as the model would. */
  call(name: string, args: JsonObject, signal?: AbortSignal): Promise<JsonValue>;
  /** The same, for results that are objects. */
  ask(name: string, args: JsonObject): Promise<JsonObject>;
  exit(intent: ExitIntent): Promise<SessionSnapshot>;
  readonly state: JsonObject;
}

/** Starts a fake and builds what layers share. */
export function shellWorld(changes: Partial<ShellDependencies> = {}, options: FakeShellctlOptions = {}): ShellWorld {
  const fake = startFakeShellctl(options);
  const address = { entrypoint: fake.url, authToken: fake.token, maxConnections: 16 };
  const client = createShellctlClient(address, { userAgent: 'dify-agent/test' });
  const background = createBackgroundWork();
  const logged: string[] = [];
  const deps: ShellDependencies = {
    client,
    locks: createWorkspaceLocks(),
    stub: null,
    background: background.track,
    clock: systemClock(),
    logger: recordingLogger(logged),
    bootstrapTimeoutSeconds: 30,
    redactPatterns: [],
    newerResults: false,
    ...changes,
  };
  const registry = createLayerRegistry([executionContextLayer, shellLayer(deps)]);
  const prepare = ({ config = {}, snapshot = null, context = true }: ShellRunOptions = {}) => {
    const layers = [
      {
        name: 'where',
        type: 'dify.execution_context',
        config: { tenant_id: 't-1', user_id: 'u-9' },
        deps: {},
        metadata: {},
      },
      { name: 'shell', type: 'dify.shell', config, deps: context ? { execution_context: 'where' } : {}, metadata: {} },
    ];
    const plan = planRun({ schema_version: 1, layers }, { default: 'suspend', layers: {} }, registry);
    return prepareRun(plan, snapshot);
  };
  return {
    fake,
    deps,
    background,
    logged,
    prepare,
    async finishedJob(script, env = {}) {
      const job = { script, cwd: null, env, timeoutSeconds: 30, outputLimit: 1_048_576, idleFlushSeconds: 30 };
      const { done, job_id } = await client.run(job, { signal: quiet(), owner: 'test' });
      if (!done) throw new Error('the job is not over');
      return job_id;
    },
    async enter(runOptions = {}) {
      const run = prepare(runOptions);
      await run.enter(runOptions.signal ?? quiet());
      return entered(run);
    },
    async stop() {
      // What a fault keeps hanging ends with the fake.
      await background.settle(1000);
      fake.stop();
      await background.settle(10_000);
      client.close();
    },
  };
}

function entered(run: CompositorRun<AgentLayer>): ShellRun {
  const tools = new Map((run.get('shell').tools?.() ?? []).map((tool) => [tool.definition.name, tool]));
  const call = async (name: string, args: JsonObject, signal = quiet()): Promise<JsonValue> => {
    const tool = tools.get(name);
    if (tool === undefined) throw new Error(`no tool ${name}`);
    const valid = tool.validate(JSON.stringify(args));
    if (!valid.ok) throw new Error(JSON.stringify(valid.retry));
    return await tool.call(valid.value, signal);
  };
  return {
    run,
    call,
    ask: async (name, args) => (await call(name, args)) as JsonObject, // the seed's results are objects
    async exit(intent) {
      run.applyExitPolicy();
      run.setExitIntent('shell', intent);
      await run.exit();
      return run.snapshot();
    },
    get state() {
      return run.get('shell').state;
    },
  };
}

/** The snapshot of a suspended session with this state. */
export function snapshotOf(state: JsonObject, lifecycle: LifecycleState = 'suspended'): SessionSnapshot {
  return {
    schema_version: 1,
    layers: [
      { name: 'where', lifecycle_state: 'suspended', runtime_state: {} },
      { name: 'shell', lifecycle_state: lifecycle, runtime_state: state },
    ],
  };
}

/** The snapshot of a session that knows a job of which nothing was read. */
export function snapshotWithJob(jobId: string, sessionId = 'abcdef1'): SessionSnapshot {
  const workspace_cwd = `~/workspace/${sessionId}`;
  return snapshotOf({ session_id: sessionId, workspace_cwd, job_ids: [jobId], job_offsets: { [jobId]: 0 } });
}

/** The runtime state of the shell layer. */
export function stateIn(snapshot: SessionSnapshot): JsonObject {
  return snapshot.layers[1]?.runtime_state ?? {};
}

/** Bodies of the `run` requests that a fake got, scripts of ours and of the model. */
export function runsOf(fake: FakeShellctl): readonly RunBody[] {
  return fake.requests.filter(({ path }) => path === '/v1/jobs/run').map(({ body }) => body as RunBody); // what our client sends
}

/** Of a `run` request. */
export interface RunBody {
  readonly script: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeout: number;
  readonly output_limit: number;
}

/** `METHOD /path` of each request. */
export function linesOf(requests: readonly RecordedRequest[]): readonly string[] {
  return requests.map(({ method, path }) => `${method} ${path.replace(/\/jobs\/[^/]+-[^/]+/, '/jobs/ID')}`);
}

function recordingLogger(lines: string[]): Logger {
  const write = (message: string, fields?: LogFields): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { debug: write, info: write, warn: write, error: write, child: () => logger };
  return logger;
}
