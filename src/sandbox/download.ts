// Downloads: from a signed URL, or from an answer that is there already, to a file on this disk, streamed (spec 05 §7).

import { basename } from 'node:path';
import { SandboxError } from './errors.ts';
import { baseName } from './names.ts';
import { addFile, replaceFile, writeAll } from './place.ts';
import { createMeter, type Meter } from './progress.ts';
import { checkTransferUrl, type IdleWatch, type TransferOptions, transferError, watchIdle } from './transfer.ts';

/** What is to be downloaded. */
export interface DownloadSource {
  readonly url: string;
  /** The server's; only its last segment counts. */
  readonly filename: string;
  /** Bytes, as far as the server knows; for the progress only. */
  readonly size: number;
}

/** Into a directory, under the name that the server gives or a free one like it. Resolves with the path. */
export async function downloadInto(
  directory: string,
  { url, filename, size }: DownloadSource,
  options: TransferOptions,
): Promise<string> {
  const name = baseName(filename, 'download.bin');
  const meter = createMeter(options.progress, `downloading ${name}`, size > 0 ? size : null);
  return await told(async () =>
    addFile(directory, name, async (descriptor) => {
      await fetchTo(descriptor, url, null, meter, options);
    }),
  );
}

/** To exactly this path, replacing what is there. `size`: bytes that must come, no more, no less; null: unknown. */
export async function downloadTo(
  path: string,
  url: string,
  size: number | null,
  options: TransferOptions,
): Promise<void> {
  const meter = createMeter(options.progress, `downloading ${basename(path)}`, size);
  await told(() =>
    replaceFile(path, async (descriptor) => {
      const mismatch = (got: string) =>
        new SandboxError('size_mismatch', `downloaded file size mismatch for ${path}: ${got} instead of ${size} bytes`);
      const got = await fetchTo(
        descriptor,
        url,
        size === null ? null : { bytes: size, error: mismatch('more') },
        meter,
        options,
      );
      if (size !== null && got < size) throw mismatch(String(got));
    }),
  );
}

/** The body of the answer that `ask` gets, to exactly this path. The signal ends the answer when it is silent for too long. */
export async function saveAnswer(
  path: string,
  ask: (signal: AbortSignal) => Promise<Response>,
  options: TransferOptions,
): Promise<void> {
  const watch = watchIdle(options);
  const meter = createMeter(options.progress, `downloading ${basename(path)}`, null);
  try {
    const response = await ask(watch.signal);
    await told(() =>
      replaceFile(path, async (descriptor) => {
        await receive(descriptor, response, null, meter, watch);
      }),
    );
  } finally {
    meter.end();
    watch.stop();
  }
}

/** After so many bytes no more are taken. */
interface Limit {
  readonly bytes: number;
  readonly error: SandboxError;
}

async function fetchTo(
  descriptor: number,
  url: string,
  limit: Limit | null,
  meter: Meter,
  options: TransferOptions,
): Promise<number> {
  checkTransferUrl('download', url);
  const watch = watchIdle(options);
  try {
    // As it is stored: the size is the size of that.
    const response = await fetch(url, { headers: { 'Accept-Encoding': 'identity' }, signal: watch.signal });
    if (!response.ok) throw new SandboxError('download_failed', `signed file download failed: HTTP ${response.status}`);
    return await receive(descriptor, response, limit, meter, watch);
  } finally {
    meter.end();
    watch.stop();
  }
}

async function receive(
  descriptor: number,
  response: Response,
  limit: Limit | null,
  meter: Meter,
  watch: IdleWatch,
): Promise<number> {
  let total = 0;
  for await (const chunk of response.body ?? []) {
    watch.touch();
    total += chunk.byteLength;
    if (limit !== null && total > limit.bytes) throw limit.error;
    writeAll(descriptor, chunk);
    meter.add(chunk.byteLength);
  }
  return total;
}

async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw transferError('download', error);
  }
}
