// Records whose creation was reported as failed although Redis may have them, or may yet get them from a connection that is
// gone: nobody executes such a run, so it would stay `running` until it expires. They are deleted.

import type { RedisLink } from './redis-link.ts';

/** A record is deleted again this much later: the command that wrote it may arrive after the first deletion, ms. */
const SECOND_PASS_MS = 30_000;
/** Records that are remembered; beyond, the oldest is left to expire. */
const MAX_ORPHANS = 10_000;

export interface Orphans {
  /** The key of such a record. */
  add(key: string): void;
  /** Deletes what is due; called when the link comes back, and by a timer. */
  sweep(): void;
  close(): void;
}

export function createOrphans(link: RedisLink): Orphans {
  /** Key → deletions so far and when (`performance.now()`) the next is due. */
  const orphans = new Map<string, { passes: number; due: number }>();
  let timer: ReturnType<typeof setTimeout> | null = null;
  let closed = false;

  function schedule(): void {
    if (timer !== null || closed || orphans.size === 0) return;
    timer = setTimeout(() => {
      timer = null;
      sweep();
    }, SECOND_PASS_MS);
    timer.unref();
  }

  function sweep(): void {
    const now = performance.now();
    for (const [key, orphan] of orphans) {
      if (orphan.due > now || link.connection === null) continue;
      orphan.due = now + SECOND_PASS_MS;
      link.send(['DEL', key]).then(
        () => {
          orphan.passes += 1;
          if (orphan.passes > 1) orphans.delete(key);
        },
        () => {
          orphan.due = 0;
        },
      );
    }
    schedule();
  }

  return {
    add(key) {
      if (closed) return;
      const [oldest] = orphans.keys();
      if (oldest !== undefined && orphans.size >= MAX_ORPHANS) orphans.delete(oldest);
      orphans.set(key, { passes: 0, due: 0 });
      sweep();
    },
    sweep,
    close() {
      closed = true;
      if (timer !== null) clearTimeout(timer);
      orphans.clear();
    },
  };
}
