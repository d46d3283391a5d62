// The server's eyes, put together: the probe that all rooms tell, and what /metrics and /internal/status make of it. app.ts
// hands the probe down and the two answers to the HTTP room.

import { measureLoopDelay } from './metrics/event-loop.ts';
import { createMetrics, type Exposition } from './metrics/exposition.ts';
import { createMeter } from './metrics/meter.ts';
import type { Sources } from './metrics/sources.ts';
import { bothProbes, type Probe } from './probe.ts';
import { type StatusReport, statusReport } from './status.ts';

/** What is shown. */
export interface Views {
  /** Absent: metrics are off. */
  readonly metrics?: () => Promise<Exposition>;
  readonly status: () => StatusReport;
}

export interface Sight {
  /** To be told by all rooms. */
  readonly probe: Probe;
  /** What is shown of it, together with what these sources say. */
  views(sources: Sources): Views;
  /** Stops measuring. */
  stop(): void;
}

/**
 * Begins to count. `metrics` false: only what the status tells. `traces`: another probe that is told everything.
 *
 * @example
 * const sight = createSight({ metrics: true, traces: null });
 * const store = await openStore(settings, { clock, logger, probe: sight.probe });
 */
export function createSight(options: { readonly metrics: boolean; readonly traces: Probe | null }): Sight {
  const meter = createMeter(options.metrics);
  const loop = options.metrics ? measureLoopDelay() : null;
  return {
    // The traces first: what they open encloses what is measured.
    probe: options.traces === null ? meter.probe : bothProbes(options.traces, meter.probe),
    views(sources) {
      const status = () => statusReport(meter, sources, loop);
      if (loop === null) return { status };
      const metrics = createMetrics(meter, sources, loop);
      return { status, metrics: () => metrics.expose() };
    },
    stop: () => loop?.stop(),
  };
}
