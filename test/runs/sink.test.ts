import { afterEach, beforeEach, describe, expect, jest, test } from 'bun:test';
import { CURSOR_START } from '../../src/base/cursor.ts';
import type { AgentStreamEvent } from '../../src/protocol/events.ts';
import { StoreUnavailableError } from '../../src/runs/errors.ts';
import type { AppendOutcome, RunStore } from '../../src/runs/ports.ts';
import { createEventSink, finaliseRun, finishPersistently, RunOverError } from '../../src/runs/sink.ts';
import { clock, failed, memoryStore, now, succeeded, wire } from './support.ts';

const delta = (text: string): AgentStreamEvent => ({
  index: 0,
  delta: { content_delta: text, provider_name: null, provider_details: null, part_delta_kind: 'text' },
  event_kind: 'part_delta',
});

async function running(store: RunStore): Promise<string> {
  const runId = crypto.randomUUID();
  await store.create({ run_id: runId, status: 'running', created_at: now(), updated_at: now(), error: null });
  return runId;
}

/** A sink whose store answers appends when it is told to. */
function gated() {
  const answers: PromiseWithResolvers<AppendOutcome>[] = [];
  const store: RunStore = {
    ...memoryStore(),
    append: () => {
      const answer = Promise.withResolvers<AppendOutcome>();
      answers.push(answer);
      return answer.promise;
    },
  };
  return { sink: createEventSink({ store, wire, clock, runId: 'r' }), answers };
}

describe('an event sink', () => {
  test('keeps the order of events, whatever is in flight, and the terminal comes last', async () => {
    const store = memoryStore();
    const runId = await running(store);
    const sink = createEventSink({ store, wire, clock, runId });
    await sink.started();
    for (let i = 0; i < 300; i += 1) await sink.emit([delta(`${i}`), delta('x')]);
    await sink.finish(succeeded());
    const events: { data: { delta?: { content_delta: string } }; type: string }[] = [];
    for (let after = CURSOR_START; ; ) {
      const page = await store.readEvents(runId, after, 100);
      events.push(...page.map(({ payload }) => JSON.parse(payload)));
      const last = page.at(-1);
      if (last === undefined) break;
      after = last.id;
    }
    expect(events).toHaveLength(602);
    expect(events[0]?.type).toBe('run_started');
    expect(events[601]?.type).toBe('run_succeeded');
    expect(events.slice(1, 601).map(({ data }) => data.delta?.content_delta)).toEqual(
      Array.from({ length: 600 }, (_, i) => (i % 2 === 0 ? `${i / 2}` : 'x')),
    );
  });

  test('holds the producer back while what is not durable is large, however few events it is', async () => {
    const { sink, answers } = gated();
    const large = delta('x'.repeat(1024 * 1024));
    let emitted = 0;
    const emitting = (async () => {
      for (; emitted < 8; emitted += 1) await sink.emit([large]);
    })();
    for (let i = 0; i < 100; i += 1) await Promise.resolve();
    expect(emitted).toBe(3);
    for (let i = 0; i < 8; i += 1) {
      answers[i]?.resolve({ appended: true, events: [] });
      for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
    }
    await emitting;
    await sink.settled();
    expect(answers).toHaveLength(8);
  });

  test('holds the producer back while a thousand events are not durable, and lets it go when they are', async () => {
    const { sink, answers } = gated();
    let held = false;
    const many = sink.emit(Array.from({ length: 1024 }, () => delta('x'))).then(() => (held = false));
    held = true;
    await Promise.resolve();
    expect(held).toBe(true);
    answers[0]?.resolve({ appended: true, events: [] });
    await many;
    expect(held).toBe(false);
  });

  test('tells the producer that the run was ended elsewhere', async () => {
    const store = memoryStore();
    const runId = await running(store);
    const sink = createEventSink({ store, wire, clock, runId });
    const other = createEventSink({ store, wire, clock, runId });
    await other.finish(failed('elsewhere'));
    await sink.emit([delta('late')]);
    // The refusal arrives with the acknowledgement of a later write to the same store.
    await other.finish(failed('again'));
    await expect(sink.emit([delta('later')])).rejects.toBeInstanceOf(RunOverError);
  });
});

describe('two producers at once', () => {
  test('are both let go when the store has caught up', async () => {
    const { sink, answers } = gated();
    const held = [1024, 1, 1].map((count) => sink.emit(Array.from({ length: count }, () => delta('x'))));
    for (const answer of answers) answer.resolve({ appended: true, events: [] });
    await Promise.all(held);
  });
});

describe('what was emitted', () => {
  test('is settled when all of it is durable', async () => {
    const { sink, answers } = gated();
    await sink.emit([delta('a')]);
    await sink.emit([delta('b')]);
    let settled = false;
    const waiting = sink.settled().then(() => (settled = true));
    answers[0]?.resolve({ appended: true, events: [] });
    await answers[0]?.promise;
    await Promise.resolve();
    expect(settled).toBe(false);
    answers[1]?.resolve({ appended: true, events: [] });
    await waiting;
  });

  test('and got lost is told when it is settled, and to who waited', async () => {
    const { sink, answers } = gated();
    const held = sink.emit(Array.from({ length: 1024 }, () => delta('a')));
    answers[0]?.reject(new StoreUnavailableError());
    await expect(held).rejects.toBeInstanceOf(StoreUnavailableError);
    await expect(sink.settled()).rejects.toBeInstanceOf(StoreUnavailableError);
  });
});

describe('the end of a run whose cancel was accepted', () => {
  const INTENT = { reason: 'user_cancelled', message: null, requestedAt: now() };

  test('is a cancelled one, with what the given end has of snapshot and usage, and that is told', async () => {
    const store = memoryStore();
    const runId = await running(store);
    await store.requestCancel(runId, INTENT);
    const usage = { promptTokens: 1, completionTokens: 2 };
    const outcome = await finaliseRun({ store, wire, clock }, runId, { ...succeeded(), usage });
    expect(outcome).toMatchObject({
      applied: true,
      ending: { type: 'run_cancelled', reason: 'user_cancelled', message: null, snapshot: succeeded().snapshot, usage },
    });
    expect((await store.getRecord(runId))?.status).toBe('cancelled');
  });

  test('that is met on the way to a store that goes away is tried again as a whole', async () => {
    const inner = memoryStore();
    const runId = await running(inner);
    await inner.requestCancel(runId, INTENT);
    const asked: string[] = [];
    const store: RunStore = {
      ...inner,
      finalise(id, transition) {
        asked.push(transition.status);
        return asked.length === 2 ? Promise.reject(new StoreUnavailableError()) : inner.finalise(id, transition);
      },
    };
    const options = { signal: new AbortController().signal, onAway: () => {} };
    const sink = createEventSink({ store, wire, clock, runId });
    expect((await finishPersistently(sink, succeeded(), options)).applied).toBe(true);
    expect(asked).toEqual(['succeeded', 'cancelled', 'succeeded', 'cancelled']);
  });

  test('of a living owner is not told to the store by who takes it for dead', async () => {
    const store = memoryStore();
    const runId = await running(store);
    const event = { ...failed(''), type: 'run_cancelled', message: null } as const;
    const outcome = await finaliseRun({ store, wire, clock }, runId, event, 'finaliseLost');
    expect(outcome).toEqual({ applied: false, status: 'running', cancel: null });
    expect((await store.getRecord(runId))?.status).toBe('running');
    expect((await finaliseRun({ store, wire, clock }, runId, succeeded())).applied).toBe(true);
  });
});

describe('the end of a run', () => {
  /** A sink whose store is away until it is told otherwise; `attempts` counts. */
  function outage() {
    const state = { away: true, attempts: 0 };
    const finish = async () => {
      state.attempts += 1;
      if (state.away) throw new StoreUnavailableError();
      return { applied: true, event: { id: '1-0', payload: '{}' }, ending: succeeded() } as const;
    };
    return { state, finish };
  }
  const patience = (signal = new AbortController().signal) => {
    const told: unknown[] = [];
    return { signal, onAway: (error: StoreUnavailableError) => void told.push(error), told };
  };

  test('is tried again while the store is away, and that is told once', async () => {
    const inner = memoryStore();
    const runId = await running(inner);
    let attempts = 0;
    const store: RunStore = {
      ...inner,
      finalise: (id, transition) => {
        attempts += 1;
        return attempts < 3 ? Promise.reject(new StoreUnavailableError()) : inner.finalise(id, transition);
      },
    };
    const options = patience();
    const outcome = await finishPersistently(createEventSink({ store, wire, clock, runId }), succeeded(), options);
    expect(outcome.applied).toBe(true);
    expect(attempts).toBe(3);
    expect(options.told).toHaveLength(1);
  });

  describe('with a driven clock', () => {
    beforeEach(() => void jest.useFakeTimers());
    afterEach(() => void jest.useRealTimers());
    const turns = async () => {
      for (let i = 0; i < 10; i += 1) await Promise.resolve();
    };
    const pass = async (ms: number) => {
      jest.advanceTimersByTime(ms);
      await turns();
    };

    test('is tried again for as long as the outage lasts', async () => {
      const { state, finish } = outage();
      const ended = finishPersistently({ finish }, succeeded(), patience());
      await turns();
      for (let i = 0; i < 600; i += 1) await pass(12_800);
      expect(state.attempts).toBeGreaterThan(600);
      state.away = false;
      await pass(12_800);
      expect((await ended).applied).toBe(true);
      expect(jest.getTimerCount()).toBe(0);
    });

    test('is tried at once when the run is aborted, and given up some seconds later', async () => {
      const { state, finish } = outage();
      const abort = new AbortController();
      const ended = finishPersistently({ finish }, succeeded(), patience(abort.signal));
      const failed = ended.catch((error: unknown) => error);
      await turns();
      for (let i = 0; i < 10; i += 1) await pass(12_800);
      const before = state.attempts;
      abort.abort();
      await turns();
      expect(state.attempts).toBe(before + 1);
      for (let i = 0; i < 70; i += 1) await pass(100);
      expect(await failed).toBeInstanceOf(StoreUnavailableError);
      expect(jest.getTimerCount()).toBe(0);
    });
  });

  test('that the store refuses for another reason is not tried again', async () => {
    const options = patience();
    const finish = () => Promise.reject(new RangeError('too deep'));
    await expect(finishPersistently({ finish }, succeeded(), options)).rejects.toThrow('too deep');
    expect(options.told).toEqual([]);
  });
});
