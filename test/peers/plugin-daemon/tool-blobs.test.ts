import { expect, test } from 'bun:test';
import {
  type BlobChunk,
  createBlobMerger,
  MAX_BLOB_BYTES,
  MAX_BLOB_CHUNK_BYTES,
} from '../../../src/peers/plugin-daemon/tool-blobs.ts';
import { pick, randomFrom } from '../../layers/plugin-tools/random.ts';

const chunk = (changes: Partial<BlobChunk>): BlobChunk => ({
  id: 'b',
  sequence: 0,
  totalLength: 0,
  bytes: 0,
  end: false,
  ...changes,
});
const TOO_LARGE = 'File is too large which reached the limit of 30.0MB';
const CHUNK_TOO_LARGE = 'File chunk is too large which reached the limit of 8.0KB';

/** Adds chunks of this size until the merger throws or the total is reached; returns how many bytes were taken. */
function fill(total: number, size: number): number {
  const merger = createBlobMerger();
  let taken = 0;
  for (let sequence = 0; taken < total; sequence++) {
    const bytes = Math.min(size, total - taken);
    merger.add(chunk({ sequence, bytes }));
    taken += bytes;
  }
  return taken;
}

test('a chunk has its limit', () => {
  expect(createBlobMerger().add(chunk({ bytes: MAX_BLOB_CHUNK_BYTES, end: true }))).toBe(MAX_BLOB_CHUNK_BYTES);
  expect(() => createBlobMerger().add(chunk({ bytes: MAX_BLOB_CHUNK_BYTES + 1 }))).toThrow(CHUNK_TOO_LARGE);
});

test('a file has its limit, counted and declared', () => {
  expect(fill(MAX_BLOB_BYTES, MAX_BLOB_CHUNK_BYTES)).toBe(MAX_BLOB_BYTES);
  expect(() => fill(MAX_BLOB_BYTES + 1, MAX_BLOB_CHUNK_BYTES)).toThrow(TOO_LARGE);
  expect(createBlobMerger().add(chunk({ totalLength: MAX_BLOB_BYTES }))).toBeNull();
  expect(() => createBlobMerger().add(chunk({ totalLength: 2 ** 53 }))).toThrow(TOO_LARGE);
});

test('chunks must rise; empty ones may not', () => {
  const merger = createBlobMerger();
  merger.add(chunk({ sequence: 3, bytes: 1 }));
  merger.add(chunk({ sequence: 3, bytes: 0 }));
  merger.add(chunk({ sequence: 7, bytes: 1 }));
  expect(() => merger.add(chunk({ sequence: 7, bytes: 1 }))).toThrow('File chunks arrived out of order');
  expect(merger.add(chunk({ sequence: 0, end: true }))).toBe(2);
});

test('an id may be used again for a new file', () => {
  const merger = createBlobMerger();
  expect(merger.add(chunk({ bytes: 5, end: true }))).toBe(5);
  expect(merger.add(chunk({ bytes: 2, end: true }))).toBe(2);
});

test('however files are cut and mixed, each comes out once and whole', () => {
  const random = randomFrom(42);
  for (let round = 0; round < 100; round++) {
    const merger = createBlobMerger();
    const files = Array.from({ length: 1 + pick(random, 5) }, (_, i) => ({
      id: i === 0 ? '__proto__' : `f${i}`,
      size: pick(random, 60_000),
      sent: 0,
      sequence: 0,
      done: false,
    }));
    const sizes = new Map<string, number>();
    for (let open = files.filter(({ done }) => !done); open.length > 0; open = open.filter(({ done }) => !done)) {
      const file = open[pick(random, open.length)];
      if (file === undefined) throw new Error('no file');
      const bytes = Math.min(pick(random, MAX_BLOB_CHUNK_BYTES + 1), file.size - file.sent);
      file.sent += bytes;
      file.done = file.sent === file.size && pick(random, 2) === 0;
      const { id, sequence, size, done } = file;
      const merged = merger.add({ id, sequence, totalLength: size, bytes, end: done });
      file.sequence += 1;
      expect(merged === null).toBe(!done);
      if (merged !== null) sizes.set(id, merged);
    }
    expect([...sizes].sort()).toEqual(files.map(({ id, size }): [string, number] => [id, size]).sort());
  }
});
