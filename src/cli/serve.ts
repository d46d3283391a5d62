// `serve`: the life of a server process, from settings to exit code. Everything that serves is behind createApp.

import type { App, createApp } from '../app.ts';
import { CodedError, errorText } from '../base/errors.ts';
import { VERSION } from '../base/version.ts';
import { accessWarnings } from '../config/access.ts';
import { loadSettings } from '../config/load.ts';
import { configuredSecrets } from '../config/secrets.ts';
import type { Settings } from '../config/settings.ts';
import { stubWarnings } from '../config/stub.ts';
import type { Logger } from '../observe/logger.ts';
import { createRedactor, maskUrl } from '../observe/redact.ts';
import { descriptorSink } from '../observe/sink.ts';
import { createLogger } from '../observe/writer.ts';
import { environmentForFetches, restart } from './fetch-limit.ts';
import { EXIT, type Io } from './io.ts';
import { type Stops, watchStops } from './stops.ts';

/** After an accident nothing can be relied on, the orderly stop included: the process ends by then, ready or not. */
const ACCIDENT_STOP_MS = 10_000;

/** Where the application comes from; tests bring their own. */
export interface ServeParts {
  loadApp(): Promise<{ readonly createApp: typeof createApp }>;
  readonly accidentStopMs: number;
  /** Starts the process anew in another environment. */
  restart(env: Readonly<Record<string, string | undefined>>): void;
}

const REAL_PARTS: ServeParts = { loadApp: () => import('../app.ts'), accidentStopMs: ACCIDENT_STOP_MS, restart };

/** Runs the server until it is told to stop. Resolves with the exit code. */
export async function serve(io: Io, parts: ServeParts = REAL_PARTS): Promise<number> {
  const loaded = loadSettings(io.env, io.cwd);
  if (!loaded.ok) {
    for (const problem of loaded.problems) await io.complain(problem);
    return EXIT.failed;
  }
  const { settings } = loaded;
  const better = environmentForFetches(settings, io.env);
  if (better !== null) parts.restart(better);
  const redactor = createRedactor(configuredSecrets(settings));
  const sink = descriptorSink(2);
  const logger = createLogger({ level: settings.logLevel, format: settings.logFormat, redactor, sink });
  const stops = watchStops(io.events, logger);
  try {
    const app = (await parts.loadApp()).createApp(settings, { logger });
    const warnings = [...loaded.warnings, ...accessWarnings(settings), ...stubWarnings(settings)];
    if (!(await started(app, { settings, warnings }, stops, logger))) return stops.exitCode();
    return await stoppedAfterRequest(app, stops, logger, parts.accidentStopMs);
  } catch (error) {
    const text = error instanceof CodedError ? error.message : `cannot start: ${errorText(error)}`;
    await sink.flush();
    await io.complain(redactor.text(text));
    return EXIT.failed;
  } finally {
    await sink.flush();
  }
}

/** Starts the application. False: somebody insisted on the end before it was up; no run had been taken. */
async function started(
  app: App,
  { settings, warnings }: { readonly settings: Settings; readonly warnings: readonly string[] },
  stops: Stops,
  logger: Logger,
): Promise<boolean> {
  const starting = app.start();
  const insisted = aborted(stops.hurry);
  const first = await Promise.race([starting, insisted.promise]).finally(insisted.release);
  if (first === null) {
    // Its failure would arrive after the end.
    starting.catch(() => {});
    return false;
  }
  logger.info('listening', {
    version: VERSION,
    url: first.url,
    store: maskUrl(settings.storeUrl),
    plugin_daemon: maskUrl(settings.pluginDaemon.url),
    wire: settings.wireVintage,
    access: settings.access.apiToken === null ? 'anonymous' : 'token',
  });
  for (const warning of warnings) logger.warn(warning);
  if (settings.enableScriptedModel) {
    logger.warn('the scripted model is on: compositions may use test.scripted_llm', {
      variable: 'DIFY_AGENT_ENABLE_SCRIPTED_MODEL',
    });
  }
  return true;
}

/** Waits for the request to stop, stops, and says with which code the process ends. */
async function stoppedAfterRequest(app: App, stops: Stops, logger: Logger, accidentStopMs: number): Promise<number> {
  const reason = await stops.requested;
  const deadline = Promise.withResolvers<'late'>();
  let timer: Timer | undefined;
  const arm = (): void => {
    if (stops.exitCode() !== 0) timer ??= setTimeout(() => deadline.resolve('late'), accidentStopMs);
  };
  // An accident may also come while a signal is being obeyed; it always hurries.
  stops.hurry.addEventListener('abort', arm);
  arm();
  try {
    const outcome = await Promise.race([app.stop({ hurry: stops.hurry }), deadline.promise]);
    if (outcome === 'late') logger.error('stopping took too long, giving up', { after_ms: accidentStopMs });
    else logger.info('stopped', { cause: reason.cause });
    return stops.exitCode();
  } catch (error) {
    logger.error('stopping failed', { error });
    return EXIT.failed;
  } finally {
    clearTimeout(timer);
    stops.hurry.removeEventListener('abort', arm);
  }
}

function aborted(signal: AbortSignal): { readonly promise: Promise<null>; release(): void } {
  const { promise, resolve } = Promise.withResolvers<null>();
  const listener = (): void => resolve(null);
  signal.addEventListener('abort', listener);
  if (signal.aborted) listener();
  return { promise, release: () => signal.removeEventListener('abort', listener) };
}
