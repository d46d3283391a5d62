import { expect, test } from 'bun:test';
import { isBlank, pyStrip } from '../../src/wiretext/strip.ts';

test('strips what Python strips, and nothing else', () => {
  expect(pyStrip('\x1c\x85\u3000 a\ufeff b \u2029\n')).toBe('a\ufeff b');
  expect(pyStrip('\ufeffa\u200b')).toBe('\ufeffa\u200b');
  expect(pyStrip(' \t ')).toBe('');
});

test('blank means that nothing is left', () => {
  expect(isBlank('')).toBe(true);
  expect(isBlank('\x1f\u00a0\u205f')).toBe(true);
  expect(isBlank('\ufeff')).toBe(false);
});
