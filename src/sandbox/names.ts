// File names that come from elsewhere: what is left of them on this disk. Nothing leaves the directory that was asked for.

import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { SandboxError } from './errors.ts';

/** The longest file name of common file systems, in bytes. */
const MAX_NAME_BYTES = 255;
/** After so many files of one name somebody has lost control. */
const MAX_COPIES = 10_000;

/** The last segment of a name, whichever slashes it uses; `fallback` when nothing usable is left. */
export function baseName(name: string, fallback: string): string {
  const last = name.split(/[/\\]/).at(-1) ?? '';
  const clean = last.replaceAll(/[\u0000-\u001f\u007f]/g, '_').trim();
  if (clean === '' || clean === '.' || clean === '..') return fallback;
  return marked(clean, '');
}

/** The name with `mark` before its suffixes; the stem is cut as far as a file system needs it, so that the suffixes stay. */
function marked(name: string, mark: string): string {
  const [stem, suffixes] = splitSuffixes(name);
  const whole = `${stem}${mark}${suffixes}`;
  if (Buffer.byteLength(whole) <= MAX_NAME_BYTES) return whole;
  const tail = mark + (Buffer.byteLength(suffixes) < MAX_NAME_BYTES / 2 ? suffixes : '');
  return firstBytes(tail.endsWith(suffixes) ? stem : stem + suffixes, MAX_NAME_BYTES - Buffer.byteLength(tail)) + tail;
}

/** The longest beginning of whole characters that takes at most so many bytes. */
function firstBytes(text: string, limit: number): string {
  let taken = '';
  let left = limit;
  for (const character of text) {
    left -= Buffer.byteLength(character);
    if (left < 0) break;
    taken += character;
  }
  return taken;
}

/** `a.tar.gz` → `a`, `.tar.gz`; `.env` has no suffix. */
function splitSuffixes(name: string): readonly [stem: string, suffixes: string] {
  const dot = name.indexOf('.', 1);
  return dot === -1 ? [name, ''] : [name.slice(0, dot), name.slice(dot)];
}

/** The path for a new file in `directory`: `a.tar.gz`, else `a (1).tar.gz`, … (spec 05 §8). */
export function freePath(directory: string, name: string): string {
  for (let copy = 0; copy < MAX_COPIES; copy += 1) {
    const path = join(directory, marked(name, copy === 0 ? '' : ` (${copy})`));
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return path;
  }
  throw new SandboxError('too_many_copies', `too many files named ${name} in ${directory}`);
}

/** A relative path of safe segments, or null. `a/b.txt` is one; `../x`, `/x`, `a//b`, `C:\x` are not. */
export function safeRelativePath(path: string): string | null {
  if (path === '' || isAbsolute(path) || /[\u0000-\u001f\u007f\\]/.test(path) || /^[A-Za-z]:/.test(path)) return null;
  const segments = path.split('/');
  return segments.some((segment) => segment === '' || segment === '.' || segment === '..') ? null : path;
}

/** A name that is one segment of a path and of a URL (spec 05 §4.1). */
export function isSafeSegment(name: string): boolean {
  return safeRelativePath(name) !== null && !name.includes('/');
}

/**
 * The path of a file below `base`, whose directories are made. No directory on the way is a link, so that nothing is
 * written elsewhere. `path` is relative and safe.
 * @throws SandboxError
 */
export function insidePath(base: string, path: string): string {
  mkdirSync(base, { recursive: true });
  let place = realpathSync(base);
  const segments = path.split('/');
  const last = segments.pop() ?? '';
  for (const segment of segments) {
    place = join(place, segment);
    const stat = lstatSync(place, { throwIfNoEntry: false });
    if (stat === undefined) mkdirSync(place);
    else if (!stat.isDirectory()) throw new SandboxError('path_outside', `path leads outside of ${base}: ${path}`);
  }
  return join(place, last);
}
