// The Agent Stub over gRPC (spec 05 §6, §7): its three calls. Drive and configuration have none.

import { Client, credentials, logVerbosity, Metadata, type ServiceError, setLogVerbosity, status } from '@grpc/grpc-js';
import { type Codec, createCodecs, PATHS } from '../stub/grpc/schema.ts';
import { OPERATIONS, type StubClient } from './client.ts';
import type { StubAccess } from './environment.ts';
import { SandboxError } from './errors.ts';
import { CONTROL_TIMEOUT_MS } from './http.ts';

export function createGrpcClient(access: StubAccess, timing: { readonly controlMs?: number } = {}): StubClient {
  // Its words are in the errors that it gives us.
  setLogVerbosity(logVerbosity.NONE);
  const { controlMs = CONTROL_TIMEOUT_MS } = timing;
  const codecs = createCodecs();
  const client = new Client(access.url.slice('grpc://'.length), credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${access.token}`);

  function call<Q, A>(method: string, path: string, request: Codec<Q>, answer: Codec<A>, message: Q): Promise<A> {
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        (value: Q) => request.encode(value),
        (bytes: Buffer) => answer.decode(bytes),
        message,
        metadata,
        { deadline: Date.now() + controlMs },
        (error, value) => {
          if (error !== null) reject(failure(method, error));
          else if (value === undefined) reject(cut(method));
          else resolve(value);
        },
      );
    });
  }

  return {
    async connect(argv) {
      const message = { protocol_version: 1, argv: [...argv], metadata_json: '{}' };
      return await call('Connect', PATHS.connect, codecs.connectRequest, codecs.connectResponse, message);
    },
    async uploadUrl(filename, mimetype) {
      const message = { filename, mimetype };
      const method = 'CreateFileUploadRequest';
      const answer = await call(method, PATHS.upload, codecs.uploadRequest, codecs.uploadResponse, message);
      return answer.upload_url;
    },
    async download(source, audience) {
      if (!('file' in source)) throw httpOnly();
      const message = { file: source.file, ...(audience === 'sandbox' ? { for_frontend: false } : {}) };
      const method = 'CreateFileDownloadRequest';
      const answer = await call(method, PATHS.download, codecs.downloadRequest, codecs.downloadResponse, message);
      return { ...answer, mime_type: answer.mime_type ?? null };
    },
    json: () => Promise.reject(httpOnly()),
    bytes: () => Promise.reject(httpOnly()),
    close: () => client.close(),
  };
}

function failure(method: string, error: ServiceError): SandboxError {
  if (error.code === status.DEADLINE_EXCEEDED) {
    return new SandboxError('timeout', `Agent Stub ${NAMES[method] ?? method} timed out`, { cause: error });
  }
  const text = `Agent Stub gRPC ${method} request failed: ${status[error.code]}: ${error.details}`;
  return new SandboxError('request_failed', text, { cause: error });
}

const NAMES: Readonly<Record<string, string>> = {
  Connect: OPERATIONS.connect.name,
  CreateFileUploadRequest: OPERATIONS.upload.name,
  CreateFileDownloadRequest: OPERATIONS.download.name,
};

function cut(method: string): SandboxError {
  return new SandboxError('request_failed', `Agent Stub gRPC ${method} request terminated unexpectedly`);
}

function httpOnly(): SandboxError {
  return new SandboxError('http_only', 'invalid Agent Stub base URL: HTTP Agent Stub URLs must use http or https');
}
