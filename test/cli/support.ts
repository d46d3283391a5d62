// A process as a command sees it, without a process.

import { EventEmitter } from 'node:events';
import type { Io } from '../../src/cli/io.ts';

/** An Io that remembers what was printed and lets a test send process events. */
export interface FakeIo extends Io {
  readonly events: EventEmitter;
  readonly printed: () => string;
  readonly complaints: readonly string[];
}

/** Builds a FakeIo. The directory holds no settings files unless a test says so. */
export function fakeIo(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  cwd = '/nonexistent',
): FakeIo {
  let printed = '';
  const complaints: string[] = [];
  return {
    program: 'dify-agent',
    args,
    env,
    cwd,
    colour: false,
    events: new EventEmitter(),
    print: async (text) => {
      printed += text;
    },
    complain: async (line) => {
      complaints.push(line);
    },
    progress: null,
    readInput: () => Promise.resolve(''),
    ask: null,
    printed: () => printed,
    complaints,
  };
}
