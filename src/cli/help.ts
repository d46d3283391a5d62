// `help`: the commands and every variable, from their declarations.

import { configurationHelp } from '../config/describe.ts';
import { EXIT, type Io } from './io.ts';

/** What the two lists do not have. */
const ELSEWHERE = `run, watch, cancel, status and ready read DIFY_AGENT_URL [http://127.0.0.1:8000] from the environment, all but ready DIFY_AGENT_API_TOKEN, too.
A sandbox has connect, file, config and drive: dify-agent file --help
`;

/** Prints the usage. The list of commands is commands.ts's. */
export async function help(
  io: Io,
  commands: readonly { readonly name: string; readonly summary: string }[],
): Promise<number> {
  const list = commands.map(({ name, summary }) => `  ${name.padEnd(9)}${summary}\n`).join('');
  await io.print(
    `Usage: dify-agent [command]\n\nCommands:\n${list}\n${ELSEWHERE}\nVariables [default], from .env, dify-agent/.env and the environment:\n${configurationHelp()}`,
  );
  return EXIT.ok;
}
