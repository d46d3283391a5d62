// Stores on a driven clock, in a directory of their own.

import { expect } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../src/base/clock.ts';
import { CodedError } from '../../src/base/errors.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import type { EventSubscription, StoredEvent } from '../../src/runs/ports.ts';
import { openSqliteStore, type SqliteStore, type SqliteStoreOptions } from '../../src/store/sqlite.ts';
import { RETENTION } from '../contract/kit.ts';

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

/** Everything until the end of the stream. */
export async function drain(subscription: EventSubscription): Promise<readonly StoredEvent[]> {
  const all: StoredEvent[] = [];
  for (;;) {
    const events = await subscription.next();
    if (events === null) return all;
    expect(events.length).toBeGreaterThan(0);
    all.push(...events);
  }
}

/** True when the promise is still pending after everything that could settle it had its turn. */
export async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  promise.then(
    () => (settled = true),
    () => (settled = true),
  );
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve));
  return !settled;
}

/** What opening fails with. */
export function refusal(open: () => unknown): CodedError {
  try {
    open();
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
  throw new Error('it opened');
}
