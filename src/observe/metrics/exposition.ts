// /metrics as Prometheus reads it. prom-client words it (escaping, HELP and TYPE, the media type); the values stay in their
// plain fields until then. The library is loaded at the first scrape: it takes longer to import than the server to start.

import { METRICS, type Metric, type View } from './catalogue.ts';
import type { LoopDelay } from './event-loop.ts';
import type { Meter } from './meter.ts';
import type { Sources } from './sources.ts';
import type { Distribution } from './tables.ts';

/** The answer to a scrape. */
export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

/** What /metrics shows. */
export interface Metrics {
  expose(): Promise<Exposition>;
}

/** Metrics of this meter and these sources. The caller stops `loop`. */
export function createMetrics(meter: Meter, sources: Sources, loop: LoopDelay): Metrics {
  /** What the metrics read: set anew for each scrape, and read in the same turn of the event loop. */
  let view: View | null = null;
  let loaded: ReturnType<typeof load> | null = null;

  async function load() {
    const { Registry } = await import('prom-client');
    const registry = new Registry();
    for (const metric of METRICS) {
      const own = {
        name: metric.name,
        get: async () => ({
          name: metric.name,
          help: metric.help,
          type: metric.type,
          aggregator: 'sum',
          values: view === null ? [] : valuesOf(metric, view),
        }),
      };
      // All that the registry asks of a metric is its name and `get`; its type wants one of the library's own classes.
      registry.registerMetric(own as unknown as Parameters<typeof registry.registerMetric>[0]);
    }
    return registry;
  }

  return {
    async expose() {
      loaded ??= load();
      const registry = await loaded;
      view = look(meter, sources, loop);
      return { contentType: registry.contentType, body: await registry.metrics() };
    },
  };
}

function look(meter: Meter, sources: Sources, loop: LoopDelay): View {
  const [memory, cpu] = [process.memoryUsage(), process.cpuUsage()];
  return { meter, sources, loop, streams: sources.streams(), slots: sources.slots(), memory, cpu };
}

interface Value {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Other than the metric's own, for the parts of a histogram. */
  readonly metricName?: string;
}

function valuesOf({ name, labels: names, read }: Metric, view: View): readonly Value[] {
  return read(view).flatMap(({ labels: given, value }) => {
    const labels = Object.fromEntries(names.map((label, i) => [label, given[i] ?? '']));
    return typeof value === 'number' ? [{ value, labels }] : partsOf(name, labels, value);
  });
}

/** Buckets cumulated, sum and count. */
function partsOf(
  name: string,
  labels: Value['labels'],
  { bounds, buckets, sum, count }: Distribution,
): readonly Value[] {
  let below = 0;
  const cumulated = bounds.map((bound, i) => {
    below += buckets[i] ?? 0;
    return { metricName: `${name}_bucket`, labels: { ...labels, le: String(bound) }, value: below };
  });
  return [
    ...cumulated,
    { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count },
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
