// What uploads and downloads share: which URLs are used, how long silence may last, and how a failure is told. The bytes of
// files never pass through the stub: they go to and from signed URLs.

import { errorText } from '../base/errors.ts';
import { SandboxError } from './errors.ts';
import type { ProgressLine } from './progress.ts';

/** The longest silence of a transfer, ms (spec 05 §7: signed transfers have 120 s; here a large file may take longer). */
export const IDLE_MS = 120_000;

/** How transfers are made; a Workshop is one. */
export interface TransferOptions {
  /** Where progress is shown; null: nowhere. */
  readonly progress: ProgressLine | null;
  /** Default IDLE_MS. */
  readonly idleMs?: number;
  /** Ends the transfer. */
  readonly signal: AbortSignal;
}

/** Throws SandboxError unless it is an http(s) URL: `fetch` would open files of this machine as well. */
export function checkTransferUrl(direction: Direction, url: string): void {
  if (/^https?:\/\//i.test(url) && URL.canParse(url)) return;
  throw new SandboxError(`${direction}_failed`, `signed file ${direction} failed: not an http or https URL`);
}

/** `drive pull` and `config pull` are downloads, too. */
export type Direction = 'upload' | 'download';

/** A signal that aborts with the caller's, or when nothing was touched for too long. Call `stop` in the end. */
export interface IdleWatch {
  readonly signal: AbortSignal;
  touch(): void;
  stop(): void;
}

export function watchIdle({ idleMs = IDLE_MS, signal }: Pick<TransferOptions, 'idleMs' | 'signal'>): IdleWatch {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(new DOMException('silent for too long', 'TimeoutError')), idleMs);
  const onAbort = (): void => abort.abort(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  return {
    signal: abort.signal,
    touch: () => void timer.refresh(),
    stop() {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
}

/** What a transfer throws, in the words of spec 05 §7. */
export function transferError(direction: Direction, error: unknown): SandboxError {
  if (error instanceof SandboxError) return error;
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new SandboxError('timeout', `signed file ${direction} timed out`, { cause: error });
  }
  return new SandboxError(`${direction}_failed`, `signed file ${direction} failed: ${errorText(error)}`, {
    cause: error,
  });
}
