// Where the values of variables come from: `.env`, then `dify-agent/.env`, then the real environment, each overriding the
// ones before (spec 01 §7.7). Files are read by us alone: nothing is ever put into process.env.

import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseDotenv } from './dotenv.ts';
import { OTEL_PREFIX } from './traces.ts';
import { PREFIX } from './variable.ts';

/** Where a value was found. */
export type Source = 'default' | '.env' | 'dify-agent/.env' | 'environment';

/** A text and where it was found. */
export interface Found {
  /** The name as it was written; names are matched without case. */
  readonly name: string;
  readonly text: string;
  readonly source: Source;
}

/** The environment of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

const FILES = ['.env', 'dify-agent/.env'] as const;
/** A settings file larger than this is a mistake. */
const MAX_FILE_BYTES = 262_144;

/** What was found, by upper-case name, and the files that exist but cannot be read. */
export interface Findings {
  readonly found: ReadonlyMap<string, Found>;
  readonly problems: readonly string[];
}

/** Collects the `DIFY_AGENT_*` and `OTEL_*` variables. With a null directory no file is read. */
export function collect(env: Environment, cwd: string | null): Findings {
  const found = new Map<string, Found>();
  const problems: string[] = [];
  for (const source of cwd === null ? [] : FILES) {
    try {
      const text = readSettingsFile(join(cwd ?? '', source));
      if (text !== null) add(found, parseDotenv(text, env), source);
    } catch (error) {
      problems.push(`${source}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const real = Object.entries(env).flatMap(([name, text]) => (text === undefined ? [] : [[name, text] as const]));
  // Of two spellings in the environment the upper-case one wins: it is the documented name.
  real.sort(([a], [b]) => Number(a === a.toUpperCase()) - Number(b === b.toUpperCase()));
  add(found, real, 'environment');
  return { found, problems };
}

function add(found: Map<string, Found>, entries: Iterable<readonly [string, string]>, source: Source): void {
  for (const [name, text] of entries) {
    const key = name.toUpperCase();
    if (key.startsWith(PREFIX) || key.startsWith(OTEL_PREFIX)) found.set(key, { name, text, source });
  }
}

/** The text of a file, or null when there is no such regular file. */
function readSettingsFile(path: string): string | null {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) return null;
    if (stat.size > MAX_FILE_BYTES) throw new Error(`larger than ${MAX_FILE_BYTES} bytes`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    // ENOTDIR: where the executable lies in the current directory, `dify-agent` is a file.
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}
