// Errors that cross the runs' ports.

import { CodedError } from '../base/errors.ts';

/** The store did not answer. Its cause is for the log; callers see `store unavailable`. */
export class StoreUnavailableError extends CodedError {
  constructor(cause?: unknown) {
    super('store_unavailable', 'store unavailable', { cause });
  }
}

/** A run was posted while the process stops (spec 01 §1.1). */
export class SchedulerStoppingError extends CodedError {
  constructor() {
    super('scheduler_stopping', 'run scheduler is shutting down');
  }
}

/** As many runs as the process may execute are active: 503 with `Retry-After`. */
export class TooManyRunsError extends CodedError {
  constructor(limit: number) {
    super('too_many_runs', `too many active runs: limit is ${limit}`);
  }
}

/** Strict mode: the idempotency key was used with another request before: 409. */
export class IdempotencyConflictError extends CodedError {
  constructor() {
    super('idempotency_conflict', 'idempotency_key was used for another request');
  }
}
