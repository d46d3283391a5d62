import { describe, expect, test } from 'bun:test';
import { compareEventIds, parseCursor } from '../../src/base/cursor.ts';

describe('parseCursor', () => {
  test.each([
    ['0-0', '0-0'],
    ['5', '5-0'],
    ['1780388130204-3', '1780388130204-3'],
    ['007-01', '7-1'],
    [' 5-1', '5-1'],
    ['5- 1', '5-1'],
    ['18446744073709551615-0', '18446744073709551615-0'],
    ['0-18446744073709551615', '0-18446744073709551615'],
  ])('reads %p as %p', (text, canonical) => {
    expect(parseCursor(text)).toBe(canonical);
  });

  test.each([
    '',
    'abc',
    '$',
    '-',
    '+',
    '5-',
    '-5',
    '5-1-2',
    '5 ',
    '1.5',
    '18446744073709551616',
    '0-18446744073709551616',
    '18446744073709551615-18446744073709551615',
    '9'.repeat(80),
  ])('refuses %p', (text) => {
    expect(parseCursor(text)).toBeNull();
  });
});

test('ids order by number, not as text', () => {
  const ids = ['10-0', '9-5', '9-10', '9-9', '18446744073709551615-0', '0-0'];
  expect(ids.sort(compareEventIds)).toEqual(['0-0', '9-5', '9-9', '9-10', '10-0', '18446744073709551615-0']);
});
