// Bun's fetch runs 256 requests at once in the whole process, and takes another number only from the real environment at
// start. Where the settings promise the daemon more connections, the process replaces itself once, with that number.

import type { Settings } from '../config/settings.ts';

/** What Bun allows when nothing is said. */
const DEFAULT_LIMIT = 256;
/** Requests that other peers can have at once beside the daemon's. */
const RESERVE = 64;
/** The most that Bun takes; it ignores a larger number. */
const MAX_LIMIT = 65_535;
const VARIABLE = 'BUN_CONFIG_MAX_HTTP_REQUESTS';

/** The environment that the process needs to keep its promise, or null when the one it has will do. */
export function environmentForFetches(
  settings: Pick<Settings, 'pluginDaemon'>,
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> | null {
  const needed = Math.min(settings.pluginDaemon.maxConnections + RESERVE, MAX_LIMIT);
  const given = Number(env[VARIABLE]);
  const limit = Number.isInteger(given) && given > 0 && given <= MAX_LIMIT ? given : DEFAULT_LIMIT;
  return needed <= limit ? null : { ...env, [VARIABLE]: String(needed) };
}

/** Replaces this process by itself in that environment: same id, same files, same words. Does not return. */
export function restart(env: Readonly<Record<string, string | undefined>>): never {
  // In the compiled binary argv[1] names a file inside it and is no word of the user's.
  const compiled = process.argv[1]?.startsWith('/$bunfs/') ?? false;
  const words = compiled ? process.argv.slice(2) : [...process.execArgv, ...process.argv.slice(1)];
  if (process.execve === undefined) throw new Error('this Bun cannot replace its process');
  return process.execve(process.execPath, [process.argv0, ...words], definedOnly(env));
}

function definedOnly(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}
