// Small parts of the stub: file references, names, the drive's base, what is remembered of tokens.

import { describe, expect, test } from 'bun:test';
import { driveBase } from '../../src/stub/drive-base.ts';
import { assetNameProblem, innerPath, isSafeSegment } from '../../src/stub/names.ts';
import { createOpenedTokens } from '../../src/stub/opened.ts';
import { createRateLimit } from '../../src/stub/rate-limit.ts';
import { isFileReference } from '../../src/stub/references.ts';
import { createRevocations } from '../../src/stub/revocations.ts';
import { contextOf } from './kit.ts';

const reference = (value: unknown): string =>
  `dify-file-ref:${Buffer.from(JSON.stringify(value)).toString('base64').replaceAll('+', '-').replaceAll('/', '_')}`;

describe('file references', () => {
  test.each([
    'dify-file-ref:eyJyZWNvcmRfaWQiOiJ0b29sLWZpbGUtMSJ9',
    reference({ record_id: 'x', storage_key: 'k' }),
    reference({ record_id: 'ü/??>>' }),
    `dify-file-ref:!${reference({ record_id: 'xy' }).slice('dify-file-ref:'.length)}`,
  ])('%s is one', (text) => {
    expect(isFileReference(text)).toBe(true);
  });

  test.each([
    ['a raw uuid', '7a1f0f5e-3b0a-4a55-9a52-0d6f3f7d2c11'],
    ['nothing', ''],
    ['only the prefix', 'dify-file-ref:'],
    ['another case', 'DIFY-FILE-REF:eyJyZWNvcmRfaWQiOiJ0b29sLWZpbGUtMSJ9'],
    ['no padding', 'dify-file-ref:eyJyZWNvcmRfaWQiOiJ4In0'],
    ['an array', reference(['record_id'])],
    ['a number', reference(7)],
    ['a text', reference('record_id')],
    ['null', reference(null)],
    ['an empty id', reference({ record_id: '' })],
    ['an id of another type', reference({ record_id: 7 })],
    ['no id', reference({ id: 'x' })],
    ['no JSON', 'dify-file-ref:aGVsbG8='],
    ['no text', 'dify-file-ref:__79'],
    ['deep nesting', `dify-file-ref:${Buffer.from('['.repeat(100_002)).toString('base64')}`],
    ['another alphabet', 'dify-file-ref:ü'],
  ])('%s is none', (_, text) => {
    expect(isFileReference(text)).toBe(false);
  });
});

describe('names', () => {
  test.each(['a', 'a b', 'ü?#%', '...', '.env', 'a..b', 'x'.repeat(255)])('%j is a segment', (name) => {
    expect(isSafeSegment(name)).toBe(true);
  });

  test.each(['', '.', '..', 'a/b', '/', 'a\\b', 'a\0', '\n', '\u007f', '\ud800', 'x'.repeat(256)])(
    '%j is none',
    (name) => {
      expect(isSafeSegment(name)).toBe(false);
    },
  );

  test('every character of a name is itself in a path', () => {
    expect(innerPath('a', 'x?y=#/../%2e')).toBe('/a/x%3Fy%3D%23%2F..%2F%252e');
  });

  test('skills have narrower names', () => {
    expect(assetNameProblem('skill', 'greeter_2-x')).toBeNull();
    for (const name of ['Greeter', '-x', 'a b', 'x'.repeat(65)]) {
      expect(assetNameProblem('skill', name)).toBe('config skill name is invalid');
      expect(assetNameProblem('file', name)).toBeNull();
    }
    expect(assetNameProblem('skill', '..')).toBe('config asset name must be a safe path segment');
  });
});

describe('drive base', () => {
  test.each([
    [null, '/mnt/drive'],
    ['', '/mnt/drive'],
    ['  ', '/mnt/drive'],
    [' agent-1 ', '/mnt/drive/agent-1'],
    ['a/b', '/mnt/drive/a/b'],
    ['...', '/mnt/drive/...'],
  ])('%j', (ref, base) => {
    expect(driveBase(ref)).toBe(base);
  });

  test.each(['/a', 'a/', 'a//b', '.', '..', 'a/../b', './a', 'a\0b', 'a\nb'])('%j is refused', (ref) => {
    expect(() => driveBase(ref)).toThrow('Agent Stub drive_ref must be a safe relative path');
  });
});

describe('revocations', () => {
  test('count once', () => {
    const revocations = createRevocations();
    revocations.add('a');
    revocations.add('a');
    expect([revocations.has('a'), revocations.has('b'), revocations.size]).toEqual([true, false, 1]);
  });

  test('are bounded: the oldest make room', () => {
    const revocations = createRevocations(3);
    for (const id of ['a', 'b', 'c', 'd']) revocations.add(id);
    expect([revocations.has('a'), revocations.has('b'), revocations.has('d'), revocations.size]).toEqual([
      false,
      true,
      true,
      3,
    ]);
  });
});

describe('opened tokens', () => {
  const claims = { iat: 1, nbf: 1, exp: 2, jti: 'j', context: contextOf(), sessionId: null };

  test('are known by the whole text', () => {
    const opened = createOpenedTokens();
    opened.add('a.b', claims);
    expect(opened.get('a.b')).toBe(claims);
    for (const other of ['', 'a', 'a.b ', 'a.c', 'A.b']) expect(opened.get(other)).toBeUndefined();
  });

  test('are bounded: the one that came first makes room', () => {
    const opened = createOpenedTokens(2);
    for (const token of ['a', 'b', 'a', 'c']) opened.add(token, claims);
    expect([opened.get('a'), opened.get('b'), opened.get('c'), opened.size]).toEqual([undefined, claims, claims, 2]);
  });
});

describe('rate limit', () => {
  test('ten seconds at once, then the steady rate', () => {
    const limit = createRateLimit(2);
    for (let i = 0; i < 20; i++) expect(limit.take('a', 0)).toBe(0);
    expect(limit.take('a', 0)).toBe(1);
    expect(limit.take('b', 0)).toBe(0);
    expect(limit.take('a', 499)).toBe(1);
    expect(limit.take('a', 500)).toBe(0);
    expect(limit.take('a', 500)).toBe(1);
    expect(limit.take('a', 1_000_000)).toBe(0);
  });

  test('says how long to wait when it is slow', () => {
    const limit = createRateLimit(0.01);
    expect([limit.take('a', 0), limit.take('a', 0), limit.take('a', 50_000)]).toEqual([0, 100, 50]);
  });

  test('zero is no limit', () => {
    const limit = createRateLimit(0);
    for (let i = 0; i < 10_000; i++) expect(limit.take('a', 0)).toBe(0);
    expect(limit.size).toBe(0);
  });

  test('a clock that is set back neither fills nor empties', () => {
    const limit = createRateLimit(0.1);
    expect([limit.take('a', 1_000_000), limit.take('a', 0), limit.take('a', 5_000)]).toEqual([0, 10, 5]);
  });

  test('is bounded: the token that was used longest ago makes room', () => {
    const limit = createRateLimit(0.1, 2);
    for (const id of ['a', 'b', 'a', 'c']) limit.take(id, 0);
    expect(limit.size).toBe(2);
    expect(limit.take('a', 0)).toBeGreaterThan(0);
    expect(limit.take('b', 0)).toBe(0);
  });
});
