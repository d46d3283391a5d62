// What tracing is configured with, as config/ has read and checked it (the OTEL_* variables), and what an open one offers: types
// that everybody can name without the libraries.

import type { Logger } from '../logger.ts';
import type { Probe } from '../probe.ts';

/** Which traces are recorded (OTEL_TRACES_SAMPLER). `parentbased_…`: as a caller's `traceparent` says, where there is one. */
export type SamplerName =
  | 'always_on'
  | 'always_off'
  | 'traceidratio'
  | 'parentbased_always_on'
  | 'parentbased_always_off'
  | 'parentbased_traceidratio';

/** How finished spans wait and leave (OTEL_BSP_*). */
export interface BatchOptions {
  /** Until a batch that is not full leaves, ms. */
  readonly scheduleDelayMs: number;
  /** For one batch, retries included, ms. */
  readonly exportTimeoutMs: number;
  /** Spans that wait; more are dropped and counted. */
  readonly maxQueueSize: number;
  /** Spans in one request, at most maxQueueSize. */
  readonly maxExportBatchSize: number;
}

/** PEM files for the way to the collector; null: the system's authorities, no certificate of our own. */
export interface CollectorTls {
  readonly caFile: string | null;
  readonly certFile: string | null;
  readonly keyFile: string | null;
}

/** Tracing that is on. */
export interface TraceOptions {
  /** Where spans are posted, e.g. `http://collector:4318/v1/traces`. Without user info. */
  readonly url: string;
  /** Names of the headers of every post … */
  readonly headerNames: readonly string[];
  /** … and their values, in the same order. Secrets. */
  readonly headers: readonly string[];
  /** For one post, ms. */
  readonly timeoutMs: number;
  readonly compression: 'none' | 'gzip';
  readonly tls: CollectorTls;
  readonly serviceName: string;
  /** Attributes of the resource beside `service.name`, each a name and a text. */
  readonly resourceAttributes: readonly (readonly [string, string])[];
  readonly sampler: SamplerName;
  /** Share of traces for the two ratio samplers, 0 to 1. */
  readonly samplerRatio: number;
  readonly batch: BatchOptions;
  /** Whether W3C trace context is read from callers and told to peers. */
  readonly propagate: boolean;
  /** Whether prompts, answers and arguments are recorded. */
  readonly content: boolean;
}

/** What tracing needs of the process. */
export interface TraceDeps {
  readonly logger: Logger;
  /** Never shown, in recorded content either. */
  readonly secrets: readonly string[];
}

/** Tracing that is on. */
export interface Traces {
  readonly probe: Probe;
  /**
   * Sends what is waiting, at most for three seconds, and ends tracing; the probe may be told more and ignores it.
   * Never rejects.
   */
  close(): Promise<void>;
}
