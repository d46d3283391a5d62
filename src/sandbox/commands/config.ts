// `config manifest`, `config skill|file|env|note pull`: what the agent's configuration holds, on this disk (spec 05 §8).

import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { JsonObject, JsonValue } from '../../base/json.ts';
import { FULL_ARCHIVE, unpack } from '../archive.ts';
import { isObject, OPERATIONS } from '../client.ts';
import { SandboxError, SandboxUsageError } from '../errors.ts';
import type { Words, Workshop } from '../io.ts';
import { isSafeSegment } from '../names.ts';
import { downloadTo, saveBody, writeWhole } from '../transfer.ts';

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
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    const archive = join(directory, FULL_ARCHIVE);
    await pull(shop, 'skill', name, archive);
    await unpack(archive, directory);
    items.push({ name, archive_path: archive, directory_path: directory, skill_md: join(directory, 'SKILL.md') });
  }
  await report(shop, items, 'directory_path', values.json === true);
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
export async function pullEnv(shop: Workshop, { values }: Words): Promise<void> {
  const keys = (await fetchManifest(shop)).env_keys;
  const names = Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : [];
  const missing = names.filter((name) => shop.env[name] === undefined);
  if (missing.length > 0)
    throw new SandboxError('env_missing', `environment variables are not set: ${missing.join(', ')}`);
  const lines = names.map((name) => `${name}=${quoted(shop.env[name] ?? '')}\n`).join('');
  await writePulled(shop, values, '.env', lines);
}

/** `config note pull [--to FILE]` */
export async function pullNote(shop: Workshop, { values }: Words): Promise<void> {
  const { note } = await fetchManifest(shop);
  await writePulled(shop, values, 'note.md', typeof note === 'string' ? note : '');
}

async function writePulled(shop: Workshop, values: Words['values'], name: string, text: string): Promise<void> {
  const path = resolve(shop.cwd, typeof values.to === 'string' ? values.to : join(HOME, name));
  writeWhole(path, text);
  await shop.print(`${path}\n`);
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
  const items = isObject(group) && Array.isArray(group.items) ? group.items : [];
  return items.flatMap((item) => (isObject(item) && typeof item.name === 'string' ? [item.name] : []));
}

/** Into `path`, by the route of its time: through the stub, or (newer stubs) from a signed URL. */
async function pull(shop: Workshop, kind: 'skill' | 'file', name: string, path: string): Promise<void> {
  try {
    const response = await shop.client.bytes(
      OPERATIONS.configPull,
      `/config/${kind}s/${encodeURIComponent(name)}/pull`,
    );
    const part = `${path}.${crypto.randomUUID()}.part`;
    mkdirSync(dirname(path), { recursive: true });
    try {
      await saveBody(response, part);
      renameSync(part, path);
    } finally {
      rmSync(part, { force: true });
    }
  } catch (error) {
    if (!(error instanceof SandboxError && (error.status === 404 || error.status === 405))) throw error;
    const { download_url: url, size } = await shop.client.download({ config: { kind, name } }, 'sandbox');
    await downloadTo(path, url, size, shop.progress);
  }
}

async function report(shop: Workshop, items: readonly JsonObject[], shown: string, json: boolean): Promise<void> {
  if (json) await shop.print(`${JSON.stringify({ items })}\n`);
  else await shop.print(items.map((item) => `${String(item[shown])}\n`).join(''));
}
