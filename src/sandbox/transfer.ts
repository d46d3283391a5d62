// The bytes of files, which never pass through the stub: to and from signed URLs, streamed, and put in their place in one
// step, so that nobody sees half a file.

import { randomUUID } from 'node:crypto';
import { closeSync, linkSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorText } from '../base/errors.ts';
import type { JsonValue } from '../base/json.ts';
import { isObject, type StubClient } from './client.ts';
import { SandboxError } from './errors.ts';
import { baseName, freePath } from './names.ts';
import { createMeter, type ProgressLine } from './progress.ts';

/** The longest silence of a transfer, ms (spec 05 §7: signed transfers have 120 s; here a large file may take longer). */
export const TRANSFER_IDLE_MS = 120_000;
/** The answer to an upload is a small JSON object. */
const MAX_UPLOAD_ANSWER_CHARS = 65_536;

/** What Dify calls an uploaded file. */
export interface Uploaded {
  /** `dify-file-ref:…` */
  readonly reference: string;
  readonly id: string;
}

/** Uploads a file as a tool file. */
export async function uploadFile(client: StubClient, path: string, line: ProgressLine | null): Promise<Uploaded> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new SandboxError('file_missing', `file not found: ${path}`);
  if (!stat.isFile()) throw new SandboxError('not_a_file', `not a regular file: ${path}`);
  const filename = basename(path);
  const file = Bun.file(path);
  const mimetype = (file.type.split(';')[0] ?? '').trim() || 'application/octet-stream';
  const url = await client.uploadUrl(filename, mimetype);
  const boundary = `dify-agent-${randomUUID()}`;
  const head = Buffer.from(
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${formName(filename)}"\r\n` +
      `Content-Type: ${mimetype}\r\n\r\n`,
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const idle = idleSignal();
  const meter = createMeter(line, `uploading ${filename}`, stat.size);
  async function* body(): AsyncGenerator<Uint8Array> {
    yield head;
    for await (const chunk of file.stream()) {
      idle.touch();
      meter.add(chunk.byteLength);
      yield chunk;
    }
    yield tail;
  }
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'Content-Type': `multipart/form-data; boundary=${boundary}`,
        // The length is known, and not every server takes a body without one.
        'Content-Length': String(head.length + stat.size + tail.length),
      },
      body: streamOf(body()),
      signal: idle.signal,
    });
    const text = (await response.text()).slice(0, MAX_UPLOAD_ANSWER_CHARS);
    if (!response.ok) throw new SandboxError('upload_failed', `signed file upload failed: HTTP ${response.status}`);
    return uploadedOf(text);
  } catch (error) {
    throw transferError('upload', error);
  } finally {
    meter.end();
    idle.stop();
  }
}

function uploadedOf(text: string): Uploaded {
  const answer = parse(text);
  if (!isObject(answer))
    throw new SandboxError('upload_failed', 'signed file upload failed: the answer is not a JSON object');
  const { reference, id } = answer;
  if (typeof reference !== 'string' || reference === '') {
    throw new SandboxError('upload_failed', 'signed file upload response is missing reference');
  }
  if (typeof id !== 'string' || id === '') {
    throw new SandboxError('upload_failed', 'signed file upload response is missing id');
  }
  if (!isCanonicalReference(reference)) {
    throw new SandboxError('upload_failed', 'signed file upload response has invalid canonical reference');
  }
  return { reference, id };
}

/** `dify-file-ref:` and base64url of an object with a `record_id` (spec 05 §4.1). */
export function isCanonicalReference(reference: string): boolean {
  const encoded = /^dify-file-ref:(.+)$/s.exec(reference)?.[1];
  if (encoded === undefined) return false;
  const value = parse(Buffer.from(encoded, 'base64url').toString('utf8'));
  return isObject(value) && typeof value.record_id === 'string' && value.record_id !== '';
}

/** Downloads into a directory, under the name that the server gives or a free one beside it. Resolves with the path. */
export async function downloadInto(
  directory: string,
  source: { readonly url: string; readonly filename: string; readonly size: number },
  line: ProgressLine | null,
): Promise<string> {
  const name = baseName(source.filename, 'download.bin');
  mkdirSync(directory, { recursive: true });
  const temporary = join(directory, `.${randomUUID()}.part`);
  try {
    await fetchTo(source.url, temporary, createMeter(line, `downloading ${name}`, Math.max(source.size, 0)));
    for (;;) {
      const path = freePath(directory, name);
      try {
        linkSync(temporary, path); // fails where another process was faster
        return path;
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      }
    }
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Downloads to exactly this path, replacing what is there. `size`: what must arrive; null: unknown. */
export async function downloadTo(
  path: string,
  url: string,
  size: number | null,
  line: ProgressLine | null,
): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = join(dirname(path), `.${randomUUID()}.part`);
  try {
    const got = await fetchTo(url, temporary, createMeter(line, `downloading ${basename(path)}`, size));
    if (size !== null && got !== size) {
      throw new SandboxError(
        'size_mismatch',
        `downloaded file size mismatch for ${path}: ${got} instead of ${size} bytes`,
      );
    }
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Writes text to exactly this path in one step. */
export function writeWhole(path: string, content: string | Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = join(dirname(path), `.${randomUUID()}.part`);
  try {
    const descriptor = openSync(temporary, 'wx', 0o600);
    try {
      const bytes = Buffer.from(content);
      for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Streams an answer that is already there into a file; how many bytes came. */
export async function saveBody(response: Response, path: string): Promise<number> {
  return await receive(response, path, createMeter(null, '', null), idleSignal());
}

async function fetchTo(url: string, path: string, meter: ReturnType<typeof createMeter>): Promise<number> {
  const idle = idleSignal();
  try {
    const response = await fetch(url, { signal: idle.signal });
    if (!response.ok) throw new SandboxError('download_failed', `signed file download failed: HTTP ${response.status}`);
    return await receive(response, path, meter, idle);
  } catch (error) {
    throw transferError('download', error);
  } finally {
    meter.end();
    idle.stop();
  }
}

async function receive(
  response: Response,
  path: string,
  meter: ReturnType<typeof createMeter>,
  idle: ReturnType<typeof idleSignal>,
): Promise<number> {
  const descriptor = openSync(path, 'wx', 0o600);
  let total = 0;
  try {
    for await (const chunk of response.body ?? []) {
      idle.touch();
      for (let at = 0; at < chunk.byteLength; ) at += writeSync(descriptor, chunk, at);
      total += chunk.byteLength;
      meter.add(chunk.byteLength);
    }
    return total;
  } finally {
    idle.stop();
    closeSync(descriptor);
  }
}

/** Pulled by the connection, so that a file is not read ahead of it. */
function streamOf(source: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await source.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await source.return(undefined);
    },
  });
}

/** A signal that aborts when nothing was touched for TRANSFER_IDLE_MS. */
function idleSignal() {
  const abort = new AbortController();
  const timer = setTimeout(
    () => abort.abort(new DOMException('silent for too long', 'TimeoutError')),
    TRANSFER_IDLE_MS,
  );
  return { signal: abort.signal, touch: () => void timer.refresh(), stop: () => clearTimeout(timer) };
}

function transferError(direction: 'upload' | 'download', error: unknown): SandboxError {
  if (error instanceof SandboxError) return error;
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new SandboxError('timeout', `signed file ${direction} timed out`, { cause: error });
  }
  return new SandboxError(`${direction}_failed`, `signed file ${direction} failed: ${errorText(error)}`, {
    cause: error,
  });
}

/** As browsers write a file name in a form. */
function formName(name: string): string {
  return name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function parse(text: string): JsonValue | undefined {
  try {
    // What JSON.parse answers is a JSON value.
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}
