// Bounds what a run keeps of its events: the oldest go, but never the first and the newest, so that run_started and the terminal
// event stay. Done in batches beside the writes that make it necessary; the run remembers the last id that went.

import type { EventStreamSettings } from '../config/settings.ts';
import type { Statements } from './sqlite-statements.ts';

/** Events beyond the limit before some are dropped; a tenth of the limit when that is less. */
export const TRIM_SLACK_EVENTS = 200;
/** Bytes beyond the budget before some are dropped (256 KiB); a tenth of the budget when that is less. */
export const TRIM_SLACK_BYTES = 256 * 1024;
/**
 * Events that one write drops, at most (about 10 ms), or twice as many as it adds. What is over after that (a huge event pushed
 * thousands of small ones out) goes with the next writes.
 */
export const TRIM_STEP_EVENTS = 1_000;

/** What a run's events amount to. */
export interface RunSize {
  /** Counted only where there is a limit. */
  events: number;
  /** UTF-8; counted only where there is a limit to them. */
  bytes: number;
  /** The last id that was dropped; 0-0: none. */
  trimmedMs: number;
  trimmedSeq: number;
}

export interface Trimmer {
  /** Counts what the file has of a run. */
  measure(key: number): { readonly events: number; readonly bytes: number };
  /** Counts an event that was written. */
  count(run: RunSize, payload: string): void;
  /** Drops what is too much, inside the transaction that wrote `added` events. */
  trim(run: RunSize & { readonly key: number }, added: number): void;
}

export function createTrimmer(sql: Statements, { maxEvents, maxBytes }: EventStreamSettings): Trimmer {
  const weighed = maxBytes !== null;
  const limited = maxEvents !== null || weighed;
  const eventLimit = maxEvents ?? Number.POSITIVE_INFINITY;
  const byteLimit = maxBytes ?? Number.POSITIVE_INFINITY;
  const eventsDue = eventLimit + Math.min(TRIM_SLACK_EVENTS, eventLimit / 10);
  const bytesDue = byteLimit + Math.min(TRIM_SLACK_BYTES, byteLimit / 10);

  return {
    measure: (key) => ({
      events: limited ? (sql.countEvents.get(key)?.events ?? 0) : 0,
      bytes: weighed ? (sql.countBytes.get(key)?.bytes ?? 0) : 0,
    }),
    count(run, payload) {
      if (limited) run.events += 1;
      if (weighed) run.bytes += Buffer.byteLength(payload);
    },
    trim(run, added) {
      if (run.events <= eventsDue && run.bytes <= bytesDue) return;
      const spare = Math.min(run.events - 2, Math.max(TRIM_STEP_EVENTS, 2 * added));
      if (spare < 1) return;
      const { ms, seq } = lastDropped(run) ?? sql.firstEvent.get(run.key) ?? { ms: 0, seq: 0 };
      let last: { readonly ms: number; readonly seq: number } | null = null;
      for (const row of sql.sizesAfter.iterate(run.key, ms, seq, spare)) {
        if (run.events <= eventLimit && run.bytes <= byteLimit) break;
        run.events -= 1;
        if (weighed) run.bytes -= row.bytes;
        last = row;
      }
      if (last === null) return;
      sql.deleteBetween.run(run.key, ms, seq, last.ms, last.seq);
      sql.trimRun.run(last.ms, last.seq, run.key);
      run.trimmedMs = last.ms;
      run.trimmedSeq = last.seq;
    },
  };
}

/** The id after which the events that may be dropped begin, once some were. */
function lastDropped({ trimmedMs, trimmedSeq }: RunSize): { readonly ms: number; readonly seq: number } | null {
  return trimmedMs === 0 && trimmedSeq === 0 ? null : { ms: trimmedMs, seq: trimmedSeq };
}
