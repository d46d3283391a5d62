// Sources that say what a test wants, and an exposition as numbers.

import { measureLoopDelay } from '../../../src/observe/metrics/event-loop.ts';
import { createMetrics } from '../../../src/observe/metrics/exposition.ts';
import type { Meter } from '../../../src/observe/metrics/meter.ts';
import type { Sources } from '../../../src/observe/metrics/sources.ts';
import type { RunEnd, RunFacts } from '../../../src/observe/probe.ts';

export function sources(changes: Partial<Sources> = {}): Sources {
  return {
    identity: {
      version: '1.2.3',
      store: 'sqlite',
      storeDescription: 'sqlite:/x.db',
      wire: '2026-08',
      layerTypes: ['plain.prompt'],
      startedAt: performance.now(),
      startedAtMs: 1_780_388_130_204,
    },
    maxActiveRuns: 10,
    streams: () => ({ open: 2, opened: 7, eventsSent: 40, bytesSent: 4_000, behind: 1, maxBehind: 5, stuck: 0 }),
    slots: () => [{ peer: 'plugin_daemon', active: 3, waiting: 1, limit: 100 }],
    lease: null,
    stopping: () => false,
    ...changes,
  };
}

/** `/metrics` of this meter. */
export async function scrape(meter: Meter, from: Sources = sources()): Promise<string> {
  const loop = measureLoopDelay();
  try {
    return (await createMetrics(meter, from, loop).expose()).body;
  } finally {
    loop.stop();
  }
}

/** Lines with values: `name{labels}` → value. */
export function valuesOf(text: string): ReadonlyMap<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

export const facts = (changes: Partial<RunFacts> = {}): RunFacts => ({
  runId: crypto.randomUUID(),
  tenantId: 'tenant-1',
  layers: 2,
  ...changes,
});

export const ended = (outcome: RunEnd['outcome'], reason: string | null = null): RunEnd => ({
  ...{ outcome, reason, error: null, events: 0, eventChars: 0, inputTokens: 0, outputTokens: 0 },
});
