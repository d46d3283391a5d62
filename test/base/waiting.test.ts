import { describe, expect, test } from 'bun:test';
import { limitSignal, untilAbandoned, within } from '../../src/base/waiting.ts';

const never = new Promise<never>(() => {});
const reasonOf = (signal: AbortSignal) =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason), { once: true }));

describe('within', () => {
  test('yields what the task yields, and its own error', async () => {
    expect(await within(1000, new Error('late'), async () => 7)).toBe(7);
    await expect(within(1000, new Error('late'), () => Promise.reject(new Error('own')))).rejects.toThrow('own');
    const thrower = () => {
      throw new Error('at once');
    };
    await expect(within(1000, new Error('late'), thrower)).rejects.toThrow('at once');
  });

  test('tells the task and leaves it when the time is over', async () => {
    const told = Promise.withResolvers<unknown>();
    const task = (signal: AbortSignal) => {
      void reasonOf(signal).then(told.resolve);
      return never;
    };
    await expect(within(1, new Error('late'), task)).rejects.toThrow('late');
    expect(await told.promise).toHaveProperty('message', 'late');
  });
});

describe('untilAbandoned', () => {
  test('waits for work that stops after the abort', async () => {
    const controller = new AbortController();
    const work = reasonOf(controller.signal).then(() => 'stopped');
    controller.abort(new Error('stop'));
    expect(await untilAbandoned(work, controller.signal, 60_000)).toBe('stopped');
  });

  test('leaves work that does not, with the reason', async () => {
    const controller = new AbortController();
    const waiting = untilAbandoned(never, controller.signal, 1);
    controller.abort(new Error('stop'));
    await expect(waiting).rejects.toThrow('stop');
    await expect(untilAbandoned(never, controller.signal, 1)).rejects.toThrow('stop');
  });

  test('a failure of work that was left is nobody’s', async () => {
    const controller = new AbortController();
    controller.abort(new Error('stop'));
    const work = Promise.withResolvers<never>();
    await expect(untilAbandoned(work.promise, controller.signal, 1)).rejects.toThrow('stop');
    work.reject(new Error('too late'));
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe('limitSignal', () => {
  test('without a limit is the signal itself', () => {
    const { signal } = new AbortController();
    expect(limitSignal(signal, null, () => new Error('never')).signal).toBe(signal);
  });

  test('aborts with the signal, also when that was aborted before', () => {
    const controller = new AbortController();
    const first = limitSignal(controller.signal, 60, () => new Error('late'));
    controller.abort('why');
    const second = limitSignal(controller.signal, 60, () => new Error('late'));
    expect([first.signal.reason, second.signal.reason]).toEqual(['why', 'why']);
    first.end();
    second.end();
  });

  test('aborts when the time is over, with what is made then', async () => {
    const limited = limitSignal(new AbortController().signal, 0.001, (seconds) => new Error(`after ${seconds}`));
    expect(await reasonOf(limited.signal)).toHaveProperty('message', 'after 0.001');
  });

  test('ends without a trace', () => {
    const controller = new AbortController();
    const limited = limitSignal(controller.signal, 1e9, () => new Error('late'));
    limited.end();
    controller.abort();
    expect(limited.signal.aborted).toBe(false);
  });
});
