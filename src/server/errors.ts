// From a thrown error to an HTTP answer. Handlers throw; the boundary in server.ts asks here and logs what is unexpected.

import { CodedError } from '../base/errors.ts';
import {
  IdempotencyConflictError,
  SchedulerStoppingError,
  StoreUnavailableError,
  TooManyRunsError,
} from '../runs/errors.ts';
import { printDetail } from '../validation/fastapi.ts';
import type { Issue, LocSegment } from '../validation/issue.ts';
import { detailBody, jsonResponse } from './responses.ts';

/** An answer with a status and a `detail` text. */
export class HttpError extends CodedError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, detail: string, headers: Readonly<Record<string, string>> = {}) {
    super(`http_${status}`, detail);
    this.status = status;
    this.headers = headers;
  }
}

/** The input is not what the schema asks for: 422 with FastAPI's list (spec 01 §1.3). */
export class InvalidInputError extends CodedError {
  readonly issues: readonly Issue[];
  /** Where the input came from; opens every location: `['body']`, `['query']`, `['header']`. */
  readonly source: readonly LocSegment[];

  constructor(source: 'body' | 'query' | 'header', issues: readonly Issue[]) {
    super('invalid_input', 'invalid input');
    this.issues = issues;
    this.source = [source];
  }
}

/** 404 `run not found` (spec 01 §1.1). */
export function runNotFound(): HttpError {
  return new HttpError(404, 'run not found');
}

/** 400: the bytes are no text, are nested too deep, or ended early (spec 01 §1.1). */
export function unreadableBody(): HttpError {
  return new HttpError(400, 'There was an error parsing the body');
}

/** A refused creation may be sent again after this many seconds: a run may have ended, or another process be asked. */
const RETRY_AFTER = { 'retry-after': '1' };

/** The answer to an expected error; null: unexpected, to be logged and answered with 500. */
export function answerFor(error: unknown): Response | null {
  if (error instanceof InvalidInputError) return jsonResponse(422, printDetail(error.issues, error.source));
  if (error instanceof HttpError) return jsonResponse(error.status, detailBody(error.message), error.headers);
  if (error instanceof StoreUnavailableError) return jsonResponse(503, detailBody(error.message));
  if (error instanceof TooManyRunsError || error instanceof SchedulerStoppingError) {
    return jsonResponse(503, detailBody(error.message), RETRY_AFTER);
  }
  if (error instanceof IdempotencyConflictError) return jsonResponse(409, detailBody(error.message));
  return null;
}
