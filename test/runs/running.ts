// One run with the real runner and an in-memory store, seen as a client of a wire vintage sees it.

import { expect } from 'bun:test';
import type { JsonObject, JsonValue } from '../../src/base/json.ts';
import { createLayerRegistry } from '../../src/compositor/registry.ts';
import { createLayerTypes } from '../../src/layers/registry.ts';
import type { AgentLayerType } from '../../src/layers/types.ts';
import { createPluginModel } from '../../src/models/plugin-daemon.ts';
import type { LogFields, Logger } from '../../src/observe/logger.ts';
import type { PluginDaemonClient } from '../../src/peers/plugin-daemon/client.ts';
import { messageSchemas } from '../../src/protocol/messages.ts';
import type { CreateRunRequest } from '../../src/protocol/runs.ts';
import { createWire } from '../../src/protocol/wire.ts';
import { CancelledError } from '../../src/runs/aborts.ts';
import type { CancelIntent, RunStore } from '../../src/runs/ports.ts';
import { createRunner, type RunnerDeps } from '../../src/runs/runner.ts';
import type { SnapshotPolicy } from '../../src/runs/submission.ts';
import { until } from '../support/until.ts';
import { clock, memoryStore, now, reporterOf, request } from './support.ts';

export interface LayerSpec {
  readonly type: string;
  readonly config?: JsonValue;
  readonly deps?: Readonly<Record<string, string>>;
}

/** What a test says about a run. */
export interface Play {
  readonly layers: Readonly<Record<string, LayerSpec>>;
  readonly more?: Partial<CreateRunRequest>;
  readonly policy?: SnapshotPolicy;
  readonly vintage?: '2026-06' | '2026-08';
  readonly deps?: Partial<RunnerDeps>;
  /** Types beside the real ones. */
  readonly types?: readonly AgentLayerType[];
  readonly client?: PluginDaemonClient;
  readonly store?: RunStore;
  /** Cancelled before it starts. */
  readonly cancelled?: true;
}

/** How it went. */
export interface Played {
  readonly status: string | undefined;
  readonly error: string | null | undefined;
  readonly types: readonly string[];
  /** `data` of the stream events. */
  readonly stream: readonly JsonObject[];
  /** `data` of the last event. */
  readonly data: JsonObject;
  /** Everything that was stored and logged, as text. */
  readonly everything: string;
}

/** A run under way. */
export interface Running {
  readonly runId: string;
  readonly store: RunStore;
  readonly abort: AbortController;
  /** Resolves when so many events are stored. */
  stored(count: number): Promise<void>;
  /** Accepts a cancel, durably, and aborts the run as the scheduler does. */
  cancel(intent?: Partial<CancelIntent>): Promise<void>;
  readonly done: Promise<Played>;
}

const noClient: PluginDaemonClient = {
  apiKey: '',
  streamItems: () => {
    throw new Error('no daemon');
  },
  load: () => ({ active: 0, waiting: 0 }),
  close: () => {},
};

/** Starts a run. */
export async function start(play: Play): Promise<Running> {
  const { store = memoryStore(), client = noClient } = play;
  const abort = new AbortController();
  const layerTypes = [
    ...createLayerTypes({
      messages: messageSchemas({ now, toolCallId: () => 'pyd_ai_0' }),
      createPluginModel: (config, { tenant_id: tenantId, user_id: userId }) =>
        createPluginModel(client, config, { tenantId, userId }),
      pluginDaemon: client,
      scriptedModel: true,
    } as Parameters<typeof createLayerTypes>[0]), // other layers' dependencies are not used here
    ...(play.types ?? []),
  ];
  const log: string[] = [];
  const run = createRunner({
    store,
    wire: createWire(play.vintage ?? '2026-08'),
    clock,
    logger: textLogger(log),
    layerTypes,
    registry: createLayerRegistry(layerTypes),
    ...play.deps,
  });
  const runId = crypto.randomUUID();
  await store.create({ run_id: runId, status: 'running', created_at: now(), updated_at: now(), error: null });
  const composition = {
    schema_version: 1,
    layers: Object.entries(play.layers).map(([name, { type, config = null, deps = {} }]) => ({
      ...{ name, type, config, deps },
      metadata: {},
    })),
  };
  const submission = { request: { ...request, ...play.more, composition }, snapshotPolicy: play.policy ?? 'reject' };
  const cancel = async (more: Partial<CancelIntent> = {}) => {
    const intent = { reason: 'user_cancelled', message: null, requestedAt: now(), ...more };
    await store.requestCancel(runId, intent);
    abort.abort(new CancelledError(intent));
  };
  if (play.cancelled === true) await cancel();
  const done = run(runId, submission, abort.signal, reporterOf(runId, submission)).then(() => look(store, runId, log));
  return {
    runId,
    store,
    abort,
    async stored(count) {
      await until(`${count} events`, async () => (await store.readEvents(runId, '0-0', count)).length >= count);
    },
    cancel,
    done,
  };
}

/** Runs to the end. */
export async function play(options: Play): Promise<Played> {
  return (await start(options)).done;
}

async function look(store: RunStore, runId: string, log: readonly string[]): Promise<Played> {
  const record = await store.getRecord(runId);
  const stored = await store.readEvents(runId, '0-0', 100_000);
  const events: { type: string; data: JsonObject }[] = stored.map(({ payload }) => JSON.parse(payload));
  const types = events.map(({ type }) => type);
  const terminal = types.filter((type) => /^run_(succeeded|failed|cancelled)$/.test(type));
  if (record?.status !== 'running') expect(terminal).toEqual([`run_${record?.status}`]);
  if (terminal.length > 0) expect(types.slice(-1)).toEqual(terminal);
  return {
    status: record?.status,
    error: record?.error,
    types,
    stream: events.filter(({ type }) => type === 'pydantic_ai_event').map(({ data }) => data),
    data: events.at(-1)?.data ?? {},
    everything: [JSON.stringify(record), ...stored.map(({ payload }) => payload), ...log].join('\n'),
  };
}

function textLogger(log: string[]): Logger {
  const at = (level: string) => (message: string, fields?: LogFields) => {
    const texts = Object.entries(fields ?? {}).map(([key, value]) => `${key}=${shown(value)}`);
    log.push([level, message, ...texts].join(' '));
  };
  const logger: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
  };
  return logger;
}

function shown(value: unknown): string {
  return value instanceof Error ? `${value}: ${shown(value.cause)}` : String(value);
}
