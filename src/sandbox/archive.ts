// Skill archives: unpacked without leaving their directory or filling the disk, packed without what does not belong to a
// skill (spec 05 §8, §10.1).

import { createWriteStream, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Entry, ZipFile } from 'yauzl';
import { errorText } from '../base/errors.ts';
import { SandboxError } from './errors.ts';
import { insidePath, safeRelativePath } from './names.ts';
import { isTemporary } from './place.ts';

/** Files in one archive. */
export const MAX_ENTRIES = 10_000;
/** Bytes of one archive's files, unpacked (512 MiB): a few kilobytes can claim to be petabytes. */
export const MAX_UNPACKED_BYTES = 512 * 1024 * 1024;

/** What is no part of a skill. */
const SKIPPED = new Set([
  '.git',
  '.hg',
  '.svn',
  '__pycache__',
  '.pytest_cache',
  '.mypy_cache',
  '.ruff_cache',
  '.cache',
  '.venv',
  'venv',
  'node_modules',
  '.DS_Store',
]);
/** The full archive of a skill, which is not packed into itself. */
export const FULL_ARCHIVE = '.DIFY-SKILL-FULL.zip';

/** The upper bits of an entry's external attributes are the file's mode where the archive was made on Unix. */
const MODE_SHIFT = 16;
const TYPE_MASK = 0o170000;
const REGULAR = 0o100000;
const DIRECTORY = 0o040000;

/**
 * Unpacks into `directory`, over what is there, once everything was found to be good. `skip`: paths that are left out.
 * @throws SandboxError for absolute paths, `..`, links, encrypted or too many or too large files.
 */
export async function unpack(archive: string, directory: string, skip: ReadonlySet<string> = new Set()): Promise<void> {
  const { openPromise } = await import('yauzl');
  mkdirSync(directory, { recursive: true });
  const staged = `${directory}.${crypto.randomUUID()}.part`;
  mkdirSync(staged);
  try {
    const zip = await openPromise(archive, { lazyEntries: true, autoClose: false, validateEntrySizes: true });
    try {
      for (const { path, isDirectory, entry } of await checkedEntries(zip)) {
        const target = join(staged, path);
        mkdirSync(isDirectory ? target : dirname(target), { recursive: true });
        // validateEntrySizes makes the stream fail when more bytes come than the entry said.
        if (!isDirectory) {
          await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(target, { flags: 'wx' }));
        }
      }
    } finally {
      zip.close();
    }
    for (const path of walk(staged)) {
      if (!skip.has(path)) renameSync(join(staged, path), insidePath(directory, path));
    }
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw refused(`cannot be unpacked: ${errorText(error)}`);
  } finally {
    rmSync(staged, { recursive: true, force: true });
  }
}

interface CheckedEntry {
  readonly path: string;
  readonly isDirectory: boolean;
  readonly entry: Entry;
}

/** All entries, or what is wrong with one of them: nothing is unpacked of an archive that is refused. */
async function checkedEntries(zip: ZipFile): Promise<readonly CheckedEntry[]> {
  const checked: CheckedEntry[] = [];
  let bytes = 0;
  for await (const entry of zip.eachEntry()) {
    if (checked.length === MAX_ENTRIES) throw refused(`has more than ${MAX_ENTRIES} entries`);
    const isDirectory = entry.fileName.endsWith('/');
    const path = safeRelativePath(isDirectory ? entry.fileName.slice(0, -1) : entry.fileName);
    if (path === null) throw refused(`has an unsafe path: ${JSON.stringify(entry.fileName)}`);
    const type = (entry.externalFileAttributes >>> MODE_SHIFT) & TYPE_MASK;
    if (type !== 0 && type !== (isDirectory ? DIRECTORY : REGULAR)) throw refused(`has a link or a device: ${path}`);
    bytes += entry.uncompressedSize;
    if (bytes > MAX_UNPACKED_BYTES) throw refused(`unpacks to more than ${MAX_UNPACKED_BYTES} bytes`);
    checked.push({ path, isDirectory, entry });
  }
  return checked;
}

function refused(problem: string): SandboxError {
  return new SandboxError('archive_refused', `the archive ${problem}`);
}

/** The regular files below a directory of ours, relative. */
function walk(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join('/'));
}

/** The files of a directory that belong to a skill, relative, sorted. Links are refused. */
export function listFiles(directory: string): readonly string[] {
  const files: string[] = [];
  const visit = (folder: string): void => {
    for (const name of readdirSync(folder).sort()) {
      const path = join(folder, name);
      const stat = lstatSync(path);
      if (stat.isSymbolicLink()) throw new SandboxError('link_refused', `symbolic links are not uploaded: ${path}`);
      if (SKIPPED.has(name) || name === FULL_ARCHIVE || isTemporary(name)) continue;
      if (stat.isDirectory()) visit(path);
      else if (stat.isFile()) files.push(relative(directory, path).split(sep).join('/'));
      if (files.length > MAX_ENTRIES)
        throw new SandboxError('too_many_files', `more than ${MAX_ENTRIES} files in ${directory}`);
    }
  };
  visit(directory);
  return files;
}

/** Packs a directory's files into a new archive at `path`. */
export async function pack(directory: string, path: string): Promise<void> {
  const { ZipFile } = await import('yazl');
  const zip = new ZipFile();
  for (const file of listFiles(directory)) zip.addFile(join(directory, file), file);
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(path, { flags: 'wx', mode: 0o600 }));
}
