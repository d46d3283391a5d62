// Puts tracing together from OpenTelemetry's parts: resource, sampler, exporter, and the probe that feeds them. Loaded only
// when tracing is on. Nothing is registered globally: the process may hold several of these, as tests do.

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-base';
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions';
import { CodedError, errorText } from '../../base/errors.ts';
import { VERSION } from '../../base/version.ts';
import { createRedactor } from '../redact.ts';
import { createContentRecorder } from './content.ts';
import { SERVICE_INSTANCE_ID } from './names.ts';
import type { CollectorTls, SamplerName, TraceDeps, TraceOptions, Traces } from './options.ts';
import { createTraceProbe } from './probe.ts';
import { createSpanQueue } from './queue.ts';

/** How long a stop waits for what has not been sent. */
const FLUSH_MS = 3000;
/** With content a span may be 33 KB: a post then stays near two megabytes, which collectors take. */
const MAX_BATCH_WITH_CONTENT = 64;

/** Starts tracing. Rejects with a CodedError when a file cannot be read. */
export async function startTraces(options: TraceOptions, deps: TraceDeps): Promise<Traces> {
  const { batch, content, propagate } = options;
  const queue = createSpanQueue(await createExporter(options), {
    ...batch,
    maxExportBatchSize: content ? Math.min(batch.maxExportBatchSize, MAX_BATCH_WITH_CONTENT) : batch.maxExportBatchSize,
    postTimeoutMs: options.timeoutMs,
    logger: deps.logger,
  });
  const provider = new BasicTracerProvider({
    resource: resourceOf(options),
    sampler: samplerOf(options.sampler, options.samplerRatio),
    // No limit here: spans.ts bounds every text itself, and the library would measure each attribute once more. Given all the
    // same, so that what the real environment says of limits does not count.
    spanLimits: { attributeValueLengthLimit: Number.POSITIVE_INFINITY, attributeCountLimit: 128 },
    spanProcessors: [queue.processor],
  });
  const probe = createTraceProbe({
    tracer: provider.getTracer('dify-agent', VERSION),
    propagator: propagate ? new W3CTraceContextPropagator() : null,
    content: content ? createContentRecorder(createRedactor(deps.secrets)) : null,
  });
  deps.logger.info('traces are exported', {
    url: options.url,
    service: options.serviceName,
    sampler: options.sampler,
    content,
  });
  return { probe, close: () => queue.close(FLUSH_MS) };
}

function resourceOf({ serviceName, resourceAttributes }: TraceOptions): Resource {
  return defaultResource().merge(
    resourceFromAttributes({
      [ATTR_SERVICE_VERSION]: VERSION,
      [SERVICE_INSTANCE_ID]: randomUUID(),
      ...Object.fromEntries(resourceAttributes),
      [ATTR_SERVICE_NAME]: serviceName,
    }),
  );
}

function samplerOf(name: SamplerName, ratio: number): Sampler {
  switch (name) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}

type ExporterConfig = NonNullable<ConstructorParameters<typeof OTLPTraceExporter>[0]>;

async function createExporter(options: TraceOptions): Promise<SpanExporter> {
  const { headerNames, headers } = options;
  return new OTLPTraceExporter({
    url: options.url,
    headers: Object.fromEntries(headerNames.map((name, at) => [name, headers[at] ?? ''])),
    timeoutMillis: options.timeoutMs,
    // The library has an enum for the two words, in a package that is not ours to import.
    compression: options.compression as NonNullable<ExporterConfig['compression']>,
    userAgent: `dify-agent/${VERSION}`,
    // Given always: otherwise the library would read files that only the real environment names.
    httpAgentOptions: { keepAlive: true, ...(await tlsFiles(options.tls)) },
  });
}

const TLS_FILES = [
  ['ca', 'caFile', 'CERTIFICATE'],
  ['cert', 'certFile', 'CLIENT_CERTIFICATE'],
  ['key', 'keyFile', 'CLIENT_KEY'],
] as const;

async function tlsFiles(tls: CollectorTls): Promise<Readonly<Record<string, Buffer>>> {
  const read = TLS_FILES.map(async ([option, setting, variable]) => {
    const file = tls[setting];
    if (file === null) return [];
    try {
      return [[option, await readFile(file)] as const];
    } catch (error) {
      const text = `OTEL_EXPORTER_OTLP_${variable}: ${file} cannot be read: ${errorText(error)}`;
      throw new CodedError('bad_setting', text, { cause: error });
    }
  });
  return Object.fromEntries((await Promise.all(read)).flat());
}
