import { expect, test } from 'bun:test';
import {
  compareNumber,
  floatRepr,
  floatText,
  isInt,
  makeFloat,
  makeInt,
  numberText,
} from '../../src/wiretext/numbers.ts';

test('floats are written as pydantic dumps them and as repr shows them', () => {
  const values = [1, 1e20, 1e16, 1e15, 1e-7, 1e-5, 0.0001, 1.5e-5, 12345678901234568, -1e-9, -0];
  expect(values.map(floatText)).toEqual(
    '1.0 1e+20 1e+16 1000000000000000.0 1e-7 0.00001 0.0001 0.000015 1.2345678901234568e+16 -1e-9 -0.0'.split(' '),
  );
  expect(values.map(floatRepr)).toEqual(
    '1.0 1e+20 1e+16 1000000000000000.0 1e-07 1e-05 0.0001 1.5e-05 1.2345678901234568e+16 -1e-09 -0.0'.split(' '),
  );
});

test('a number is an int by its text, and whole by its value', () => {
  const numbers = [7, 7.5, JSON.rawJSON('7.0'), JSON.rawJSON('1e+20'), JSON.rawJSON('12345678901234567890')];
  expect(numbers.map(isInt)).toEqual([true, false, false, false, true]);
  expect(numbers.map(numberText)).toEqual(['7', '7.5', '7.0', '1e+20', '12345678901234567890']);
});

test('made numbers are plain where plain ones print the same', () => {
  expect(makeFloat(1.5)).toBe(1.5);
  expect(JSON.stringify([makeFloat(1), makeInt('-007'), makeInt('-0'), makeInt('0012345678901234567890')])).toBe(
    '[1.0,-7,0,12345678901234567890]',
  );
});

test('bounds are exact for ints of any size', () => {
  expect(compareNumber(JSON.rawJSON('9007199254740993'), 9007199254740991)).toBeGreaterThan(0);
  expect(compareNumber(JSON.rawJSON('-9007199254740993'), 0)).toBeLessThan(0);
  expect(compareNumber(5, 5)).toBe(0);
});
