// How operations of the stub say no (spec 05 §4.3), whatever the transport: routes make HTTP answers of these, the gRPC
// service status codes. Texts that peers match on are constants here.

import { CodedError } from '../base/errors.ts';
import type { JsonValue } from '../base/json.ts';
import type { Issue } from '../validation/issue.ts';

/** A refusal with the HTTP status that says what kind it is. */
export class StubError extends CodedError {
  readonly status: number;
  /** What the caller is told; the message is its text. */
  readonly detail: JsonValue;
  /** Seconds after which the caller may try again; null: nothing is known. */
  readonly retryAfter: number | null;

  constructor(status: number, detail: JsonValue, options: ErrorOptions & { readonly retryAfter?: number } = {}) {
    super(`stub_${status}`, typeof detail === 'string' ? detail : JSON.stringify(detail), options);
    this.status = status;
    this.detail = detail;
    this.retryAfter = options.retryAfter ?? null;
  }
}

/** A request that does not fit its schema: 422, or INVALID_ARGUMENT. */
export class InvalidStubRequest extends CodedError {
  /** Where `issues` are. */
  readonly source: 'body' | 'query' | 'path';
  readonly issues: readonly Issue[];

  constructor(source: 'body' | 'query' | 'path', issues: readonly Issue[]) {
    super('invalid_stub_request', 'invalid Agent Stub request');
    this.source = source;
    this.issues = issues;
  }
}

/** What of the Dify API an operation asks; it stands in the texts. */
export type Area = 'file' | 'drive' | 'config';

/** No secret: 503. */
export function notConfigured(): StubError {
  return new StubError(503, 'Agent Stub is not configured');
}

/** No Dify API: 503. */
export function apiNotConfigured(area: Area): StubError {
  return new StubError(503, `Agent Stub ${area} API is not configured`);
}

/** Whatever is wrong with a token: 401, always the same words. */
export function unauthorized(): StubError {
  return new StubError(401, 'invalid or missing Agent Stub authorization');
}

/** 429. */
export function tooManyRequests(retryAfter: number): StubError {
  return new StubError(429, 'Agent Stub rate limit exceeded', { retryAfter });
}

/** The token does not say enough: 400. */
export function contextLacks(text: string): StubError {
  return new StubError(400, text);
}
