// The server that `run`, `watch` and `cancel` talk to, and how their words are read.

import { parseArgs } from 'node:util';
import { errorText } from '../base/errors.ts';
import { Client, type ClientOptions } from '../client/client.ts';
import { DifyAgentClientError, DifyAgentHTTPError } from '../client/errors.ts';
import { parseJson } from '../wiretext/json.ts';
import { DEFAULT_URL, EXIT, type Io } from './io.ts';
import { printable } from './render.ts';

/** Exit codes beside EXIT: what became of the run; `interrupted`: the command was left before its end (128 + SIGINT). */
export const OUTCOME = { cancelled: 3, question: 4, interrupted: 130 } as const;

/** Options that all three commands have. */
const OPTIONS = {
  /** Default: `DIFY_AGENT_URL`. */
  url: { type: 'string' },
  /** One event per line, as JSON, instead of text for people. */
  json: { type: 'boolean', default: false },
} as const;

export interface RemoteWords {
  readonly client: Client;
  readonly json: boolean;
  readonly positionals: readonly string[];
  /** Values of `extra` options. */
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
}

/** Reads the words of a command. Null: they are not understood, and it was said. */
export async function readRemoteWords(
  io: Io,
  usage: string,
  count: number,
  extra: Readonly<Record<string, { readonly type: 'string' | 'boolean' }>> = {},
): Promise<RemoteWords | null> {
  try {
    const { values, positionals } = parseArgs({
      args: [...io.args],
      options: { ...OPTIONS, ...extra },
      allowPositionals: true,
      strict: true,
    });
    if (positionals.length !== count) throw new Error(`expected ${count} argument, got ${positionals.length}`);
    return { client: clientOf(io, values.url), json: values.json === true, positionals, values: { ...values } };
  } catch (error) {
    await io.complain(printable(`${errorText(error)}. Usage: dify-agent ${usage}`));
    return null;
  }
}

function clientOf({ env }: Io, url: unknown): Client {
  const fromEnvironment = env.DIFY_AGENT_URL?.trim() ?? '';
  const options: ClientOptions = {
    baseUrl: typeof url === 'string' ? url : fromEnvironment === '' ? DEFAULT_URL : fromEnvironment,
    token: env.DIFY_AGENT_API_TOKEN ?? '',
    // Proxy variables are for other traffic (design §4).
    fetch: (input, init) => fetch(input, { ...init, proxy: false }),
    // `--json` prints numbers as the server did.
    parse: parseExactly,
  };
  return new Client(options);
}

/** JSON with its numbers as they were written. @throws SyntaxError */
export function parseExactly(text: string): unknown {
  const result = parseJson(text);
  if (result.ok) return result.value;
  const { failure } = result;
  if (failure.kind === 'syntax') throw new SyntaxError(`${failure.message} (character ${failure.offset})`);
  throw new SyntaxError(failure.kind === 'too_deep' ? 'nested too deeply' : 'a number of too many digits');
}

/** Runs a command's work; what the server or the way to it refuses is one line and exit code 1. */
export async function reporting(io: Io, { client }: RemoteWords, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DifyAgentClientError)) throw error;
    // A server that answers is known to be there; texts of servers and proxies are in it.
    const where = error instanceof DifyAgentHTTPError ? '' : ` (${client.baseUrl})`;
    await io.complain(printable(error.message + where));
    return EXIT.failed;
  }
}
