// Between finished spans and the collector: OpenTelemetry's batching, with a count of what is lost, one post at a time (Bun
// has 256 requests for the whole process, and almost all are promised to the peers), log lines that do not repeat themselves,
// and an end in bounded time. A collector that is away costs the memory of one full queue and nothing else.

import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { errorText } from '../../base/errors.ts';
import type { Logger } from '../logger.ts';
import type { BatchOptions } from './options.ts';

/** A trouble that lasts is told this often, ms. */
const REPEAT_MS = 60_000;
/** What the exporter has beyond its own time-out before it counts as stuck (an answer that never ends), ms. */
const STUCK_MS = 1000;

export interface QueueOptions extends BatchOptions {
  /** The time-out of the exporter for one post, ms. */
  readonly postTimeoutMs: number;
  readonly logger: Logger;
}

export interface SpanQueue {
  /** For a tracer provider. */
  readonly processor: SpanProcessor;
  /** Sends what is waiting, for at most `timeoutMs`. Never rejects; calling it again does nothing. */
  close(timeoutMs: number): Promise<void>;
}

/** A queue in front of the exporter. */
export function createSpanQueue(exporter: SpanExporter, options: QueueOptions): SpanQueue {
  const { logger, postTimeoutMs, maxQueueSize } = options;
  const trouble = createTrouble(logger);
  /** Spans that the batching holds: what it was given, less what it has handed on. */
  let queued = 0;
  /** Spans handed on and not yet posted: more than the queue only when posts are slower than the batching gives up. */
  let handed = 0;
  let last: Promise<void> = Promise.resolve();
  let closed = false;

  async function postOne(spans: ReadableSpan[]): Promise<ExportResult> {
    const result = await resultOf(exporter, spans, postTimeoutMs + STUCK_MS);
    handed -= spans.length;
    if (result.code === ExportResultCode.SUCCESS) trouble.over();
    else trouble.failed(spans.length, result.error);
    return result;
  }

  const batching = new BatchSpanProcessor(
    {
      export(spans, done) {
        queued -= spans.length;
        if (handed >= maxQueueSize) {
          trouble.dropped(spans.length);
          done({ code: ExportResultCode.FAILED });
          return;
        }
        handed += spans.length;
        last = last.then(async () => done(await postOne(spans)));
      },
      async shutdown() {
        await last;
      },
    },
    {
      scheduledDelayMillis: options.scheduleDelayMs,
      exportTimeoutMillis: options.exportTimeoutMs,
      maxQueueSize,
      maxExportBatchSize: options.maxExportBatchSize,
    },
  );

  return {
    processor: {
      onStart: () => {},
      onEnd(span) {
        // The batching drops by the same rule, but tells nobody.
        if (closed || (span.spanContext().traceFlags & 1) === 0) return;
        if (queued >= maxQueueSize) {
          trouble.dropped(1);
          return;
        }
        queued++;
        batching.onEnd(span);
      },
      forceFlush: () => batching.forceFlush(),
      shutdown: () => batching.shutdown(),
    },
    async close(timeoutMs) {
      if (closed) return;
      closed = true;
      // It rejects with the first batch that fails, which is counted; the others are still on their way.
      const flushed = batching.shutdown().catch(() => {});
      if (
        !(await settles(
          flushed.then(() => last),
          timeoutMs,
        ))
      )
        trouble.dropped(queued + handed);
      trouble.end();
    },
  };
}

/** What became of a post, at the latest after `timeoutMs`. */
function resultOf(exporter: SpanExporter, spans: ReadableSpan[], timeoutMs: number): Promise<ExportResult> {
  return new Promise((resolve) => {
    const failed = (error: unknown): void =>
      resolve({ code: ExportResultCode.FAILED, error: error instanceof Error ? error : new Error(errorText(error)) });
    const timer = setTimeout(() => failed(new Error('the collector did not finish its answer')), timeoutMs);
    try {
      exporter.export(spans, (result) => {
        clearTimeout(timer);
        resolve(result);
      });
    } catch (error) {
      clearTimeout(timer);
      failed(error);
    }
  });
}

async function settles(work: Promise<void>, timeoutMs: number): Promise<boolean> {
  let timer: Timer | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  const outcome = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return outcome;
}

/** Says once that spans are lost, then at most every minute with how many, and once that it is over. */
function createTrouble(logger: Logger) {
  let lost = 0;
  let error: string | null = null;
  /** Said, and not yet said to be over. */
  let told = false;
  let toldAt = Number.NEGATIVE_INFINITY;
  let ended = false;

  function tell(): void {
    if (lost === 0) return;
    logger.warn('traces are lost', { spans: lost, error: error ?? 'more spans than the collector takes' });
    lost = 0;
    told = true;
    toldAt = performance.now();
  }

  function tellInTime(): void {
    if (!ended && performance.now() - toldAt >= REPEAT_MS) tell();
  }

  return {
    dropped(spans: number): void {
      lost += spans;
      tellInTime();
    },
    /** A post failed. The answer's body is not shown: it may repeat what it was sent. */
    failed(spans: number, cause: Error | undefined): void {
      lost += spans;
      const status = cause !== undefined && 'code' in cause ? ` (${String(cause.code)})` : '';
      error = cause === undefined ? 'it failed' : `${errorText(cause).slice(0, 300)}${status}`;
      tellInTime();
    },
    over(): void {
      error = null;
      if (!told || ended) return;
      told = false;
      logger.info('traces are exported again', { spans_lost_meanwhile: lost });
      lost = 0;
    },
    /** Tells what has not been told. What becomes of posts that are still under way is of no interest any more. */
    end(): void {
      tell();
      ended = true;
    },
  };
}
