// Puts the chunks of a tool's files together (spec 03 §5.4) under its limits. The model is told that there is a file and
// how large it is, nobody reads its content: bytes are counted and not kept, so a declared length allocates nothing.

import { ToolStreamError } from './tool-errors.ts';

/** Largest file (spec 03 §5.4). */
export const MAX_BLOB_BYTES = 30 * 1024 * 1024;

/** Largest chunk of a file (spec 03 §5.4). */
export const MAX_BLOB_CHUNK_BYTES = 8 * 1024;

/** A piece of a file. */
export interface BlobChunk {
  /** Which file. */
  readonly id: string;
  /** Rises from chunk to chunk of a file; empty chunks may repeat it. */
  readonly sequence: number;
  /** Bytes that the whole file is said to have. */
  readonly totalLength: number;
  /** Bytes of this chunk. */
  readonly bytes: number;
  /** True: the file is whole. */
  readonly end: boolean;
}

/** Merges the chunks of one stream; files may be interleaved. */
export interface BlobMerger {
  /** The size of the file that this chunk completes, or null. Throws ToolStreamError beyond a limit or out of order. */
  add(chunk: BlobChunk): number | null;
}

interface OpenBlob {
  bytes: number;
  lastSequence: number;
}

/** A merger without open files. Files that never end are forgotten with it. */
export function createBlobMerger(): BlobMerger {
  const open = new Map<string, OpenBlob>();
  return {
    add({ id, sequence, totalLength, bytes, end }) {
      const blob = open.get(id) ?? { bytes: 0, lastSequence: Number.NEGATIVE_INFINITY };
      if (totalLength > MAX_BLOB_BYTES || blob.bytes + bytes > MAX_BLOB_BYTES) {
        throw new ToolStreamError('invalid', 'File is too large which reached the limit of 30.0MB');
      }
      if (bytes > MAX_BLOB_CHUNK_BYTES) {
        throw new ToolStreamError('invalid', 'File chunk is too large which reached the limit of 8.0KB');
      }
      // An empty chunk misplaces nothing: plugins end a file with one, whatever number they give it.
      if (bytes > 0 && sequence <= blob.lastSequence) {
        throw new ToolStreamError('invalid', 'File chunks arrived out of order');
      }
      if (end) {
        open.delete(id);
        return blob.bytes + bytes;
      }
      open.set(id, { bytes: blob.bytes + bytes, lastSequence: Math.max(sequence, blob.lastSequence) });
      return null;
    },
  };
}
