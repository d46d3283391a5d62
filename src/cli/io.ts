// What a command sees of its process: arguments, environment, directory, where to print, which events arrive. main.ts
// fills it from the real process; tests fill it with their own.

import { writeFully } from '../observe/sink.ts';

/** Process events that `serve` listens to; `process` is one. */
export interface ProcessEvents {
  on(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** The surroundings of a command. */
export interface Io {
  /** The words after the command. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly events: ProcessEvents;
  /** Whether standard output is a terminal that wants colours. */
  readonly colour: boolean;
  /** Prints to standard output, as it is. Never rejects: a closed pipe (`| head`) is no failure of ours. */
  print(text: string): Promise<void>;
  /** Prints one line to standard error. Never rejects. */
  complain(line: string): Promise<void>;
}

/** Exit codes: 0 done, 1 failed, 2 not understood. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** The surroundings of the real process. */
export function processIo(args: readonly string[]): Io {
  const { env } = process;
  return {
    args,
    env,
    cwd: process.cwd(),
    events: process,
    // https://no-color.org
    colour: process.stdout.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb',
    print: (text) => printTo(1, text),
    complain: (line) => printTo(2, `${line.replaceAll(/[\r\n]+/g, ' ')}\n`),
  };
}

async function printTo(descriptor: number, text: string): Promise<void> {
  await writeFully(descriptor, Buffer.from(text));
}
