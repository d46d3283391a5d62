// What can go wrong between us and the Dify API, as typed errors. They say what happened; what a sandbox is told of it is
// decided in stub/.

import { CodedError } from '../../base/errors.ts';
import type { JsonValue } from '../../base/json.ts';

/** Where an exchange failed. */
export type DifyApiFault =
  /** No connection, no place among ours, or no answer in time. */
  | 'timeout'
  | 'connect_failed'
  | 'name_resolution'
  | 'tls'
  | 'disconnected'
  | 'cut_off'
  | 'bad_response'
  /** It sends elsewhere, or round in circles: the key is for nobody else. */
  | 'redirected'
  | 'too_large'
  /** The body is not JSON, whatever the status. */
  | 'invalid_json'
  /** 401: our key is not the API's. Nothing a sandbox did. */
  | 'key_refused';

const TEXTS: Readonly<Record<DifyApiFault, string>> = {
  timeout: 'timed out',
  connect_failed: 'All connection attempts failed',
  name_resolution: 'Name or service not known',
  tls: 'TLS handshake failed',
  disconnected: 'Server disconnected without sending a response',
  cut_off: 'The answer ended early',
  bad_response: 'Server sent an invalid HTTP response',
  redirected: 'Server redirects, which is not followed',
  too_large: 'The answer is too large',
  invalid_json: 'The answer is not JSON',
  key_refused: 'Server refused the request',
};

/** There is no answer that could be used. Its message names no address and no key. */
export class DifyApiError extends CodedError {
  readonly fault: DifyApiFault;
  /** The HTTP status, when there was one. For the log. */
  readonly status: number | null;

  constructor(fault: DifyApiFault, status: number | null = null, options?: ErrorOptions) {
    super(`dify_api_${fault}`, TEXTS[fault], options);
    this.fault = fault;
    this.status = status;
  }
}

/** The API answered with an error: HTTP status ≥ 400 and JSON. */
export class DifyApiRejection extends CodedError {
  readonly status: number;
  /** As it came; it may say more than a sandbox should read. */
  readonly body: JsonValue;

  constructor(status: number, body: JsonValue) {
    super('dify_api_rejection', `the Dify API answered ${status}`);
    this.status = status;
    this.body = body;
  }
}

const REFUSED = new Set(['ECONNREFUSED', 'ConnectionRefused', 'EHOSTUNREACH', 'ENETUNREACH', 'FailedToOpenSocket']);
const CLOSED = new Set(['ECONNRESET', 'ConnectionClosed', 'EPIPE', 'ECONNABORTED']);
const UNKNOWN_NAME = new Set(['ENOTFOUND', 'EAI_AGAIN', 'DNS_ENOTFOUND', 'DNSLookupFailed']);

/** What a failure of fetch is. Its own text may carry the URL: it is the cause, never the message. */
export function transportError(error: unknown, status: number | null): DifyApiError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new DifyApiError(faultOf(code, status !== null), status, { cause: error });
}

function faultOf(code: string, hasHead: boolean): DifyApiFault {
  if (CLOSED.has(code)) return hasHead ? 'cut_off' : 'disconnected';
  if (hasHead) return 'cut_off';
  if (REFUSED.has(code)) return 'connect_failed';
  if (UNKNOWN_NAME.has(code)) return 'name_resolution';
  if (/CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(code)) return 'tls';
  return /HTTP|Malformed|Invalid|TooLarge|Header|Upgrade/i.test(code) ? 'bad_response' : 'connect_failed';
}
