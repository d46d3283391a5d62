import { describe, expect, test } from 'bun:test';
import { DaemonTransportError } from '../../src/peers/plugin-daemon/errors.ts';
import { createSlots } from '../../src/peers/slots.ts';
import { quiet } from './plugin-daemon/kit.ts';

const LONG = 60_000;
const timedOut = () => new DaemonTransportError('pool_timeout');

describe('connection slots', () => {
  test('are given out up to their number, then in order of arrival', async () => {
    const slots = createSlots(1, timedOut);
    const first = await slots.acquire('a', LONG, quiet());
    const order: string[] = [];
    const waits = ['b', 'c', 'd'].map((owner) =>
      slots.acquire(owner, LONG, quiet()).then((release) => {
        order.push(owner);
        release();
      }),
    );
    expect([slots.used, slots.waiting]).toEqual([1, 3]);
    first();
    await Promise.all(waits);
    expect(order).toEqual(['b', 'c', 'd']);
    expect([slots.used, slots.waiting]).toEqual([0, 0]);
  });

  test('go round between runs: many calls of one do not keep the others waiting', async () => {
    const slots = createSlots(1, timedOut);
    const first = await slots.acquire('busy', LONG, quiet());
    const order: string[] = [];
    const wait = (owner: string) =>
      slots.acquire(owner, LONG, quiet()).then((release) => {
        order.push(owner);
        release();
      });
    const waits = [wait('busy'), wait('busy'), wait('busy'), wait('other'), wait('third'), wait('other')];
    first();
    await Promise.all(waits);
    expect(order).toEqual(['busy', 'other', 'third', 'busy', 'other', 'busy']);
  });

  test('are not all given to one owner, where that has a limit: it waits for its own, and others pass it', async () => {
    const slots = createSlots(3, timedOut, 2);
    const held = [await slots.acquire('busy', LONG, quiet()), await slots.acquire('busy', LONG, quiet())];
    const order: string[] = [];
    const wait = (owner: string) =>
      slots.acquire(owner, LONG, quiet()).then((release) => {
        order.push(owner);
        release();
      });
    const third = wait('busy');
    expect([slots.used, slots.waiting]).toEqual([2, 1]);
    await wait('other');
    expect(order).toEqual(['other']);
    const last = await slots.acquire('other', LONG, quiet());
    const fourth = wait('other');
    held[0]?.();
    await Promise.all([third, fourth]);
    expect(order).toEqual(['other', 'busy', 'other']);
    held[1]?.();
    last();
    expect([slots.used, slots.waiting]).toEqual([0, 0]);
  });

  test('are not waited for longer than the pool time-out', async () => {
    const slots = createSlots(1, timedOut);
    const release = await slots.acquire('a', LONG, quiet());
    await expect(slots.acquire('b', 10, quiet())).rejects.toThrow('PoolTimeout');
    expect(slots.waiting).toBe(0);
    release();
    (await slots.acquire('c', 10, quiet()))();
  });

  test('are given back once, however often that is said', async () => {
    const slots = createSlots(1, timedOut);
    const release = await slots.acquire('a', LONG, quiet());
    release();
    release();
    const again = await slots.acquire('b', LONG, quiet());
    expect(slots.used).toBe(1);
    again();
  });

  test('are not taken by a waiter that was aborted', async () => {
    const slots = createSlots(1, timedOut);
    const release = await slots.acquire('a', LONG, quiet());
    const controller = new AbortController();
    const aborted = slots.acquire('b', LONG, controller.signal);
    controller.abort(new Error('cancelled'));
    await expect(aborted).rejects.toThrow('cancelled');
    release();
    expect([slots.used, slots.waiting]).toEqual([0, 0]);
    await expect(slots.acquire('b', LONG, controller.signal)).rejects.toThrow('cancelled');
  });
});
