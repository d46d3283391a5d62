// Recorded content: masked, cut, and never a reason to fail.

import { expect, test } from 'bun:test';
import { createRedactor } from '../../../src/observe/redact.ts';
import { createContentRecorder, MAX_ATTRIBUTE_CHARS } from '../../../src/observe/traces/content.ts';

const SECRET = 'hunter2-hunter2-hunter2';
const record = createContentRecorder(createRedactor([SECRET]));

test('secrets of the settings and what looks like a credential are masked', () => {
  const said = record(() => `my key is ${SECRET}, and Authorization: Bearer abcdefgh12345678`);
  expect(said).not.toContain('hunter2');
  expect(said).not.toContain('abcdefgh12345678');
  expect(said).toContain('my key is');
});

test('a text is cut after 16 KiB, between characters, and says so', () => {
  expect(record(() => 'x'.repeat(MAX_ATTRIBUTE_CHARS))).toBe('x'.repeat(MAX_ATTRIBUTE_CHARS));
  for (const text of ['x'.repeat(5_000_000), `x${'\u{1f600}'.repeat(100_000)}`, '\ud800'.repeat(20_000)]) {
    const said = record(() => text);
    expect(said.length).toBeLessThanOrEqual(MAX_ATTRIBUTE_CHARS);
    expect(said.length).toBeGreaterThan(MAX_ATTRIBUTE_CHARS - 100);
    expect(said).toEndWith('… (cut)');
    expect(said.isWellFormed()).toBe(true);
  }
});

test('no part of a secret is seen wherever the text is cut', () => {
  for (let at = MAX_ATTRIBUTE_CHARS - 40; at < MAX_ATTRIBUTE_CHARS + 40; at++) {
    expect(record(() => `${'x '.repeat(at / 2)}${SECRET}${' y'.repeat(20_000)}`)).not.toContain('hun');
  }
  // Where masking makes the text shorter, what was cut off behind it must not move into view.
  for (const behind of [0, 5, 12, 20]) {
    const many = `${SECRET} `.repeat(900).slice(0, MAX_ATTRIBUTE_CHARS + 4096 - behind);
    expect(record(() => `${many}${SECRET}${'z'.repeat(30_000)}`)).not.toMatch(/hunter2(?!-hunter2-hunter2)/);
  }
});

test('a builder that fails leaves a word instead of an error', () => {
  const failing = (): string => {
    throw new Error(SECRET);
  };
  expect(record(failing)).toBe('(not recorded: it could not be put into words)');
});
