// Where log lines go: a file descriptor, written in the background. A slow or closed reader of standard error must never
// slow down or end the server: lines wait in a bounded buffer, and what does not fit is dropped and counted.

import { write } from 'node:fs';

/** Takes finished lines. No method throws. */
export interface LogSink {
  /** Accepts one line without its line break. Returns at once. */
  write(line: string): void;
  /** Resolves when everything accepted so far has been written or given up, at the latest after `timeoutMs`. */
  flush(timeoutMs?: number): Promise<void>;
}

/** Text that waits for the descriptor, at most; about four thousand lines. */
const MAX_PENDING_CHARS = 1_048_576;
/** Until a descriptor that is not ready (EAGAIN: a non-blocking pipe that is full) is tried again. */
const RETRY_MS = 20;

/** A sink on a file descriptor. `MAX_PENDING_CHARS` bounds what it holds. */
export function descriptorSink(descriptor: number, maxPendingChars = MAX_PENDING_CHARS): LogSink {
  let pending: string[] = [];
  let pendingChars = 0;
  let dropped = 0;
  let writing: Promise<void> | null = null;
  let closed = false;

  async function drain(): Promise<void> {
    // One turn of the loop: lines of the same moment leave in one write.
    await new Promise((resolve) => setImmediate(resolve));
    while (pending.length > 0 && !closed) {
      if (dropped > 0) pending.push(`(${dropped} log entries dropped: standard error was not read)`);
      const bytes = Buffer.from(`${pending.join('\n')}\n`);
      pending = [];
      pendingChars = 0;
      dropped = 0;
      closed = !(await writeFully(descriptor, bytes));
    }
    writing = null;
  }

  return {
    write(line) {
      if (closed) return;
      if (pendingChars + line.length > maxPendingChars) {
        dropped++;
        return;
      }
      pending.push(line);
      pendingChars += line.length + 1;
      writing ??= drain();
    },
    async flush(timeoutMs = 1000) {
      if (writing === null) return;
      let timer: Timer | undefined;
      const timeout = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, timeoutMs);
      });
      await Promise.race([writing, timeout]);
      clearTimeout(timer);
    },
  };
}

/** Writes all bytes. False: the descriptor is gone (EPIPE, EBADF …) and will take nothing any more. */
export async function writeFully(descriptor: number, bytes: Buffer): Promise<boolean> {
  let offset = 0;
  while (offset < bytes.length) {
    const result = await new Promise<number | NodeJS.ErrnoException>((resolve) => {
      write(descriptor, bytes, offset, bytes.length - offset, null, (error, written) => resolve(error ?? written));
    });
    if (typeof result === 'number') offset += result;
    else if (result.code === 'EAGAIN') await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    else return false;
  }
  return true;
}
