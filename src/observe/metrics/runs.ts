// The runs of this process: which are active and what each is doing, and what became of the others. One object per active
// run; it is forgotten with the run's end.

import type { ModelEnd, RunEnd, RunFacts, RunProbe, Scope, ToolEnd } from '../probe.ts';
import { BOUNDS, Count, counts, Distribution, distributions } from './tables.ts';

/**
 * What a run is doing. `queued`: accepted, its first event is not stored yet. `starting`: its layers are entered. `exiting`: they
 * are left and its end is written; between two rounds of the loop a run looks like that for a moment.
 */
export type RunPhase = 'queued' | 'starting' | 'model' | 'tool' | 'exiting';

/** Sums over all runs. Times in seconds. */
export class RunMeter {
  /** In the order in which they came: the oldest first. */
  readonly active = new Set<ActiveRun>();
  /** outcome, reason */
  readonly ended = counts(2);
  /** reason */
  readonly refused = counts(1);
  /** Creations that found the run of an earlier one. */
  readonly repeated = new Count();
  /** Runs of dead owners that were ended here. */
  readonly swept = new Count();
  readonly events = new Count();
  readonly chars = new Count();
  /** From giving a batch of events to the store to its acknowledgement. */
  readonly storedSeconds = new Distribution(BOUNDS.short);
  readonly inputTokens = new Count();
  readonly outputTokens = new Count();
  /** outcome */
  readonly seconds = distributions(1, BOUNDS.long);
  /** From the creation to the first event that is stored. */
  readonly firstEventSeconds = new Distribution(BOUNDS.short);
  /** outcome: ok, error, aborted */
  readonly modelSeconds = distributions(1, BOUNDS.middle);
  /** outcome */
  readonly toolSeconds = distributions(1, BOUNDS.middle);

  begin(facts: RunFacts): RunProbe {
    const run = new ActiveRun(this, facts);
    this.active.add(run);
    return run;
  }
}

/** A run under way. */
export class ActiveRun implements RunProbe {
  readonly facts: RunFacts;
  /** `performance.now()` of its creation, and of when it began what it is doing. */
  readonly since = performance.now();
  phaseSince = this.since;
  modelRequests = 0;
  toolCalls = 0;
  events = 0;
  modelsOpen = 0;
  toolsOpen = 0;
  readonly #meter: RunMeter;
  #over = false;

  constructor(meter: RunMeter, facts: RunFacts) {
    this.#meter = meter;
    this.facts = facts;
  }

  get phase(): RunPhase {
    if (this.toolsOpen > 0) return 'tool';
    if (this.modelsOpen > 0) return 'model';
    if (this.modelRequests > 0) return 'exiting';
    return this.events > 0 ? 'starting' : 'queued';
  }

  within<T>(work: () => T): T {
    return work();
  }

  modelRequest(): Scope<ModelEnd> {
    this.modelRequests += 1;
    this.modelsOpen += 1;
    this.phaseSince = performance.now();
    return new Step(this.phaseSince, (ms, { error, inputTokens, outputTokens }: ModelEnd) => {
      this.modelsOpen -= 1;
      this.phaseSince = performance.now();
      const meter = this.#meter;
      const outcome = error === null ? 'ok' : error === 'aborted' ? 'aborted' : 'error';
      meter.modelSeconds.of(outcome).observe(ms / 1000);
      meter.inputTokens.total += inputTokens;
      meter.outputTokens.total += outputTokens;
    });
  }

  toolCall(): Scope<ToolEnd> {
    this.toolCalls += 1;
    this.toolsOpen += 1;
    if (this.toolsOpen === 1) this.phaseSince = performance.now();
    return new Step(performance.now(), (ms, { outcome }: ToolEnd) => {
      this.toolsOpen -= 1;
      if (this.toolsOpen === 0) this.phaseSince = performance.now();
      this.#meter.toolSeconds.of(outcome).observe(ms / 1000);
    });
  }

  stored(events: number, chars: number, ms: number): void {
    const meter = this.#meter;
    if (this.events === 0 && events > 0 && !this.#over) {
      const now = performance.now();
      meter.firstEventSeconds.observe((now - this.since) / 1000);
      if (this.modelRequests === 0) this.phaseSince = now;
    }
    this.events += events;
    meter.events.total += events;
    meter.chars.total += chars;
    meter.storedSeconds.observe(ms / 1000);
  }

  end({ outcome, reason }: RunEnd): void {
    if (this.#over) return;
    this.#over = true;
    const meter = this.#meter;
    meter.active.delete(this);
    if (outcome === 'not_created') {
      if (reason === 'repeated') meter.repeated.total += 1;
      return;
    }
    meter.ended.of(outcome, reason ?? 'none').total += 1;
    meter.seconds.of(outcome).observe((performance.now() - this.since) / 1000);
  }
}

/** A model request or a tool call. */
class Step<End> implements Scope<End> {
  readonly #since: number;
  readonly #told: (ms: number, end: End) => void;
  #over = false;

  constructor(since: number, told: (ms: number, end: End) => void) {
    this.#since = since;
    this.#told = told;
  }

  within<T>(work: () => T): T {
    return work();
  }

  end(end: End): void {
    if (this.#over) return;
    this.#over = true;
    this.#told(performance.now() - this.#since, end);
  }
}
