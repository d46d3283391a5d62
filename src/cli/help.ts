// `help`: the commands and every variable, from their declarations.

import { configurationHelp } from '../config/describe.ts';
import { EXIT, type Io } from './io.ts';

/** Prints the usage. The list of commands is commands.ts's. */
export async function help(
  io: Io,
  commands: readonly { readonly name: string; readonly summary: string }[],
): Promise<number> {
  const list = commands.map(({ name, summary }) => `  ${name.padEnd(9)}${summary}\n`).join('');
  await io.print(
    `Usage: dify-agent [command]\n\nCommands:\n${list}\nVariables [default], from .env, dify-agent/.env and the environment:\n${configurationHelp()}`,
  );
  return EXIT.ok;
}
