// The probe that makes spans. What a span says is spans.ts's, where it goes queue.ts's; here is when it begins and ends, and
// below which other it hangs: a run below the request that asked for it, models and tools below their run, peers and the
// store below whatever waits for them.

import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Context,
  ROOT_CONTEXT,
  type Span,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import {
  NO_PROBE,
  type PeerScope,
  type Probe,
  type RequestFacts,
  type RunFacts,
  type RunProbe,
  type Scope,
} from '../probe.ts';
import type { ContentRecorder } from './content.ts';
import {
  endModel,
  endPeer,
  endRecovery,
  endRequest,
  endRun,
  endStore,
  endTool,
  modelOfRun,
  modelOpening,
  type Opening,
  peerOpening,
  recoveryOpening,
  requestOpening,
  runOpening,
  storeOpening,
  toolOpening,
} from './spans.ts';

/** What spans are made with. */
export interface TraceProbeParts {
  readonly tracer: Tracer;
  /** Null: trace context neither comes in nor goes out. */
  readonly propagator: TextMapPropagator | null;
  /** Null: nothing of what is said is recorded, and no content is built. */
  readonly content: ContentRecorder | null;
}

/** Asked for every few seconds by machines, and nothing anybody waits for. */
const UNTRACED = new Set(['/healthz', '/readyz', '/metrics']);
/** One span for each would cost more than what it tells: a run says how its appends went, and reading is the request's work. */
const UNTRACED_OPERATIONS = new Set(['append', 'read', 'sweep']);

type Headers = Readonly<Record<string, string>>;

const FROM_REQUEST: TextMapGetter<RequestFacts> = {
  keys: () => ['traceparent', 'tracestate'],
  get(facts, key) {
    const value = key === 'traceparent' ? facts.traceparent : key === 'tracestate' ? facts.tracestate : null;
    return value ?? undefined;
  },
};

const INTO_HEADERS: TextMapSetter<Record<string, string>> = {
  set(headers, name, value) {
    headers[name] = value;
  },
};

/** A probe that traces. */
export function createTraceProbe({ tracer, propagator, content }: TraceProbeParts): Probe {
  // What the work of this moment belongs to. Our own, because the context of OpenTelemetry's API is one for the process.
  const current = new AsyncLocalStorage<Context>();

  /** A span below `parent`, and the context of what happens inside it. */
  function begin({ name, options }: Opening, parent: Context): { readonly span: Span; readonly inside: Context } {
    const span = tracer.startSpan(name, options, parent);
    return { span, inside: trace.setSpan(parent, span) };
  }

  function scopeOf<End>(span: Span, inside: Context, tell: (span: Span, end: End) => void): Scope<End> {
    let open = true;
    return {
      within: (work) => current.run(inside, work),
      end(end) {
        if (!open) return;
        open = false;
        if (span.isRecording()) tell(span, end);
        span.end();
      },
    };
  }

  function scope<End>(opening: Opening, parent: Context, tell: (span: Span, end: End) => void): Scope<End> {
    const { span, inside } = begin(opening, parent);
    return scopeOf(span, inside, tell);
  }

  function run(facts: RunFacts): RunProbe {
    const { span, inside } = begin(runOpening(facts), current.getStore() ?? ROOT_CONTEXT);
    const recorded = span.isRecording() ? content : null;
    const appends = { count: 0, ms: 0, msMax: 0 };
    let modelKnown = false;
    return {
      ...scopeOf(span, inside, (ending, end) => endRun(ending, end, appends)),
      modelRequest(model) {
        if (!modelKnown) modelOfRun(span, model);
        modelKnown = true;
        return scope(modelOpening(model, recorded), inside, (asked, end) => endModel(asked, end, recorded));
      },
      toolCall: (call) => scope(toolOpening(call, recorded), inside, (called, end) => endTool(called, end, recorded)),
      stored(_events, _chars, ms) {
        appends.count += 1;
        appends.ms += ms;
        appends.msMax = Math.max(appends.msMax, ms);
      },
    };
  }

  return {
    request(facts) {
      if (facts.route !== null && UNTRACED.has(facts.route)) return NO_PROBE.request(facts);
      const caller = propagator === null ? ROOT_CONTEXT : propagator.extract(ROOT_CONTEXT, facts, FROM_REQUEST);
      return scope(requestOpening(facts), caller, endRequest);
    },
    run,
    refused: NO_PROBE.refused,
    peer(facts): PeerScope {
      const parent = current.getStore();
      // Nobody's work, such as a look at a peer's health: a trace of its own would be noise.
      if (parent === undefined) return NO_PROBE.peer(facts);
      const { span, inside } = begin(peerOpening(facts), parent);
      const headers: Record<string, string> = {};
      propagator?.inject(inside, headers, INTO_HEADERS);
      return { ...scopeOf(span, inside, endPeer), headers: Object.freeze(headers) satisfies Headers };
    },
    store(operation) {
      const parent = current.getStore();
      if (parent === undefined || UNTRACED_OPERATIONS.has(operation)) return NO_PROBE.store(operation);
      return scope(storeOpening(operation), parent, endStore);
    },
    swept(runs) {
      if (runs > 0) scope(recoveryOpening(runs), ROOT_CONTEXT, endRecovery).end(null);
    },
  };
}
