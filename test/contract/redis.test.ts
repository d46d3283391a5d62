// The store contract on a real Redis: plain, behind the fan-out, and as a user who may do no more than the store needs.

import { afterAll, beforeAll } from 'bun:test';
import { createLive } from '../../src/store/live.ts';
import { command, freshPrefix, openRedis, passTime } from '../store/redis-kit.ts';
import { documentedUser } from '../support/acl.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { runStoreContract, type StoreHarness } from './run-store.ts';

let server: RedisProcess;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.dispose());

async function harness(live: boolean, retentionSeconds: number, user = ''): Promise<StoreHarness> {
  const prefix = freshPrefix();
  if (user !== '') {
    const rules = documentedUser({ password: 'secret', prefix });
    await command(server, 'ACL', 'SETUSER', user, 'reset', ...rules);
  }
  const url = server.url.replace('//', user === '' ? '//' : `//${user}:secret@`);
  const redis = await openRedis(url, { prefix, retentionSeconds });
  const store = live ? createLive(redis, { tail: redis.tail }) : redis;
  return {
    store,
    passTime: (seconds) => passTime(server, prefix, seconds),
    close: () => store.close(),
  };
}

runStoreContract('Redis', (retention) => harness(false, retention));
runStoreContract('Redis behind the fan-out', (retention) => harness(true, retention));
runStoreContract('Redis with the least permissions', (retention) => harness(true, retention, 'least'));
