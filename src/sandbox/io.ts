// What a sandbox command sees of its process. cli/io.ts fills it from the real one, tests with their own.

import type { StubClient } from './client.ts';
import type { ProgressLine } from './progress.ts';

/** Process events that a command listens to; `process` is one. */
export interface SandboxEvents {
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
}

export interface SandboxIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where relative paths begin. */
  readonly cwd: string;
  readonly events: SandboxEvents;
  /** Prints to standard output, as it is. */
  print(text: string): Promise<void>;
  /** Prints one line to standard error. */
  complain(line: string): Promise<void>;
  /** Standard error when it is a terminal, else null. */
  readonly progress: ProgressLine | null;
  /** Standard input as text; rejects when it is longer. */
  readInput(maxBytes: number): Promise<string>;
  /** Other time-outs than the usual ones; for tests. Milliseconds: of a control call; of a transfer's silence. */
  readonly timing?: { readonly controlMs?: number; readonly idleMs?: number };
}

/** What a command works with once the stub is known. */
export interface Workshop extends SandboxIo {
  readonly client: StubClient;
  /** Aborts when the process is told to end. */
  readonly signal: AbortSignal;
  /** The longest silence of a transfer, ms. */
  readonly idleMs: number;
}

/** Words after the command, split as its options say. */
export interface Words {
  readonly positionals: readonly string[];
  /** `--to DIR` … */
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
}
