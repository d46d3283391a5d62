// What a sandbox can ask the Agent Stub, whatever the transport (spec 05 §4). http.ts and grpc.ts implement it; answers are
// checked by small hand-written tests, because they come from elsewhere.

import type { JsonObject } from '../base/json.ts';
import { SandboxError } from './errors.ts';

/** A file of Dify's (spec 05 §4.1). */
export interface FileMapping {
  readonly transfer_method: 'local_file' | 'tool_file' | 'datasource_file' | 'remote_url';
  readonly reference?: string;
  readonly url?: string;
}

/** What is to be downloaded. */
export type DownloadSource =
  | { readonly file: FileMapping }
  | { readonly config: { readonly kind: 'file' | 'skill'; readonly name: string } };

/** Where a file's bytes can be had. */
export interface Download {
  readonly filename: string;
  readonly mime_type: string | null;
  readonly size: number;
  readonly download_url: string;
}

/** Every method rejects with SandboxError. */
export interface StubClient {
  connect(argv: readonly string[]): Promise<{ readonly connection_id: string; readonly status: string }>;
  /** Resolves with the signed URL. */
  uploadUrl(filename: string, mimetype: string): Promise<string>;
  /** `audience`: who will fetch the URL, a browser or this sandbox. */
  download(source: DownloadSource, audience: 'frontend' | 'sandbox'): Promise<Download>;
  /** Drive and config operations, which exist over HTTP only. */
  json(operation: Operation, method: string, path: string, body?: JsonObject): Promise<JsonObject>;
  /** An attachment; the body is not read yet. The signal ends the wait, and the body. */
  bytes(operation: Operation, path: string, signal: AbortSignal): Promise<Response>;
  close(): void;
}

/** How an operation is named in messages (spec 05 §7). */
export interface Operation {
  /** `drive manifest` */
  readonly name: string;
  /** In "Agent Stub returned invalid JSON for …". */
  readonly noun: string;
}

export const OPERATIONS = {
  connect: { name: 'connect', noun: 'connection' },
  upload: { name: 'file upload request', noun: 'file upload' },
  download: { name: 'file download request', noun: 'file download' },
  driveManifest: { name: 'drive manifest request', noun: 'drive manifest' },
  driveCommit: { name: 'drive commit request', noun: 'drive commit' },
  configManifest: { name: 'config manifest request', noun: 'config manifest' },
  configPull: { name: 'config pull request', noun: 'config pull' },
  configPush: { name: 'config push request', noun: 'config push' },
} as const satisfies Record<string, Operation>;

/** What a mistyped answer throws. */
export function invalidAnswer({ noun }: Operation): SandboxError {
  return new SandboxError('invalid_answer', `invalid Agent Stub ${noun} response`);
}

/** A text member of an answer. */
export function memberOf(answer: JsonObject, key: string, operation: Operation): string {
  const value = answer[key];
  if (typeof value !== 'string' || value === '') throw invalidAnswer(operation);
  return value;
}

/** The checked answer to a download request. */
export function downloadOf(answer: JsonObject): Download {
  const { filename, mime_type, size, download_url } = answer;
  const fits =
    typeof filename === 'string' &&
    (mime_type === null || mime_type === undefined || typeof mime_type === 'string') &&
    typeof size === 'number';
  if (!fits) throw invalidAnswer(OPERATIONS.download);
  if (typeof download_url !== 'string' || download_url === '') {
    throw new SandboxError('invalid_answer', 'signed file download response is missing download_url');
  }
  return { filename, mime_type: mime_type ?? null, size, download_url };
}
