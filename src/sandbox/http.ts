// The Agent Stub over HTTP (spec 05 §4, §7): JSON in, JSON out, errors in the stub's words.

import { errorText } from '../base/errors.ts';
import { isJsonObject, type JsonObject } from '../base/json.ts';
import { parseJson, readText } from './answers.ts';
import {
  type DownloadSource,
  downloadOf,
  invalidAnswer,
  memberOf,
  OPERATIONS,
  type Operation,
  type StubClient,
} from './client.ts';
import type { StubAccess } from './environment.ts';
import { SandboxError } from './errors.ts';

/** Control calls take no longer than this (spec 05 §7). */
export const CONTROL_TIMEOUT_MS = 30_000;
/** The largest answer that is read: manifests of thousands of files fit. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** Characters of an error's detail that are shown. */
const MAX_DETAIL_CHARS = 2_000;

export function createHttpClient(access: StubAccess, timing: { readonly controlMs?: number } = {}): StubClient {
  const { controlMs = CONTROL_TIMEOUT_MS } = timing;

  async function request(
    operation: Operation,
    method: string,
    path: string,
    signal: AbortSignal,
    body?: JsonObject,
  ): Promise<Response> {
    try {
      const response = await fetch(`${access.url}${path}`, {
        method,
        headers: { Authorization: `Bearer ${access.token}`, 'Content-Type': 'application/json' },
        signal,
        // The token goes nowhere else; a trailing slash is never sent, so there is nothing to be redirected for.
        redirect: 'manual',
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (response.status >= 300) throw await refusal(operation, response);
      return response;
    } catch (error) {
      throw transportError(operation, error);
    }
  }

  async function json(operation: Operation, method: string, path: string, body?: JsonObject): Promise<JsonObject> {
    const response = await request(operation, method, path, AbortSignal.timeout(controlMs), body);
    const answer = parseJson(await textOf(operation, response));
    if (answer === undefined) {
      throw new SandboxError('invalid_json', `Agent Stub returned invalid JSON for ${operation.noun}`);
    }
    if (!isJsonObject(answer)) throw invalidAnswer(operation);
    return answer;
  }

  return {
    async connect(argv) {
      const answer = await json(OPERATIONS.connect, 'POST', '/connections', {
        protocol_version: 1,
        argv: [...argv],
        metadata: {},
      });
      return {
        connection_id: memberOf(answer, 'connection_id', OPERATIONS.connect),
        status: memberOf(answer, 'status', OPERATIONS.connect),
      };
    },
    async uploadUrl(filename, mimetype) {
      const answer = await json(OPERATIONS.upload, 'POST', '/files/upload-request', { filename, mimetype });
      return memberOf(answer, 'upload_url', OPERATIONS.upload);
    },
    async download(source, audience) {
      const path = '/files/download-request';
      const plain: JsonObject = bodyOf(source);
      // A browser's URL is every server's default. Servers of the first vintage know no other and refuse to be asked.
      if (audience === 'frontend') return downloadOf(await json(OPERATIONS.download, 'POST', path, plain));
      try {
        return downloadOf(await json(OPERATIONS.download, 'POST', path, { ...plain, for_frontend: false }));
      } catch (error) {
        const refused = error instanceof SandboxError && (error.status === 422 || error.status === 400);
        if (!refused || 'config' in source) throw error;
        return downloadOf(await json(OPERATIONS.download, 'POST', path, plain));
      }
    },
    json,
    bytes: (operation, path, signal) => request(operation, 'GET', path, signal),
    close() {},
  };
}

/** Copies: the interface's objects have no index signature. */
function bodyOf(source: DownloadSource): JsonObject {
  return 'file' in source ? { file: { ...source.file } } : { config: { ...source.config } };
}

/** An answer that is not a success, with its `detail` when it has one. */
async function refusal(operation: Operation, response: Response): Promise<SandboxError> {
  const { status } = response;
  const failed = `Agent Stub ${operation.name} failed (HTTP ${status})`;
  const location = status < 400 ? response.headers.get('location') : null;
  if (location !== null) {
    await response.body?.cancel();
    const text = `${failed}: redirected to ${location.slice(0, MAX_DETAIL_CHARS)}, where the token does not go`;
    return new SandboxError('redirected', text, { status });
  }
  const answer = parseJson(await textOf(operation, response));
  if (answer === undefined) {
    const message = `Agent Stub returned invalid JSON for ${operation.noun} (HTTP ${status})`;
    return new SandboxError('invalid_json', message, { status });
  }
  const detail = isJsonObject(answer) && answer.detail !== undefined ? answer.detail : answer;
  const shown = (typeof detail === 'string' ? detail : JSON.stringify(detail)).slice(0, MAX_DETAIL_CHARS);
  return new SandboxError('refused', `${failed}: ${shown}`, { status });
}

async function textOf(operation: Operation, response: Response): Promise<string> {
  try {
    return await readText(response, MAX_ANSWER_BYTES);
  } catch (error) {
    throw transportError(operation, error);
  }
}

function transportError({ name }: Operation, error: unknown): SandboxError {
  if (error instanceof SandboxError && error.code !== 'answer_too_large') return error;
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new SandboxError('timeout', `Agent Stub ${name} timed out`, { cause: error });
  }
  return new SandboxError('request_failed', `Agent Stub ${name} request failed: ${errorText(error)}`, { cause: error });
}
