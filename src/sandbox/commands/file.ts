// `file upload` and `file download` (spec 05 §8).

import { resolve } from 'node:path';
import { isJsonObject } from '../../base/json.ts';
import { parseJson } from '../answers.ts';
import type { FileMapping } from '../client.ts';
import { downloadInto } from '../download.ts';
import { SandboxError, SandboxUsageError } from '../errors.ts';
import type { Words, Workshop } from '../io.ts';
import { uploadFile } from '../upload.ts';

/** `file upload PATH`: prints the mapping of the new file, with a URL for browsers. */
export async function uploadCommand(shop: Workshop, { positionals }: Words): Promise<void> {
  const [path, ...rest] = positionals;
  if (path === undefined || rest.length > 0) throw new SandboxUsageError('usage: dify-agent file upload PATH');
  const { reference } = await uploadFile(shop.client, resolve(shop.cwd, path), shop);
  const mapping = { transfer_method: 'tool_file', reference } as const;
  let downloadUrl: string | null = null;
  try {
    downloadUrl = (await shop.client.download({ file: mapping }, 'frontend')).download_url;
  } catch (error) {
    // The file is there; only its link is not.
    if (!(error instanceof SandboxError)) throw error;
    await shop.complain(error.message);
  }
  await shop.print(`${JSON.stringify(downloadUrl === null ? mapping : { ...mapping, download_url: downloadUrl })}\n`);
}

/** `file download TRANSFER_METHOD REFERENCE_OR_URL [DIR]`, or `--mapping JSON`: prints the path. */
export async function downloadCommand(shop: Workshop, words: Words): Promise<void> {
  const { file, directory } = readWords(words);
  const { download_url: url, ...found } = await shop.client.download({ file }, 'sandbox');
  await shop.print(`${await downloadInto(resolve(shop.cwd, directory), { url, ...found }, shop)}\n`);
}

interface DownloadWords {
  readonly file: FileMapping;
  readonly directory: string;
}

function readWords({ positionals, values }: Words): DownloadWords {
  const usage = 'usage: dify-agent file download TRANSFER_METHOD REFERENCE_OR_URL [DIR] | --mapping JSON [--to DIR]';
  const to = typeof values.to === 'string' ? values.to : null;
  if (typeof values.mapping === 'string') {
    const [directory = '.', ...rest] = positionals;
    if (rest.length > 0) throw new SandboxUsageError(usage);
    return { file: readMapping(values.mapping), directory: to ?? directory };
  }
  const [method, target, directory = '.', ...rest] = positionals;
  if (method === undefined || target === undefined || rest.length > 0) throw new SandboxUsageError(usage);
  return { file: mappingOf(method, target), directory: to ?? directory };
}

const METHODS = ['local_file', 'tool_file', 'datasource_file', 'remote_url'] as const;

function mappingOf(method: string, target: string): FileMapping {
  const known = METHODS.find((candidate) => candidate === method);
  if (known === undefined) {
    throw new SandboxUsageError(`transfer method must be one of ${METHODS.join(', ')}, got ${JSON.stringify(method)}`);
  }
  return known === 'remote_url'
    ? { transfer_method: known, url: target }
    : { transfer_method: known, reference: target };
}

function readMapping(text: string): FileMapping {
  const mapping = parseJson(text);
  if (!isJsonObject(mapping)) throw new SandboxUsageError('--mapping must be a JSON object');
  const { transfer_method: method, reference, url } = mapping;
  const target = method === 'remote_url' ? url : reference;
  if (typeof method !== 'string' || typeof target !== 'string') {
    throw new SandboxUsageError('--mapping must have transfer_method and reference or url');
  }
  return mappingOf(method, target);
}
