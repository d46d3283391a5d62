// The contract on every store there is, and what each of them does beside it.

import { describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { memorySessionStore, SessionStoreError } from '../../src/sessions/index.ts';
import { redisSessionStore } from '../../src/sessions/redis.ts';
import { openSqliteSessionStore } from '../../src/sessions/sqlite.ts';
import { startRedis, withRedis } from '../support/redis-process.ts';
import { withFolder } from '../support/server.ts';
import { active, cleanup, newScope } from './kit.ts';
import { runStoreContract } from './store-contract.ts';

runStoreContract('memory', async () => ({
  shared: false,
  open: async (options) => memorySessionStore(options),
  dispose: async () => {},
}));

for (const driver of ['bun', 'node'] as const) {
  runStoreContract(`SQLite by ${driver}:sqlite`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'dify-agent-sessions-'));
    return {
      shared: true,
      open: (options) => openSqliteSessionStore(join(folder, 'sessions.db'), { ...options, driver }),
      broken: async () => {
        const store = await openSqliteSessionStore(join(folder, 'broken.db'), { driver });
        await store.close();
        return store;
      },
      dispose: async () => rmSync(folder, { recursive: true, force: true }),
    };
  });
}

runStoreContract('Redis', async () => {
  const redis = await startRedis();
  const clients: { destroy(): void }[] = [];
  const connect = async () => {
    const client = createClient({ url: redis.url, socket: { reconnectStrategy: false } });
    client.on('error', () => {});
    await client.connect();
    clients.push(client);
    return client;
  };
  return {
    shared: true,
    open: async (options) => redisSessionStore(await connect(), options),
    broken: async () => {
      const client = await connect();
      client.destroy();
      return redisSessionStore(client);
    },
    dispose: async () => {
      for (const client of clients) {
        try {
          client.destroy();
        } catch {
          // One is closed already.
        }
      }
      await redis.dispose();
    },
  };
});

describe('SQLite', () => {
  test('the file is for its owner alone', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'sessions.db');
      const store = await openSqliteSessionStore(path);
      expect(statSync(path).mode & 0o777).toBe(0o600);
      await store.close();
      await store.close();
    }));

  test('what was saved is there after closing and opening', () =>
    withFolder(async (folder) => {
      const scope = newScope();
      const path = join(folder, 'sessions.db');
      const first = await openSqliteSessionStore(path, { synchronous: 'full' });
      const rev = await first.save(scope, active(), null, { enqueue: [cleanup('one', scope)] });
      await first.close();
      const second = await openSqliteSessionStore(path);
      expect(await second.load(scope)).toEqual({ ...active(), scope, rev });
      expect(await second.claim({ limit: 5, leaseMs: 1_000 })).toHaveLength(1);
      expect(await second.save(scope, active(), rev)).toBeGreaterThan(rev);
      await second.close();
    }));

  test('a path that cannot be opened is told', async () => {
    await expect(openSqliteSessionStore('/nowhere/at/all.db')).rejects.toThrow(SessionStoreError);
    expect(existsSync('/nowhere')).toBe(false);
  });

  test('a file that is no database is told', () =>
    withFolder(async (folder) => {
      const path = join(folder, 'text');
      await Bun.write(path, 'no database, but a text that is long enough to look like one '.repeat(50));
      await expect(openSqliteSessionStore(path)).rejects.toThrow(/SQLite: .*not a database/);
    }));

  test('a row that somebody changed by hand is an error of the store, not of the program', () =>
    withFolder(async (folder) => {
      const { Database } = await import('bun:sqlite');
      const path = join(folder, 'sessions.db');
      const store = await openSqliteSessionStore(path);
      const scope = newScope();
      await store.save(scope, active(), null);
      const db = new Database(path);
      db.run("UPDATE agent_session SET state = '[]'");
      db.close();
      await expect(store.load(scope)).rejects.toThrow('the store has an unreadable session');
      await store.close();
    }));
});

describe('Redis', () => {
  test('a server that has lost its scripts gets them again', () =>
    withRedis({}, async (redis) => {
      await redis.admin(async (client) => {
        const store = redisSessionStore(client);
        const scope = newScope();
        const rev = await store.save(scope, active(), null);
        await client.sendCommand(['SCRIPT', 'FLUSH']);
        expect(await store.load(scope)).toEqual({ ...active(), scope, rev });
      });
    }));

  test('everything is under the prefix, in one slot of a cluster, and nothing is left of what is over', () =>
    withRedis({}, async (redis) => {
      await redis.admin(async (client) => {
        const store = redisSessionStore(client, { prefix: 'my:sessions' });
        const scope = newScope();
        const rev = await store.save(scope, active(), null, { enqueue: [cleanup('one', scope)] });
        await store.beginTurn(scope, 'token', 60_000);
        const keys = await client.keys('*');
        expect(keys.length).toBeGreaterThan(5);
        expect(keys.filter((key) => !key.startsWith('{my:sessions}:'))).toEqual([]);
        await store.endTurn(scope, 'token');
        for (const entry of await store.claim({ limit: 1, leaseMs: 1 })) await store.done(entry);
        await store.save(scope, { ...active(), status: 'cleaned' }, rev);
        await store.purge(-1_000);
        expect(await client.keys('*')).toEqual(['{my:sessions}:rev']);
      });
    }));

  test('a prefix that would break the slot is refused', () => {
    const client = { sendCommand: async () => null };
    expect(() => redisSessionStore(client, { prefix: 'a{b}' })).toThrow(TypeError);
    expect(() => redisSessionStore(client, { prefix: '' })).toThrow(TypeError);
  });
});
