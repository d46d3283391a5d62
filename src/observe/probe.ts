// What the rooms tell about their work to whoever measures it (metrics/) or traces it (traces/). A probe listens: nothing it does
// changes what happens, none of its members throws or waits, and no content of a run (prompts, answers, arguments,
// credentials) goes through it unless a member's comment says so. Several probes listen at once through `bothProbes`.

/** A piece of work with a beginning and an end. */
export interface Scope<End> {
  /**
   * Calls `work` inside this piece: what it starts, also later and asynchronously, belongs to it. Returns what `work` returns.
   */
  within<T>(work: () => T): T;
  /** The end, once. Further calls do nothing. */
  end(end: End): void;
}

/** An HTTP request that met a route (or none: null). */
export interface RequestFacts {
  readonly method: string;
  /** The pattern, e.g. `/runs/:run_id`; null: no route. Bounded, unlike the path. */
  readonly route: string | null;
  /** W3C trace context as it came; not validated. */
  readonly traceparent: string | null;
  readonly tracestate: string | null;
  readonly requestId: string;
}

export interface RequestEnd {
  readonly status: number;
}

/** A run that is about to be created. Inside the scope of the request that asks for it. */
export interface RunFacts {
  readonly runId: string;
  /** Of the execution context, as the caller gave it; null without one. Never a metric label: it has no bound. */
  readonly tenantId: string | null;
  readonly layers: number;
}

/** How the execution of a run ended. */
export interface RunEnd {
  /** `not_created`: it was refused, or an earlier run of the same key stands for it. `lost`: somebody else ended it. */
  readonly outcome: 'succeeded' | 'failed' | 'cancelled' | 'lost' | 'not_created';
  /** A code of the fixed list of reasons; null: none. Not the `reason` of the wire, which may be foreign text. */
  readonly reason: string | null;
  /** Masked text of the failure; may be shown in a trace, never a label. */
  readonly error: string | null;
  readonly events: number;
  /** Characters of payload. */
  readonly eventChars: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** One request of the agent loop to its model. */
export interface ModelFacts {
  /** `provider_name` of responses, e.g. `DifyPlugin/langgenius/openai`. */
  readonly provider: string;
  readonly model: string;
  /** Number of the request in the run, from 1. */
  readonly step: number;
  /** Builds what may be recorded when content is wanted (`DIFY_AGENT_TRACE_CONTENT`); not called otherwise. */
  readonly content: () => string;
}

export interface ModelEnd {
  /** Null: answered. `aborted`: the run was stopped. Else the error's code, or `error`. */
  readonly error: string | null;
  readonly finishReason: string | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** What may be recorded when content is wanted; not called otherwise. */
  readonly content: () => string;
}

/** One call of a tool that runs here (not of an external one). */
export interface ToolFacts {
  readonly tool: string;
  readonly callId: string;
  /** As for ModelFacts. */
  readonly content: () => string;
}

export interface ToolEnd {
  /** `error`: the tool failed. `retry`: the model was told to try again. `aborted`: the run was stopped. */
  readonly outcome: 'ok' | 'error' | 'retry' | 'aborted';
  readonly content: () => string;
}

/** A run under way. */
export interface RunProbe extends Scope<RunEnd> {
  modelRequest(facts: ModelFacts): Scope<ModelEnd>;
  toolCall(facts: ToolFacts): Scope<ToolEnd>;
  /** Events of the run were acknowledged by the store, `ms` after they were given to it. */
  stored(events: number, chars: number, ms: number): void;
}

export type Peer = 'plugin_daemon' | 'shellctl' | 'dify_api';

/** One HTTP request to a peer. */
export interface PeerFacts {
  readonly peer: Peer;
  readonly method: string;
  /** What is asked, from a fixed list, e.g. `llm/invoke`. Bounded, unlike the path. */
  readonly operation: string;
}

export interface PeerEnd {
  /** HTTP status; null: there was no answer. */
  readonly status: number | null;
  /** Null: the answer was read to its end, or is being streamed. Else a code, e.g. `connect_timeout`. */
  readonly error: string | null;
}

export interface PeerScope extends Scope<PeerEnd> {
  /** To be added to the request: W3C trace context, or nothing. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A step of the store that a request or a run waits for. */
export type StoreOperation = 'create' | 'append' | 'finalise' | 'cancel' | 'read' | 'sweep';

/** Why a creation was refused before there was a run. */
export type Refusal = 'too_many_runs' | 'stopping' | 'idempotency_conflict' | 'store_unavailable';

/** The listener of the process. */
export interface Probe {
  request(facts: RequestFacts): Scope<RequestEnd>;
  run(facts: RunFacts): RunProbe;
  refused(reason: Refusal): void;
  peer(facts: PeerFacts): PeerScope;
  store(operation: StoreOperation): Scope<{ readonly failed: boolean }>;
  /** Runs of dead owners that this process ended. */
  swept(runs: number): void;
}

function ignore(): void {}
const NOTHING = Object.freeze({ within: <T>(work: () => T): T => work(), end: ignore });
/** Nobody listens to a run. */
export const NO_RUN: RunProbe = Object.freeze({
  ...NOTHING,
  modelRequest: () => NOTHING,
  toolCall: () => NOTHING,
  stored: ignore,
});
const NO_PEER: PeerScope = Object.freeze({ ...NOTHING, headers: Object.freeze({}) });

/** Nobody listens: the default where none is given. */
export const NO_PROBE: Probe = Object.freeze({
  request: () => NOTHING,
  run: () => NO_RUN,
  refused: ignore,
  peer: () => NO_PEER,
  store: () => NOTHING,
  swept: ignore,
});

function bothScopes<End>(first: Scope<End>, second: Scope<End>): Scope<End> {
  return {
    within: (work) => first.within(() => second.within(work)),
    end(end) {
      second.end(end);
      first.end(end);
    },
  };
}

/** A probe that tells two. */
export function bothProbes(first: Probe, second: Probe): Probe {
  return {
    request: (facts) => bothScopes(first.request(facts), second.request(facts)),
    run(facts) {
      const [a, b] = [first.run(facts), second.run(facts)];
      return {
        ...bothScopes(a, b),
        modelRequest: (request) => bothScopes(a.modelRequest(request), b.modelRequest(request)),
        toolCall: (call) => bothScopes(a.toolCall(call), b.toolCall(call)),
        stored(events, chars, ms) {
          a.stored(events, chars, ms);
          b.stored(events, chars, ms);
        },
      };
    },
    refused(reason) {
      first.refused(reason);
      second.refused(reason);
    },
    peer(facts) {
      const [a, b] = [first.peer(facts), second.peer(facts)];
      return { ...bothScopes(a, b), headers: { ...a.headers, ...b.headers } };
    },
    store: (operation) => bothScopes(first.store(operation), second.store(operation)),
    swept(runs) {
      first.swept(runs);
      second.swept(runs);
    },
  };
}
