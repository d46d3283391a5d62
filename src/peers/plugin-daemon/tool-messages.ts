// The data of a tool stream's items → messages (spec 03 §5.4). Tolerant where the reference's strictness only loses
// results (§10.2): unknown types, scalar json and null fields are harmless. What messages mean to a model is the layer's.

import { isJsonObject, type JsonObject, type JsonValue } from '../../base/json.ts';
import { isJsonNumber, toNumber } from '../../wiretext/numbers.ts';
import { createBlobMerger } from './tool-blobs.ts';
import { ToolStreamError } from './tool-errors.ts';
import { complaintAbout } from './tool-message-schema.ts';

/** One thing that a tool said. */
export type ToolMessage =
  | { readonly type: 'text' | 'link' | 'binary_link'; readonly text: string }
  | { readonly type: 'image' }
  | { readonly type: 'json'; readonly value: JsonValue }
  | { readonly type: 'file'; readonly marker: string }
  /** The log's fields in their declared order. */
  | { readonly type: 'log'; readonly fields: readonly (readonly [name: string, value: JsonValue])[] }
  /** A whole file. */
  | { readonly type: 'blob'; readonly bytes: number; readonly mimeType: string | null }
  /** A message of one of the last four types without payload. */
  | { readonly type: 'none' };

/** Most items of one stream: three files of the largest size and tens of thousands of texts. */
export const MAX_TOOL_ITEMS = 100_000;

/** Reads the items of one stream. */
export interface ToolMessageReader {
  /** The message of an item; null: it says nothing (a variable, an unfinished file, an unknown type). Throws ToolStreamError. */
  item(data: unknown): ToolMessage | null;
}

/** A reader at the start of a stream. */
export function createToolMessageReader(maxItems: number = MAX_TOOL_ITEMS): ToolMessageReader {
  const blobs = createBlobMerger();
  let items = 0;

  const blobChunk = (message: JsonValue, meta: JsonValue | undefined): ToolMessage | null | typeof UNREADABLE => {
    if (!isJsonObject(message)) {
      throw new ToolStreamError('invalid', 'Blob chunk responses must carry BlobChunkMessage payloads.');
    }
    const { id, sequence, total_length, blob, end } = message;
    if (typeof id !== 'string' || typeof blob !== 'string' || typeof end !== 'boolean') return UNREADABLE;
    if (!isJsonNumber(sequence) || !isJsonNumber(total_length)) return UNREADABLE;
    const chunk = {
      id,
      sequence: toNumber(sequence),
      totalLength: toNumber(total_length),
      bytes: byteCount(blob),
      end,
    };
    const bytes = blobs.add(chunk);
    return bytes === null ? null : { type: 'blob', bytes, mimeType: mimeType(meta) };
  };

  return {
    item(data) {
      items += 1;
      if (items > maxItems) throw new ToolStreamError('limit', `Plugin daemon sent more than ${maxItems} items`);
      if (!isJsonObject(data)) throw invalid(data);
      const type = data.type ?? 'text';
      const message = data.message;
      if (message === undefined && WITH_MESSAGE.has(type)) throw invalid(data);
      const read =
        type === 'blob_chunk' ? blobChunk(message ?? null, data.meta) : simple(type, message ?? null, data.meta);
      if (read === UNREADABLE) throw invalid(data);
      return read;
    },
  };
}

/** A payload that does not fit its type. */
const UNREADABLE = Symbol('unreadable');

/** Types whose message must be there, if only as null. */
const WITH_MESSAGE: ReadonlySet<JsonValue> = new Set([
  'text',
  'image',
  'link',
  'blob',
  'json',
  'image_link',
  'binary_link',
  'file',
  'log',
  'blob_chunk',
]);

/** Messages that are whole in one item. */
function simple(
  type: JsonValue,
  message: JsonValue,
  meta: JsonValue | undefined,
): ToolMessage | null | typeof UNREADABLE {
  switch (type) {
    case 'text':
    case 'link':
      return message === null ? null : textMessage(type, message);
    case 'image':
    case 'image_link':
      return { type: 'image' };
    case 'json':
      return jsonMessage(message);
    case 'binary_link':
      return message === null ? { type: 'none' } : textMessage(type, message);
    case 'file':
      return message === null ? { type: 'none' } : fileMessage(message);
    case 'log':
      return message === null ? { type: 'none' } : logMessage(message);
    case 'blob': {
      if (message === null) return { type: 'none' };
      const blob = isJsonObject(message) ? message.blob : undefined;
      if (typeof blob !== 'string') return UNREADABLE;
      return { type: 'blob', bytes: byteCount(blob), mimeType: mimeType(meta) };
    }
    // `variable` feeds workflows, not the model; other types are of a later day (§10.2).
    default:
      return null;
  }
}

function textMessage(type: 'text' | 'link' | 'binary_link', message: JsonValue): ToolMessage | typeof UNREADABLE {
  const text = isJsonObject(message) ? message.text : undefined;
  return typeof text === 'string' ? { type, text } : UNREADABLE;
}

/** `{json_object, suppress_output?}`; anything else is the value itself. */
function jsonMessage(message: JsonValue): ToolMessage | null {
  const wrapped = isJsonObject(message) && Object.hasOwn(message, 'json_object');
  if (wrapped && message.suppress_output === true) return null;
  const value = wrapped ? (message.json_object ?? null) : message;
  return value === null ? null : { type: 'json', value };
}

const FILE_MARKER = 'file_marker';

function fileMessage(message: JsonValue): ToolMessage | typeof UNREADABLE {
  if (!isJsonObject(message)) return UNREADABLE;
  return { type: 'file', marker: typeof message.file_marker === 'string' ? message.file_marker : FILE_MARKER };
}

/** `metadata` is null unless a plugin sets it (§10.2). */
function logMessage(message: JsonValue): ToolMessage | typeof UNREADABLE {
  if (!isJsonObject(message)) return UNREADABLE;
  const { id, label, parent_id = null, error = null, status } = message;
  if (typeof id !== 'string' || typeof label !== 'string' || typeof status !== 'string') return UNREADABLE;
  const { data, metadata } = message;
  if (!isText(parent_id) || !isText(error) || !isMap(data) || !isMap(metadata)) return UNREADABLE;
  return {
    type: 'log',
    fields: [
      ['id', id],
      ['label', label],
      ['parent_id', parent_id],
      ['error', error],
      ['status', status],
      ['data', data ?? {}],
      ['metadata', metadata ?? {}],
    ],
  };
}

function isText(value: JsonValue): value is string | null {
  return value === null || typeof value === 'string';
}

function isMap(value: JsonValue | undefined): value is JsonObject | null | undefined {
  return value === undefined || value === null || isJsonObject(value);
}

/** Bytes of a base64 text, without decoding it. */
function byteCount(base64: string): number {
  return Buffer.byteLength(base64, 'base64');
}

const MIME_TYPE = /^[\w.+-]{1,64}\/[\w.+-]{1,100}$/;

/** The type of a file, when it looks like one. */
function mimeType(meta: JsonValue | undefined): string | null {
  const type = isJsonObject(meta) ? meta.mime_type : undefined;
  return typeof type === 'string' && MIME_TYPE.test(type) ? type : null;
}

function invalid(data: unknown): ToolStreamError {
  return new ToolStreamError('invalid', complaintAbout(data));
}
