// Windows of a log by shellctl's rules (spec 04 §1.6), its weakness included: a byte that begins no character, at the offset,
// and the window does not move on (§5.11). Only a log that is not sanitised has such bytes.

import { readSync } from 'node:fs';

/** A piece of a log. */
export interface Window {
  readonly output: string;
  /** The next unread byte. */
  readonly offset: number;
  readonly truncated: boolean;
}

/** The window from `offset` in a log of `size` bytes. */
export function forwardWindow(fd: number, size: number, offset: number, limit: number): Window {
  // Longest character: 4 bytes; one that does not fit the limit is given whole.
  const bytes = read(fd, offset, Math.min(Math.max(limit, 4), size - offset));
  const start = leadingContinuations(bytes);
  const room = Math.max(limit - start, 0);
  let length = wholeCharacters(bytes.subarray(start, start + room));
  if (length === 0) length = wholeCharacters(bytes.subarray(start, start + characterLength(bytes[start])));
  const end = start + length;
  return { output: bytes.toString('utf8', start, end), offset: offset + end, truncated: offset + end < size };
}

/** The last `limit` bytes. */
export function tailWindow(fd: number, size: number, limit: number): Window {
  const from = Math.max(size - limit, 0);
  const bytes = read(fd, from, size - from);
  const start = from === 0 ? 0 : leadingContinuations(bytes);
  const whole = wholeCharacters(bytes.subarray(start));
  return { output: bytes.toString('utf8', start, start + whole), offset: size, truncated: false };
}

function read(fd: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const read = length === 0 ? 0 : readSync(fd, bytes, 0, length, offset);
  return bytes.subarray(0, read);
}

function leadingContinuations(bytes: Uint8Array): number {
  let start = 0;
  while (start < bytes.length && isContinuation(bytes[start])) start += 1;
  return start;
}

/** Bytes of the longest beginning that is UTF-8. */
function wholeCharacters(bytes: Uint8Array): number {
  // Mostly nothing, or one character at the end, is cut.
  for (let cut = 0; cut <= Math.min(3, bytes.length); cut++) {
    const length = bytes.length - cut;
    if (isUtf8(bytes.subarray(0, length))) return length;
  }
  let at = 0;
  while (at < bytes.length) {
    const length = characterLength(bytes[at]);
    if (length === 0 || !isUtf8(bytes.subarray(at, at + length)) || at + length > bytes.length) break;
    at += length;
  }
  return at;
}

const strict = { fatal: true, ignoreBOM: true } as const;

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', strict).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Of the character that begins with this byte; 0: none does. */
function characterLength(byte: number | undefined): number {
  if (byte === undefined) return 0;
  if (byte < 0x80) return 1;
  if (byte >= 0xc2 && byte < 0xe0) return 2;
  if (byte >= 0xe0 && byte < 0xf0) return 3;
  return byte >= 0xf0 && byte < 0xf5 ? 4 : 0;
}
