// `config manifest`, `config skill|file|env|note pull`: what the agent's configuration holds, on this disk (spec 05 §8).

import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isJsonObject, type JsonObject, type JsonValue } from '../../base/json.ts';
import { FULL_ARCHIVE, unpack } from '../archive.ts';
import { type Download, OPERATIONS } from '../client.ts';
import { downloadTo, saveAnswer } from '../download.ts';
import { SandboxError, SandboxUsageError } from '../errors.ts';
import type { Words, Workshop } from '../io.ts';
import { isSafeSegment } from '../names.ts';
import { PRIVATE, writeWhole } from '../place.ts';

/** Where pulls go by default, below the current directory. */
const HOME = '.dify_conf';

export async function fetchManifest(shop: Workshop): Promise<JsonObject> {
  return await shop.client.json(OPERATIONS.configManifest, 'GET', '/config/manifest');
}

export async function manifestCommand(shop: Workshop, { positionals }: Words): Promise<void> {
  if (positionals.length > 0) throw new SandboxUsageError('usage: dify-agent config manifest');
  await shop.print(`${JSON.stringify(await fetchManifest(shop))}\n`);
}

/** `config skill pull [NAME…] [--to DIR] [--json]` */
export async function pullSkills(shop: Workshop, { positionals, values }: Words): Promise<void> {
  const base = resolve(shop.cwd, typeof values.to === 'string' ? values.to : join(HOME, 'skills'));
  const items: JsonObject[] = [];
  for (const name of await namesToPull(shop, 'skills', positionals)) {
    const directory = join(base, name);
    const archive = join(directory, FULL_ARCHIVE);
    await replaceDirectory(directory, async (staged) => {
      await pull(shop, 'skill', name, join(staged, FULL_ARCHIVE));
      await unpack(join(staged, FULL_ARCHIVE), staged);
    });
    items.push({ name, archive_path: archive, directory_path: directory, skill_md: join(directory, 'SKILL.md') });
  }
  await report(shop, items, 'directory_path', values.json === true);
}

/** A directory that `fill` makes takes the place of what is there, when it is complete. */
async function replaceDirectory(directory: string, fill: (staged: string) => Promise<void>): Promise<void> {
  const staged = `${directory}.${crypto.randomUUID()}.part`;
  mkdirSync(staged, { recursive: true });
  try {
    await fill(staged);
    rmSync(directory, { recursive: true, force: true });
    renameSync(staged, directory);
  } finally {
    rmSync(staged, { recursive: true, force: true });
  }
}

/** `config file pull [NAME…] [--to DIR] [--json]` */
export async function pullFiles(shop: Workshop, { positionals, values }: Words): Promise<void> {
  const base = resolve(shop.cwd, typeof values.to === 'string' ? values.to : join(HOME, 'files'));
  const items: JsonObject[] = [];
  for (const name of await namesToPull(shop, 'files', positionals)) {
    const path = join(base, name);
    await pull(shop, 'file', name, path);
    items.push({ name, path });
  }
  await report(shop, items, 'path', values.json === true);
}

/** `config env pull [--to FILE]`: the values are this process's own; the manifest only names them. */
export async function pullEnv(shop: Workshop, { positionals, values }: Words): Promise<void> {
  if (positionals.length > 0) throw new SandboxUsageError('usage: dify-agent config env pull [--to FILE]');
  const keys = (await fetchManifest(shop)).env_keys;
  const names = Array.isArray(keys) ? keys.map(String) : [];
  const odd = names.find((name) => !/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name));
  if (odd !== undefined) throw new SandboxError('env_invalid', `not a variable's name: ${JSON.stringify(odd)}`);
  const missing = names.filter((name) => shop.env[name] === undefined);
  if (missing.length > 0)
    throw new SandboxError('env_missing', `environment variables are not set: ${missing.join(', ')}`);
  const lines = names.map((name) => `${name}=${quoted(shop.env[name] ?? '')}\n`).join('');
  const path = pulledPath(shop, values, '.env');
  writeWhole(path, lines, PRIVATE);
  await shop.print(`${path}\n`);
}

/** `config note pull [--to FILE]` */
export async function pullNote(shop: Workshop, { positionals, values }: Words): Promise<void> {
  if (positionals.length > 0) throw new SandboxUsageError('usage: dify-agent config note pull [--to FILE]');
  const { note } = await fetchManifest(shop);
  const path = pulledPath(shop, values, 'note.md');
  writeWhole(path, typeof note === 'string' ? note : '');
  await shop.print(`${path}\n`);
}

function pulledPath(shop: Workshop, values: Words['values'], name: string): string {
  return resolve(shop.cwd, typeof values.to === 'string' ? values.to : join(HOME, name));
}

/** As dotenv files want it: quoted only where it must be. */
function quoted(value: string): string {
  if (/^[A-Za-z0-9_./:@%+,=-]*$/.test(value)) return value;
  const escaped = value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('$', '\\$');
  return `"${escaped}"`;
}

/** The names that were given, else all of the manifest; each of them one safe segment. */
async function namesToPull(
  shop: Workshop,
  group: 'skills' | 'files',
  given: readonly string[],
): Promise<readonly string[]> {
  const names = given.length > 0 ? given : namesOf((await fetchManifest(shop))[group]);
  const unsafe = names.find((name) => !isSafeSegment(name));
  if (unsafe !== undefined) throw new SandboxError('name_unsafe', `not a safe name: ${JSON.stringify(unsafe)}`);
  return [...new Set(names)];
}

function namesOf(group: JsonValue | undefined): readonly string[] {
  const items = isJsonObject(group) && Array.isArray(group.items) ? group.items : [];
  return items.flatMap((item) => (isJsonObject(item) && typeof item.name === 'string' ? [item.name] : []));
}

/** Into `path`, by the route of its time: through the stub, or (newer stubs) from a signed URL. */
async function pull(shop: Workshop, kind: 'skill' | 'file', name: string, path: string): Promise<void> {
  const route = `/config/${kind}s/${encodeURIComponent(name)}/pull`;
  try {
    await saveAnswer(path, (signal) => shop.client.bytes(OPERATIONS.configPull, route, signal), shop);
  } catch (error) {
    if (!(error instanceof SandboxError && (error.status === 404 || error.status === 405))) throw error;
    const { download_url: url, size } = await signedUrl(shop, kind, name, error);
    await downloadTo(path, url, size, shop);
  }
}

/** Older stubs know no such request: what they said first counts. */
async function signedUrl(shop: Workshop, kind: 'skill' | 'file', name: string, first: SandboxError): Promise<Download> {
  try {
    return await shop.client.download({ config: { kind, name } }, 'sandbox');
  } catch (error) {
    throw error instanceof SandboxError && error.status === 422 ? first : error;
  }
}

async function report(shop: Workshop, items: readonly JsonObject[], shown: string, json: boolean): Promise<void> {
  if (json) await shop.print(`${JSON.stringify({ items })}\n`);
  else await shop.print(items.map((item) => `${String(item[shown])}\n`).join(''));
}
