// The commands by name, and the way from words to an exit code. A command's own code is loaded when it is called, so that
// `version` and `help` load nothing of the server.

import { closestName } from '../config/suggest.ts';
import { EXIT, type Io } from './io.ts';

/** Something the executable can do. */
export interface Command {
  readonly name: string;
  /** One line for `help`. */
  readonly summary: string;
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
  { name: 'version', summary: 'print the version', run: async (io) => (await import('./version.ts')).printVersion(io) },
  { name: 'help', summary: 'print this text', run: async (io) => (await import('./help.ts')).help(io, commands) },
];

const ALIASES: Readonly<Record<string, string>> = {
  '--help': 'help',
  '-h': 'help',
  '--version': 'version',
  '-v': 'version',
};

/** Runs the command that the words name. `io.args` are all words after the program's name. */
export async function runCommand(io: Io): Promise<number> {
  const [word = 'serve', ...rest] = io.args;
  // `serve --help` asks for help too, whatever the command.
  const name = rest.includes('--help') || rest.includes('-h') ? 'help' : (ALIASES[word] ?? word);
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const names = commands.map((candidate) => candidate.name);
    const suggestion = closestName(word, names);
    const hint = suggestion === null ? '.' : `, did you mean ${suggestion}?`;
    await io.complain(`unknown command ${JSON.stringify(word)}${hint} See: dify-agent help`);
    return EXIT.usage;
  }
  if (rest.length > 0 && name !== 'help') {
    await io.complain(`dify-agent ${name} takes no arguments, got ${JSON.stringify(rest[0])}. See: dify-agent help`);
    return EXIT.usage;
  }
  return command.run({ ...io, args: rest });
}
