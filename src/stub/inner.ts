// The way to the Dify API for operations: what failed there in the words of spec 05 §4.3. A sandbox learns status and detail of
// a refusal, nothing of our network, our key or the API's inside (§12.9); the log learns the rest.

import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts';
import type { Logger } from '../observe/logger.ts';
import { maskSecrets } from '../observe/secrets.ts';
import type { DifyApiCall, DifyApiClient } from '../peers/dify-api/client.ts';
import { DifyApiError, DifyApiRejection } from '../peers/dify-api/errors.ts';
import type { PassedBody } from '../peers/dify-api/pass.ts';
import type { StubCaller } from './caller.ts';
import { type Area, apiNotConfigured, StubError } from './errors.ts';

/** One call on behalf of a caller. */
export type InnerCall = Pick<DifyApiCall, 'method' | 'path' | 'body'>;

/** Calls of one area. Rejects with StubError, or with the signal's reason. */
export interface InnerApi {
  /** Throws StubError 503 when there is no Dify API. Asked before the context of a caller is looked at. */
  require(): void;
  json(caller: StubCaller, call: InnerCall, signal: AbortSignal): Promise<JsonValue>;
  bytes(caller: StubCaller, call: InnerCall, signal: AbortSignal): Promise<PassedBody>;
  /** A text of the API as a sandbox may see it. */
  clean(text: string): string;
}

/** What an area needs. */
export interface InnerApiDeps {
  /** Null: not configured. */
  readonly client: DifyApiClient | null;
  readonly logger: Logger;
  /** Milliseconds for a JSON call in all; null: as long as the API is not silent. */
  readonly totalMs: number | null;
  /** Admission.confirm. */
  readonly confirm: (tokenId: string) => void;
}

/** The calls of one area. */
export function createInnerApi(area: Area, { client, logger, totalMs, confirm }: InnerApiDeps): InnerApi {
  const present = (): DifyApiClient => {
    if (client === null) throw apiNotConfigured(area);
    return client;
  };
  /** Whose call it is: a sandbox has a token per job, and is one caller all the same. */
  const asked = ({ tokenId, sessionId, context }: StubCaller, call: InnerCall) => {
    confirm(tokenId);
    return { ...call, owner: sessionId === null ? tokenId : `${context.tenant_id}/${sessionId}` };
  };
  const secrets = client?.secrets ?? [];

  async function worded<T>(call: InnerCall, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !(error instanceof DifyApiError || error instanceof DifyApiRejection)) throw error;
      // What a sandbox asks for may not exist; that is no matter for whoever runs the server.
      const mundane = error instanceof DifyApiRejection && error.status < 500;
      logger[mundane ? 'info' : 'warn']('agent stub: the Dify API did not do what was asked', {
        area,
        method: call.method,
        path: call.path.split('?')[0],
        upstream_status: error.status,
        error,
      });
      throw error instanceof DifyApiError ? failure(area, error) : refusal(area, error, secrets);
    }
  }

  return {
    require: () => void present(),
    json: (caller, call, signal) =>
      worded(call, signal, () => present().json({ ...asked(caller, call), totalMs }, signal)),
    bytes: (caller, call, signal) =>
      worded(call, signal, () => present().bytes({ ...asked(caller, call), totalMs: null }, signal)),
    clean: (text) => maskSecrets(text, secrets),
  };
}

function failure(area: Area, error: DifyApiError): StubError {
  const cause = { cause: error };
  switch (error.fault) {
    case 'timeout':
      return new StubError(504, `Dify API ${area} request timed out`, cause);
    case 'invalid_json':
      return new StubError(502, `Dify API ${area} request returned invalid JSON`, cause);
    default:
      return new StubError(502, `Dify API ${area} request failed: ${error.message}`, cause);
  }
}

/** A longer detail is not for a person to read. Characters of JSON. */
const MAX_DETAIL = 8_192;
const MAX_STATUS = 599;

function refusal(area: Area, error: DifyApiRejection, secrets: readonly string[]): StubError {
  const { status, body } = error;
  const detail = isJsonObject(body) && body.detail !== undefined ? body.detail : body;
  const cleaned = withoutInternals(detail, secrets, MAX_DEPTH);
  const fits = JSON.stringify(cleaned).length <= MAX_DETAIL;
  return new StubError(Math.min(status, MAX_STATUS), fits ? cleaned : `Dify API ${area} request failed`, {
    cause: error,
  });
}

/** Members that tell of the API's inside and of nothing a sandbox could do. */
const INTERNAL = /^(?:traceback|stack_?trace|stack|exc_info|exception|debug|environ)$/i;
/** Deeper values are dropped. */
const MAX_DEPTH = 8;

function withoutInternals(value: JsonValue, secrets: readonly string[], depth: number): JsonValue {
  if (typeof value === 'string') return maskSecrets(value, secrets);
  if (depth === 0) return null;
  if (Array.isArray(value)) return value.map((item) => withoutInternals(item, secrets, depth - 1));
  if (!isJsonObject(value)) return value;
  const kept = Object.entries(value).filter(([name]) => !INTERNAL.test(name));
  return Object.fromEntries(
    kept.map(([name, member]) => [maskSecrets(name, secrets), withoutInternals(member, secrets, depth - 1)]),
  );
}

/** An answer that must be a JSON object and passes through. Throws StubError 502. */
export function passedObject(answer: JsonValue, what: string): JsonObject {
  if (isJsonObject(answer)) return answer;
  throw invalidAnswer(what);
}

/** `Dify API <what> response is invalid`. */
export function invalidAnswer(what: string): StubError {
  return new StubError(502, `Dify API ${what} response is invalid`);
}
