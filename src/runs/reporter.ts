// What is told of a run while it lives: to the probe, and to the log with one line when it starts and one when it ends. Counts
// what the last line says. No text of the run is in it but its tenant's name and, masked, why it failed.

import type { Logger } from '../observe/logger.ts';
import type { ModelEnd, ModelFacts, Probe, RunEnd, RunProbe, Scope, ToolEnd, ToolFacts } from '../observe/probe.ts';
import type { TerminalEvent } from '../protocol/events.ts';
import type { CreateRunRequest } from '../protocol/runs.ts';
import type { RunReason } from './reasons.ts';
import { statedTenant } from './tenant.ts';

/** Characters of a tenant's name in the log; it is the caller's text. */
const MAX_TENANT = 128;
/** Characters of an error in the log; all of it is in the run's record. */
const MAX_ERROR = 512;

/** Listens to one run. Whoever ends the run says so; the first one counts. */
export interface RunReporter extends Pick<RunProbe, 'within' | 'modelRequest' | 'toolCall' | 'stored'> {
  /** The record exists. */
  started(): void;
  /** The run is over, with this event and, if it failed, for this reason. Null: the end is not of our making. */
  ended(ending: TerminalEvent | null, reason: RunReason | null): void;
  /** There is no such run: it was refused, or an earlier one stands for it. */
  dropped(reason: 'refused' | 'repeated'): void;
}

/** Begins to tell of a run that is about to be created. */
export function createReporter(
  deps: { readonly probe: Probe; readonly logger: Logger },
  runId: string,
  request: Pick<CreateRunRequest, 'composition' | 'session_snapshot'>,
): RunReporter {
  return new Reporter(deps, runId, request);
}

const OUTCOMES = { run_succeeded: 'succeeded', run_failed: 'failed', run_cancelled: 'cancelled' } as const;

class Reporter implements RunReporter {
  readonly #logger: Logger;
  readonly #probe: RunProbe;
  readonly #runId: string;
  readonly #request: Pick<CreateRunRequest, 'composition' | 'session_snapshot'>;
  readonly #tenant: string | null;
  readonly #since = performance.now();
  #over = false;
  #events = 0;
  #chars = 0;
  #modelRequests = 0;
  #toolCalls = 0;
  #inputTokens = 0;
  #outputTokens = 0;

  constructor(
    { probe, logger }: { readonly probe: Probe; readonly logger: Logger },
    runId: string,
    request: Pick<CreateRunRequest, 'composition' | 'session_snapshot'>,
  ) {
    const { layers } = request.composition;
    this.#logger = logger;
    this.#runId = runId;
    this.#request = request;
    this.#tenant = statedTenant(layers);
    this.#probe = probe.run({ runId, tenantId: this.#tenant, layers: layers.length });
  }

  within<T>(work: () => T): T {
    return this.#probe.within(work);
  }

  modelRequest(facts: ModelFacts): Scope<ModelEnd> {
    this.#modelRequests += 1;
    const scope = this.#probe.modelRequest(facts);
    return {
      within: (work) => scope.within(work),
      end: (end) => {
        this.#inputTokens += end.inputTokens;
        this.#outputTokens += end.outputTokens;
        scope.end(end);
      },
    };
  }

  toolCall(facts: ToolFacts): Scope<ToolEnd> {
    this.#toolCalls += 1;
    return this.#probe.toolCall(facts);
  }

  stored(events: number, chars: number, ms: number): void {
    this.#events += events;
    this.#chars += chars;
    this.#probe.stored(events, chars, ms);
  }

  started(): void {
    const { composition, session_snapshot } = this.#request;
    this.#logger.info('run started', {
      run_id: this.#runId,
      tenant: this.#shownTenant,
      layers: composition.layers.length,
      resumed: session_snapshot !== null,
    });
  }

  ended(ending: TerminalEvent | null, reason: RunReason | null): void {
    if (this.#over) return;
    const how = ending === null ? 'lost' : OUTCOMES[ending.type];
    // An accepted cancel may have taken the place of a failure.
    const why = how === 'failed' || how === 'lost' ? reason : null;
    const error = ending?.type === 'run_failed' ? ending.error : null;
    this.#end(how, why, error);
    this.#logger.info('run ended', {
      run_id: this.#runId,
      tenant: this.#shownTenant,
      outcome: how,
      reason: why ?? undefined,
      duration_ms: Math.round(performance.now() - this.#since),
      events: this.#events,
      model_requests: this.#modelRequests,
      tool_calls: this.#toolCalls,
      input_tokens: this.#inputTokens,
      output_tokens: this.#outputTokens,
      ...(error === null ? {} : { error: error.slice(0, MAX_ERROR) }),
    });
  }

  dropped(reason: 'refused' | 'repeated'): void {
    if (!this.#over) this.#end('not_created', reason, null);
  }

  #end(outcome: RunEnd['outcome'], reason: string | null, error: string | null): void {
    this.#over = true;
    this.#probe.end({
      outcome,
      reason,
      error,
      events: this.#events,
      eventChars: this.#chars,
      inputTokens: this.#inputTokens,
      outputTokens: this.#outputTokens,
    });
  }

  get #shownTenant(): string | undefined {
    return this.#tenant?.slice(0, MAX_TENANT);
  }
}
