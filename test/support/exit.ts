// Processes that must end by themselves: how, and what they said.

import { expect } from 'bun:test';
import { type Exit, type ServerOptions, startProcess } from './server.ts';
import { within } from './until.ts';

/** A process that ended by itself. Lines without the empty ones. */
export interface Ended extends Exit {
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

/** Runs the binary to its end, which must come within 15 s. */
export async function runToExit(options: ServerOptions): Promise<Ended> {
  const running = await startProcess(options);
  try {
    const exit = await within('the process to end', running.exited, 15_000);
    return { ...exit, stdout: running.stdoutLines, stderr: running.stderrLines.filter((line) => line.trim() !== '') };
  } finally {
    await running.dispose();
  }
}

/** Runs the binary, which must refuse with exit code 1 and one line on standard error; returns the line. */
export async function refusal(options: ServerOptions, ...mentions: readonly (string | RegExp)[]): Promise<string> {
  const { code, stdout, stderr } = await runToExit(options);
  expect({ code, lines: stderr.length, stdout, stderr }).toEqual({ code: 1, lines: 1, stdout: [], stderr });
  for (const mention of mentions) expect(stderr[0]).toMatch(mention);
  return stderr[0] ?? '';
}
