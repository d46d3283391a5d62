// The contract of session rows on SQLite and on a real Redis, also as a user who may do no more than the store needs.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { openSqlite, tempDirectory } from '../store/helpers.ts';
import { command, freshPrefix, openRedis } from '../store/redis-kit.ts';
import { documentedUser } from '../support/acl.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { rowOf, sessionRowsContract } from './session-rows.ts';

let server: RedisProcess;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.dispose());

sessionRowsContract('SQLite in memory', async () => {
  const store = openSqlite(':memory:');
  return { rows: store.sessions, runs: store, close: () => store.close() };
});

sessionRowsContract('a SQLite file', async () => {
  const directory = tempDirectory();
  const store = openSqlite(directory.file('x.db'));
  return {
    rows: store.sessions,
    runs: store,
    async close() {
      await store.close();
      directory.remove();
    },
  };
});

async function redis(user: string) {
  const prefix = freshPrefix();
  if (user !== '') {
    const rules = documentedUser({ password: 'secret', prefix });
    await command(server, 'ACL', 'SETUSER', user, 'reset', ...rules);
  }
  const url = `redis://${user === '' ? '' : `${user}:secret@`}127.0.0.1:${server.port}`;
  const store = await openRedis(url, { prefix });
  return { rows: store.sessions, runs: store, close: () => store.close() };
}

sessionRowsContract('Redis', () => redis(''));
sessionRowsContract('Redis with the least permissions', () => redis('least'));

test('rows of a SQLite file are there when it is opened again', async () => {
  const directory = tempDirectory();
  try {
    const first = openSqlite(directory.file('x.db'));
    const row = rowOf('a', { body: 'large', tenant: 't' });
    await first.sessions.save(row, null);
    await first.close();
    const second = openSqlite(directory.file('x.db'));
    expect(await second.sessions.load('a', { body: true })).toEqual({ ...row, body: 'large' });
    await second.close();
  } finally {
    directory.remove();
  }
});

test('keys of a Redis that holds sessions begin with the prefix, and none is left of removed ones', async () => {
  const prefix = freshPrefix();
  const store = await openRedis(server.url, { prefix });
  const row = rowOf('a', { body: 'large', tenant: 't' });
  await store.sessions.save(row, null);
  const sessionKeys = () => command(server, 'KEYS', `${prefix}:x:session:*`);
  expect(await sessionKeys()).toHaveLength(5);
  await store.sessions.remove(row);
  expect(await sessionKeys()).toHaveLength(0);
  await store.close();
});
