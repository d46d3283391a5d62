// How the stub's refusals look in gRPC (spec 05 §6): a status code and a text.

import { status } from '@grpc/grpc-js';
import { InvalidStubRequest, StubError } from '../errors.ts';

/** What a call ends with. */
export interface GrpcRefusal {
  readonly code: status;
  readonly details: string;
}

/** The refusal for what an operation threw; null: nobody expected that. `invalid`: the method's text for a bad request. */
export function refusalOf(error: unknown, invalid: string): GrpcRefusal | null {
  if (error instanceof InvalidStubRequest) return { code: status.INVALID_ARGUMENT, details: invalid };
  if (!(error instanceof StubError)) return null;
  // The stub's own 401 speaks of the token; one of the Dify API is the server's trouble and comes as a failed precondition.
  const code = error.status === 401 && error.message === TOKEN_TEXT ? status.UNAUTHENTICATED : codeOf(error.status);
  return { code, details: error.message.slice(0, MAX_DETAILS_CHARS).toWellFormed() };
}

/** Details travel in a header, percent-encoded (up to nine characters for one); clients take 8 KiB of headers as a rule. */
const MAX_DETAILS_CHARS = 600;

const TOKEN_TEXT = 'invalid or missing Agent Stub authorization';

function codeOf(httpStatus: number): status {
  switch (httpStatus) {
    case 408:
    case 504:
      return status.DEADLINE_EXCEEDED;
    case 429:
      return status.RESOURCE_EXHAUSTED;
    case 404:
      return status.NOT_FOUND;
    case 403:
      return status.PERMISSION_DENIED;
    default:
      if (httpStatus >= 400 && httpStatus < 500) return status.FAILED_PRECONDITION;
      return httpStatus >= 500 && httpStatus < 600 ? status.UNAVAILABLE : status.INTERNAL;
  }
}
