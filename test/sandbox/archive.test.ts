// Skill archives: what is unpacked, what is refused before anything is in its place, and what is packed.

import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { listFiles, MAX_ENTRIES, pack, unpack } from '../../src/sandbox/archive.ts';
import { SandboxError } from '../../src/sandbox/errors.ts';
import { newFolder } from './kit.ts';
import { type Entry, zipOf } from './zip.ts';

const folder = newFolder();
afterAll(folder.remove);
let root: string;
let archive: string;
let target: string;
let round = 0;
beforeEach(() => {
  round += 1;
  root = join(folder.path, String(round));
  mkdirSync(root);
  archive = join(root, 'a.zip');
  target = join(root, 'out');
});

/** Unpacks these entries; the text with which they are refused, or what is in the directory now. */
async function unpacked(entries: readonly Entry[] | Buffer, skip?: ReadonlySet<string>): Promise<unknown> {
  writeFileSync(archive, Buffer.isBuffer(entries) ? entries : zipOf(entries));
  try {
    await unpack(archive, target, skip);
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    expect(readdirSync(root).filter((name) => name.endsWith('.part'))).toEqual([]);
    return error.message;
  }
  return Object.fromEntries(listFiles(target).map((name) => [name, readFileSync(join(target, name), 'utf8')] as const));
}

describe('unpacking', () => {
  test('files and directories, deflated and stored, over what is there', async () => {
    mkdirSync(join(target, 'kept'), { recursive: true });
    writeFileSync(join(target, 'kept/x'), 'kept');
    writeFileSync(join(target, 'SKILL.md'), 'old');
    expect(
      await unpacked([
        { name: 'SKILL.md', data: 'new' },
        { name: 'lib/', data: '' },
        { name: 'lib/ü/run.py', data: 'print()'.repeat(100), deflate: true },
        { name: 'empty', data: '' },
      ]),
    ).toEqual({ 'SKILL.md': 'new', 'lib/ü/run.py': 'print()'.repeat(100), empty: '', 'kept/x': 'kept' });
  });

  test('with paths that are left out', async () => {
    expect(
      await unpacked(
        [
          { name: 'SKILL.md', data: 'a' },
          { name: 'x/SKILL.md', data: 'b' },
        ],
        new Set(['SKILL.md']),
      ),
    ).toEqual({ 'x/SKILL.md': 'b' });
  });

  test('paths as they are written on Windows', async () => {
    expect(await unpacked([{ name: 'a\\b', data: 'x' }])).toEqual({ 'a/b': 'x' });
  });

  test('an archive by another program', async () => {
    mkdirSync(join(root, 'src/sub'), { recursive: true });
    writeFileSync(join(root, 'src/SKILL.md'), 'hello');
    writeFileSync(join(root, 'src/sub/x'), 'x'.repeat(10_000));
    const made = Bun.spawnSync(['zip', '-qr', archive, '.'], { cwd: join(root, 'src') });
    expect(made.exitCode).toBe(0);
    expect(await unpacked(readFileSync(archive))).toEqual({ 'SKILL.md': 'hello', 'sub/x': 'x'.repeat(10_000) });
  });
});

describe('refused, and nothing is there', () => {
  test.each(['../x', '/etc/x', 'a/../../x', 'a/./b', 'a//b', 'C:/x', '..\\x', 'a\0b', '..', '', '/', '../'])(
    'the path %j',
    async (name) => {
      const text = await unpacked([
        { name: 'good', data: 'x' },
        { name, data: 'x' },
      ]);
      expect(text).toStartWith('the archive ');
      expect(readdirSync(target)).toEqual([]);
      expect(existsSync(join(root, 'x'))).toBe(false);
    },
  );

  test('links, devices, and directories that pretend', async () => {
    const of = (name: string, mode: number, data = 'x') => unpacked([{ name, data, mode }]);
    expect(await of('link', 0o120777, '/etc/passwd')).toBe('the archive has a link or a device: link');
    expect(await of('pipe', 0o010644)).toBe('the archive has a link or a device: pipe');
    expect(await of('device', 0o020644)).toBe('the archive has a link or a device: device');
    expect(await of('dir', 0o040755)).toBe('the archive has a link or a device: dir');
    expect(await of('plain', 0o100755)).toEqual({ plain: 'x' });
  });

  test('a link that is there already is not followed', async () => {
    mkdirSync(join(root, 'elsewhere'));
    mkdirSync(target);
    symlinkSync(join(root, 'elsewhere'), join(target, 'dir'));
    expect(await unpacked([{ name: 'dir/x', data: 'x' }])).toContain('leads outside');
    rmSync(join(target, 'dir'));
    symlinkSync(join(root, 'elsewhere/y'), join(target, 'y'));
    expect(await unpacked([{ name: 'y', data: 'mine' }])).toEqual({ y: 'mine' });
    expect(readdirSync(join(root, 'elsewhere'))).toEqual([]);
  });

  test('one name twice, a file where a directory is needed', async () => {
    const x = { name: 'x', data: '1' };
    expect(await unpacked([x, x])).toStartWith('the archive cannot be unpacked');
    expect(await unpacked([x, { name: 'x/y', data: '2' }])).toStartWith('the archive cannot be unpacked');
    expect(readdirSync(target)).toEqual([]);
  });

  test('a bomb: more than it says, more than is taken, more files than are taken', async () => {
    const zeros = deflateRawSync(Buffer.alloc(64 * 1024 * 1024));
    // 64 MiB that claim to be ten bytes.
    expect(await unpacked([{ name: 'liar', raw: zeros, size: 10 }])).toStartWith('the archive cannot be unpacked');
    // Ten files of 64 MiB in one of 600 KB.
    const many = Array.from({ length: 10 }, (_, i) => ({ name: `f${i}`, raw: zeros, size: 64 * 1024 * 1024 }));
    expect(await unpacked(many)).toBe('the archive unpacks to more than 536870912 bytes');
    expect(await unpacked([{ name: 'huge', raw: zeros, size: 0xffff_fffe }])).toContain('unpacks to more than');
    const entries = Array.from({ length: MAX_ENTRIES + 1 }, (_, i) => ({ name: `n${i}/`, data: '' }));
    expect(await unpacked(entries)).toBe(`the archive has more than ${MAX_ENTRIES} entries`);
    expect(readdirSync(target)).toEqual([]);
  }, 30_000);

  test('what is no archive, or a broken one', async () => {
    expect(await unpacked(Buffer.from('hello'))).toStartWith('the archive cannot be unpacked');
    expect(await unpacked(Buffer.alloc(0))).toStartWith('the archive cannot be unpacked');
    const good = zipOf([{ name: 'x', data: 'y'.repeat(1000), deflate: true }]);
    expect(await unpacked(good.subarray(0, good.length - 30))).toStartWith('the archive cannot be unpacked');
    const spoilt = Buffer.from(good);
    spoilt.fill(0xff, 31, 40);
    expect(await unpacked(spoilt)).toStartWith('the archive cannot be unpacked');
    expect(await unpacked([{ name: 'secret', data: 'x', encrypted: true }])).toStartWith(
      'the archive cannot be unpacked',
    );
  });
});

describe('packing', () => {
  test('what belongs to a skill, and nothing else', async () => {
    const skill = join(root, 'skill');
    for (const directory of ['.git', 'node_modules/x', '__pycache__', '.venv', 'lib/.cache', 'lib/deep']) {
      mkdirSync(join(skill, directory), { recursive: true });
      writeFileSync(join(skill, directory, 'f'), 'x');
    }
    const part = '.01234567-89ab-cdef-0123-456789abcdef.part';
    for (const name of ['SKILL.md', '.DS_Store', '.DIFY-SKILL-FULL.zip', '.env', part]) {
      writeFileSync(join(skill, name), name);
    }
    expect(listFiles(skill)).toEqual(['.env', 'SKILL.md', 'lib/deep/f']);
    await pack(skill, archive);
    expect(statSync(archive).mode & 0o777).toBe(0o600);
    await unpack(archive, target);
    expect(listFiles(target)).toEqual(['.env', 'SKILL.md', 'lib/deep/f']);
    expect(Bun.spawnSync(['unzip', '-tq', archive]).exitCode).toBe(0);
  });

  test('links are refused, wherever they lead', () => {
    mkdirSync(join(root, 'skill/.git'), { recursive: true });
    symlinkSync('SKILL.md', join(root, 'skill/link'));
    expect(() => listFiles(join(root, 'skill'))).toThrow('symbolic links are not uploaded');
    mkdirSync(join(root, 'other'));
    symlinkSync('/etc', join(root, 'other/node_modules'));
    expect(() => listFiles(join(root, 'other'))).toThrow('symbolic links are not uploaded');
  });

  test('what is neither a file nor a directory is left out', () => {
    mkdirSync(join(root, 'skill'));
    Bun.spawnSync(['mkfifo', join(root, 'skill/pipe')]);
    expect(listFiles(join(root, 'skill'))).toEqual([]);
  });
});
