// Waits that are exact to about a quarter of a millisecond, for fakes that share the machine with what they measure. Bun's timers
// count whole milliseconds, and waiting out the rest by asking the clock again and again takes a whole core: a thread that sleeps
// in `Atomics.wait`, which knows fractions, tells when the next wait is over.

import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

/** Of many waits, those that end within the same such span end together: a wake-up costs some 50 µs. */
const GRID_MS = 0.25;
/** So many waits end each at its own time. */
const FEW = 3;

/** A source of waits. */
export interface BenchTimer {
  /** Resolves at `performance.now() >= time` (ms), at once when that is over. */
  at(time: number): Promise<void>;
  /** Waits that are under way never end then. */
  stop(): void;
}

interface Wait {
  readonly time: number;
  readonly over: () => void;
}

/** Shared with the thread: a number that counts orders, and the time (ms since 1970) at which it is to wake us; infinite: never. */
interface Order {
  readonly count: Int32Array;
  readonly time: Float64Array;
}

/** Starts one, and its thread. */
export function startBenchTimer(): BenchTimer {
  const memory = new SharedArrayBuffer(16);
  const order = orderOf(memory);
  order.time[0] = Number.POSITIVE_INFINITY;
  const thread = new Worker(fileURLToPath(import.meta.url), { workerData: memory });
  thread.unref();
  let waits: Wait[] = [];
  let next = Number.POSITIVE_INFINITY;

  function wakeAt(time: number): void {
    next = time;
    order.time[0] = performance.timeOrigin + time;
    Atomics.add(order.count, 0, 1);
    Atomics.notify(order.count, 0);
  }

  /** When to look for a wait that ends then. */
  function end(time: number): number {
    return waits.length <= FEW ? time : Math.ceil(time / GRID_MS) * GRID_MS;
  }

  thread.on('message', () => {
    const now = performance.now();
    const over = waits.filter(({ time }) => time <= now);
    waits = waits.filter(({ time }) => time > now);
    if (waits.length === 0) next = Number.POSITIVE_INFINITY;
    else wakeAt(end(Math.min(...waits.map(({ time }) => time))));
    for (const wait of over) wait.over();
  });

  return {
    at(time) {
      if (time <= performance.now()) return Promise.resolve();
      return new Promise((over) => {
        waits.push({ time, over });
        const wish = end(time);
        if (wish < next) wakeAt(wish);
      });
    },
    stop() {
      void thread.terminate();
    },
  };
}

function orderOf(memory: SharedArrayBuffer): Order {
  return { count: new Int32Array(memory, 0, 1), time: new Float64Array(memory, 8, 1) };
}

/** The thread: one message per order, when its time has come; an order that comes before replaces it. */
function serveOrders({ count, time }: Order): void {
  for (let seen = Atomics.load(count, 0); ; ) {
    const left = (time[0] ?? 0) - (performance.timeOrigin + performance.now());
    if (left <= 0) {
      parentPort?.postMessage(0);
      // Until there is another one.
      Atomics.wait(count, 0, seen);
    } else if (Number.isFinite(left)) Atomics.wait(count, 0, seen, left);
    else Atomics.wait(count, 0, seen);
    seen = Atomics.load(count, 0);
  }
}

if (!isMainThread && workerData instanceof SharedArrayBuffer) serveOrders(orderOf(workerData));
