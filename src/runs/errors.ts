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
