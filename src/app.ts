// The composition root: the only place that builds the rooms' objects and hands them to each other. Nothing here decides
// anything; start and stop read as the order in which things live and die.

import { rfc3339, systemClock } from './base/clock.ts';
import { errorText } from './base/errors.ts';
import { newToolCallId } from './base/ids.ts';
import { VERSION } from './base/version.ts';
import { createLayerRegistry } from './compositor/registry.ts';
import { configuredSecrets } from './config/secrets.ts';
import type { Settings } from './config/settings.ts';
import { stubAddresses } from './config/stub.ts';
import { createLayerTypes } from './layers/registry.ts';
import { locateSandbox } from './layers/sandbox-locator.ts';
import { serverRedactPatterns } from './layers/shell.ts';
import { createHoldings } from './managed/holdings.ts';
import { createManagedSessions } from './managed/sessions.ts';
import { withTurns } from './managed/turn.ts';
import { createPluginModel } from './models/plugin-daemon.ts';
import type { Logger } from './observe/logger.ts';
import type { SlotFigures } from './observe/metrics/sources.ts';
import type { Probe } from './observe/probe.ts';
import { createSight } from './observe/sight.ts';
import { openTraces } from './observe/traces/open.ts';
import { createPluginDaemonClient, type PluginDaemonClient } from './peers/plugin-daemon/client.ts';
import { createShellctlClient, type LoadedShellctlClient } from './peers/shellctl/client.ts';
import { messageSchemas } from './protocol/messages.ts';
import { createWire } from './protocol/wire.ts';
import { createEnder } from './runs/endings.ts';
import type { RunStore } from './runs/ports.ts';
import { createRecovery } from './runs/recovery.ts';
import { createRunner } from './runs/runner.ts';
import { createScheduler, type Scheduler } from './runs/scheduler.ts';
import type { HttpServer } from './server/ports.ts';
import { createServer } from './server/server.ts';
import { openStore } from './store/open.ts';
import { createStub, type Stub } from './stub/stub.ts';
import { createBackgroundWork } from './workspaces/background.ts';
import { createWorkspaceFiles } from './workspaces/files.ts';
import { createWorkspaceLocks } from './workspaces/locks.ts';

/** A server process without its process: tests, the demo and `serve` start the same one. */
export interface App {
  /** Opens the store, ends what dead processes left behind, listens. Rejects with a CodedError whose text names the variable. */
  start(): Promise<{ readonly url: string }>;
  /** Stops in order; `hurry` ends the wait for running runs. Resolves when everything is closed. */
  stop(options?: { readonly hurry?: AbortSignal }): Promise<void>;
}

/** How long a stop waits for workspaces that are being cleaned up, ms. */
const CLEANUP_MS = 10_000;

/** Builds the server from its settings. Nothing is opened before `start`. */
export function createApp(settings: Settings, deps: { readonly logger: Logger }): App {
  const { logger } = deps;
  let running: Running | null = null;
  return {
    async start() {
      running = await open(settings, logger);
      return { url: running.url };
    },
    async stop(options) {
      const stopping = running;
      running = null;
      await stopping?.stop(options?.hurry);
    },
  };
}

interface Running {
  readonly url: string;
  stop(hurry?: AbortSignal): Promise<void>;
}

/** Brings everything up, in order; what was opened is closed again, last first, when a later step fails. */
async function open(settings: Settings, logger: Logger): Promise<Running> {
  const closers: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  try {
    const clock = systemClock();
    const wire = createWire(settings.wireVintage);
    const userAgent = `dify-agent/${VERSION}`;
    const startedAt = { startedAt: performance.now(), startedAtMs: Date.now() };
    const traces = await openTraces(settings.traces, { logger, secrets: configuredSecrets(settings) });
    if (traces !== null) closers.push(() => traces.close());
    const sight = createSight({ metrics: settings.metricsEnabled, traces: traces?.probe ?? null });
    closers.push(() => sight.stop());
    const { probe } = sight;
    const store = await openStore(settings, { clock, logger, probe });
    closers.push(() => store.close());
    const recovery = createRecovery({ store, wire, clock, logger, probe });
    closers.push(() => recovery.stop());
    await recovery.start();

    const daemon = createPluginDaemonClient(settings.pluginDaemon, { userAgent, probe });
    closers.push(() => daemon.close());
    const stub = createStub(settings, { clock, logger, userAgent, probe });
    closers.push(() => stub.close());
    const sandbox = await openSandbox(settings, userAgent, probe);
    if (sandbox !== null) closers.push(() => sandbox.close());

    const layerTypes = createLayerTypes({
      messages: messageSchemas({ now: () => rfc3339(clock.nowMicros()), toolCallId: newToolCallId }),
      createPluginModel: (config, context) =>
        createPluginModel(daemon, config, { tenantId: context.tenant_id, userId: context.user_id, owner: context }),
      pluginDaemon: daemon,
      shell: sandbox && {
        client: sandbox.client,
        locks: createWorkspaceLocks(),
        stub: stub.environments,
        background: sandbox.background,
        clock,
        logger,
        bootstrapTimeoutSeconds: settings.shellctl.bootstrapTimeoutSeconds,
        redactPatterns: settings.shellctl.redactPatterns,
        newerResults: wire.newerKeys,
      },
      scriptedModel: settings.enableScriptedModel,
    });
    const registry = createLayerRegistry(layerTypes);
    const run = createRunner({
      store,
      wire,
      clock,
      logger,
      layerTypes,
      registry,
      runTimeoutSeconds: settings.runTimeoutSeconds,
      textDeltaCoalescing: settings.textDeltaCoalescing,
      configuredSecrets: configuredSecrets(settings),
      probe,
    });
    const { shutdownGraceSeconds, maxActiveRuns, idempotency, managedSessions } = settings;
    const files = sandbox && createWorkspaceFiles(sandbox.client, sandbox.background);
    const ender = createEnder({ store, wire, clock, logger });
    const sessions = createManagedSessions({
      rows: store.sessions,
      runs: store,
      scheduler: () => scheduler,
      holdings: createHoldings(registry, files),
      secrets: { current: settings.serverSecretKey, previous: settings.serverSecretKeysPrevious },
      clock,
      logger,
      ...managedSessions,
      runRetentionSeconds: settings.runRetentionSeconds,
      deduplicates: idempotency !== 'off',
    });
    closers.push(() => sessions.stop());
    const scheduler: Scheduler = createScheduler({
      store,
      wire,
      clock,
      logger,
      run: withTurns(run, ender),
      probe,
      shutdownGraceSeconds,
      maxActiveRuns,
      idempotency,
    });
    const views = sight.views({
      identity: {
        version: VERSION,
        store: store.lease === null ? 'sqlite' : 'redis',
        storeDescription: store.description,
        wire: settings.wireVintage,
        layerTypes: layerTypes.map(({ typeId }) => typeId),
        ...startedAt,
      },
      maxActiveRuns,
      streams: () => server.streams(),
      slots: () => slotsOf(settings, daemon, sandbox?.client ?? null, stub),
      lease: store.lease,
      stopping: () => scheduler.isStopping,
    });
    const server: HttpServer = createServer({
      settings,
      probe,
      ...views,
      runs: store,
      submitter: scheduler,
      ...(settings.runIndexEnabled === false ? {} : { lister: store.lister }),
      sessions,
      readiness: () => problemsOf(store),
      files: {
        files,
        stub: stub.environments,
        locate: (locator) => locateSandbox(locator, registry),
      },
      stub: stub.operations,
      logger,
      clock,
      version: VERSION,
    });
    const grpc = await openGrpc(settings, stub, { logger, probe });
    if (grpc !== null) closers.push(() => grpc.stop());
    const { url } = await server.start();
    sessions.start();
    return {
      url,
      async stop(hurry) {
        server.beginShutdown();
        hurry?.addEventListener('abort', () => ender.hurry(), { once: true });
        await scheduler.shutdown(hurry);
        ender.hurry();
        await server.stop();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** How busy the connections to the peers are. */
function slotsOf(
  { pluginDaemon, shellctl, difyApi }: Settings,
  daemon: Pick<PluginDaemonClient, 'load'>,
  shell: Pick<LoadedShellctlClient, 'load'> | null,
  stub: Pick<Stub, 'load'>,
): readonly SlotFigures[] {
  const slots: SlotFigures[] = [{ peer: 'plugin_daemon', ...daemon.load(), limit: pluginDaemon.maxConnections }];
  if (shell !== null) slots.push({ peer: 'shellctl', ...shell.load(), limit: shellctl.maxConnections });
  const ofApi = stub.load();
  if (ofApi !== null) slots.push({ peer: 'dify_api', ...ofApi, limit: difyApi.maxConnections });
  return slots;
}

/** The way to shellctl; null: none is configured. */
async function openSandbox({ shellctl }: Settings, userAgent: string, probe: Probe) {
  const { entrypoint, authToken, maxConnections, redactPatterns } = shellctl;
  if (entrypoint === null) return null;
  await serverRedactPatterns(redactPatterns);
  const client = createShellctlClient({ entrypoint, authToken, maxConnections }, { userAgent, probe });
  const work = createBackgroundWork();
  return {
    client,
    background: work.track,
    async close() {
      await work.settle(CLEANUP_MS);
      client.close();
    },
  };
}

/** The stub's gRPC service, where one of its URLs is `grpc://`. The library is loaded then only. */
async function openGrpc(
  settings: Settings,
  stub: Stub,
  { logger, probe }: { readonly logger: Logger; readonly probe: Probe },
) {
  const publicUrl = stubAddresses(settings.stub)?.grpcUrl ?? null;
  if (publicUrl === null) return null;
  const [{ createStubGrpcServer }, { bindAddress }] = await Promise.all([
    import('./stub/grpc/server.ts'),
    import('./stub/grpc/bind.ts'),
  ]);
  const { grpcTls, grpcBindAddress } = settings.stub;
  const { certFile, keyFile } = grpcTls;
  const grpc = createStubGrpcServer({
    operations: stub.operations,
    bind: bindAddress(publicUrl, grpcBindAddress),
    tls: certFile === null || keyFile === null ? null : { certFile, keyFile },
    logger,
    probe,
  });
  const port = await grpc.start();
  logger.info('agent stub listens for gRPC', { port, public_url: publicUrl });
  return grpc;
}

/** What `/readyz` reports: one line per thing that keeps this process from taking runs. */
async function problemsOf(store: RunStore): Promise<readonly string[]> {
  try {
    await store.ping();
    return [];
  } catch (error) {
    return [errorText(error)];
  }
}
