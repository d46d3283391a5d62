// The store contract on SQLite: a file, memory, and a file behind the fan-out.

import { copyFileSync, existsSync } from 'node:fs';
import { createLive } from '../../src/store/live.ts';
import type { ContractOptions, StoreHarness } from '../contract/kit.ts';
import { runStoreContract } from '../contract/run-store.ts';
import { drivenClock, openSqlite, tempDirectory } from './helpers.ts';

async function harness(kind: 'file' | 'memory', live: boolean, options: ContractOptions): Promise<StoreHarness> {
  const clock = drivenClock();
  const directory = tempDirectory();
  const open = (path: string) => {
    const sqlite = openSqlite(path, { clock, ...options });
    return { store: live ? createLive(sqlite) : sqlite, lister: sqlite };
  };
  const path = directory.file('x.db');
  const { store, lister } = open(kind === 'file' ? path : ':memory:');
  const stores = [store];
  const crash = async () => {
    // What is on the disk at this moment is what the next process finds; the first keeps its own file.
    const copy = directory.file('after.db');
    for (const suffix of ['', '-wal']) if (existsSync(path + suffix)) copyFileSync(path + suffix, copy + suffix);
    const next = open(copy).store;
    stores.push(next);
    return next;
  };
  return {
    store,
    lister,
    async passTime(seconds) {
      clock.micros += seconds * 1_000_000;
    },
    ...(kind === 'file' ? { crash } : {}),
    async close() {
      for (const each of stores) await each.close();
      directory.remove();
    },
  };
}

const file = { durable: true, shared: false, listed: true };
runStoreContract('a SQLite file', (options) => harness('file', false, options), file);
runStoreContract('SQLite in memory', (options) => harness('memory', false, options), { ...file, durable: false });
runStoreContract('a SQLite file behind the fan-out', (options) => harness('file', true, options), file);
