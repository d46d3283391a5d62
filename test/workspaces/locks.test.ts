import { expect, test } from 'bun:test';
import { createWorkspaceLocks } from '../../src/workspaces/locks.ts';
import { newSessionId } from '../../src/workspaces/session.ts';

const A = newSessionId(1, 0);
const B = newSessionId(2, 0);
const LONG = 60_000;
const quiet = (): AbortSignal => new AbortController().signal;

test('runs take turns at a workspace, in the order in which they came', async () => {
  const locks = createWorkspaceLocks();
  const first = await locks.acquire(A, LONG, quiet());
  const order: number[] = [];
  const others = [1, 2, 3].map(async (n) => {
    const release = await locks.acquire(A, LONG, quiet());
    order.push(n);
    await Bun.sleep(0);
    expect(order.at(-1)).toBe(n); // nobody came in between
    release();
  });
  await Promise.resolve();
  expect(order).toEqual([]);
  first();
  await Promise.all(others);
  expect(order).toEqual([1, 2, 3]);
  expect(locks.size).toBe(0);
});

test('workspaces do not wait for each other', async () => {
  const locks = createWorkspaceLocks();
  const a = await locks.acquire(A, LONG, quiet());
  const b = await locks.acquire(B, LONG, quiet());
  expect(locks.size).toBe(2);
  a();
  b();
  expect(locks.size).toBe(0);
});

test('a wait is bounded and says why', async () => {
  const locks = createWorkspaceLocks();
  const release = await locks.acquire(A, LONG, quiet());
  const late = locks.acquire(A, 5, quiet());
  await expect(late).rejects.toMatchObject({
    code: 'workspace_busy',
    message: 'The shell workspace ~/workspace/0000100 is in use by another run.',
  });
  release();
  expect(locks.size).toBe(0);
  (await locks.acquire(A, 5, quiet()))();
});

test('a wait may be without bound', async () => {
  const locks = createWorkspaceLocks();
  const release = await locks.acquire(A, LONG, quiet());
  const next = locks.acquire(A, Number.POSITIVE_INFINITY, quiet());
  await Bun.sleep(5); // a timer that overflows fires within a millisecond
  release();
  (await next)();
});

test('a waiter that is aborted leaves, and the next one gets its turn', async () => {
  const locks = createWorkspaceLocks();
  const release = await locks.acquire(A, LONG, quiet());
  const controller = new AbortController();
  const aborted = locks.acquire(A, LONG, controller.signal);
  const next = locks.acquire(A, LONG, quiet());
  controller.abort(new Error('cancelled'));
  await expect(aborted).rejects.toThrow('cancelled');
  release();
  (await next)();
  expect(locks.size).toBe(0);
  await expect(locks.acquire(A, LONG, controller.signal)).rejects.toThrow('cancelled');
  expect(locks.size).toBe(0);
});

test('giving a workspace back twice does not give away the turn of another', async () => {
  const locks = createWorkspaceLocks();
  const first = await locks.acquire(A, LONG, quiet());
  first();
  const second = await locks.acquire(A, LONG, quiet());
  first();
  await expect(locks.acquire(A, 5, quiet())).rejects.toThrow('in use');
  second();
  expect(locks.size).toBe(0);
});
