// What can go wrong with a store, as one clear line each. Opening errors name the variable to change;
// errors of a running store become StoreUnavailableError, so that HTTP answers 503 and the server goes on.

import { CodedError, errorText } from '../base/errors.ts';
import { StoreUnavailableError } from '../runs/errors.ts';

/** Codes of the errors that opening a store throws; `message` is one line that names the variable. */
export type StoreOpenCode =
  | 'store_url_invalid'
  | 'store_locked'
  | 'store_unusable'
  | 'store_schema_unknown'
  | 'store_unsupported'
  | 'store_unreachable';

/** The store could not be opened. Its message is for the operator: one line, no credentials. */
export class StoreOpenError extends CodedError {
  constructor(code: StoreOpenCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/** A run id was created twice. Cannot happen with the ids of base/ids.ts. */
export class RunExistsError extends CodedError {
  constructor(runId: string) {
    super('run_exists', `run ${runId} already exists`);
  }
}

/** An event that no attempt will store. Whoever ends a run with it ends it with less (runs/runner.ts). */
export class EventTooLargeError extends CodedError {
  /** `size`: in words. */
  constructor(size: string, options?: ErrorOptions) {
    super('event_too_large', `an event of the run is too large for the store: ${size}`, options);
  }
}

/** The symbolic code of an error of SQLite (`SQLITE_FULL`) or of the file system (`EACCES`); '' for other errors. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/**
 * Errors of our own pass; whatever SQLite or the file system threw becomes StoreUnavailableError with its cause, unless it is
 * about one value that is too large (1,000,000,000 bytes).
 */
export function toStoreError(error: unknown): Error {
  if (error instanceof CodedError) return error;
  if (systemCode(error) === 'SQLITE_TOOBIG') return new EventTooLargeError(errorText(error), { cause: error });
  return new StoreUnavailableError(error);
}

/** What opening the file at `path` failed with, as one line that names the variable. */
export function toOpenError(path: string, error: unknown): CodedError {
  if (error instanceof CodedError) return error;
  const where = `DIFY_AGENT_STORE_URL: sqlite:${path}`;
  const code = systemCode(error);
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new StoreOpenError('store_locked', `${where} is owned by another server process`, { cause: error });
  }
  const problem = code.startsWith('SQLITE_NOTADB')
    ? 'is not a SQLite database'
    : code.startsWith('SQLITE_CORRUPT')
      ? 'is damaged; move it away or restore a backup'
      : code.startsWith('SQLITE_READONLY') || code.startsWith('SQLITE_PERM') || code === 'EACCES' || code === 'EROFS'
        ? 'is not writable'
        : `cannot be opened: ${errorText(error)}`;
  return new StoreOpenError('store_unusable', `${where} ${problem}`, { cause: error });
}
