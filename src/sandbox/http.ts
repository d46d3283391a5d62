// The Agent Stub over HTTP (spec 05 §4, §7): JSON in, JSON out, errors in the stub's words.

import { errorText } from '../base/errors.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import {
  type DownloadSource,
  downloadOf,
  invalidAnswer,
  isObject,
  OPERATIONS,
  type Operation,
  type StubClient,
  textOf,
} from './client.ts';
import type { StubAccess } from './environment.ts';
import { SandboxError } from './errors.ts';

/** Control calls take no longer than this (spec 05 §7). */
export const CONTROL_TIMEOUT_MS = 30_000;
/** The largest answer that is read: manifests of thousands of files fit. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** Characters of an error's detail that are shown. */
const MAX_DETAIL_CHARS = 2_000;

export function createHttpClient(access: StubAccess): StubClient {
  async function request(operation: Operation, method: string, path: string, body?: JsonObject): Promise<Response> {
    try {
      const response = await fetch(`${access.url}${path}`, {
        method,
        headers: { Authorization: `Bearer ${access.token}`, 'Content-Type': 'application/json' },
        signal: AbortSignal.timeout(CONTROL_TIMEOUT_MS),
        // The token goes nowhere else; a trailing slash is never sent, so there is nothing to be redirected for.
        redirect: 'manual',
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (response.status >= 300) throw await refusal(operation, response);
      return response;
    } catch (error) {
      if (error instanceof SandboxError) throw error;
      throw transportError(operation, error);
    }
  }

  async function json(operation: Operation, method: string, path: string, body?: JsonObject): Promise<JsonObject> {
    const response = await request(operation, method, path, body);
    const answer = parse(await readText(operation, response));
    if (answer === undefined) {
      throw new SandboxError('invalid_json', `Agent Stub returned invalid JSON for ${operation.noun}`);
    }
    if (!isObject(answer)) throw invalidAnswer(operation);
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
        connection_id: textOf(answer, 'connection_id', OPERATIONS.connect),
        status: textOf(answer, 'status', OPERATIONS.connect),
      };
    },
    async uploadUrl(filename, mimetype) {
      const answer = await json(OPERATIONS.upload, 'POST', '/files/upload-request', { filename, mimetype });
      return textOf(answer, 'upload_url', OPERATIONS.upload);
    },
    async download(source, audience) {
      const path = '/files/download-request';
      const plain: JsonObject = bodyOf(source);
      // A browser's URL is every server's default. Servers of the first vintage know no other and refuse to be asked.
      if (audience === 'frontend') return downloadOf(await json(OPERATIONS.download, 'POST', path, plain));
      try {
        return downloadOf(await json(OPERATIONS.download, 'POST', path, { ...plain, for_frontend: false }));
      } catch (error) {
        if (!(error instanceof SandboxError && error.status === 422) || 'config' in source) throw error;
        return downloadOf(await json(OPERATIONS.download, 'POST', path, plain));
      }
    },
    json,
    bytes: (operation, path) => request(operation, 'GET', path),
    close() {},
  };
}

/** Copies: the interface's objects have no index signature. */
function bodyOf(source: DownloadSource): JsonObject {
  return 'file' in source ? { file: { ...source.file } } : { config: { ...source.config } };
}

/** An answer that is not a success, with its `detail` when it has one. */
async function refusal(operation: Operation, response: Response): Promise<SandboxError> {
  const text = await readText(operation, response);
  const answer = parse(text);
  if (answer === undefined) {
    const message = `Agent Stub returned invalid JSON for ${operation.noun} (HTTP ${response.status})`;
    return new SandboxError('invalid_json', message, { status: response.status });
  }
  const detail = isObject(answer) && answer.detail !== undefined ? answer.detail : answer;
  const shown = (typeof detail === 'string' ? detail : JSON.stringify(detail)).slice(0, MAX_DETAIL_CHARS);
  return new SandboxError('refused', `Agent Stub ${operation.name} failed (HTTP ${response.status}): ${shown}`, {
    status: response.status,
  });
}

/** The body, as long as it is not unreasonable. */
async function readText(operation: Operation, response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.byteLength;
      if (size > MAX_ANSWER_BYTES) {
        throw new SandboxError(
          'answer_too_large',
          `Agent Stub ${operation.name} answered more than ${MAX_ANSWER_BYTES} bytes`,
        );
      }
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof SandboxError ? error : transportError(operation, error);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): JsonValue | undefined {
  try {
    // What JSON.parse answers is a JSON value.
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

function transportError({ name }: Operation, error: unknown): SandboxError {
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new SandboxError('timeout', `Agent Stub ${name} timed out`, { cause: error });
  }
  return new SandboxError('request_failed', `Agent Stub ${name} request failed: ${errorText(error)}`, { cause: error });
}
