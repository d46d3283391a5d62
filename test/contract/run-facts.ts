// What callers were told of one run in a history of run-model.ts, and what must hold of the run then: it happened once, as it was
// told to everybody, and nothing else did.

import { expect } from 'bun:test';
import { CURSOR_START, compareEventIds } from '../../src/base/cursor.ts';
import type { RunStatus } from '../../src/protocol/runs.ts';
import type { AppendOutcome, CancelIntent, CancelOutcome, FinaliseOutcome, StoredEvent } from '../../src/runs/ports.ts';

/** An outcome is undefined when the answer did not come: the effect may be there or not. */
export class RunFacts {
  readonly acknowledged: StoredEvent[] = [];
  /** What each reader that followed the run from its beginning was given. */
  readonly watched: (readonly StoredEvent[])[] = [];
  /** A cancel is known to be accepted; which one, if that is known. */
  cancel: CancelIntent | 'unknown' | null = null;

  readonly #bounded: boolean;
  /** Every event that anybody was shown, by id. */
  readonly #shown = new Map<string, string>();
  readonly #refused: string[] = [];
  /** Payloads of one write whose answer did not come: all or none of them are there. */
  readonly #doubtful: (readonly string[])[] = [];
  /** Reasons that were asked for. */
  readonly #wishes = new Set<string | null>();
  /** The end as it was told to somebody. */
  #status: RunStatus | null = null;
  #ends = 0;
  #next = 0;

  /** `bounded`: events may be dropped to keep the stream short. */
  constructor(bounded: boolean) {
    this.#bounded = bounded;
  }

  /** Makes payloads and reasons of the run unlike each other, and tells their order. */
  number(): number {
    this.#next += 1;
    return this.#next;
  }

  appended(payloads: readonly string[], outcome: AppendOutcome | undefined): void {
    if (outcome === undefined) this.#doubtful.push(payloads);
    else if (outcome.appended) {
      expect(outcome.events.map(({ payload }) => payload)).toEqual([...payloads]);
      this.#acknowledge(outcome.events);
    } else {
      this.#refused.push(...payloads);
      this.#learn(outcome.status);
    }
  }

  ended(payload: string, outcome: FinaliseOutcome | undefined): void {
    if (outcome === undefined) this.#doubtful.push([payload]);
    else if (outcome.applied) {
      expect(outcome.event.payload).toBe(payload);
      this.#ends += 1;
      this.#acknowledge([outcome.event]);
    } else {
      this.#refused.push(payload);
      this.#learn(outcome.status);
      if (outcome.cancel === null) return;
      // The first one stands, whoever is told of it.
      this.checkReason(outcome.cancel.reason);
      this.cancel = outcome.cancel;
    }
  }

  /** Before it is asked for. */
  wished({ reason }: CancelIntent): void {
    this.#wishes.add(reason);
  }

  answered(outcome: CancelOutcome | undefined): void {
    if (outcome === undefined) return;
    if (outcome.accepted) this.cancel ??= 'unknown';
    this.#learn(outcome.status);
  }

  /** The reason of the accepted cancel, as somebody was told. */
  checkReason(reason: string | null): void {
    expect([...this.#wishes]).toContain(reason);
    if (this.cancel !== null && this.cancel !== 'unknown') expect(reason).toBe(this.cancel.reason);
  }

  /** A piece of the stream: ascending, after the cursor, and without what `due` has only where it says so. */
  checkPiece(piece: readonly StoredEvent[], due: readonly StoredEvent[], after: string): void {
    const ids = new Set(piece.map(({ id }) => id));
    const missing = due.map(({ id }) => id).filter((id) => compareEventIds(id, after) > 0 && !ids.has(id));
    let explained = 0;
    let cursor = after;
    for (const event of piece) {
      const { id, trimmedBefore } = event;
      this.#show(event);
      expect(compareEventIds(cursor, id)).toBeLessThan(0);
      const gap = missing.filter((other) => compareEventIds(cursor, other) < 0 && compareEventIds(other, id) < 0);
      if (trimmedBefore === true) expect(this.#bounded).toBe(true);
      else expect(gap).toEqual([]);
      explained += gap.length;
      cursor = id;
    }
    expect(missing.length).toBe(explained);
  }

  /** The run is over: `truth` is what the store has of it, `status` its record's. */
  check(truth: readonly StoredEvent[], status: RunStatus | undefined): void {
    this.checkPiece(truth, this.acknowledged, CURSOR_START);
    for (const seen of this.watched) {
      this.checkPiece(seen, truth, CURSOR_START);
      expect(seen.at(-1)?.id).toBe(truth.at(-1)?.id ?? '');
    }
    const all = [...this.#shown].toSorted(([a], [b]) => compareEventIds(a, b)).map(([, payload]) => payload);
    const types = all.map((payload) => String(JSON.parse(payload).type));
    // Exactly one end, the last, and the status is its.
    expect(types.filter((type) => type.startsWith('run_'))).toEqual([`run_${status}`]);
    expect(types.at(-1)).toBe(`run_${status}`);
    expect(this.#ends).toBeLessThanOrEqual(1);
    expect(this.#status ?? status).toBe(status);
    // Neither the first nor the last is ever dropped.
    expect(truth[0]?.payload).toBe(all[0] ?? '');
    expect(truth.at(-1)?.payload).toBe(all.at(-1) ?? '');
    // Cancelled if and only if that was accepted.
    if (this.cancel !== null) expect(status).toBe('cancelled');
    if (status === 'cancelled') expect(this.#wishes.size).toBeGreaterThan(0);

    // Nothing twice, nothing that was refused, nothing by halves, and in the order in which it was asked for.
    const shown = new Set(all);
    expect(shown.size).toBe(all.length);
    for (const payload of this.#refused) expect(shown.has(payload)).toBe(false);
    for (const payloads of this.#bounded ? [] : this.#doubtful) {
      const present = payloads.filter((payload) => shown.has(payload)).length;
      expect(present === 0 || present === payloads.length).toBe(true);
    }
    const numbers = all.slice(0, -1).map((payload) => Number(JSON.parse(payload).data));
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
  }

  #acknowledge(events: readonly StoredEvent[]): void {
    for (const event of events) this.#show(event);
    this.acknowledged.push(...events);
  }

  #show({ id, payload }: StoredEvent): void {
    expect(this.#shown.get(id) ?? payload).toBe(payload);
    this.#shown.set(id, payload);
  }

  /** Whatever is told about a run must agree; and none that was accepted is ever unknown. */
  #learn(status: RunStatus | null): void {
    expect(status).not.toBeNull();
    if (status === null || status === 'running') return;
    expect(this.#status ?? status).toBe(status);
    this.#status = status;
  }
}
