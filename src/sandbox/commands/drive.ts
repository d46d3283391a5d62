// `drive list|pull|push`: the agent's drive and this disk (spec 05 §8, §10.1).

import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isJsonObject, type JsonObject } from '../../base/json.ts';
import { FULL_ARCHIVE, listFiles, unpack } from '../archive.ts';
import { invalidAnswer, OPERATIONS } from '../client.ts';
import { downloadTo } from '../download.ts';
import { SandboxError, SandboxUsageError } from '../errors.ts';
import type { Words, Workshop } from '../io.ts';
import { insidePath, safeRelativePath } from '../names.ts';
import { uploadFile } from '../upload.ts';
import { uploadPacked } from './push.ts';

/** Requests and downloads at once. */
const PARALLEL = 4;
/** Characters at the top of SKILL.md in which its name and description are looked for. */
const FRONT_MATTER_CHARS = 16_384;

/** `drive list [PREFIX] [--json]` */
export async function listCommand(shop: Workshop, { positionals, values }: Words): Promise<void> {
  const [prefix = '', ...rest] = positionals;
  if (rest.length > 0) throw new SandboxUsageError('usage: dify-agent drive list [PREFIX] [--json]');
  const items = await manifest(shop, prefix, false);
  if (values.json === true) await shop.print(`${JSON.stringify({ items })}\n`);
  else await shop.print(items.map(rowOf).join(''));
}

function rowOf({ size, mime_type, hash, key }: JsonObject): string {
  return `${[size, mime_type, hash, key].map((cell) => (cell === null || cell === undefined ? '-' : String(cell))).join('\t')}\n`;
}

/** `drive pull [KEY…] [--to DIR] [--json]` */
export async function pullCommand(shop: Workshop, { positionals, values }: Words): Promise<void> {
  const given = values.to ?? values['drive-base'] ?? shop.env.DIFY_AGENT_STUB_DRIVE_BASE;
  const base = resolve(shop.cwd, typeof given === 'string' && given !== '' ? given : '/mnt/drive');
  const targets = positionals.length > 0 ? positionals : [''];
  const found = new Map<string, JsonObject>();
  const pages = await parallel(targets, (target) => itemsBelow(shop, target), shop.signal);
  for (const item of pages.flat()) if (!found.has(String(item.key))) found.set(String(item.key), item);
  const items = [...found.values()].sort((a, b) => (String(a.key) < String(b.key) ? -1 : 1));
  const pulled = await parallel(items, (item, signal) => pullOne({ ...shop, signal }, base, item), shop.signal);
  // When all are there: an archive does not overwrite the SKILL.md that came by itself.
  for (const { key, path } of pulled) {
    if (!key.endsWith(`/${FULL_ARCHIVE}`)) continue;
    const skill = `${key.slice(0, -FULL_ARCHIVE.length)}SKILL.md`;
    await unpack(path, dirname(path), new Set(found.has(skill) ? ['SKILL.md'] : []));
  }
  if (values.json === true) await shop.print(`${JSON.stringify({ items: pulled })}\n`);
  else await shop.print(pulled.map(({ path }) => `${path}\n`).join(''));
}

/** What has this key, or lies below it. */
async function itemsBelow(shop: Workshop, target: string): Promise<readonly JsonObject[]> {
  const below = target === '' || target.endsWith('/') ? target : `${target}/`;
  const items = await manifest(shop, target, true);
  const wanted = items.filter(({ key }) => key === target || (typeof key === 'string' && key.startsWith(below)));
  if (wanted.length === 0 && target !== '') {
    throw new SandboxError('key_missing', `nothing in the drive under ${target}`);
  }
  return wanted;
}

async function pullOne(shop: Workshop, base: string, item: JsonObject) {
  const key = String(item.key);
  const { download_url: url, size } = item;
  if (safeRelativePath(key) === null) {
    throw new SandboxError('key_unsafe', `drive key resolves outside the drive base: ${JSON.stringify(key)}`);
  }
  if (typeof url !== 'string' || url === '')
    throw new SandboxError('url_missing', `drive key has no download URL: ${key}`);
  const path = insidePath(base, key);
  await downloadTo(path, url, typeof size === 'number' ? size : null, shop);
  return { key, path };
}

async function manifest(shop: Workshop, prefix: string, withUrls: boolean): Promise<readonly JsonObject[]> {
  const query = new URLSearchParams({ prefix, include_download_url: String(withUrls) });
  const { items } = await shop.client.json(OPERATIONS.driveManifest, 'GET', `/drive/manifest?${query}`);
  if (!Array.isArray(items)) throw invalidAnswer(OPERATIONS.driveManifest);
  return items.map((item) => {
    if (!isJsonObject(item) || typeof item.key !== 'string') throw invalidAnswer(OPERATIONS.driveManifest);
    return item;
  });
}

/** `drive push LOCAL REMOTE [--recursive | --kind skill|dir]`: prints the answer of the commit. */
export async function pushCommand(shop: Workshop, { positionals, values }: Words): Promise<void> {
  const [local, remote, ...rest] = positionals;
  if (local === undefined || remote === undefined || rest.length > 0) {
    throw new SandboxUsageError('usage: dify-agent drive push LOCAL REMOTE [--recursive | --kind skill|dir]');
  }
  const key = safeRelativePath(remote.replace(/\/$/, ''));
  if (key === null) throw new SandboxUsageError(`not a safe drive key: ${JSON.stringify(remote)}`);
  const path = resolve(shop.cwd, local);
  const items = await itemsOf(shop, path, key, kindOf(path, values));
  const answer = await shop.client.json(OPERATIONS.driveCommit, 'POST', '/drive/commit', { items: [...items] });
  await shop.print(`${JSON.stringify(answer)}\n`);
}

type Kind = 'file' | 'skill' | 'dir';

function kindOf(path: string, { kind, recursive }: Words['values']): Kind {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new SandboxError('file_missing', `file not found: ${path}`);
  if (stat.isSymbolicLink()) throw new SandboxError('link_refused', `symbolic links are not uploaded: ${path}`);
  if (kind !== undefined && kind !== 'skill' && kind !== 'dir')
    throw new SandboxUsageError('--kind must be skill or dir');
  if (!stat.isDirectory()) {
    if (kind !== undefined || recursive === true) throw new SandboxUsageError(`not a directory: ${path}`);
    return 'file';
  }
  if (kind !== undefined) return kind;
  if (recursive === true) return 'dir';
  if (existsSync(join(path, 'SKILL.md'))) return 'skill';
  throw new SandboxUsageError(`${path} is a directory without SKILL.md: use --kind dir (or --recursive)`);
}

async function itemsOf(shop: Workshop, path: string, key: string, kind: Kind): Promise<readonly JsonObject[]> {
  if (kind === 'file') return [itemOf(key, (await uploadFile(shop.client, path, shop)).id)];
  if (kind === 'dir') {
    const items: JsonObject[] = [];
    for (const file of listFiles(path)) {
      items.push(itemOf(`${key}/${file}`, (await uploadFile(shop.client, join(path, file), shop)).id));
    }
    return items;
  }
  const entry = join(path, 'SKILL.md');
  if (!existsSync(entry)) throw new SandboxError('skill_invalid', `a skill has a SKILL.md: ${path}`);
  const metadata = frontMatter(readFileSync(entry, 'utf8').slice(0, FRONT_MATTER_CHARS));
  const skill = itemOf(`${key}/SKILL.md`, (await uploadFile(shop.client, entry, shop)).id);
  const archive = itemOf(`${key}/${FULL_ARCHIVE}`, await uploadPacked(shop, path));
  return [{ ...skill, is_skill: true, ...(metadata === null ? {} : { skill_metadata: metadata }) }, archive];
}

function itemOf(key: string, id: string): JsonObject {
  return { key, file_ref: { kind: 'tool_file', id } };
}

/** The plain `key: value` lines between the dashes at the top of SKILL.md; null when there are none. */
function frontMatter(text: string): JsonObject | null {
  const block = /^---\r?\n([\s\S]*?)\r?\n---/.exec(text)?.[1];
  if (block === undefined) return null;
  const pairs = block.split(/\r?\n/).flatMap((line): [string, string][] => {
    const match = /^([A-Za-z_][\w-]*):\s*(.*?)\s*$/.exec(line);
    const [, name, value] = match ?? [];
    return name === undefined || value === undefined || value === ''
      ? []
      : [[name, value.replace(/^(["'])(.*)\1$/, '$2')]];
  });
  return pairs.length === 0 ? null : Object.fromEntries(pairs);
}

/** Maps with at most PARALLEL at once. The first failure ends the others, and is thrown when they have cleaned up. */
async function parallel<T, R>(
  inputs: readonly T[],
  work: (input: T, signal: AbortSignal) => Promise<R>,
  outer: AbortSignal,
): Promise<readonly R[]> {
  const results: R[] = [];
  const failure = new AbortController();
  const signal = AbortSignal.any([outer, failure.signal]);
  const queue = inputs.entries();
  const lane = async (): Promise<void> => {
    // The lanes share the iterator: each takes what is next.
    for (const [index, input] of queue) {
      if (signal.aborted) return;
      try {
        results[index] = await work(input, signal);
      } catch (error) {
        failure.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, lane));
  signal.throwIfAborted();
  return results;
}
