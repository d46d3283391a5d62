// An OpenTelemetry collector for tests: OTLP/HTTP with JSON bodies, strict about what it is sent. It can be made to fail, to
// hang and to answer without end. Ports are the system's.

import { gunzipSync } from 'node:zlib';
import { until } from '../support/until.ts';

export type AttributeValue = string | number | boolean | readonly AttributeValue[];

/** A span as it arrived. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Null: a root. */
  readonly parentSpanId: string | null;
  readonly traceState: string | null;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  /** Nanoseconds since 1970. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  readonly status: 'unset' | 'ok' | 'error';
  readonly statusMessage: string | null;
  /** Whether the parent is of another process, as the flags say. */
  readonly remoteParent: boolean;
  readonly resource: Readonly<Record<string, AttributeValue>>;
  readonly scope: string;
}

export interface ReceivedPost {
  readonly headers: Readonly<Record<string, string>>;
  readonly spans: readonly ReceivedSpan[];
  readonly bytes: number;
}

/** What the collector does with posts: takes them, answers with a status, says nothing, or never finishes its answer. */
export type Mood = 'takes' | number | 'hangs' | 'dribbles';

export interface FakeCollector {
  /** `http://127.0.0.1:<port>`, to which `/v1/traces` is added. */
  readonly url: string;
  readonly port: number;
  readonly posts: readonly ReceivedPost[];
  /** Of all posts that were taken. */
  readonly spans: readonly ReceivedSpan[];
  /** What was wrong with posts. */
  readonly violations: readonly string[];
  /** Posts being answered at once, at most. */
  readonly mostAtOnce: number;
  mood: Mood;
  /** The span of this name, once it has come. More than one: the first. */
  span(name: string): Promise<ReceivedSpan>;
  /** Waits until the spans fulfil it. */
  wait(what: string, check: (spans: readonly ReceivedSpan[]) => boolean): Promise<readonly ReceivedSpan[]>;
  stop(): Promise<void>;
}

export interface FakeCollectorOptions {
  readonly port?: number;
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
}

/** Starts a collector on 127.0.0.1. */
export function startFakeCollector(options: FakeCollectorOptions = {}): FakeCollector {
  const posts: ReceivedPost[] = [];
  const spans: ReceivedSpan[] = [];
  const violations: string[] = [];
  let atOnce = 0;
  let mostAtOnce = 0;
  const never = Promise.withResolvers<Response>();
  const { tls } = options;
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: options.port ?? 0,
    idleTimeout: 0,
    ...(tls === undefined
      ? {}
      : { tls: tls.ca === undefined ? tls : { ...tls, requestCert: true, rejectUnauthorized: true } }),
    async fetch(request) {
      atOnce += 1;
      mostAtOnce = Math.max(mostAtOnce, atOnce);
      try {
        return await take(request);
      } finally {
        atOnce -= 1;
      }
    },
  });

  async function take(request: Request): Promise<Response> {
    const received = await read(request, violations);
    posts.push(received);
    if (collector.mood === 'hangs') return await never.promise;
    if (typeof collector.mood === 'number') {
      return new Response(`refused: ${request.headers.get('authorization')}`, { status: collector.mood });
    }
    spans.push(...received.spans);
    if (collector.mood === 'dribbles') return new Response(endless());
    return Response.json({});
  }

  const collector: FakeCollector = {
    url: `http${tls === undefined ? '' : 's'}://127.0.0.1:${server.port}`,
    port: server.port ?? 0,
    posts,
    spans,
    violations,
    get mostAtOnce() {
      return mostAtOnce;
    },
    mood: 'takes',
    async span(name) {
      const named = () => spans.find((span) => span.name === name);
      return await until(`the span ${name}; there are ${spans.map((span) => span.name).join(', ')}`, named);
    },
    async wait(what, check) {
      await until(what, () => check(spans));
      return spans;
    },
    async stop() {
      never.resolve(new Response());
      await server.stop(true);
    },
  };
  return collector;
}

/** A body that goes on until nobody reads it. */
function endless(): ReadableStream<Uint8Array> {
  let timer: Timer | undefined;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      timer = setInterval(() => controller.enqueue(new Uint8Array([32])), 20);
    },
    cancel: () => clearInterval(timer),
  });
}

async function read(request: Request, violations: string[]): Promise<ReceivedPost> {
  const headers = Object.fromEntries(request.headers);
  const raw = new Uint8Array(await request.arrayBuffer());
  const url = new URL(request.url);
  const check = (holds: boolean, what: string): void => {
    if (!holds) violations.push(what);
  };
  check(request.method === 'POST', `method ${request.method}`);
  check(url.pathname === '/v1/traces' && url.search === '', `address ${url.pathname}${url.search}`);
  check(headers['content-type'] === 'application/json', `content-type ${headers['content-type']}`);
  check(headers.traceparent === undefined, 'the exporter is traced itself');
  const encoding = headers['content-encoding'];
  check(encoding === undefined || encoding === 'gzip', `content-encoding ${encoding}`);
  const text = new TextDecoder('utf-8', { fatal: true }).decode(encoding === 'gzip' ? gunzipSync(raw) : raw);
  return { headers, spans: spansIn(JSON.parse(text) as TraceRequest, check), bytes: raw.length }; // checked below
}

// The parts of ExportTraceServiceRequest in the JSON encoding of OTLP that are read here.
interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly scope: { readonly name: string }; readonly spans: readonly Sent[] }[];
  }[];
}

interface KeyValue {
  readonly key: string;
  readonly value: AnyValue;
}

type AnyValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: number | string }
  | { readonly doubleValue: number }
  | { readonly arrayValue: { readonly values: readonly AnyValue[] } };

interface Sent {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly KeyValue[];
  readonly droppedAttributesCount: number;
  readonly status: { readonly code: number; readonly message?: string };
  readonly flags: number;
}

const KINDS = [null, 'internal', 'server', 'client', 'producer', 'consumer'] as const;
const STATUSES = ['unset', 'ok', 'error'] as const;
type Check = (holds: boolean, what: string) => void;

function spansIn(request: TraceRequest, check: Check): readonly ReceivedSpan[] {
  return request.resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans }) =>
      spans.map((span) => received(span, attributesOf(resource.attributes, check), scope.name, check)),
    ),
  );
}

function received(sent: Sent, resource: ReceivedSpan['resource'], scope: string, check: Check): ReceivedSpan {
  const kind = KINDS[sent.kind] ?? null;
  const status = STATUSES[sent.status.code];
  check(isId(sent.traceId, 32), `trace id ${sent.traceId}`);
  check(isId(sent.spanId, 16), `span id ${sent.spanId}`);
  check(sent.parentSpanId === undefined || isId(sent.parentSpanId, 16), `parent ${sent.parentSpanId}`);
  check(sent.name.length > 0 && sent.name.length <= 256, `name ${sent.name}`);
  check(kind !== null, `kind ${sent.kind}`);
  check(status !== undefined, `status ${sent.status.code}`);
  check(sent.droppedAttributesCount === 0, `attributes dropped from ${sent.name}`);
  check((sent.flags & 1) === 1, `${sent.name} is not sampled`);
  const [start, end] = [BigInt(sent.startTimeUnixNano), BigInt(sent.endTimeUnixNano)];
  check(start > 0n && end >= start, `times of ${sent.name}: ${start} to ${end}`);
  return {
    traceId: sent.traceId,
    spanId: sent.spanId,
    parentSpanId: sent.parentSpanId ?? null,
    traceState: sent.traceState ?? null,
    name: sent.name,
    kind: kind ?? 'internal',
    start,
    end,
    attributes: attributesOf(sent.attributes, check),
    status: status ?? 'unset',
    statusMessage: sent.status.message ?? null,
    remoteParent: (sent.flags & 0x200) !== 0,
    resource,
    scope,
  };
}

function isId(text: string, digits: number): boolean {
  return text.length === digits && /^[0-9a-f]+$/.test(text) && !/^0+$/.test(text);
}

function attributesOf(pairs: readonly KeyValue[], check: Check): Readonly<Record<string, AttributeValue>> {
  const names = pairs.map(({ key }) => key);
  check(new Set(names).size === names.length, `an attribute twice in ${names.join(', ')}`);
  return Object.fromEntries(pairs.map(({ key, value }) => [key, plainValue(key, value, check)]));
}

function plainValue(key: string, value: AnyValue, check: Check): AttributeValue {
  check(Object.keys(value).length === 1, `value of ${key}: ${JSON.stringify(value)}`);
  if ('stringValue' in value) return value.stringValue;
  if ('boolValue' in value) return value.boolValue;
  if ('intValue' in value) {
    check(Number.isSafeInteger(Number(value.intValue)), `integer ${key}: ${value.intValue}`);
    return Number(value.intValue);
  }
  if ('doubleValue' in value) {
    check(Number.isFinite(value.doubleValue), `number ${key}: ${value.doubleValue}`);
    return value.doubleValue;
  }
  if ('arrayValue' in value) return value.arrayValue.values.map((item) => plainValue(key, item, check));
  check(false, `value of ${key}: ${JSON.stringify(value)}`);
  return '';
}
