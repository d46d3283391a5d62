// Runs, their ends, cancels and sweeps against a model of the contract (issue 5): random interleavings of processes that create,
// append, finalise, cancel, sweep, read and die, through stores that answer late, in any order, and fail before or after the
// effect. A seed names a history; a failure prints it. Readers alone, with any cursor, are live-model.ts.
// What must hold of a run is run-facts.ts.
//
// The model is what callers were told. At the end, every run must have one terminal event which all of it agrees with.

import { expect } from 'bun:test';
import { CURSOR_START, compareEventIds } from '../../src/base/cursor.ts';
import type { RunRecord } from '../../src/protocol/runs.ts';
import type { Deduplication, FinaliseOutcome, RunStore, StoredEvent } from '../../src/runs/ports.ts';
import { createLive, type LiveStore, type Tail } from '../../src/store/live.ts';
import { until, within } from '../support/until.ts';
import { digest, intentOf, payloadOf, readAll, runningRecord, terminal } from './kit.ts';
import { mustBeUnavailable, type Random, randomNumbers, turns, unreliable } from './random.ts';
import { RunFacts } from './run-facts.ts';

/** One process's store, and how it hears of others. */
export interface ModelProcess {
  readonly store: RunStore;
  readonly tail?: Tail;
  /** As by kill -9. What is on its way may be written or not; nobody hears of it. */
  kill(): Promise<void>;
}

/** Where one history takes place; it begins without runs. */
export interface ModelWorld {
  /** Processes that may live at once. */
  readonly processes: number;
  /** Whether events are dropped to keep streams bounded. */
  readonly bounded: boolean;
  /** There is no other process to hear from: a cancel is told at once, and who died is taken for dead at once. */
  readonly prompt: boolean;
  start(): Promise<ModelProcess>;
  /** Moves the clock by seconds, back as well as forth; absent where time cannot be driven. */
  readonly moveClock?: (seconds: number) => void;
  close(): Promise<void>;
}

/** What happened in histories; to be looked at, so that a model that plays nothing is noticed. */
export interface Tally {
  runs: number;
  succeeded: number;
  failed: number;
  cancelled: number;
  lost: number;
  duplicates: number;
  trimmed: number;
}

export const emptyTally = (): Tally => ({
  runs: 0,
  succeeded: 0,
  failed: 0,
  cancelled: 0,
  lost: 0,
  duplicates: 0,
  trimmed: 0,
});

/** Much longer than anything takes. */
const PATIENCE_MS = 30_000;

interface Process {
  /** Behind the fan-out, which meets the faults as its callers do. */
  readonly live: LiveStore;
  readonly kill: () => Promise<void>;
  dead: boolean;
  /** Cancels that its watcher was told of: run id and reason. */
  readonly told: (readonly [runId: string, reason: string | null])[];
}

interface Run {
  readonly runId: string;
  readonly owner: Process;
  readonly facts: RunFacts;
}

/** Plays the history of a seed and adds to the tally; throws when something does not hold. */
export async function playRunHistory(
  seed: number,
  open: (random: Random) => Promise<ModelWorld>,
  tally: Tally = emptyTally(),
): Promise<void> {
  const random = randomNumbers(seed);
  const world = await open(random);
  try {
    await new History(world, random, tally).play();
  } finally {
    await world.close();
  }
}

class History {
  readonly #world: ModelWorld;
  readonly #random: Random;
  readonly #tally: Tally;
  readonly #faults: { on: boolean };
  readonly #strict: boolean;
  readonly #runs: Run[] = [];
  readonly #processes: Process[] = [];
  /** Every creation that was tried. */
  readonly #tried: { readonly record: RunRecord; readonly request: string | null; created: boolean }[] = [];
  /** What is under way in processes that live. */
  readonly #pending = new Map<Promise<void>, Process>();
  readonly #readers: Promise<void>[] = [];
  readonly #failures: unknown[] = [];

  constructor(world: ModelWorld, random: Random, tally: Tally) {
    this.#world = world;
    this.#random = random;
    this.#tally = tally;
    this.#faults = { on: random(2) === 0 };
    this.#strict = random(2) === 0;
  }

  async play(): Promise<void> {
    const { moveClock } = this.#world;
    const random = this.#random;
    await this.#start();
    for (let step = 30 + random(90); step > 0; step -= 1) {
      const run = this.#runs[random(this.#runs.length)];
      const action = random(100);
      if (run === undefined || (action < 6 && this.#runs.length < 5)) this.#track((process) => this.#create(process));
      else if (action < 42) this.#track((process) => this.#append(process, run), run.owner);
      else if (action < 50) this.#track((process) => this.#end(process, run), run.owner);
      // Other processes do not end runs that they do not own, but nothing keeps them from trying.
      else if (action < 52) this.#track((process) => this.#end(process, run));
      else if (action < 57) this.#track((process) => this.#wish(process, run));
      else if (action < 60) this.#track((process) => this.#endLost(process, run.runId));
      else if (action < 64) this.#track((process) => this.#sweep(process));
      else if (action < 76) this.#track((process) => this.#read(process, run));
      else if (action < 82) this.#readers.push(this.#watch(run).catch((error) => void this.#failures.push(error)));
      else if (action < 84) moveClock?.(random(2) === 0 ? random(5) : -random(5));
      else if (action < 86) await this.#crash();
      else if (action < 90 && this.#pending.size > 0) await Promise.race(this.#pending.keys());
      await turns(random(3));
      this.#mustHold();
    }
    await within('the writes', Promise.all(this.#pending.keys()), PATIENCE_MS);
    this.#faults.on = false;
    await this.#endAll();
    await within('the readers', Promise.all(this.#readers), PATIENCE_MS);
    this.#mustHold();
    for (const run of this.#runs) await this.#check(run);
    await this.#checkCreations();
    for (const { live, dead } of this.#processes) if (!dead) expect(live.channels()).toBe(0);
  }

  #mustHold(): void {
    const [failure] = this.#failures;
    if (failure !== undefined) throw failure;
  }

  async #start(): Promise<void> {
    const { store, tail, kill } = await this.#world.start();
    const live = createLive(unreliable(store, this.#random, this.#faults), tail === undefined ? {} : { tail });
    const process: Process = { live, kill, dead: false, told: [] };
    live.watchOwn({
      cancelRequested(runId, { reason }) {
        if (!process.dead) process.told.push([runId, reason]);
      },
      endedElsewhere() {},
    });
    this.#processes.push(process);
  }

  #anybody(): Process | undefined {
    const living = this.#processes.filter(({ dead }) => !dead);
    return living[this.#random(living.length)];
  }

  #living(): Process {
    const process = this.#anybody();
    if (process === undefined) throw new Error('nobody lives');
    return process;
  }

  /** Begins `work` in a process. */
  #track(work: (process: Process) => Promise<void>, process = this.#living()): void {
    if (process.dead) return;
    const tracked = work(process)
      .catch((error) => void this.#failures.push(error))
      .finally(() => this.#pending.delete(tracked));
    this.#pending.set(tracked, process);
  }

  async #crash(): Promise<void> {
    const process = this.#living();
    process.dead = true;
    // What it does is not waited for, and what it is told does not count.
    for (const [work, owner] of this.#pending) if (owner === process) this.#pending.delete(work);
    await process.kill();
    if (this.#anybody() === undefined || this.#random(2) === 0) await this.#fill();
  }

  async #fill(): Promise<void> {
    if (this.#processes.filter(({ dead }) => !dead).length < this.#world.processes) await this.#start();
  }

  /** What a caller in this process is told; undefined when the answer does not come. */
  async #ask<T>(process: Process, work: (store: RunStore) => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await work(process.live);
      return process.dead ? undefined : answer;
    } catch (error) {
      if (!process.dead) mustBeUnavailable(error);
      return undefined;
    }
  }

  async #create(process: Process): Promise<void> {
    const random = this.#random;
    const record = runningRecord();
    const key = random(3) === 0 ? null : `key ${random(2)}`;
    const fingerprint = `request ${random(4) === 0 ? 1 : 0}`;
    const deduplication: Deduplication | null =
      key === null ? null : { key: digest(key), fingerprint: digest(fingerprint), strict: this.#strict };
    const attempt = { record, request: key === null ? null : `${key} ${fingerprint}`, created: false };
    this.#tried.push(attempt);
    const outcome = await this.#ask(process, (store) => store.create(record, deduplication));
    if (outcome?.created === false) {
      this.#tally.duplicates += 1;
      const { existing } = outcome;
      const same = (other: { readonly request: string | null }) => other.request === attempt.request;
      const others = this.#tried.filter((other) => other !== attempt && other.request?.startsWith(`${key} `));
      if (existing === null) expect(this.#strict && others.some((other) => !same(other))).toBe(true);
      else expect(others.filter(same).map((other) => other.record.run_id)).toContain(existing.run_id);
    }
    if (outcome?.created !== true) return;
    attempt.created = true;
    this.#runs.push({ runId: record.run_id, owner: process, facts: new RunFacts(this.#world.bounded) });
  }

  async #append(process: Process, { runId, facts }: Run): Promise<void> {
    const count = this.#random(12) === 0 ? 150 : 1 + this.#random(3);
    const payloads = Array.from({ length: count }, () => payloadOf(runId, facts.number()));
    facts.appended(payloads, await this.#ask(process, (store) => store.append(runId, payloads)));
  }

  /** Tries to end a run; sometimes in a way that nobody asked for. */
  async #end(process: Process, run: Run): Promise<void> {
    const status = (['succeeded', 'failed', 'cancelled'] as const)[this.#random(3)] ?? 'failed';
    const transition = terminal(run.runId, status, `end ${run.facts.number()}`);
    const outcome = await this.#ask(process, (store) => store.finalise(run.runId, transition));
    run.facts.ended(transition.payload, outcome);
    if (outcome?.applied === false && outcome.status === 'running') {
      expect(outcome.cancel === null).toBe(status === 'cancelled');
      if (this.#random(2) === 0 && outcome.cancel !== null) await this.#endAs(process, run, 'cancelled');
    }
  }

  async #endAs(process: Process, run: Run, status: 'failed' | 'cancelled'): Promise<FinaliseOutcome | undefined> {
    const transition = terminal(run.runId, status, `end ${run.facts.number()}`);
    const outcome = await this.#ask(process, (store) => store.finalise(run.runId, transition));
    run.facts.ended(transition.payload, outcome);
    return outcome;
  }

  async #wish(process: Process, { runId, facts }: Run): Promise<void> {
    const intent = intentOf(`wish ${facts.number()}`);
    facts.wished(intent);
    facts.answered(await this.#ask(process, (store) => store.requestCancel(runId, intent)));
  }

  async #sweep(process: Process): Promise<void> {
    const lost = await this.#ask(process, (store) => store.listLost());
    for (const runId of lost ?? []) await this.#endLost(process, runId);
  }

  async #endLost(process: Process, runId: string): Promise<void> {
    const run = this.#runs.find((other) => other.runId === runId);
    for (const status of ['failed', 'cancelled'] as const) {
      const transition = terminal(runId, status, `lost ${run?.facts.number()}`);
      const outcome = await this.#ask(process, (store) => store.finaliseLost(runId, transition));
      run?.facts.ended(transition.payload, outcome);
      if (outcome?.applied === true) {
        this.#tally.lost += 1;
        if (run !== undefined) expect(run.owner.dead).toBe(true);
      }
      if (outcome?.applied !== false || outcome.status !== 'running' || outcome.cancel === null) return;
    }
  }

  async #read(process: Process, { runId, facts }: Run): Promise<void> {
    const random = this.#random;
    // Of what was acknowledged before, nothing is missing that is not told to be missing.
    const before = [...facts.acknowledged];
    const after = random(2) === 0 ? CURSOR_START : (before[random(before.length)]?.id ?? CURSOR_START);
    const limit = random(3) === 0 ? 1 + random(5) : 1_000;
    const page = await this.#ask(process, (store) => store.readEvents(runId, after, limit));
    if (page === undefined) return;
    expect(page.length).toBeLessThanOrEqual(limit);
    const end = page.length === limit ? page.at(-1)?.id : undefined;
    const due = before.filter(({ id }) => end === undefined || compareEventIds(id, end) <= 0);
    facts.checkPiece(page, due, after);
  }

  /** Follows a run from its beginning to its end, from one process to the next. */
  async #watch(run: Run): Promise<void> {
    const seen: StoredEvent[] = [];
    run.facts.watched.push(seen);
    for (;;) {
      const process = this.#anybody();
      await turns(1);
      if (process === undefined) continue;
      try {
        const subscription = await process.live.subscribe(run.runId, seen.at(-1)?.id ?? CURSOR_START);
        if (process.dead) continue;
        if (subscription === null) throw new Error(`run ${run.runId} is unknown`);
        // Whose server is dead hears no more of it, and asks another one.
        let events = await this.#orDead(process, subscription.next());
        while (events !== null && events !== 'dead') {
          seen.push(...events);
          if (this.#random(3) === 0) await turns(this.#random(6));
          events = await this.#orDead(process, subscription.next());
        }
        if (events === null && !process.dead) break;
      } catch (error) {
        if (!process.dead) mustBeUnavailable(error);
      }
    }
  }

  async #orDead<T>(process: Process, work: Promise<T>): Promise<T | 'dead'> {
    let settled = false;
    const answer = work.finally(() => {
      settled = true;
    });
    answer.catch(() => {});
    while (!settled) {
      if (process.dead) return 'dead';
      await Promise.race([answer.catch(() => {}), turns(2)]);
    }
    return process.dead ? 'dead' : answer;
  }

  /** The stores are well again: owners end their runs, and the living those of the dead. */
  async #endAll(): Promise<void> {
    await this.#fill();
    for (const run of this.#runs) {
      if (run.owner.dead) continue;
      const outcome = await this.#endAs(run.owner, run, 'failed');
      if (outcome?.applied === false && outcome.status === 'running') await this.#endAs(run.owner, run, 'cancelled');
    }
    const sweeper = this.#living();
    const allOver = async () => {
      await this.#sweep(sweeper);
      // Whoever was not told whether an end was taken asks again, as the sweep does; so its own streams hear of it.
      for (const { runId, owner } of this.#runs) if (owner.dead) await this.#endLost(sweeper, runId);
      const records = await Promise.all(this.#tried.map(({ record }) => sweeper.live.getRecord(record.run_id)));
      return records.every((record) => record?.status !== 'running');
    };
    if (this.#world.prompt) expect(await allOver()).toBe(true);
    else await until('the lost runs to end', allOver, { timeoutMs: PATIENCE_MS, everyMs: 50 });
    expect(await sweeper.live.listLost()).toEqual([]);
  }

  async #check(run: Run): Promise<void> {
    const { live } = this.#living();
    const truth = await readAll(live, run.runId);
    const status = (await live.getRecord(run.runId))?.status;
    run.facts.check(truth, status);

    // The owner was told once, of a wish that was made. Where word travels, the end may overtake it.
    const told = run.owner.told.filter(([runId]) => runId === run.runId);
    expect(told.length).toBeLessThanOrEqual(1);
    if (run.facts.cancel !== null && !run.owner.dead && this.#world.prompt) expect(told.length).toBe(1);
    for (const [, reason] of told) run.facts.checkReason(reason);
    for (const other of this.#processes) {
      if (other !== run.owner) expect(other.told.some(([runId]) => runId === run.runId)).toBe(false);
    }

    this.#tally.runs += 1;
    if (status !== undefined && status !== 'running') this.#tally[status] += 1;
    if (truth.some(({ trimmedBefore }) => trimmedBefore === true)) this.#tally.trimmed += 1;
  }

  /** Of the same request with the same key there is one run. */
  async #checkCreations(): Promise<void> {
    const { live } = this.#living();
    const kept = new Map<string, number>();
    for (const { record, request, created } of this.#tried) {
      const found = await live.getRecord(record.run_id);
      if (created) expect(found).not.toBeNull();
      if (found !== null && request !== null) kept.set(request, (kept.get(request) ?? 0) + 1);
    }
    for (const [request, count] of kept) expect({ request, count }).toEqual({ request, count: 1 });
    if (this.#strict) {
      const keys = [...kept.keys()].map((request) => request.slice(0, 'key 0'.length));
      expect(new Set(keys).size).toBe(keys.length);
    }
  }
}
