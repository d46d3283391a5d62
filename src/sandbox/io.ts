// What a sandbox command sees of its process. cli/io.ts fills it from the real one, tests with their own.

import type { StubClient } from './client.ts';
import type { ProgressLine } from './progress.ts';

export interface SandboxIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where relative paths begin. */
  readonly cwd: string;
  /** Prints to standard output, as it is. */
  print(text: string): Promise<void>;
  /** Prints one line to standard error. */
  complain(line: string): Promise<void>;
  /** Standard error when it is a terminal, else null. */
  readonly progress: ProgressLine | null;
  /** Standard input as text; rejects when it is longer. */
  readInput(maxBytes: number): Promise<string>;
}

/** What a command works with once the stub is known. */
export interface Workshop extends SandboxIo {
  readonly client: StubClient;
}

/** Words after the command, split as its options say. */
export interface Words {
  readonly positionals: readonly string[];
  /** `--to DIR` … */
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
}
