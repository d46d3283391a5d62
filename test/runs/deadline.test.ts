import { describe, expect, test } from 'bun:test';
import { percentG, RunTimeoutError, withinDeadline } from '../../src/runs/deadline.ts';

const idle = () => new AbortController().signal;
const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));

describe('the deadline of an agent', () => {
  test('aborts it and says how long it had', async () => {
    const late = withinDeadline({ seconds: 0.001, signal: idle(), stopGraceMs: 60_000 }, untilAborted);
    await expect(late).rejects.toThrow('Agent run exceeded the configured limit of 0.001 seconds');
    await expect(late).rejects.toBeInstanceOf(RunTimeoutError);
  });

  test('hides what the abort made it throw', async () => {
    const late = withinDeadline({ seconds: 0.001, signal: idle(), stopGraceMs: 60_000 }, (signal) =>
      untilAborted(signal).catch(() => Promise.reject(new Error('the socket was closed'))),
    );
    await expect(late).rejects.toBeInstanceOf(RunTimeoutError);
  });

  test('leaves what it threw before, and what it has yielded', async () => {
    const own = withinDeadline({ seconds: 60, signal: idle(), stopGraceMs: 60_000 }, () =>
      Promise.reject(new Error('ReadTimeout')),
    );
    await expect(own).rejects.toThrow('ReadTimeout');
    expect(await withinDeadline({ seconds: 60, signal: idle(), stopGraceMs: 60_000 }, async () => 7)).toBe(7);
    expect(
      await withinDeadline({ seconds: 0.001, signal: idle(), stopGraceMs: 60_000 }, (signal) =>
        untilAborted(signal).catch(() => 'done'),
      ),
    ).toBe('done');
  });

  test('is not the run’s own abort', async () => {
    const controller = new AbortController();
    const aborted = withinDeadline({ seconds: 60, signal: controller.signal, stopGraceMs: 60_000 }, untilAborted);
    controller.abort(new Error('cancelled'));
    await expect(aborted).rejects.toThrow('cancelled');
  });

  test('leaves behind an agent that does not stop', async () => {
    const stuck = () => new Promise<never>(() => {});
    const late = withinDeadline({ seconds: 0.001, signal: idle(), stopGraceMs: 1 }, stuck);
    await expect(late).rejects.toBeInstanceOf(RunTimeoutError);
    const controller = new AbortController();
    const aborted = withinDeadline({ seconds: null, signal: controller.signal, stopGraceMs: 1 }, stuck);
    controller.abort(new Error('cancelled'));
    await expect(aborted).rejects.toThrow('cancelled');
  });

  test('that is not set gives the agent the run’s signal', async () => {
    const signal = idle();
    await withinDeadline({ seconds: null, signal, stopGraceMs: 60_000 }, async (given) => {
      expect(given).toBe(signal);
    });
  });
});

// What Python 3 prints for '%g' % value.
test.each([
  [3600, '3600'],
  [0.5, '0.5'],
  [1, '1'],
  [100_000, '100000'],
  [1_000_000, '1e+06'],
  [1_234_567, '1.23457e+06'],
  [123_456.7, '123457'],
  [0.1 + 0.2, '0.3'],
  [12.3456789, '12.3457'],
  [0.0001, '0.0001'],
  [0.00001, '1e-05'],
  [0.000012345678, '1.23457e-05'],
  [999_999.5, '1e+06'],
  [2_147_483, '2.14748e+06'],
  [0, '0'],
])('%p prints as C does: %s', (value, text) => {
  expect(percentG(value)).toBe(text);
});
