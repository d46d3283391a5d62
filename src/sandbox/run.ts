// The sandbox's side of the executable: words → a command → exit code (spec 05 §8). Dropped into a sandbox image, the
// binary replaces the command-line tool of the reference; whether it acts as that tool is decided in cli/commands.ts.

import { parseArgs } from 'node:util';
import { errorText } from '../base/errors.ts';
import type { StubClient } from './client.ts';
import { manifestCommand, pullEnv, pullFiles, pullNote, pullSkills } from './commands/config.ts';
import { listCommand, pullCommand, pushCommand as pushDrive } from './commands/drive.ts';
import { downloadCommand, uploadCommand } from './commands/file.ts';
import { pushCommand as pushConfig } from './commands/push.ts';
import { readStubAccess, type StubAccess } from './environment.ts';
import { SandboxEnvironmentError, SandboxError, SandboxUsageError } from './errors.ts';
import { createHttpClient } from './http.ts';
import type { SandboxIo, Words, Workshop } from './io.ts';
import { IDLE_MS } from './transfer.ts';

/** 0 done, 1 failed, 2 no stub or not understood. */
const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

interface SandboxCommand {
  /** The words that name it. */
  readonly words: readonly string[];
  readonly usage: string;
  readonly options: Readonly<Record<string, { readonly type: 'string' | 'boolean' }>>;
  run(shop: Workshop, words: Words): Promise<void>;
}

const TO = { to: { type: 'string' } } as const;
const JSON_OUT = { json: { type: 'boolean' } } as const;

const COMMANDS: readonly SandboxCommand[] = [
  { words: ['file', 'upload'], usage: 'PATH', options: {}, run: uploadCommand },
  {
    words: ['file', 'download'],
    usage: 'TRANSFER_METHOD REFERENCE_OR_URL [DIR] [--to DIR] | --mapping JSON',
    options: { ...TO, mapping: { type: 'string' } },
    run: downloadCommand,
  },
  { words: ['config', 'manifest'], usage: '', options: {}, run: manifestCommand },
  {
    words: ['config', 'skill', 'pull'],
    usage: '[NAME…] [--to DIR] [--json]',
    options: { ...TO, ...JSON_OUT },
    run: pullSkills,
  },
  {
    words: ['config', 'file', 'pull'],
    usage: '[NAME…] [--to DIR] [--json]',
    options: { ...TO, ...JSON_OUT },
    run: pullFiles,
  },
  { words: ['config', 'env', 'pull'], usage: '[--to FILE]', options: TO, run: pullEnv },
  { words: ['config', 'note', 'pull'], usage: '[--to FILE]', options: TO, run: pullNote },
  { words: ['config', 'push'], usage: '[--from FILE|-]', options: { from: { type: 'string' } }, run: pushConfig },
  { words: ['drive', 'list'], usage: '[PREFIX] [--json]', options: JSON_OUT, run: listCommand },
  {
    words: ['drive', 'pull'],
    usage: '[KEY…] [--to DIR] [--json]',
    options: { ...TO, ...JSON_OUT, 'drive-base': { type: 'string' } },
    run: pullCommand,
  },
  {
    words: ['drive', 'push'],
    usage: 'LOCAL REMOTE [--recursive | --kind skill|dir]',
    options: { recursive: { type: 'boolean' }, kind: { type: 'string' } },
    run: pushDrive,
  },
];

/** The first words of all sandbox commands. */
export const SANDBOX_WORDS: readonly string[] = ['connect', 'file', 'drive', 'config'];

/** The usage of every sandbox command. */
export function sandboxHelp(): string {
  const lines = [
    'connect [--json] [--] WORD…',
    ...COMMANDS.map(({ words, usage }) => `${words.join(' ')} ${usage}`.trim()),
  ];
  return `Inside a sandbox (needs DIFY_AGENT_STUB_URL and DIFY_AGENT_STUB_AUTH_JWE):\n${lines.map((line) => `  dify-agent ${line}\n`).join('')}`;
}

/** Runs the sandbox command that the words name; words that name none are a `connect`. Resolves with the exit code. */
export async function runSandbox(io: SandboxIo, args: readonly string[]): Promise<number> {
  const end = listenForEnd(io.events);
  try {
    return await Promise.race([runWords(io, args, end.signal), end.promise]);
  } catch (error) {
    if (end.code !== null) return end.code;
    // What others say may hold anything; a line of the terminal may not.
    await io.complain(errorText(error).replaceAll(/\p{Cc}+/gu, ' '));
    if (error instanceof SandboxEnvironmentError || error instanceof SandboxUsageError) return EXIT.usage;
    return EXIT.failed;
  } finally {
    end.stop();
  }
}

async function runWords(io: SandboxIo, args: readonly string[], signal: AbortSignal): Promise<number> {
  const [first = ''] = args;
  const plain = !SANDBOX_WORDS.includes(first);
  const named = first !== 'connect' && !plain;
  if (named ? asksForHelp(args) : isHelp(args[plain ? 0 : 1])) {
    await io.print(sandboxHelp());
    return EXIT.ok;
  }
  const command = named ? commandOf(args) : null;
  const words = command === null ? null : readWords(command, args);
  const access = await accessOf(io, plain);
  const client = await createClient(access, io);
  try {
    const shop = { ...io, client, signal, idleMs: io.timing?.idleMs ?? IDLE_MS };
    if (command === null || words === null) await connect(shop, plain ? args : args.slice(1));
    else await command.run(shop, words);
    return EXIT.ok;
  } finally {
    client.close();
  }
}

/** What a shell answers for a program that a signal ended. */
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
/** How long half-written files may take to go away, ms. */
const CLEANUP_MS = 500;

/** The process is told to end: aborts the signal, has an exit code, and resolves with it when there was time to clean up. */
interface End {
  readonly signal: AbortSignal;
  readonly code: number | null;
  readonly promise: Promise<number>;
  /** Listens no longer. */
  stop(): void;
}

function listenForEnd(events: SandboxIo['events']): End {
  const abort = new AbortController();
  const { promise, resolve } = Promise.withResolvers<number>();
  let code: number | null = null;
  const listeners = Object.entries(SIGNALS).map(([name, codeOfSignal]) => {
    const listener = (): void => {
      code ??= codeOfSignal;
      abort.abort(new SandboxError('interrupted', 'interrupted'));
      setTimeout(resolve, CLEANUP_MS, code);
    };
    events.on(name, listener);
    return [name, listener] as const;
  });
  return {
    signal: abort.signal,
    promise,
    get code() {
      return code;
    },
    stop() {
      for (const [name, listener] of listeners) events.off(name, listener);
    },
  };
}

async function accessOf(io: SandboxIo, plain: boolean): Promise<StubAccess> {
  try {
    return readStubAccess(io.env);
  } catch (error) {
    // Whoever typed an unknown word without a stub wanted something else: spec 05 §8.
    if (plain) await io.print(sandboxHelp());
    throw error;
  }
}

async function createClient(access: StubAccess, { timing = {} }: SandboxIo): Promise<StubClient> {
  if (access.transport === 'http') return createHttpClient(access, timing);
  return (await import('./grpc.ts')).createGrpcClient(access, timing);
}

/** `--json` first, then everything is the caller's, after a `--` that is ours. */
async function connect({ client, print }: Workshop, words: readonly string[]): Promise<void> {
  const json = words[0] === '--json';
  const rest = json ? words.slice(1) : words;
  const argv = rest[0] === '--' ? rest.slice(1) : rest;
  const connection = await client.connect(argv);
  await print(json ? `${JSON.stringify(connection)}\n` : `connected ${connection.connection_id}\n`);
}

function isHelp(word: string | undefined): boolean {
  return word === '--help' || word === '-h';
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  const own = end === -1 ? args : args.slice(0, end);
  return own.some(isHelp) || own.length === 1;
}

function commandOf(args: readonly string[]): SandboxCommand {
  const command = COMMANDS.find(({ words }) => words.every((word, index) => args[index] === word));
  if (command !== undefined) return command;
  const known = COMMANDS.filter(({ words }) => words[0] === args[0]).map(({ words }) => words.slice(1).join(' '));
  throw new SandboxUsageError(
    `unknown command ${JSON.stringify(args.slice(0, 3).join(' '))}; ${args[0]} has: ${known.join(', ')}`,
  );
}

function readWords({ words, usage, options }: SandboxCommand, args: readonly string[]): Words {
  try {
    const { positionals, values } = parseArgs({
      args: [...args.slice(words.length)],
      options: { ...options },
      allowPositionals: true,
      strict: true,
    });
    return { positionals, values: { ...values } };
  } catch (error) {
    throw new SandboxUsageError(`${errorText(error)}. Usage: dify-agent ${words.join(' ')} ${usage}`.trim());
  }
}
