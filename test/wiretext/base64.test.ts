import { expect, test } from 'bun:test';
import { decodeBase64 } from '../../src/wiretext/base64.ts';

const decoded = (text: string): string => {
  const result = decodeBase64(text);
  return typeof result === 'string' ? result : result.toString('hex');
};

// Answers of Python 3.13's base64.b64decode.
test.each([
  ['', ''],
  ['iVBORw0KGgo=', '89504e470d0a1a0a'],
  ['AAEC', '000102'],
  ['AA==', '00'],
  ['AB==', '00'],
  ['iVBO\nRw0K Ggo=\r\n', '89504e470d0a1a0a'],
  ['-_AA--==', '00'],
  ['A=AA=', '0000'],
  ['AA=\n=', '00'],
  ['AAAA====AAAA', '000000000000'],
  ['AA==AAAA', '00'],
  ['====', ''],
  ['A===', 'Invalid base64-encoded string: number of data characters (1) cannot be 1 more than a multiple of 4'],
  ['AAAAA', 'Invalid base64-encoded string: number of data characters (5) cannot be 1 more than a multiple of 4'],
  ['iVBORw0KGgo', 'Incorrect padding'],
  ['AA=', 'Incorrect padding'],
  ['AA=A', 'Incorrect padding'],
  ['é', 'string argument should contain only ASCII characters'],
])('%j is %s', (text, expected) => {
  expect(decoded(text)).toBe(expected);
});
