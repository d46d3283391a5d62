// Opens tracing for a process: the one thing of this folder that others call. The libraries are loaded here and only when
// tracing is on; who listens to whom (bothProbes) is decided by app.ts.

import type { TraceDeps, TraceOptions, Traces } from './options.ts';

export type { TraceDeps, Traces } from './options.ts';

/**
 * Starts tracing; null: it is off. The collector is not asked anything now, and need not be there.
 * Rejects with a CodedError `bad_setting` that names the variable when a file of the settings cannot be read.
 *
 * @example
 * const traces = await openTraces(settings.traces, { logger, secrets: configuredSecrets(settings) });
 */
export async function openTraces(options: TraceOptions | null, deps: TraceDeps): Promise<Traces | null> {
  if (options === null) return null;
  const { startTraces } = await import('./start.ts');
  return await startTraces(options, deps);
}
