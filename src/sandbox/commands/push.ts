// `config push [--from FILE|-]`: uploads what a specification names and saves it as the agent's configuration (spec 05 §8).

import { readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { isJsonObject, type JsonObject, type JsonValue } from '../../base/json.ts';
import { parseJson } from '../answers.ts';
import { pack } from '../archive.ts';
import { OPERATIONS } from '../client.ts';
import { SandboxError, SandboxUsageError } from '../errors.ts';
import type { Words, Workshop } from '../io.ts';
import { isSafeSegment } from '../names.ts';
import { uploadFile } from '../upload.ts';

/** A specification names files; it does not hold them. */
const MAX_SPECIFICATION_BYTES = 1024 * 1024;
/** `env` and `note` travel in the request, which the stub bounds at 1 MiB. */
const MAX_TEXT_BYTES = 512 * 1024;

const MEMBERS = ['files', 'skills', 'env', 'note'];

/** Prints the new manifest. */
export async function pushCommand(shop: Workshop, { positionals, values }: Words): Promise<void> {
  if (positionals.length > 0) throw new SandboxUsageError('usage: dify-agent config push [--from FILE|-]');
  const specification = await readSpecification(shop, typeof values.from === 'string' ? values.from : '-');
  const body: Record<string, JsonValue> = {};
  for (const group of ['files', 'skills'] as const) {
    const entries = specification[group];
    if (entries === undefined) continue;
    if (!Array.isArray(entries)) throw new SandboxUsageError(`${group} must be a list`);
    const items: JsonValue[] = [];
    for (const entry of entries) items.push(await pushed(shop, group, entry));
    body[group] = items;
  }
  if (specification.env !== undefined) body.env_text = readText(shop, 'env', specification.env);
  if (specification.note !== undefined) body.note = readText(shop, 'note', specification.note);
  const manifest = await shop.client.json(OPERATIONS.configPush, 'POST', '/config/push', body);
  await shop.print(`${JSON.stringify(manifest)}\n`);
}

async function readSpecification(shop: Workshop, from: string): Promise<JsonObject> {
  const text =
    from === '-'
      ? await shop.readInput(MAX_SPECIFICATION_BYTES)
      : readBounded(resolve(shop.cwd, from), MAX_SPECIFICATION_BYTES);
  const value = parseJson(text);
  if (!isJsonObject(value)) throw new SandboxUsageError('the specification must be a JSON object');
  const unknown = Object.keys(value).find((key) => !MEMBERS.includes(key));
  if (unknown !== undefined) {
    throw new SandboxUsageError(`unknown member ${JSON.stringify(unknown)}; known: ${MEMBERS.join(', ')}`);
  }
  return value;
}

/** A path, `{name, path}`, or `{name}`, which deletes. */
async function pushed(shop: Workshop, group: 'files' | 'skills', entry: JsonValue): Promise<JsonObject> {
  const path = isJsonObject(entry) ? entry.path : entry;
  const given = isJsonObject(entry) ? entry.name : undefined;
  if (path === undefined && typeof given === 'string') return { name: safeName(given), file_ref: null };
  if (typeof path !== 'string' || path === '' || (given !== undefined && typeof given !== 'string')) {
    throw new SandboxUsageError(`each of ${group} is a path, {"name","path"}, or {"name"} to delete`);
  }
  const full = resolve(shop.cwd, path);
  const name = safeName(given ?? basename(full).replace(group === 'skills' ? /\.zip$/ : /$^/, ''));
  const id = group === 'skills' ? await uploadSkill(shop, full) : (await uploadFile(shop.client, full, shop)).id;
  return { name, file_ref: { kind: 'tool_file', id } };
}

/** A directory is packed; a file is taken for a packed one. */
async function uploadSkill(shop: Workshop, path: string): Promise<string> {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    return (await uploadFile(shop.client, path, shop)).id;
  }
  return await uploadPacked(shop, path);
}

/** Uploads a directory as a zip archive; resolves with the file's id. */
export async function uploadPacked(shop: Workshop, directory: string): Promise<string> {
  const archive = join(tmpdir(), `dify-agent-${crypto.randomUUID()}.zip`);
  try {
    await pack(directory, archive);
    return (await uploadFile(shop.client, archive, shop)).id;
  } finally {
    rmSync(archive, { force: true });
  }
}

function safeName(name: string): string {
  if (!isSafeSegment(name)) throw new SandboxError('name_unsafe', `not a safe name: ${JSON.stringify(name)}`);
  return name;
}

function readText(shop: Workshop, member: string, path: JsonValue): string {
  if (typeof path !== 'string' || path === '') throw new SandboxUsageError(`${member} must be the path of a file`);
  return readBounded(resolve(shop.cwd, path), MAX_TEXT_BYTES);
}

function readBounded(path: string, maxBytes: number): string {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile()) throw new SandboxError('file_missing', `file not found: ${path}`);
  if (stat.size > maxBytes) throw new SandboxError('file_too_large', `${path} is larger than ${maxBytes} bytes`);
  return readFileSync(path, 'utf8');
}
