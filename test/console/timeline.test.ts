import { describe, expect, test } from 'bun:test';
import type { RunEvent } from '../../src/client/types.ts';
import { foldTimeline, isWaiting, NO_TIMELINE, type Timeline } from '../../src/console/run/timeline.ts';
import { MAX_ROWS, panned, rowsOf, ticksOf, wholeOf, zoomed } from '../../src/console/run/waterfall-rows.ts';
import { EventLine, recordedRuns } from './events.ts';

const fold = (events: readonly RunEvent[]): Timeline => events.reduce(foldTimeline, NO_TIMELINE);

/** Two tools at once, a call that is sent back, and an answer. */
function working(): RunEvent[] {
  const line = new EventLine();
  return [
    line.started(0),
    line.thinking(100, 0, 'First'),
    line.end(190, 0, 'First'),
    line.text(200, 1, 'Let me '),
    line.delta(300, 1, 'see.'),
    line.end(400, 1, 'Let me see.'),
    line.call(410, 'a', 'stock', '{"item":"tea"}'),
    line.call(410, 'b', 'price'),
    line.returned(600, 'b', 'price', '4.5'),
    line.returned(900, 'a', 'stock', '2'),
    line.call(1_000, 'c', 'reserve'),
    line.retried(1_010, 'c', 'reserve', 'how many?'),
    line.text(1_200, 0, 'Done.'),
    line.end(1_300, 0, 'Done.'),
    line.succeeded(1_310, 'Done.'),
  ];
}

describe('rounds', () => {
  test('an answer of the model and its tools are a round; the next begins with the next answer', () => {
    const { rounds, status, output } = fold(working());
    expect(status).toBe('succeeded');
    expect(output).toBe('Done.');
    expect(
      rounds.map(({ number, parts, calls }) => [number, parts.map(({ text }) => text), calls.map(({ id }) => id)]),
    ).toEqual([
      [1, ['First', 'Let me see.'], ['a', 'b', 'c']],
      [2, ['Done.'], []],
    ]);
  });

  test('parallel calls end each for itself, whichever is first', () => {
    const [round] = fold(working()).rounds;
    const lengths = round?.calls.map(({ start, end }) => (end ?? 0) - start);
    expect(lengths).toEqual([490, 190, 10]);
    expect(round?.calls.map(({ state }) => state)).toEqual(['returned', 'returned', 'retried']);
  });

  test('the model waits from the end of what came before to its first part', () => {
    const { rounds } = fold(working());
    expect(rounds.map(({ start, first }) => first - start)).toEqual([100, 190]);
  });

  test('a round after a call that was sent back is a retry, and so is an answer after an answer', () => {
    expect(fold(working()).rounds.map(({ retry }) => retry)).toEqual([false, true]);
    const line = new EventLine();
    const refused = [line.started(), line.text(10, 0, 'bad'), line.end(20, 0, 'bad'), line.text(30, 0, 'good')];
    expect(fold(refused).rounds.map(({ retry }) => retry)).toEqual([false, true]);
  });

  test('a stream that is joined late shows results without their calls', () => {
    const line = new EventLine();
    const [call] = fold([line.returned(10, 'x', 'stock', '2'), line.delta(20, 3, 'lost')]).rounds[0]?.calls ?? [];
    expect(call).toMatchObject({ id: 'x', state: 'returned', args: null });
  });

  test('a question is asked, a call without a result is unanswered when the run is over', () => {
    const line = new EventLine();
    const asking = [line.started(), line.call(10, 'q', 'ask_human'), line.asked(20, 'q')];
    expect(fold(asking).rounds[0]?.calls[0]?.state).toBe('asked');
    const failing = [line.started(), line.call(10, 'q', 'break'), line.failed(50, 'no')];
    const { rounds, error, reason } = fold(failing);
    expect(rounds[0]?.calls[0]).toMatchObject({ state: 'unanswered' });
    expect([error, reason]).toEqual(['no', 'tool_failed']);
  });

  test('time never runs backwards, and a time that is none is the one before', () => {
    const line = new EventLine();
    const back = { ...line.text(50, 0, 'x'), created_at: '2026-11-21T11:00:00Z' };
    const { rounds, startedAt, lastAt } = fold([
      line.started(100),
      back,
      { ...line.end(60, 0, 'x'), created_at: 'soon' },
    ]);
    expect(lastAt).toBe(startedAt);
    expect(rounds[0]?.first).toBe(startedAt ?? 0);
  });

  test('the run waits for the model at its beginning and when every tool has returned', () => {
    const events = working();
    const waits = events.map((_, index) => isWaiting(fold(events.slice(0, index + 1))));
    expect(waits.map((waiting, index) => (waiting ? index : -1)).filter((index) => index >= 0)).toEqual([
      0, 2, 5, 9, 11, 13,
    ]);
  });

  test('every recorded run folds: its rounds hold all its calls, and nothing stays open', () => {
    const runs = recordedRuns();
    expect(runs.length).toBeGreaterThan(100);
    for (const { name, events } of runs) {
      const { rounds, status } = fold(events);
      const made = events.filter(
        ({ type, data }) => type === 'pydantic_ai_event' && data.event_kind === 'function_tool_call',
      );
      const calls = rounds.flatMap((round) => round.calls);
      expect([name, status]).not.toEqual([name, 'running']);
      expect([name, calls.length]).toEqual([name, made.length]);
      expect([name, calls.every(({ end }) => end !== null)]).toEqual([name, true]);
    }
  });
});

describe('the waterfall', () => {
  const done = fold(working());

  test('has a row per round and per call, with times from the beginning', () => {
    expect(rowsOf(done, 0).map(({ label, level, start, end, note }) => [label, level, start, end, note])).toEqual([
      ['Model 1', 0, 0, 400, ''],
      ['stock', 1, 410, 900, ''],
      ['price', 1, 410, 600, ''],
      ['reserve', 1, 1_000, 1_010, 'retried'],
      ['Model 2', 0, 1_010, 1_300, 'retry'],
    ]);
  });

  test('what goes on grows with the clock', () => {
    const timeline = fold(working().slice(0, 7));
    const now = (timeline.startedAt ?? 0) + 5_000;
    expect(rowsOf(timeline, now).at(-1)).toMatchObject({ label: 'stock', end: 5_000, open: true });
    expect(wholeOf(rowsOf(timeline, now))).toEqual({ from: 0, to: 5_000 });
  });

  test('nothing has happened: no rows', () => {
    expect(rowsOf(NO_TIMELINE, 0)).toEqual([]);
    expect(wholeOf([])).toEqual({ from: 0, to: 1 });
  });

  test('zooming keeps what is under the pointer, and never leaves the whole', () => {
    const whole = { from: 0, to: 1_000 };
    const near = zoomed(whole, 0.5, 250, whole);
    expect(near).toEqual({ from: 125, to: 625 });
    expect(zoomed(near, 100, 250, whole)).toEqual(whole);
    const tiny = zoomed(whole, 1e-9, 999, whole);
    expect(tiny.to - tiny.from).toBeGreaterThan(0);
    expect(panned(near, 10_000, whole)).toEqual({ from: 500, to: 1_000 });
    expect(panned(near, -10_000, whole)).toEqual({ from: 0, to: 500 });
  });

  test('ticks are round, and never more than asked for', () => {
    expect(ticksOf({ from: 0, to: 1_000 }, 6)).toEqual([0, 200, 400, 600, 800, 1_000]);
    expect(ticksOf({ from: 130, to: 171 }, 5)).toEqual([130, 140, 150, 160, 170]);
    for (const to of [0.05, 1, 3.3, 59_999, 1e9]) expect(ticksOf({ from: 0, to }, 6).length).toBeLessThanOrEqual(7);
  });

  test('a run of thousands of calls has more rows than are drawn', () => {
    const line = new EventLine();
    const calls = Array.from({ length: 1_000 }, (_, index) => line.call(index, `c${index}`, 'again'));
    expect(rowsOf(fold([line.started(), ...calls]), 0).length).toBeGreaterThan(MAX_ROWS);
  });
});
