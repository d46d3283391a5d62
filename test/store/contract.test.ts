import { createLive } from '../../src/store/live.ts';
import { runStoreContract, type StoreHarness } from '../contract/run-store.ts';
import { drivenClock, openSqlite, tempDirectory } from './helpers.ts';

async function harness(kind: 'file' | 'memory', live: boolean, retentionSeconds: number): Promise<StoreHarness> {
  const clock = drivenClock();
  const directory = tempDirectory();
  const sqlite = openSqlite(kind === 'file' ? directory.file('x.db') : ':memory:', { clock, retentionSeconds });
  const store = live ? createLive(sqlite) : sqlite;
  return {
    store,
    async passTime(seconds) {
      clock.micros += seconds * 1_000_000;
    },
    async close() {
      await store.close();
      directory.remove();
    },
  };
}

runStoreContract('a SQLite file', (retention) => harness('file', false, retention));
runStoreContract('SQLite in memory', (retention) => harness('memory', false, retention));
runStoreContract('a SQLite file behind the fan-out', (retention) => harness('file', true, retention));
