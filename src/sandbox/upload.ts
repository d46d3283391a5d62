// Uploads: from a file on this disk to a signed URL, streamed, as one field of a form (spec 05 §7).

import { randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { isJsonObject } from '../base/json.ts';
import { parseJson, readText } from './answers.ts';
import type { StubClient } from './client.ts';
import { SandboxError } from './errors.ts';
import { createMeter } from './progress.ts';
import { checkTransferUrl, type TransferOptions, transferError, watchIdle } from './transfer.ts';

/** The answer to an upload is a small JSON object. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** What Dify calls an uploaded file. */
export interface Uploaded {
  /** `dify-file-ref:…` */
  readonly reference: string;
  readonly id: string;
}

/** Uploads a file as a tool file. Rejects with SandboxError. */
export async function uploadFile(client: StubClient, path: string, options: TransferOptions): Promise<Uploaded> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new SandboxError('file_missing', `file not found: ${path}`);
  if (!stat.isFile()) throw new SandboxError('not_a_file', `not a regular file: ${path}`);
  const filename = basename(path);
  const mimetype = mimeTypeOf(path);
  const url = await client.uploadUrl(filename, mimetype);
  checkTransferUrl('upload', url);
  const form = formAround(filename, mimetype);
  const watch = watchIdle(options);
  const meter = createMeter(options.progress, `uploading ${filename}`, stat.size);
  async function* body(): AsyncGenerator<Uint8Array> {
    yield form.head;
    let left = stat?.size ?? 0;
    // What is written to the file meanwhile does not belong to the length that was announced.
    for await (const chunk of Bun.file(path).slice(0, left).stream()) {
      watch.touch();
      meter.add(chunk.byteLength);
      left -= chunk.byteLength;
      yield chunk;
    }
    if (left > 0) throw new SandboxError('file_changed', `the file became shorter while it was uploaded: ${path}`);
    yield form.tail;
  }
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'Content-Type': form.type,
        // The length is known, and not every server takes a body without one.
        'Content-Length': String(form.head.length + stat.size + form.tail.length),
      },
      body: streamOf(body()),
      // A body that has been sent cannot be sent again.
      redirect: 'manual',
      signal: watch.signal,
    });
    const text = await readText(response, MAX_ANSWER_BYTES);
    if (!response.ok) throw new SandboxError('upload_failed', `signed file upload failed: HTTP ${response.status}`);
    return uploadedOf(text);
  } catch (error) {
    throw transferError('upload', error);
  } finally {
    meter.end();
    watch.stop();
  }
}

/** By the name's ending. */
function mimeTypeOf(path: string): string {
  return (Bun.file(path).type.split(';')[0] ?? '').trim() || 'application/octet-stream';
}

/** What stands before and after the bytes of a form with the one field `file`. */
function formAround(filename: string, mimetype: string) {
  const boundary = `dify-agent-${randomUUID()}`;
  // As browsers write a file name.
  const name = filename.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  const head =
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n` +
    `Content-Type: ${mimetype}\r\n\r\n`;
  return {
    type: `multipart/form-data; boundary=${boundary}`,
    head: Buffer.from(head),
    tail: Buffer.from(`\r\n--${boundary}--\r\n`),
  };
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

function uploadedOf(text: string): Uploaded {
  const answer = parseJson(text);
  if (!isJsonObject(answer)) {
    throw new SandboxError('upload_failed', 'signed file upload failed: the answer is not a JSON object');
  }
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
  const value = parseJson(Buffer.from(encoded, 'base64url').toString('utf8'));
  return isJsonObject(value) && typeof value.record_id === 'string' && value.record_id !== '';
}
