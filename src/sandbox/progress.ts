// How far a transfer is, on a terminal. Small transfers and pipes stay silent.

/** Below this nobody waits long enough to wonder, bytes (1 MB). */
const WORTH_SHOWING_BYTES = 1_000_000;
/** Between two updates of the line, ms. */
const INTERVAL_MS = 100;
/** A longer label would break the line, characters. */
const MAX_LABEL_CHARS = 50;

/** Where progress is written: standard error when it is a terminal, else nowhere. */
export interface ProgressLine {
  /** Overwrites the line. */
  show(text: string): void;
  /** Removes it. */
  clear(): void;
}

/** Counts the bytes of one transfer. */
export interface Meter {
  add(bytes: number): void;
  /** Removes the line. */
  end(): void;
}

/** `total`: bytes; null: unknown. */
export function createMeter(line: ProgressLine | null, label: string, total: number | null): Meter {
  const shownLabel = labelOf(label);
  let done = 0;
  let shownAt = Number.NEGATIVE_INFINITY;
  let dirty = false;
  return {
    add(bytes) {
      done += bytes;
      if (line === null || Math.max(done, total ?? 0) <= WORTH_SHOWING_BYTES) return;
      const now = performance.now();
      if (now - shownAt < INTERVAL_MS) return;
      shownAt = now;
      dirty = true;
      line.show(`${shownLabel} ${total === null ? `${megabytes(done)} MB` : part(done, total)}`);
    },
    end() {
      if (dirty) line?.clear();
      dirty = false;
    },
  };
}

/** File names are somebody else's: nothing in them moves the cursor. */
function labelOf(label: string): string {
  const clean = [...label.replaceAll(/\p{C}/gu, '?')];
  return clean.length <= MAX_LABEL_CHARS ? clean.join('') : `${clean.slice(0, MAX_LABEL_CHARS - 1).join('')}…`;
}

function part(done: number, total: number): string {
  return `${Math.min(100, Math.floor((100 * done) / total))} % of ${megabytes(total)} MB`;
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1);
}
