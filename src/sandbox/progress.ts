// How far a transfer is, on a terminal. Small transfers and pipes stay silent.

/** Below this nobody waits long enough to wonder, bytes (1 MB). */
const WORTH_SHOWING_BYTES = 1_000_000;
/** Between two updates of the line, ms. */
const INTERVAL_MS = 100;

/** Where progress is written: standard error when it is a terminal, else nowhere. */
export interface ProgressLine {
  /** Overwrites the line. */
  show(text: string): void;
  /** Removes it. */
  clear(): void;
}

/** Counts the bytes of one transfer. `total` null: unknown. */
export function createMeter(line: ProgressLine | null, label: string, total: number | null) {
  let done = 0;
  let shown = 0;
  let dirty = false;
  return {
    add(bytes: number): void {
      done += bytes;
      if (line === null || Math.max(done, total ?? 0) < WORTH_SHOWING_BYTES) return;
      const now = performance.now();
      if (now - shown < INTERVAL_MS) return;
      shown = now;
      dirty = true;
      line.show(total === null || total === 0 ? `${label} ${megabytes(done)} MB` : percent(label, done, total));
    },
    end(): void {
      if (dirty) line?.clear();
    },
  };
}

function percent(label: string, done: number, total: number): string {
  return `${label} ${Math.floor((100 * done) / total)} % of ${megabytes(total)} MB`;
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(1);
}
