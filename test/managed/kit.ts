// Managed sessions over a real in-memory store and the real scheduler, with runs whose behaviour a test writes down, and a layer type
// that holds something: `held` in the world says what is there.

import { newRunId } from '../../src/base/ids.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { createLayerRegistry, type LayerRegistry } from '../../src/compositor/registry.ts';
import type { AgentLayer } from '../../src/layers/types.ts';
import { createHoldings } from '../../src/managed/holdings.ts';
import type { SessionRows } from '../../src/managed/ports.ts';
import { createManagedSessions, type ManagedSessions, type ManagedSessionsDeps } from '../../src/managed/sessions.ts';
import type { SessionSubmission } from '../../src/managed/submit.ts';
import { withTurns } from '../../src/managed/turn.ts';
import type { TerminalEvent } from '../../src/protocol/events.ts';
import type { CreateRunRequest, LayerSessionSnapshot, RunStatus, SessionSnapshot } from '../../src/protocol/runs.ts';
import { createWire } from '../../src/protocol/wire.ts';
import { abortCause, CancelledError, cancelledEvent, shutdownEvent } from '../../src/runs/aborts.ts';
import { createEnder } from '../../src/runs/endings.ts';
import { createScheduler, type RunFunction, type Scheduler } from '../../src/runs/scheduler.ts';
import { createEventSink } from '../../src/runs/sink.ts';
import { createLive, type LiveStore } from '../../src/store/live.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { WorkspaceFileError, type WorkspaceFiles } from '../../src/workspaces/files.ts';
import { request } from '../runs/support.ts';
import { type Entry, recordingLogger } from '../server/support.ts';
import { drivenClock } from '../store/helpers.ts';
import { until } from '../support/until.ts';

/** What a run of a test does. */
export type Ending = (started: Started) => TerminalEvent;

/** A run that has begun. */
export interface Started {
  readonly runId: string;
  readonly request: CreateRunRequest;
  /** Ends it. Default: succeeds with the snapshot that it started with and one message more. */
  end(ending?: Ending): void;
}

export interface World {
  readonly sessions: ManagedSessions;
  readonly scheduler: Scheduler;
  readonly store: LiveStore;
  readonly rows: SessionRows;
  readonly clock: ReturnType<typeof drivenClock>;
  readonly log: readonly Entry[];
  /** Runs in the order in which they began. */
  readonly started: readonly Started[];
  /** What layers hold, by `session_id`. */
  readonly held: Set<string>;
  /** Runs end by themselves, unless `false`. */
  automatic: boolean;
  /** Clean-up runs delete nothing, and nobody can look. */
  peerIsAway: boolean;
  submit(key: string, more?: Partial<SessionSubmission>): ReturnType<ManagedSessions['submit']>;
  /** Submits and waits until the session has taken it in. */
  play(key: string, ending?: Ending, more?: Partial<SessionSubmission>): Promise<string>;
  /** The n-th run that began, from 0. */
  begun(n: number): Promise<Started>;
  statusOf(runId: string): Promise<RunStatus | undefined>;
  idle(key: string): Promise<void>;
  close(): Promise<void>;
}

export interface WorldOptions extends Partial<Omit<ManagedSessionsDeps, 'timings' | 'scheduler'>> {
  readonly lookMs?: number;
  readonly retryFirstMs?: number;
  readonly maxActiveRuns?: number;
  readonly shutdownGraceSeconds?: number;
  /** What the sessions see of their rows. */
  readonly wrap?: (rows: SessionRows) => SessionRows;
  /** Of a world that died: its store goes on. */
  readonly store?: {
    readonly live: LiveStore;
    readonly rows: SessionRows;
    readonly clock: ReturnType<typeof drivenClock>;
  };
}

export const wire = createWire('2026-08');

/** A snapshot: a history with these texts, and shells with these workspaces. */
export function snapshot(texts: readonly string[], shells: readonly string[] = []): SessionSnapshot {
  return {
    schema_version: 1,
    layers: [
      { name: 'history', lifecycle_state: 'suspended', runtime_state: { messages: [...texts] } },
      ...shells.map((id, i): LayerSessionSnapshot => shellLayer(`shell${i}`, id)),
    ],
  };
}

export function shellLayer(
  name: string,
  id: string,
  state: LayerSessionSnapshot['lifecycle_state'] = 'suspended',
): LayerSessionSnapshot {
  return { name, lifecycle_state: state, runtime_state: { session_id: id, workspace_cwd: `~/workspace/${id}` } };
}

export const succeeded =
  (given: SessionSnapshot): Ending =>
  () => ({ type: 'run_succeeded', snapshot: given, result: { output: 'x' }, usage: null });

export const asked =
  (given: SessionSnapshot, id: string): Ending =>
  () => ({
    type: 'run_succeeded',
    snapshot: given,
    result: { deferred_tool_call: { tool_call_id: id, tool_name: 'ask', args: { q: '?' }, metadata: {} } },
    usage: null,
  });

export const failed =
  (given: SessionSnapshot | null = null): Ending =>
  () => ({ type: 'run_failed', error: 'it broke', reason: null, errorType: null, snapshot: given, usage: null });

/** One message more than it started with. */
const oneMore: Ending = ({ request: { session_snapshot: before }, runId }) => {
  const texts = before?.layers[0]?.runtime_state.messages;
  return succeeded({
    schema_version: 1,
    layers: [
      {
        name: 'history',
        lifecycle_state: 'suspended',
        runtime_state: { messages: [...(Array.isArray(texts) ? texts : []), runId] },
      },
      ...(before?.layers.slice(1) ?? []),
    ],
  })({ runId } as Started); // looks at nothing of it
};

const registry: LayerRegistry<AgentLayer> = {
  ...createLayerRegistry<AgentLayer>([]),
  typeIds: ['dify.shell'],
  // Only what holdings.ts asks of a type.
  get: () => ({ recogniseState: (state: JsonObject) => typeof state.session_id === 'string' }) as never,
};

/** Texts of a history. */
export function textsOf(given: SessionSnapshot | null | undefined): unknown {
  return given?.layers[0]?.runtime_state.messages;
}

export function openWorld(options: WorldOptions = {}): World {
  const {
    lookMs = 20,
    retryFirstMs = 1,
    store: given,
    wrap = (all) => all,
    maxActiveRuns = 100,
    shutdownGraceSeconds = 0,
    ...more
  } = options;
  const clock = given?.clock ?? drivenClock();
  const log: Entry[] = [];
  const logger = recordingLogger(log);
  const opened = given === undefined ? openMemory(clock) : given;
  const { live: store } = opened;
  const rows = wrap(opened.rows);
  const started: Started[] = [];
  const held = new Set<string>();
  const ends = new Map<string, (ending: Ending | undefined) => void>();
  const endings: Ending[] = [];

  const run: RunFunction = async (runId, { request: asked }, signal) => {
    const sink = createEventSink({ store, wire, clock, runId });
    const finish = async (event: TerminalEvent): Promise<void> => void (await sink.finish(event));
    const cause = abortCause(signal);
    if (cause !== null) return finish(cause instanceof CancelledError ? cancelledEvent(cause.intent) : shutdownEvent);
    await sink.started();
    if (asked.metadata.agent_backend_lifecycle === 'session_cleanup') return finish(cleanUp(asked));
    const waits = Promise.withResolvers<Ending | undefined>();
    ends.set(runId, waits.resolve);
    const own: Started = { runId, request: asked, end: (ending) => waits.resolve(ending) };
    started.push(own);
    if (world.automatic) waits.resolve(endings.shift());
    signal.addEventListener('abort', () => {
      const why = abortCause(signal);
      waits.resolve(() => (why instanceof CancelledError ? cancelledEvent(why.intent) : shutdownEvent));
    });
    await finish(((await waits.promise) ?? oneMore)(own));
  };

  function cleanUp({ session_snapshot: given }: CreateRunRequest): TerminalEvent {
    const layers = (given?.layers ?? []).map((layer) => {
      if (!world.peerIsAway) held.delete(String(layer.runtime_state.session_id));
      return { ...layer, lifecycle_state: 'closed' as const };
    });
    return {
      type: 'run_succeeded',
      snapshot: { schema_version: 1, layers },
      result: { output: null },
      usage: null,
    };
  }

  const files = {
    async list(id: string) {
      if (world.peerIsAway) throw new Error('no connection');
      if (!held.has(id)) throw new WorkspaceFileError('workspace_not_found', 'gone');
      return { entries: [], truncated: false };
    },
  } as unknown as WorkspaceFiles; // nothing else is asked of it

  const sessions = createManagedSessions({
    rows,
    runs: store,
    scheduler: () => scheduler,
    holdings: createHoldings(registry, files),
    secrets: { current: null, previous: [] },
    clock,
    logger,
    ttlSeconds: 1_000,
    maxBytes: 100_000,
    runRetentionSeconds: 3_600,
    deduplicates: true,
    ...more,
    timings: { lookMs, retryFirstMs },
  });
  const ender = createEnder({ store, wire, clock, logger });
  const scheduler: Scheduler = createScheduler({
    store,
    wire,
    clock,
    logger,
    run: withTurns(run, ender),
    maxActiveRuns,
    idempotency: more.deduplicates === false ? 'off' : 'on',
    shutdownGraceSeconds,
  });
  sessions.start();

  const world: World = {
    sessions,
    scheduler,
    store,
    rows,
    clock,
    log,
    started,
    held,
    automatic: true,
    peerIsAway: false,
    submit: (key, extra) =>
      sessions.submit({
        key,
        request,
        snapshotPolicy: 'reject',
        conflict: 'enqueue',
        snapshot: 'reject',
        resume: false,
        ...extra,
      }),
    async play(key, ending, extra) {
      if (ending !== undefined) endings.push(ending);
      const { record } = await world.submit(key, extra);
      await until('the end of the run', async () => (await store.getRecord(record.run_id))?.status !== 'running');
      await world.idle(key);
      return record.run_id;
    },
    begun: (n) => until(`the start of run ${n}`, () => started[n]),
    statusOf: async (runId) => (await store.getRecord(runId))?.status,
    async idle(key) {
      await until('the session to be idle', async () => {
        const session = await sessions.describe(key, { snapshot: false });
        return session.active_run_id === null;
      });
    },
    async close() {
      for (const end of ends.values()) end(undefined);
      await scheduler.shutdown();
      await sessions.stop();
      await store.close();
    },
  };
  return world;
}

function openMemory(clock: ReturnType<typeof drivenClock>) {
  const sqlite = openSqliteStore({
    path: ':memory:',
    retentionSeconds: 3_600,
    clock,
    logger: recordingLogger([]),
  });
  return { live: createLive(sqlite), rows: sqlite.sessions };
}

/** A request with a snapshot, answers, or a key. */
export function requestWith(more: Partial<CreateRunRequest>): { readonly request: CreateRunRequest } {
  return { request: { ...request, ...more } };
}

/** A run that nobody executes, as a process that died leaves it. */
export async function deadRun(store: LiveStore): Promise<string> {
  const runId = newRunId();
  const time = '2026-06-02T08:15:30.204117Z';
  await store.create({ run_id: runId, status: 'running', created_at: time, updated_at: time, error: null });
  return runId;
}
