// Time as the wire wants it: UTC, microseconds, RFC 3339 with `Z` (spec 01 §1.5).
// Everything that reads the time takes a Clock, so that tests can drive it.

/** A source of time. */
export interface Clock {
  /** Microseconds since the Unix epoch, an integer below 2^53. Goes backwards only when the machine's clock is set back. */
  nowMicros(): number;
}

/** The real clock: wall time at process start plus the monotonic timer, re-anchored when they drift over 50 ms. */
export function systemClock(): Clock {
  let origin = performance.timeOrigin;
  let last = 0;
  return {
    nowMicros() {
      const monotonic = performance.now();
      const wall = Date.now();
      if (Math.abs(origin + monotonic - wall) > 50) {
        // The clock was set: what it says now counts. Ids do not depend on it, stores keep them rising.
        origin = wall - monotonic;
        last = 0;
      }
      const micros = Math.round((origin + monotonic) * 1000);
      last = Math.max(micros, last);
      return last;
    },
  };
}

let cachedSecond = -1;
let cachedText = '';

/**
 * RFC 3339 in UTC with `Z`; the fraction is exactly six digits and omitted when the microseconds are 0
 * (`2026-05-26T03:14:10.120000Z`, `2026-05-26T03:14:10Z`).
 */
export function rfc3339(micros: number): string {
  const second = Math.floor(micros / 1_000_000);
  if (second !== cachedSecond) {
    cachedText = new Date(second * 1000).toISOString().slice(0, 19);
    cachedSecond = second;
  }
  const fraction = micros - second * 1_000_000;
  return fraction === 0 ? `${cachedText}Z` : `${cachedText}.${String(fraction).padStart(6, '0')}Z`;
}
