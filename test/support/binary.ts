// The compiled binary that end-to-end tests run: built once when it is missing or older than its sources.
// DIFY_AGENT_TEST_BINARY names another one (a release, a copy kept aside while sources change); it is taken as it is.

import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from './until.ts';

/** The repository's root. */
export const ROOT = new URL('../..', import.meta.url).pathname;

const BINARY = join(ROOT, 'dist/dify-agent');
const LOCK = join(ROOT, 'node_modules/.dify-agent-build.lock');
/** What the binary is made of. */
const SOURCES = ['src', '.ci', 'package.json', 'package-lock.json', 'tsconfig.json', 'bunfig.toml'];

/** The path of an up-to-date binary. One build at a time, also across processes. */
export async function ensureBinary(): Promise<string> {
  const given = process.env.DIFY_AGENT_TEST_BINARY;
  if (given !== undefined && given !== '') return given;
  if (await isFresh()) return BINARY;
  await until('the build lock', takeLock, { timeoutMs: 120_000, everyMs: 100 });
  try {
    if (!(await isFresh())) build();
  } finally {
    rmSync(LOCK, { force: true });
  }
  return BINARY;
}

function build(): void {
  const result = Bun.spawnSync(['npm', 'run', '--silent', 'build:binary'], {
    cwd: ROOT,
    stdout: 'pipe',
    stderr: 'pipe',
  });
  if (result.exitCode !== 0 || !existsSync(BINARY)) {
    throw new Error(`npm run build:binary failed (${result.exitCode}):\n${result.stdout}${result.stderr}`);
  }
}

async function isFresh(): Promise<boolean> {
  if (!existsSync(BINARY)) return false;
  const built = statSync(BINARY).mtimeMs;
  for (const source of SOURCES) {
    const path = join(ROOT, source);
    if (!existsSync(path)) continue;
    if (!statSync(path).isDirectory()) {
      if (statSync(path).mtimeMs > built) return false;
      continue;
    }
    for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
      if (entry.isFile() && statSync(join(entry.parentPath, entry.name)).mtimeMs > built) return false;
    }
  }
  return true;
}

/** True when this process now owns the lock. A lock whose owner is gone is taken over. */
function takeLock(): boolean {
  try {
    writeFileSync(LOCK, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    const owner = Number(existsSync(LOCK) ? readFileSync(LOCK, 'utf8') : '');
    if (owner > 0 && !isAlive(owner)) rmSync(LOCK, { force: true });
    return false;
  }
}

/** Whether a process with this id exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
