// The trace variables together: whether tracing is wanted at all, what contradicts, and what the general variables of OTLP
// and those for traces alone amount to. The variables themselves are in variables/traces.ts.

import type { CollectorTls, SamplerName, TraceOptions } from '../observe/traces/options.ts';

/** The same setting twice: for every signal (OTEL_EXPORTER_OTLP_…), and for traces (OTEL_EXPORTER_OTLP_TRACES_…), which wins. */
export interface ForTraces<T, Fallback = T> {
  readonly all: Fallback;
  readonly own: T;
}

/** What the variables say before the rules of this file. */
export interface RawTraceSettings {
  readonly disabled: boolean;
  readonly exporter: 'otlp' | 'none';
  /** As written: looked at only where tracing is wanted. */
  readonly endpoint: ForTraces<string | null>;
  readonly protocol: ForTraces<string | null>;
  /** `name=value`, decoded. Secrets. */
  readonly headers: readonly string[];
  readonly tracesHeaders: readonly string[];
  readonly timeoutMs: ForTraces<number | null, number>;
  readonly compression: ForTraces<'none' | 'gzip' | null, 'none' | 'gzip'>;
  readonly caFile: ForTraces<string | null>;
  readonly certFile: ForTraces<string | null>;
  readonly keyFile: ForTraces<string | null>;
  readonly serviceName: string | null;
  /** `name=value`, decoded. */
  readonly resourceAttributes: readonly string[];
  readonly sampler: SamplerName;
  readonly samplerRatio: number;
  readonly batch: TraceOptions['batch'];
  readonly propagators: readonly string[];
  readonly content: boolean;
}

/** The prefix of the variables that are OpenTelemetry's. Other programs read them too, so most of them are none of ours. */
export const OTEL_PREFIX = 'OTEL_';

const DEFAULT_SERVICE = 'dify-agent';
/** The only one that is spoken. */
const PROTOCOL = 'http/json';

/** Whether nothing is to be traced. What else the OTEL_* variables say does not matter then, and is no mistake. */
export function tracesOff({ disabled, exporter, endpoint }: RawTraceSettings): boolean {
  return disabled || exporter === 'none' || (endpoint.own ?? endpoint.all) === null;
}

/** What contradicts or is not supported, one line each. */
export function traceProblems(raw: RawTraceSettings): readonly string[] {
  if (tracesOff(raw)) return [];
  const { endpoint, protocol, certFile, keyFile, batch } = raw;
  const problems: string[] = [];
  const say = (setting: { readonly own: unknown }, name: string, problem: string): void => {
    problems.push(`OTEL_EXPORTER_OTLP_${setting.own === null ? '' : 'TRACES_'}${name}: ${problem}`);
  };
  const wrong = endpointProblem(endpoint.own ?? endpoint.all ?? '');
  if (wrong !== null) say(endpoint, 'ENDPOINT', wrong);
  const spoken = protocol.own ?? protocol.all ?? PROTOCOL;
  if (spoken.toLowerCase() !== PROTOCOL) {
    const known = /^(?:grpc|http\/protobuf)$/i.test(spoken) ? spoken.toLowerCase() : 'this protocol';
    const remedy = 'set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json, which collectors take at their HTTP port (4318)';
    say(protocol, 'PROTOCOL', `${known} is not supported here: ${remedy}`);
  }
  if (((certFile.own ?? certFile.all) === null) !== ((keyFile.own ?? keyFile.all) === null)) {
    problems.push('OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY must be set together.');
  }
  if (batch.maxExportBatchSize > batch.maxQueueSize) {
    problems.push(
      `OTEL_BSP_MAX_EXPORT_BATCH_SIZE must be at most OTEL_BSP_MAX_QUEUE_SIZE, which is ${batch.maxQueueSize}.`,
    );
  }
  return problems;
}

/** No text repeats the value: it may carry a password. */
function endpointProblem(text: string): string | null {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    return 'must be an http:// or https:// URL';
  if (url.username !== '' || url.password !== '') {
    return 'must not include user info: credentials belong into OTEL_EXPORTER_OTLP_HEADERS';
  }
  return url.search === '' && url.hash === '' ? null : 'must not include a query string or fragment';
}

/** The settings of tracing from variables without problems; null: off. */
export function traceSettings(raw: RawTraceSettings): TraceOptions | null {
  if (tracesOff(raw)) return null;
  const { endpoint, timeoutMs, compression, caFile, certFile, keyFile, sampler, samplerRatio, batch, content } = raw;
  const resource = new Map(raw.resourceAttributes.map(pair));
  const serviceName = raw.serviceName ?? resource.get('service.name') ?? DEFAULT_SERVICE;
  resource.delete('service.name');
  // Of a header in both variables, the one for traces; HTTP knows no case.
  const headers = new Map<string, readonly [string, string]>();
  for (const header of [...raw.headers, ...raw.tracesHeaders].map(pair)) headers.set(header[0].toLowerCase(), header);
  const tls: CollectorTls = {
    caFile: caFile.own ?? caFile.all,
    certFile: certFile.own ?? certFile.all,
    keyFile: keyFile.own ?? keyFile.all,
  };
  return Object.freeze({
    // The address for traces is taken as it is, the general one is a base (OTLP exporter specification, endpoint URLs).
    url: endpoint.own === null ? tracesUnder(endpoint.all ?? '') : new URL(endpoint.own).href,
    headerNames: Object.freeze([...headers.values()].map(([name]) => name)),
    headers: Object.freeze([...headers.values()].map(([, value]) => value)),
    timeoutMs: timeoutMs.own ?? timeoutMs.all,
    compression: compression.own ?? compression.all,
    tls: Object.freeze(tls),
    serviceName,
    resourceAttributes: Object.freeze([...resource]),
    sampler,
    samplerRatio,
    batch,
    propagate: raw.propagators.includes('tracecontext'),
    content,
  });
}

function tracesUnder(base: string): string {
  return `${new URL(base).href.replace(/\/+$/, '')}/v1/traces`;
}

/** `name=value` in two. */
function pair(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  return Object.freeze([text.slice(0, at), text.slice(at + 1)] as const);
}
