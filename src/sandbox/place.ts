// Files come into being in one step: written under a name of no interest beside their place, then renamed, so that nobody sees
// half a file, and a process that is killed leaves none under the name that counts.

import { closeSync, linkSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePath } from './names.ts';

/** As programs make files: what the umask leaves of it. */
const ORDINARY = 0o666;
/** For what holds secrets. */
export const PRIVATE = 0o600;

/** A new file that `write` fills, at exactly this path, replacing what is there. */
export async function replaceFile(path: string, write: (descriptor: number) => Promise<void>): Promise<void> {
  await beside(dirname(path), write, (temporary) => renameSync(temporary, path));
}

/** A new file that `write` fills, in a directory under this name or a free one like it. Resolves with the path. */
export async function addFile(
  directory: string,
  name: string,
  write: (descriptor: number) => Promise<void>,
): Promise<string> {
  let path = '';
  await beside(directory, write, (temporary) => {
    path = moveToFree(temporary, directory, name);
  });
  return path;
}

/** Writes text to exactly this path in one step. */
export function writeWhole(path: string, content: string, mode = ORDINARY): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = temporaryIn(dirname(path));
  try {
    const descriptor = openSync(temporary, 'wx', mode);
    try {
      writeAll(descriptor, Buffer.from(content));
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Writes all bytes. */
export function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength; ) at += writeSync(descriptor, bytes, at);
}

async function beside(
  directory: string,
  write: (descriptor: number) => Promise<void>,
  place: (temporary: string) => void,
): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const temporary = temporaryIn(directory);
  try {
    const descriptor = openSync(temporary, 'wx', ORDINARY);
    try {
      await write(descriptor);
    } finally {
      closeSync(descriptor);
    }
    place(temporary);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function temporaryIn(directory: string): string {
  return join(directory, `.${crypto.randomUUID()}.part`);
}

/** What `temporaryIn` makes, and a process that was killed left. */
export function isTemporary(name: string): boolean {
  return /^\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.part$/.test(name);
}

/** Moves a finished file to a free name, in one step where the file system has hard links. `link`: other than the usual for tests. */
export function moveToFree(
  temporary: string,
  directory: string,
  name: string,
  link: (from: string, to: string) => void = linkSync,
): string {
  for (;;) {
    const path = freePath(directory, name);
    try {
      link(temporary, path); // fails where another process was faster
      return path;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') continue;
    }
    try {
      closeSync(openSync(path, 'wx'));
    } catch (error) {
      if (codeOf(error) === 'EEXIST') continue;
      throw error;
    }
    renameSync(temporary, path);
    return path;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
