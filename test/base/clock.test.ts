import { expect, test } from 'bun:test';
import { rfc3339, systemClock } from '../../src/base/clock.ts';

test('a fraction has six digits and is left out when it is zero', () => {
  const second = Date.UTC(2026, 4, 26, 3, 14, 10) * 1000;
  expect(rfc3339(second)).toBe('2026-05-26T03:14:10Z');
  expect(rfc3339(second + 120_000)).toBe('2026-05-26T03:14:10.120000Z');
  expect(rfc3339(second + 7)).toBe('2026-05-26T03:14:10.000007Z');
  expect(rfc3339(second - 1)).toBe('2026-05-26T03:14:09.999999Z');
});

test('the system clock is close to the wall clock and never goes backwards', () => {
  const clock = systemClock();
  let last = 0;
  for (let i = 0; i < 1_000; i += 1) {
    const now = clock.nowMicros();
    expect(now).toBeGreaterThanOrEqual(last);
    last = now;
  }
  expect(Math.abs(last / 1000 - Date.now())).toBeLessThan(100);
  expect(Number.isInteger(last)).toBe(true);
});
