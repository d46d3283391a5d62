// Joining text deltas: what is joined, what is not, and when it is published. Time is the test's: timers fire when it says.

import { describe, expect, test } from 'bun:test';
import type { AgentStreamEvent, PartDeltaEvent } from '../../src/protocol/events.ts';
import { coalescing, createCoalescer } from '../../src/runs/coalescer.ts';
import { type Random, seeded } from '../fuzz/random.ts';

const SETTINGS = { enabled: true, flushIntervalMs: 100, maxChars: 4096 };

const text = (content_delta: string, index = 0): PartDeltaEvent => ({
  index,
  delta: { content_delta, provider_name: null, provider_details: null, part_delta_kind: 'text' },
  event_kind: 'part_delta',
});
const thinking = (content_delta: string, index = 0): PartDeltaEvent => ({
  index,
  delta: {
    content_delta,
    signature_delta: null,
    provider_name: null,
    provider_details: null,
    part_delta_kind: 'thinking',
  },
  event_kind: 'part_delta',
});
const final: AgentStreamEvent = { tool_name: null, tool_call_id: null, event_kind: 'final_result' };

/** `a` for a text delta of part 0, `1:a` of part 1, `(a)` for a thinking delta, `|` for another event. */
function show(event: AgentStreamEvent): string {
  if (event.event_kind !== 'part_delta') return '|';
  const prefix = event.index === 0 ? '' : `${event.index}:`;
  const content = event.delta.content_delta;
  return prefix + (event.delta.part_delta_kind === 'text' ? content : `(${content})`);
}

function scene(settings: Partial<typeof SETTINGS> = {}, fails: (batch: number) => boolean = () => false) {
  const batches: AgentStreamEvent[][] = [];
  const timers: { readonly ms: number; readonly task: () => void; off: boolean }[] = [];
  let calls = 0;
  const coalescer = createCoalescer(
    async (events) => {
      calls += 1;
      if (fails(calls)) throw new Error(`batch ${calls} failed`);
      batches.push([...events]);
    },
    { ...SETTINGS, ...settings },
    (ms, task) => {
      const timer = { ms, task, off: false };
      timers.push(timer);
      return () => {
        timer.off = true;
      };
    },
  );
  return {
    coalescer,
    timers,
    batches,
    shown: () => batches.map((events) => events.map(show)),
    /** Fires the timers that nobody called off. */
    fire: () => {
      for (const timer of timers.splice(0)) if (!timer.off) timer.task();
    },
  };
}

describe('text deltas are joined', () => {
  test('within a batch and across batches, until another event comes', async () => {
    const { coalescer, shown } = scene();
    await coalescer.emit([text('a'), text('b')]);
    await coalescer.emit([text('c')]);
    expect(shown()).toEqual([]);
    await coalescer.emit([final, text('d')]);
    expect(shown()).toEqual([['abc', '|']]);
    await coalescer.flush();
    expect(shown()).toEqual([['abc', '|'], ['d']]);
  });

  test('but not those of different parts', async () => {
    const { coalescer, shown } = scene();
    await coalescer.emit([text('a'), text('b', 1), text('c', 1), text('d')]);
    await coalescer.flush();
    expect(shown().flat()).toEqual(['a', '1:bc', 'd']);
  });

  test('but never thinking, and not across it', async () => {
    const { coalescer, shown } = scene();
    await coalescer.emit([thinking('x'), thinking('y'), text('a'), thinking('z'), text('b')]);
    await coalescer.flush();
    expect(shown().flat()).toEqual(['(x)', '(y)', 'a', '(z)', 'b']);
  });

  test('and one that was not joined is passed on as it is', async () => {
    const { coalescer, batches } = scene();
    const only = text('a');
    await coalescer.emit([only]);
    await coalescer.flush();
    expect(batches[0]?.[0]).toBe(only);
  });

  test('and keep everything else of the first', async () => {
    const { coalescer, batches } = scene();
    await coalescer.emit([text('a', 3), text('b', 3)]);
    await coalescer.flush();
    expect(batches.flat()).toEqual([text('ab', 3)]);
  });
});

describe('what is held is published', () => {
  test('when the timer of its first delta fires, which later ones do not move', async () => {
    const { coalescer, timers, shown, fire } = scene();
    await coalescer.emit([text('a')]);
    await coalescer.emit([text('b')]);
    await coalescer.emit([text('c')]);
    expect(timers.map(({ ms }) => ms)).toEqual([100]);
    fire();
    expect(shown()).toEqual([['abc']]);
    await coalescer.emit([text('d')]);
    expect(timers).toHaveLength(1);
    fire();
    expect(shown()).toEqual([['abc'], ['d']]);
  });

  test('at once when it has as many characters as it may, as Python counts them', async () => {
    const { coalescer, shown } = scene({ maxChars: 4 });
    await coalescer.emit([text('😀😀'), text('😀')]);
    expect(shown()).toEqual([]);
    await coalescer.emit([text('x'), text('y')]);
    expect(shown()).toEqual([['😀😀😀x']]);
    await coalescer.emit([text('a delta that is longer by itself')]);
    expect(shown()).toEqual([['😀😀😀x'], ['ya delta that is longer by itself']]);
  });

  test('with one character allowed each delta leaves by itself', async () => {
    const { coalescer, shown } = scene({ maxChars: 1 });
    await coalescer.emit([text('a'), text('b')]);
    expect(shown()).toEqual([['a', 'b']]);
  });

  test('once: a timer that was called off does nothing, and a late one finds nothing', async () => {
    const { coalescer, timers, shown } = scene();
    await coalescer.emit([text('a'), final]);
    expect(timers[0]?.off).toBe(true);
    timers[0]?.task();
    await coalescer.flush();
    expect(shown()).toEqual([['a', '|']]);
  });
});

describe('failures', () => {
  test('of a batch reach the producer', async () => {
    const { coalescer } = scene({}, () => true);
    await expect(coalescer.emit([final])).rejects.toThrow('batch 1 failed');
  });

  test('of what a timer published reach the next call', async () => {
    const { coalescer, fire, shown } = scene({}, (batch) => batch === 1);
    await coalescer.emit([text('a')]);
    fire();
    await new Promise((resolve) => setImmediate(resolve));
    await expect(coalescer.emit([final])).rejects.toThrow('batch 1 failed');
    await expect(coalescer.flush()).rejects.toThrow('batch 1 failed');
    expect(shown()).toEqual([]);
  });
});

describe('around a producer', () => {
  const collect = () => {
    const events: AgentStreamEvent[] = [];
    return { events, emit: async (batch: readonly AgentStreamEvent[]) => void events.push(...batch) };
  };

  test('what is held is published before the result is there', async () => {
    const { events, emit } = collect();
    const result = await coalescing(emit, SETTINGS, async (inner) => {
      await inner([text('a'), text('b')]);
      return 7;
    });
    expect(result).toBe(7);
    expect(events.map(show)).toEqual(['ab']);
  });

  test('and before its failure is', async () => {
    const { events, emit } = collect();
    const failing = coalescing(emit, SETTINGS, async (inner) => {
      await inner([text('a'), text('b')]);
      throw new Error('source failed');
    });
    await expect(failing).rejects.toThrow('source failed');
    expect(events.map(show)).toEqual(['ab']);
  });

  test('the failure of the producer is told, not that of the last batch', async () => {
    const failing = coalescing(
      () => Promise.reject(new Error('store failed')),
      SETTINGS,
      async (inner) => {
        await inner([text('a')]);
        throw new Error('source failed');
      },
    );
    await expect(failing).rejects.toThrow('source failed');
  });

  test('the failure of the last batch is told when there is no other', async () => {
    const failing = coalescing(
      () => Promise.reject(new Error('store failed')),
      SETTINGS,
      (inner) => inner([text('a')]),
    );
    await expect(failing).rejects.toThrow('store failed');
  });

  test('switched off it is not there', async () => {
    const { emit } = collect();
    await coalescing(emit, { ...SETTINGS, enabled: false }, async (inner) => {
      expect(inner).toBe(emit);
    });
  });

  test('a real timer publishes while the producer waits', async () => {
    const published = Promise.withResolvers<void>();
    const { events, emit } = collect();
    await coalescing(
      async (batch) => {
        await emit(batch);
        published.resolve();
      },
      { ...SETTINGS, flushIntervalMs: 1 },
      async (inner) => {
        await inner([text('a'), text('b')]);
        await published.promise;
        expect(events.map(show)).toEqual(['ab']);
      },
    );
  });
});

test('whatever is joined: no text is lost, nothing else changes its place', async () => {
  for (let seed = 0; seed < 300; seed += 1) {
    const random = seeded(seed);
    const { coalescer, batches, fire } = scene({ maxChars: 1 + random.int(12) });
    const sent: AgentStreamEvent[] = [];
    for (let step = random.int(30); step > 0; step -= 1) {
      const batch = Array.from({ length: random.int(6) }, () => randomEvent(random));
      sent.push(...batch);
      await coalescer.emit(batch);
      if (random.int(5) === 0) fire();
    }
    await coalescer.flush();
    const received = batches.flat();
    expect(runs(received)).toEqual(runs(sent));
    expect(received.length).toBeLessThanOrEqual(sent.length);
  }
});

function randomEvent(random: Random): AgentStreamEvent {
  const content = ['', 'a', 'word ', '😀', '\ud83d', '\u2028'][random.int(6)] ?? '';
  const kind = random.int(8);
  if (kind === 0) return final;
  return kind === 1 ? thinking(content, random.int(2)) : text(content, random.int(3) === 0 ? 1 : 0);
}

/** The stream with neighbouring text deltas of one part as one: what coalescing must not change. */
function runs(events: readonly AgentStreamEvent[]): readonly string[] {
  const out: { key: string; text: string }[] = [];
  for (const event of events) {
    const isText = event.event_kind === 'part_delta' && event.delta.part_delta_kind === 'text';
    const key = isText ? `text ${event.index}` : `other ${JSON.stringify(event)}`;
    const content = isText ? event.delta.content_delta : '';
    const last = out.at(-1);
    if (isText && last?.key === key) last.text += content;
    else out.push({ key, text: content });
  }
  return out.map(({ key, text: content }) => `${key} ${content}`);
}
