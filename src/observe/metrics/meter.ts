// The probe that counts: everything that /metrics and /internal/status tell of this process's work, in plain fields. What runs
// and peers are about is beside it (runs.ts, peers.ts); how it is printed is exposition.ts' and ../status.ts'.

import { NO_PROBE, type Probe, type RequestEnd, type RequestFacts, type Scope, type StoreOperation } from '../probe.ts';
import { PeerMeter } from './peers.ts';
import { RunMeter } from './runs.ts';
import { BOUNDS, Count, counts, Distribution, distributions, OTHER } from './tables.ts';

/** Methods that are told apart; a request may bring any word. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** The sums, and the probe that makes them. */
export interface Meter {
  readonly probe: Probe;
  readonly runs: RunMeter;
  readonly peers: PeerMeter;
  readonly http: HttpMeter;
  readonly store: StoreMeter;
}

/**
 * A meter with nothing counted.
 *
 * @param everything false: only what the status needs (runs and peers), for a server whose metrics nobody reads
 */
export function createMeter(everything = true): Meter {
  const [runs, peers, http, store] = [new RunMeter(), new PeerMeter(), new HttpMeter(), new StoreMeter()];
  return {
    runs,
    peers,
    http,
    store,
    probe: {
      run: (facts) => runs.begin(facts),
      refused(reason) {
        runs.refused.of(reason).total += 1;
      },
      swept(ended) {
        runs.swept.total += ended;
      },
      peer: (facts) => peers.begin(facts),
      request: everything ? (facts) => http.begin(facts) : NO_PROBE.request,
      store: everything ? (operation) => store.begin(operation) : NO_PROBE.store,
    },
  };
}

/** Sums over all HTTP requests to this server. */
export class HttpMeter {
  /** route, method, status */
  readonly requests = counts(3);
  /** route; seconds until the head of the answer: a stream lasts longer */
  readonly seconds = distributions(1, BOUNDS.middle);
  /** Requests that have no answer yet. */
  open = 0;

  begin(facts: RequestFacts): Scope<RequestEnd> {
    this.open += 1;
    return new MeteredRequest(this, facts.route ?? 'none', METHODS.has(facts.method) ? facts.method : OTHER);
  }

  ended(route: string, method: string, status: number, ms: number): void {
    this.open -= 1;
    this.requests.of(route, method, String(status)).total += 1;
    this.seconds.of(route).observe(ms / 1000);
  }
}

class MeteredRequest implements Scope<RequestEnd> {
  readonly #meter: HttpMeter;
  readonly #route: string;
  readonly #method: string;
  readonly #since = performance.now();
  #over = false;

  constructor(meter: HttpMeter, route: string, method: string) {
    this.#meter = meter;
    this.#route = route;
    this.#method = method;
  }

  within<T>(work: () => T): T {
    return work();
  }

  end({ status }: RequestEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#meter.ended(this.#route, this.#method, status, performance.now() - this.#since);
  }
}

/** Sums over all operations of the store. */
export class StoreMeter {
  readonly #sums = new Map<StoreOperation, StoreSums>();

  begin(operation: StoreOperation): Scope<{ readonly failed: boolean }> {
    let sums = this.#sums.get(operation);
    if (sums === undefined) {
      sums = new StoreSums();
      this.#sums.set(operation, sums);
    }
    // There is one for every batch of events, which says itself how long it took (RunProbe.stored).
    if (operation === 'append') return sums.untimed;
    return new MeteredStep(sums);
  }

  /** By operation, in the order in which they were first seen. */
  get sums(): readonly (readonly [StoreOperation, StoreSums])[] {
    return [...this.#sums];
  }
}

/** Of one operation. */
export class StoreSums {
  readonly seconds = new Distribution(BOUNDS.short);
  readonly failures = new Count();
  /** Counts failures alone; for any number of steps at once. */
  readonly untimed: Scope<{ readonly failed: boolean }> = {
    within: (work) => work(),
    end: ({ failed }) => {
      if (failed) this.failures.total += 1;
    },
  };
}

class MeteredStep implements Scope<{ readonly failed: boolean }> {
  readonly #sums: StoreSums;
  readonly #since = performance.now();
  #over = false;

  constructor(sums: StoreSums) {
    this.#sums = sums;
  }

  within<T>(work: () => T): T {
    return work();
  }

  end({ failed }: { readonly failed: boolean }): void {
    if (this.#over) return;
    this.#over = true;
    this.#sums.seconds.observe((performance.now() - this.#since) / 1000);
    if (failed) this.#sums.failures.total += 1;
  }
}
