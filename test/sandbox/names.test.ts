// File names that come from elsewhere: what is left of them, and that nothing leaves the directory that was asked for.

import { afterAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { baseName, freePath, insidePath, isSafeSegment, safeRelativePath } from '../../src/sandbox/names.ts';
import { newFolder } from './kit.ts';

const folder = newFolder();
afterAll(folder.remove);

describe('the name of a download', () => {
  test.each([
    ['report.pdf', 'report.pdf'],
    ['/etc/passwd', 'passwd'],
    ['../../x', 'x'],
    ['C:\\Users\\x.txt', 'x.txt'],
    ['a/', 'fallback'],
    ['', 'fallback'],
    ['.', 'fallback'],
    ['..', 'fallback'],
    ['../..', 'fallback'],
    ['  ', 'fallback'],
    ['a\0b\nc', 'a_b_c'],
    ['\x1b[2J', '_[2J'],
    ['.env', '.env'],
    ['-rf', '-rf'],
    ['日本語.txt', '日本語.txt'],
  ])('%j becomes %j', (given, name) => {
    expect(baseName(given, 'fallback')).toBe(name);
  });

  test('a long one keeps its suffixes, whole characters, and fits', () => {
    const name = baseName(`${'é'.repeat(300)}.tar.gz`, 'x');
    expect(name).toMatch(/^é+\.tar\.gz$/);
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
    expect(Buffer.byteLength(baseName(`a.${'b'.repeat(400)}`, 'x'))).toBe(255);
    expect(Buffer.byteLength(baseName('😀'.repeat(100), 'x'))).toBeLessThanOrEqual(255);
    expect(baseName('n'.repeat(255), 'x')).toBe('n'.repeat(255));
  });
});

describe('a free name', () => {
  test('counts before all suffixes', () => {
    const directory = join(folder.path, 'free');
    mkdirSync(directory);
    const next = (name: string): string => {
      const path = freePath(directory, name);
      writeFileSync(path, '');
      return basename(path);
    };
    expect([next('a.tar.gz'), next('a.tar.gz'), next('a.tar.gz')]).toEqual([
      'a.tar.gz',
      'a (1).tar.gz',
      'a (2).tar.gz',
    ]);
    expect([next('.env'), next('.env')]).toEqual(['.env', '.env (1)']);
    expect([next('plain'), next('plain')]).toEqual(['plain', 'plain (1)']);
    symlinkSync('nowhere', join(directory, 'link.txt'));
    expect(next('link.txt')).toBe('link (1).txt');
  });

  test('of a name that is as long as it may be', () => {
    const directory = join(folder.path, 'long');
    mkdirSync(directory);
    const name = `${'x'.repeat(251)}.txt`;
    writeFileSync(freePath(directory, name), '');
    const second = freePath(directory, name);
    writeFileSync(second, '');
    expect(basename(second)).toBe(`${'x'.repeat(247)} (1).txt`);
    writeFileSync(freePath(directory, `${'y'.repeat(255)}`), '');
    writeFileSync(freePath(directory, `${'y'.repeat(255)}`), '');
  });
});

test('relative paths of safe segments', () => {
  for (const path of ['a', 'a/b.txt', '.x/y', 'a b/ü', '...']) expect(safeRelativePath(path)).toBe(path);
  const unsafe = [
    '',
    '/',
    '/a',
    '..',
    '../a',
    'a/..',
    'a/../b',
    './a',
    'a//b',
    'a/',
    'a\\b',
    'C:',
    'c:/x',
    'a\0',
    'a\nb',
    '\x7f',
  ];
  for (const path of unsafe) expect(safeRelativePath(path)).toBeNull();
  expect([isSafeSegment('a.b'), isSafeSegment('a/b'), isSafeSegment('..'), isSafeSegment('')]).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

test('no directory on the way to a file is a link', () => {
  const base = join(folder.path, 'base');
  const outside = join(folder.path, 'outside');
  mkdirSync(outside);
  expect(insidePath(base, 'a/b/c')).toBe(join(base, 'a/b/c'));
  symlinkSync(outside, join(base, 'a/link'));
  expect(() => insidePath(base, 'a/link/x')).toThrow('leads outside');
  writeFileSync(join(base, 'file'), '');
  expect(() => insidePath(base, 'file/x')).toThrow('leads outside');
  expect(existsSync(join(outside, 'x'))).toBe(false);
  // The base itself may be one: it is what was asked for.
  symlinkSync(base, join(folder.path, 'mount'));
  expect(insidePath(join(folder.path, 'mount'), 'a/b/c')).toBe(join(base, 'a/b/c'));
});
