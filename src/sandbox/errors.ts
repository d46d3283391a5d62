// How a sandbox command fails: its exit code and the line on standard error (spec 05 §8).

import { CodedError } from '../base/errors.ts';

/** Something that the command could not do: exit code 1. The message is for the terminal. */
export class SandboxError extends CodedError {
  /** The status of the stub's answer; null when there was none, or when it was not about an answer. */
  readonly status: number | null;

  constructor(code: string, message: string, options: ErrorOptions & { readonly status?: number } = {}) {
    super(code, message, options);
    this.status = options.status ?? null;
  }
}

/** The environment does not say where the stub is: exit code 2. */
export class SandboxEnvironmentError extends CodedError {}

/** The words are not understood: exit code 2. */
export class SandboxUsageError extends CodedError {
  constructor(message: string) {
    super('usage', message);
  }
}
