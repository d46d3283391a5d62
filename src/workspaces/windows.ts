// Paging through a job's output. shellctl may answer `truncated` without moving on, when its log holds a byte that begins no
// character (spec 04 §5.11): whoever pages asks here where to go on, and is never stuck.

import type { JobResult } from '../peers/shellctl/port.ts';

/** Where to go on after a window that was asked for at `asked`. */
export interface NextWindow {
  /** What to ask for next; at least `asked`. */
  readonly offset: number;
  /** The byte at `asked` cannot be read: it was stepped over. */
  readonly skipped: boolean;
}

/**
 * The next offset. A window that says that there is more but does not move on is left by one byte; any other that does not move
 * on stays where it is (nothing new yet).
 */
export function nextWindow(asked: number, window: Pick<JobResult, 'offset' | 'truncated'>): NextWindow {
  if (window.offset > asked) return { offset: window.offset, skipped: false };
  return window.truncated ? { offset: asked + 1, skipped: true } : { offset: asked, skipped: false };
}
