// Comparing event ids as text: the same as with 64-bit integers.

import { expect, test } from 'bun:test';
import { isBehind } from '../../src/client/cursor.ts';

const PARTS = ['0', '1', '9', '10', '11', '99', '100', '1780388130204', '9007199254740993', '18446744073709551615'];

test('ids are compared as pairs of integers', () => {
  const ids = PARTS.flatMap((ms) => PARTS.map((seq) => [ms, seq] as const));
  for (const [ms, seq] of ids) {
    for (const [cursorMs, cursorSeq] of ids) {
      const behind = BigInt(ms) === BigInt(cursorMs) ? BigInt(seq) <= BigInt(cursorSeq) : BigInt(ms) < BigInt(cursorMs);
      expect([ms, seq, cursorMs, cursorSeq, isBehind(`${ms}-${seq}`, `${cursorMs}-${cursorSeq}`)]).toEqual([
        ms,
        seq,
        cursorMs,
        cursorSeq,
        behind,
      ]);
    }
  }
});

test.each([
  ['5-0', '5'],
  ['5', '5-0'],
  ['a', 'b'],
  ['05-0', '6-0'],
  ['1-0', ' 2-0'],
  ['1-0', '2-0-0'],
])('%j is not held against %j: one of them is no id that servers write', (id, cursor) => {
  expect(isBehind(id, cursor)).toBe(false);
});

test('the same text is behind itself, whatever it is', () => {
  expect(isBehind('x', 'x')).toBe(true);
});
