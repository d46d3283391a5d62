// Stores on a driven clock, in a directory of their own.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../src/base/clock.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import { openSqliteStore, type SqliteStore, type SqliteStoreOptions } from '../../src/store/sqlite.ts';
import { RETENTION } from '../contract/run-store.ts';

/** A clock that moves when it is told to. */
export interface DrivenClock extends Clock {
  micros: number;
}

export function drivenClock(micros = 1_780_388_130_204_117): DrivenClock {
  return {
    micros,
    nowMicros() {
      return this.micros;
    },
  };
}

/** A fresh directory and how to remove it. */
export function tempDirectory(): { readonly path: string; file(name: string): string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'dify-agent-store-'));
  return { path, file: (name) => join(path, name), remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function openSqlite(path: string, options: Partial<SqliteStoreOptions> = {}): SqliteStore {
  return openSqliteStore({
    path,
    retentionSeconds: RETENTION,
    clock: drivenClock(),
    logger: noopLogger,
    ...options,
  });
}
