// The lines of all runs that this process writes, and what can be asked of them together.

import type { RunKeys } from './redis-keys.ts';
import { type LineSettings, RunLine } from './redis-line.ts';

/** How long it is remembered that an end was given up in doubt, ms; longer than its caller tries again (runs/sink.ts). */
const LOST_END_MS = 600_000;

export interface RunLines extends Iterable<RunLine> {
  /** The run's line, a new one if there is none. */
  of(runId: string): RunLine;
  find(runId: string): RunLine | undefined;
  /** This process does not execute the run any more. */
  leave(runId: string): void;
  /** Forgets a line that has nothing to send and nothing to remember. */
  release(line: RunLine): void;
  /** Nothing waits anywhere. */
  readonly idle: boolean;
  /** Lines that something waits in. */
  waiting(): readonly RunLine[];
  /** Keys of the runs that this process executes: they must not expire. */
  activeKeys(): readonly RunKeys[];
}

export function createLines(keysOf: (runId: string) => RunKeys, settings: LineSettings): RunLines {
  const lines = new Map<string, RunLine>();

  function release(line: RunLine): void {
    if (line.writes.length === 0 && !line.active && line.lostEnd === null) lines.delete(line.runId);
  }

  const waiting = () => [...lines.values()].filter((line) => line.writes.length > 0);

  return {
    of(runId) {
      let line = lines.get(runId);
      if (line === undefined) {
        line = new RunLine(runId, keysOf(runId), settings);
        lines.set(runId, line);
      }
      return line;
    },
    find: (runId) => lines.get(runId),
    leave(runId) {
      const line = lines.get(runId);
      if (line === undefined) return;
      line.active = false;
      release(line);
    },
    release,
    get idle() {
      for (const line of lines.values()) if (line.writes.length > 0) return false;
      return true;
    },
    waiting,
    activeKeys() {
      const now = performance.now();
      const keys: RunKeys[] = [];
      for (const line of lines.values()) {
        if (line.active) keys.push(line.keys);
        else if (line.writes.length > 0) continue;
        else if (line.lostEnd === null || now - line.lostAt > LOST_END_MS) lines.delete(line.runId);
      }
      return keys;
    },
    [Symbol.iterator]: () => lines.values(),
  };
}
