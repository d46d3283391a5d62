// How late the event loop is: a timer that falls due ten times a second, and by how much it came too late. What it measures
// is what any timer of this process suffers, in buckets that add up over time and over processes, which
// `monitorEventLoopDelay` does not give. Ten wake-ups a second cost nothing that can be measured.

import { BOUNDS, Distribution } from './tables.ts';

const INTERVAL_MS = 100;

/** A running measurement. */
export interface LoopDelay {
  /** Seconds. */
  readonly seconds: Distribution;
  /** Of the last minute, seconds: the longest. */
  readonly recentMax: number;
  stop(): void;
}

/** Starts measuring; does not keep the process alive. */
export function measureLoopDelay(): LoopDelay {
  const seconds = new Distribution(BOUNDS.short);
  const recent = new Array<number>(60).fill(0);
  let due = performance.now() + INTERVAL_MS;
  let timer = setTimeout(tick, INTERVAL_MS);
  timer.unref();

  function tick(): void {
    const now = performance.now();
    const late = Math.max(0, now - due) / 1000;
    seconds.observe(late);
    remember(now, late);
    due = now + INTERVAL_MS;
    timer = setTimeout(tick, INTERVAL_MS);
    timer.unref();
  }

  let lastSecond = 0;
  function remember(now: number, late: number): void {
    const second = Math.floor(now / 1000);
    // A second that nobody saw, because the loop stood still, is no calm one: it belongs to the delay that is told now.
    for (let missed = Math.max(lastSecond + 1, second - recent.length + 1); missed <= second; missed++) {
      recent[missed % recent.length] = 0;
    }
    lastSecond = second;
    const slot = second % recent.length;
    recent[slot] = Math.max(recent[slot] ?? 0, late);
  }

  return {
    seconds,
    get recentMax() {
      return Math.max(...recent);
    },
    stop: () => clearTimeout(timer),
  };
}
