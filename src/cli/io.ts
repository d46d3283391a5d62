// What a command sees of its process: arguments, environment, directory, where to print, which events arrive. main.ts
// fills it from the real process; tests fill it with their own.

import { basename } from 'node:path';
import { writeFully } from '../observe/sink.ts';
import type { ProgressLine } from '../sandbox/progress.ts';

/** Process events that `serve` listens to; `process` is one. */
export interface ProcessEvents {
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** The surroundings of a command. */
export interface Io {
  /** The name by which the executable was called, without its path. */
  readonly program: string;
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
  /** Standard error when it is a terminal, else null. */
  readonly progress: ProgressLine | null;
  /** Standard input as text; rejects when it is longer. */
  readInput(maxBytes: number): Promise<string>;
  /** Asks for a line at the terminal, null at its end; null: there is nobody to ask. */
  readonly ask: ((prompt: string) => Promise<string | null>) | null;
}

/** Where a server listens that was started without settings, for commands that talk to one. */
export const DEFAULT_URL = 'http://127.0.0.1:8000';

/** Exit codes: 0 done, 1 failed, 2 not understood. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** The surroundings of the real process. */
export function processIo(args: readonly string[]): Io {
  const { env } = process;
  return {
    program: basename(process.argv0),
    args,
    env,
    cwd: process.cwd(),
    events: process,
    // https://no-color.org
    colour: process.stdout.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb',
    print: (text) => printTo(1, text),
    complain: (line) => printTo(2, `${line.replaceAll(/[\r\n]+/g, ' ')}\n`),
    progress: process.stderr.isTTY === true ? progressLine() : null,
    readInput,
    ask: process.stdin.isTTY === true && process.stdout.isTTY === true ? askAtTerminal : null,
  };
}

async function askAtTerminal(prompt: string): Promise<string | null> {
  const { createInterface } = await import('node:readline');
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const { promise, resolve } = Promise.withResolvers<string | null>();
  lines.on('close', () => resolve(null));
  lines.question(prompt, resolve);
  const line = await promise;
  lines.close();
  return line;
}

/** One line of the terminal that is written over. */
function progressLine(): ProgressLine {
  return {
    show: (text) => void process.stderr.write(`\r\u001b[K${text}`),
    clear: () => void process.stderr.write('\r\u001b[K'),
  };
}

async function readInput(maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of Bun.stdin.stream()) {
    size += chunk.byteLength;
    if (size > maxBytes) throw new Error(`standard input is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function printTo(descriptor: number, text: string): Promise<void> {
  await writeFully(descriptor, Buffer.from(text));
}
