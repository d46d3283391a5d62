// Nothing secret gets through, and ordinary texts do.

import { describe, expect, test } from 'bun:test';
import { createRedactor, maskUrl } from '../../src/observe/redact.ts';

describe('a registered secret is replaced', () => {
  const redactor = createRedactor(['s3cret/+key', 's3cret', 'abc']);

  test.each([
    ['as it is', 'key is s3cret/+key.', 'key is [redacted].'],
    ['percent-encoded', 'GET /?k=s3cret%2F%2Bkey', 'GET /?k=[redacted]'],
    ['in base64', `x ${btoa('s3cret/+key')} y`, 'x [redacted] y'],
    ['the longest first', 's3cret s3cret/+key', '[redacted] [redacted]'],
    ['but not when it is too short to mean anything', 'abc', 'abc'],
  ])('%s', (_, text, expected) => {
    expect(redactor.text(text)).toBe(expected);
  });
});

describe('what looks like a credential is replaced', () => {
  const redactor = createRedactor();

  test.each([
    ['authorization: Bearer abc.def-123456', 'authorization: Bearer [redacted]'],
    ['{"Authorization":"Bearer abcdefghijklmnopqrstuv"}', '{"Authorization":"Bearer [redacted]"}'],
    ['Incorrect API key provided: sk-proj-abcd1234.', 'Incorrect API key provided: [redacted].'],
    ['?api_key=12345&x=1', '?api_key=[redacted]&x=1'],
    ['{"openai_api_key": "12345", "n": 1}', '{"openai_api_key": "[redacted]", "n": 1}'],
    ['X-Api-Key: 12345', 'X-Api-Key: [redacted]'],
    ['redis://user:hunter2@h:6379/0', 'redis://user:[redacted]@h:6379/0'],
    ['redis://:hunter2@h', 'redis://:[redacted]@h'],
    ['token eyJhbGciOiAiZGlyIn0..aXY.Y3Q.dGFn!', 'token [redacted]!'],
    ['ghp_0123456789abcdefABCD', '[redacted]'],
  ])('%s', (text, expected) => {
    expect(redactor.text(text)).toBe(expected);
  });

  test.each([
    'Bearer authentication is required',
    'basic information',
    'http://localhost:5002/plugin/t-1/dispatch/llm/invoke',
    'task-12345678 took 30 ms',
    "Layer 'llm' is not defined in this compositor run.",
    'mail me at a@b.example: now',
  ])('but not: %s', (text) => {
    expect(redactor.text(text)).toBe(text);
  });

  test('a hostile text takes no time', () => {
    const started = performance.now();
    for (const piece of ['a:', 'api_key', 'Bearer ', 'eyJ', 'sk-', 'a://', ' ', '@'])
      redactor.text(piece.repeat(20_000));
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

describe('maskUrl', () => {
  test.each([
    ['redis://localhost:6379/0', 'redis://localhost:6379/0'],
    ['redis://:pw@h:6379/0', 'redis://********@h:6379/0'],
    ['rediss://u:p@ss@h/0', 'rediss://********@h/0'],
    ['http://token@h/x', 'http://********@h/x'],
    ['http://u:p/w@h/x', 'http://********@h/x'],
    ['sqlite:./a@b.db', 'sqlite:./a@b.db'],
  ])('%s', (url, masked) => {
    expect(maskUrl(url)).toBe(masked);
  });
});

test('a text that was clean is looked at again when it has become a secret', () => {
  const redactor = createRedactor();
  expect(redactor.text('run hunter2-token ended')).toBe('run hunter2-token ended');
  redactor.register('hunter2-token');
  expect(redactor.text('run hunter2-token ended')).toBe('run [redacted] ended');
});

test('clean texts that never come again are forgotten', () => {
  const redactor = createRedactor(['hunter2-token']);
  for (let i = 0; i < 5_000; i++) expect(redactor.text(`text ${i}`)).toBe(`text ${i}`);
  expect(redactor.text('hunter2-token')).toBe('[redacted]');
});
