// The peers as this process saw them: requests by operation and outcome, and when each last answered or failed. Nobody is
// asked for it: a peer that no run needs is not known.

import type { Peer, PeerEnd, PeerFacts, PeerScope } from '../probe.ts';
import { BOUNDS, counts, distributions } from './tables.ts';

/** What was last heard of a peer. Times in ms since 1970, null: never. */
export interface PeerSight {
  lastAnswerAt: number | null;
  /** HTTP status of the last answer. */
  lastStatus: number | null;
  lastFailureAt: number | null;
  /** A code, or `http_<status>`. */
  lastFailure: string | null;
  /** What failed. */
  lastFailedOperation: string | null;
  /** Whether the failure came last; both may be of the same millisecond. */
  failing: boolean;
}

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** Refusals of the peer as a whole, not of what was asked: the key is wrong. */
const KEY_REFUSED: ReadonlySet<number> = new Set([401, 403]);

/** Sums over all requests to peers. */
export class PeerMeter {
  /** peer, operation, status class */
  readonly requests = counts(3);
  /** peer, error */
  readonly errors = counts(2);
  /** peer, operation; seconds until the answer was read */
  readonly seconds = distributions(2, BOUNDS.middle);
  readonly sights = new Map<Peer, PeerSight>();
  /** Requests under way. */
  open = 0;

  begin(facts: PeerFacts): PeerScope {
    this.open += 1;
    return new MeteredPeer(this, facts);
  }

  /** `ms`: how long it took. */
  ended({ peer, operation }: PeerFacts, { status, error }: PeerEnd, ms: number): void {
    this.open -= 1;
    this.requests.of(peer, operation, status === null ? 'none' : `${Math.floor(status / 100)}xx`).total += 1;
    this.seconds.of(peer, operation).observe(ms / 1000);
    if (error !== null) this.errors.of(peer, error).total += 1;
    if (error === 'aborted') return; // our own wish, whatever the peer was about to do
    const failure = error ?? (status !== null && (status >= 500 || KEY_REFUSED.has(status)) ? `http_${status}` : null);
    const sight = this.#sightOf(peer);
    const now = Date.now();
    sight.failing = failure !== null;
    if (failure === null) {
      sight.lastAnswerAt = now;
      sight.lastStatus = status;
    } else {
      sight.lastFailureAt = now;
      sight.lastFailure = failure;
      sight.lastFailedOperation = operation;
    }
  }

  #sightOf(peer: Peer): PeerSight {
    let sight = this.sights.get(peer);
    if (sight === undefined) {
      sight = {
        lastAnswerAt: null,
        lastStatus: null,
        lastFailureAt: null,
        lastFailure: null,
        lastFailedOperation: null,
        failing: false,
      };
      this.sights.set(peer, sight);
    }
    return sight;
  }
}

class MeteredPeer implements PeerScope {
  readonly headers = NO_HEADERS;
  readonly #meter: PeerMeter;
  readonly #facts: PeerFacts;
  readonly #since = performance.now();
  #over = false;

  constructor(meter: PeerMeter, facts: PeerFacts) {
    this.#meter = meter;
    this.#facts = facts;
  }

  within<T>(work: () => T): T {
    return work();
  }

  end(end: PeerEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#meter.ended(this.#facts, end, performance.now() - this.#since);
  }
}
