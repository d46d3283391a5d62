// What happens to expired runs of the SQLite store: they are deleted, and the file shrinks, in small steps between other writes.
// That readers do not see them is not this file's business: every query checks the time itself.

import type { Database } from 'bun:sqlite';
import type { Statements } from './sqlite-statements.ts';

/** Rows that one step deletes, at most: about 2 ms. */
export const SWEEP_STEP_ROWS = 200;
/** Pages (4 KiB) that one step gives back to the file system, at most. */
const VACUUM_STEP_PAGES = 256;
/** Free pages that are always kept for the next runs (4 MiB). Beyond, up to a quarter of the file may be free. */
const KEPT_FREE_PAGES = 1_024;

/**
 * One step of the sweep, inside a transaction: deletes some expired rows or gives free pages back.
 * True when there is more to do. The file keeps at most a quarter of free pages, or KEPT_FREE_PAGES.
 */
export function sweepStep(db: Database, statements: Statements, nowMs: number): boolean {
  let budget = SWEEP_STEP_ROWS;
  while (budget > 0) {
    const expired = statements.expiredRun.get(nowMs);
    if (expired === null) return shrink(db, statements);
    const { changes } = statements.deleteEvents.run(expired.key, budget);
    budget -= changes + 1;
    // The record goes last, so that a step cut short is taken up again.
    if (budget >= 0) statements.deleteRun.run(expired.key);
  }
  return true;
}

function shrink(db: Database, statements: Statements): boolean {
  const free = statements.freePages.get()?.freelist_count ?? 0;
  const all = statements.allPages.get()?.page_count ?? 0;
  const surplus = free - Math.max(KEPT_FREE_PAGES, Math.floor(all / 4));
  if (surplus <= 0) return false;
  const pages = Math.min(surplus, VACUUM_STEP_PAGES);
  // Each step of this statement frees one page, so it has to be stepped to its end. The text is ours, not a caller's.
  using vacuum = db.prepare(`PRAGMA incremental_vacuum(${pages})`);
  vacuum.all();
  return surplus > pages;
}
