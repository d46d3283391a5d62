// Why a model call through the plugin daemon failed, in the words of run_failed (spec 03 §6.3, §6.4). Turns the
// client's errors into one type; decides status and kind, and masks secrets in what came from upstream.

import { CodedError } from '../base/errors.ts';
import { maskSecrets } from '../observe/secrets.ts';
import {
  DaemonProtocolError,
  DaemonRejection,
  DaemonTransportError,
  type ErrorPair,
  pairInsideEnvelope,
} from '../peers/plugin-daemon/errors.ts';
import { pyRepr } from '../wiretext/repr.ts';

/** What kind of failure it was. `http`: carries a status. `api`: an error without one. `user`: the configuration's fault. */
export type ModelFailureKind = 'http' | 'api' | 'user' | 'transport' | 'protocol';

/** What is known about a failed model call beside its text. */
export interface ModelFailure {
  readonly kind: ModelFailureKind;
  /** HTTP status, given or implied by the error type; null when there is none. */
  readonly status: number | null;
  /** The daemon's or plugin's error type, unwrapped; null when untyped. */
  readonly errorType: string | null;
  /** The daemon's own text without our frame; null when it sent none. */
  readonly detail: string | null;
}

/** A failed model call. `message` is exactly what the seed's `run_failed.error` says. */
export class PluginDaemonError extends CodedError {
  readonly failure: ModelFailure;

  constructor(message: string, failure: ModelFailure, options?: ErrorOptions) {
    super(`model_${failure.kind}_error`, message, options);
    this.failure = failure;
  }

  /** `error` and `reason` as the 2026-08 vintage words them: typed HTTP errors by their own text, 429 always typed. */
  structured(): { readonly error: string; readonly reason: string | null } {
    const { kind, status, errorType, detail } = this.failure;
    if (kind !== 'http') return { error: this.message, reason: null };
    if (errorType !== null)
      return { error: detail === null || detail === '' ? this.message : detail, reason: errorType };
    return { error: this.message, reason: status === 429 ? 'InvokeRateLimitError' : null };
  }
}

const HTTP_TYPES: ReadonlyMap<string, number> = new Map([
  ['PluginDaemonUnauthorizedError', 401],
  ['InvokeAuthorizationError', 401],
  ['PluginPermissionDeniedError', 403],
  ['PluginDaemonBadRequestError', 400],
  ['InvokeBadRequestError', 400],
  ['CredentialsValidateFailedError', 400],
  ['PluginUniqueIdentifierError', 400],
  ['PluginDaemonNotFoundError', 404],
  ['PluginNotFoundError', 404],
  ['InvokeRateLimitError', 429],
  ['AgentLLMQuotaExceededError', 429],
  ['QuotaExceededError', 429],
  ['PluginDaemonInternalServerError', 500],
  ['PluginDaemonInnerError', 500],
  ['InvokeConnectionError', 503],
  ['InvokeServerUnavailableError', 503],
]);
const USER_TYPES: ReadonlySet<string> = new Set([
  'EndpointSetupFailedError',
  'TriggerProviderCredentialValidationError',
]);

/** The error of a model call, whatever the client threw; other errors pass unchanged. */
export function asModelError(error: unknown, modelName: string, secrets: readonly string[]): unknown {
  if (error instanceof DaemonRejection) return rejected(error, modelName, secrets);
  if (error instanceof DaemonTransportError) return plain(error, 'transport', []);
  return error instanceof DaemonProtocolError ? plain(error, 'protocol', secrets) : error;
}

/** A failure of ours to make sense of an answer, or to put a request together. */
export function modelProtocolError(message: string, secrets: readonly string[] = []): PluginDaemonError {
  return new PluginDaemonError(maskSecrets(message, secrets), {
    kind: 'protocol',
    status: null,
    errorType: null,
    detail: null,
  });
}

function plain(error: Error, kind: ModelFailureKind, secrets: readonly string[]): PluginDaemonError {
  const failure = { kind, status: null, errorType: null, detail: null };
  return new PluginDaemonError(maskSecrets(error.message, secrets), failure, { cause: error });
}

function rejected(error: DaemonRejection, modelName: string, secrets: readonly string[]): PluginDaemonError {
  const { httpStatus, envelopeCode, text, pair } = error.facts;
  if (pair !== null) return typed(pair, httpStatus, modelName, secrets);
  const shown = maskSecrets(text, secrets);
  if (httpStatus === null) {
    const failure = { kind: 'api', status: null, errorType: null, detail: shown } as const;
    return new PluginDaemonError(`Plugin daemon returned error code ${envelopeCode}: ${shown}`, failure);
  }
  // The real daemon puts its pair into an envelope here: the seed's text shows the body as it is, its type is known to us.
  const inside = pairInsideEnvelope(text);
  return new PluginDaemonError(httpText(httpStatus, modelName, text === '' ? 'None' : shown), {
    kind: 'http',
    status: httpStatus,
    errorType: inside?.errorType ?? null,
    detail: maskSecrets(inside?.message ?? text, secrets),
  });
}

function typed(
  pair: ErrorPair,
  httpStatus: number | null,
  modelName: string,
  secrets: readonly string[],
): PluginDaemonError {
  const { errorType } = pair;
  const detail = maskSecrets(pair.message, secrets);
  const implied = HTTP_TYPES.get(errorType);
  if (implied !== undefined) {
    const status = httpStatus ?? implied;
    const body = pyRepr({ error_type: errorType, message: detail });
    return new PluginDaemonError(httpText(status, modelName, body), { kind: 'http', status, errorType, detail });
  }
  if (USER_TYPES.has(errorType)) {
    // An empty text would leave the exception's class name (spec 03 §6.4).
    const message = detail === '' ? 'UserError' : detail;
    return new PluginDaemonError(message, { kind: 'user', status: null, errorType, detail });
  }
  const message = maskSecrets(`${errorType}: ${pair.message}`, secrets);
  return new PluginDaemonError(message, { kind: 'api', status: null, errorType, detail });
}

function httpText(status: number, modelName: string, body: string): string {
  return `status_code: ${status}, model_name: ${modelName}, body: ${body}`;
}
