// The commands by name, and the way from words to an exit code. A command's own code is loaded when it is called, so that
// `version` and `help` load nothing of the server.

import { closestName } from '../config/suggest.ts';
import { EXIT, type Io } from './io.ts';

/** Something the executable can do. */
export interface Command {
  readonly name: string;
  /** One line for `help`. */
  readonly summary: string;
  /** Words after the name are its own. Default false: none are taken. */
  readonly takesWords?: boolean;
  /** Resolves with the exit code. */
  run(io: Io): Promise<number>;
}

/** All commands, in the order in which `help` lists them. */
export const commands: readonly Command[] = [
  {
    name: 'serve',
    summary: 'run the server until SIGTERM or SIGINT (the default)',
    run: async (io) => (await import('./serve.ts')).serve(io),
  },
  {
    name: 'check',
    summary: 'print the effective configuration, probe the store and the plugin daemon',
    run: async (io) => (await import('./check.ts')).check(io),
  },
  {
    name: 'demo',
    summary: 'run one scripted agent in this process and show its events',
    run: async (io) => (await import('./demo.ts')).demo(io),
  },
  {
    name: 'run',
    summary:
      'create the run that a file (or - for standard input) describes and show it: run FILE|- [--json] [--url URL]',
    takesWords: true,
    run: async (io) => (await import('./run.ts')).runCommand(io),
  },
  {
    name: 'watch',
    summary: 'show a run: watch RUN_ID [--after CURSOR] [--json] [--url URL]',
    takesWords: true,
    run: async (io) => (await import('./run.ts')).watchCommand(io),
  },
  {
    name: 'cancel',
    summary: 'cancel a run and wait for its end: cancel RUN_ID [--reason TEXT] [--json] [--url URL]',
    takesWords: true,
    run: async (io) => (await import('./run.ts')).cancelCommand(io),
  },
  {
    name: 'status',
    summary: 'show what a server is doing: status [URL] [--json]',
    takesWords: true,
    run: async (io) => (await import('./status.ts')).statusCommand(io),
  },
  {
    name: 'ready',
    summary: 'exit with 0 when a server takes runs: ready [URL] [--wait SECONDS]',
    takesWords: true,
    run: async (io) => (await import('./ready.ts')).readyCommand(io),
  },
  {
    name: 'version',
    summary: 'print the version: version [--json]',
    takesWords: true,
    run: async (io) => (await import('./version.ts')).printVersion(io),
  },
  { name: 'help', summary: 'print this text', run: async (io) => (await import('./help.ts')).help(io, commands) },
];

/** The words that only a sandbox needs; what follows them is read in src/sandbox. */
const SANDBOX_WORDS: readonly string[] = ['connect', 'file', 'drive', 'config'];
/** Called by this name (a link to the executable), it is the sandbox's tool and nothing else. */
const SANDBOX_PROGRAM = 'dify-agent-sandbox';
/** A shell job has this in its environment. The stub's URL tells nothing: the server has it too. */
const SANDBOX_VARIABLE = 'DIFY_AGENT_STUB_AUTH_JWE';

const ALIASES: Readonly<Record<string, string>> = {
  '--help': 'help',
  '-h': 'help',
  '--version': 'version',
  '-v': 'version',
};

/** Runs the command that the words name. `io.args` are all words after the program's name. */
export async function runCommand(io: Io): Promise<number> {
  if (isForStub(io)) return (await import('../sandbox/run.ts')).runSandbox(io, io.args);
  const [word = inSandbox(io) ? 'help' : 'serve', ...rest] = io.args;
  // `serve --help` asks for help too, whatever the command; one that takes words has something of its own to say.
  const asked = rest.includes('--help') || rest.includes('-h');
  const own = commands.find(({ name: known, takesWords }) => known === word && takesWords === true);
  if (asked && own !== undefined) {
    await io.print(`dify-agent ${own.name}: ${own.summary}\n`);
    return EXIT.ok;
  }
  const name = asked ? 'help' : (ALIASES[word] ?? word);
  if (name === 'help' && inSandbox(io)) {
    await io.print((await import('../sandbox/run.ts')).sandboxHelp());
    return EXIT.ok;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const names = commands.map((candidate) => candidate.name);
    const suggestion = closestName(word, names);
    const hint = suggestion === null ? '.' : `, did you mean ${suggestion}?`;
    await io.complain(`unknown command ${JSON.stringify(word)}${hint} See: dify-agent help`);
    return EXIT.usage;
  }
  if (rest.length > 0 && name !== 'help' && command.takesWords !== true) {
    await io.complain(`dify-agent ${name} takes no arguments, got ${JSON.stringify(rest[0])}. See: dify-agent help`);
    return EXIT.usage;
  }
  return command.run({ ...io, args: rest });
}

/**
 * Whether the words are for the Agent Stub. In a sandbox all are, but for questions about the executable itself: an unknown
 * word is a `connect` there (spec 05 §8). Elsewhere those that name a sandbox command are, which then says what is missing.
 */
function isForStub(io: Io): boolean {
  const [word = 'help'] = io.args;
  if (SANDBOX_WORDS.includes(word)) return true;
  return inSandbox(io) && !['help', 'version', ...Object.keys(ALIASES)].includes(word);
}

function inSandbox({ program, env }: Io): boolean {
  return program === SANDBOX_PROGRAM || (env[SANDBOX_VARIABLE] ?? '').trim() !== '';
}
