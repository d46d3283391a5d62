import { describe, expect, test } from 'bun:test';
import { CURSOR_START } from '../../src/base/cursor.ts';
import type { AgentStreamEvent } from '../../src/protocol/events.ts';
import { StoreUnavailableError } from '../../src/runs/errors.ts';
import type { AppendOutcome, RunStore } from '../../src/runs/ports.ts';
import { createEventSink, finishPersistently, RunOverError } from '../../src/runs/sink.ts';
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

  test('holds the producer back while a thousand events are not durable, and lets it go when they are', async () => {
    const acknowledge: (() => void)[] = [];
    const store: RunStore = {
      ...memoryStore(),
      append: () =>
        new Promise<AppendOutcome>((resolve) => acknowledge.push(() => resolve({ appended: true, events: [] }))),
    };
    const sink = createEventSink({ store, wire, clock, runId: 'r' });
    let held = false;
    const many = sink.emit(Array.from({ length: 1024 }, () => delta('x'))).then(() => (held = false));
    held = true;
    await Promise.resolve();
    expect(held).toBe(true);
    acknowledge[0]?.();
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

test('the end of a run is tried again while the store is away', async () => {
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
  const outcome = await finishPersistently(createEventSink({ store, wire, clock, runId }), succeeded());
  expect(outcome.applied).toBe(true);
  expect(attempts).toBe(3);
});
