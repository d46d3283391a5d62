// The composition root: the only place that builds the rooms' objects and hands them to each other. Nothing here decides
// anything; start and stop read as the order in which things live and die.

import { rfc3339, systemClock } from './base/clock.ts';
import { errorText } from './base/errors.ts';
import { newToolCallId } from './base/ids.ts';
import { VERSION } from './base/version.ts';
import { createLayerRegistry } from './compositor/registry.ts';
import type { Settings } from './config/settings.ts';
import { createLayerTypes } from './layers/registry.ts';
import { createPluginModel } from './models/plugin-daemon.ts';
import type { Logger } from './observe/logger.ts';
import { createPluginDaemonClient } from './peers/plugin-daemon/client.ts';
import { messageSchemas } from './protocol/messages.ts';
import { createWire } from './protocol/wire.ts';
import type { RunStore } from './runs/ports.ts';
import { endOrphans } from './runs/recovery.ts';
import { createRunner } from './runs/runner.ts';
import { createScheduler } from './runs/scheduler.ts';
import { createServer } from './server/server.ts';
import { openStore } from './store/open.ts';

/** A server process without its process: tests, the demo and `serve` start the same one. */
export interface App {
  /** Opens the store, ends what a dead process left behind, listens. Rejects with a CodedError whose text names the variable. */
  start(): Promise<{ readonly url: string }>;
  /** Stops in order; `hurry` ends the wait for running runs. Resolves when everything is closed. */
  stop(options?: { readonly hurry?: AbortSignal }): Promise<void>;
}

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

/** Brings everything up, in order; what was opened is closed again when a later step fails. */
async function open(settings: Settings, logger: Logger): Promise<Running> {
  const clock = systemClock();
  const wire = createWire(settings.wireVintage);
  const daemon = createPluginDaemonClient(settings.pluginDaemon, { userAgent: `dify-agent/${VERSION}` });
  const store = await openStore(settings, { clock, logger });
  try {
    const orphans = await store.listRunning();
    await endOrphans(
      { store, wire, clock, logger },
      orphans.map(({ run_id }) => run_id),
    );
    const layerTypes = createLayerTypes({
      messages: messageSchemas({ now: () => rfc3339(clock.nowMicros()), toolCallId: newToolCallId }),
      createPluginModel: (config, context) =>
        createPluginModel(daemon, config, { tenantId: context.tenant_id, userId: context.user_id, owner: context }),
      pluginDaemon: daemon,
      scriptedModel: settings.enableScriptedModel,
    });
    const registry = createLayerRegistry(layerTypes);
    const scheduler = createScheduler({
      store,
      wire,
      clock,
      logger,
      run: createRunner({ store, wire, clock, logger, layerTypes, registry }),
      shutdownGraceSeconds: settings.shutdownGraceSeconds,
    });
    const server = createServer({
      settings,
      runs: store,
      submitter: scheduler,
      readiness: () => problemsOf(store),
      logger,
      clock,
      version: VERSION,
    });
    const { url } = await server.start();
    return {
      url,
      async stop(hurry) {
        server.beginShutdown();
        await scheduler.shutdown(hurry);
        await server.stop();
        daemon.close();
        await store.close();
      },
    };
  } catch (error) {
    daemon.close();
    await store.close();
    throw error;
  }
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
