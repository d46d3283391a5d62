// Bun's fetch runs 256 requests at once in the whole process, all peers together, and takes another number only from the real
// environment at start. A request beyond it waits where no time-out of ours sees it, so a peer that hangs would stop the
// others: where the settings promise the peers more, the process replaces itself once, with the number that they need.

import type { Settings } from '../config/settings.ts';
import { difyApiAddress } from '../config/stub.ts';

/** What Bun allows when nothing is said. */
const DEFAULT_LIMIT = 256;
/** For what is in nobody's share: requests that were given up and whose sockets are being closed. */
const RESERVE = 32;
/** The most that Bun takes; it ignores a larger number. */
const MAX_LIMIT = 65_535;
const VARIABLE = 'BUN_CONFIG_MAX_HTTP_REQUESTS';

/** The settings that say how many requests there may be. */
export type FetchSettings = Pick<Settings, 'pluginDaemon' | 'shellctl' | 'difyApi'>;

/** The environment that the process needs to keep its promises, or null when the one it has will do. */
export function environmentForFetches(
  settings: FetchSettings,
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string | undefined>> | null {
  const needed = Math.min(fetchesAtOnce(settings), MAX_LIMIT);
  const given = Number(env[VARIABLE]);
  const limit = Number.isInteger(given) && given > 0 && given <= MAX_LIMIT ? given : DEFAULT_LIMIT;
  return needed <= limit ? null : { ...env, [VARIABLE]: String(needed) };
}

/** Every peer's share; a peer that is not configured has none. */
function fetchesAtOnce({ pluginDaemon, shellctl, difyApi }: FetchSettings): number {
  return (
    pluginDaemon.maxConnections +
    (shellctl.entrypoint === null ? 0 : shellctl.maxConnections) +
    (difyApiAddress(difyApi) === null ? 0 : difyApi.maxConnections) +
    RESERVE
  );
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
