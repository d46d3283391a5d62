// The store contract on a real Redis: plain, behind the fan-out, and as a user who may do no more than the store needs.

import { afterAll, beforeAll } from 'bun:test';
import type { RunStore } from '../../src/runs/ports.ts';
import { createLive } from '../../src/store/live.ts';
import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { command, freshPrefix, openRedis, passTime } from '../store/redis-kit.ts';
import { documentedUser } from '../support/acl.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import type { ContractOptions, StoreHarness } from './kit.ts';
import { runStoreContract } from './run-store.ts';

let server: RedisProcess;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.dispose());

/** Short: a test of a death waits for it. */
const LEASE_SECONDS = 1;

async function harness(live: boolean, indexed: boolean, options: ContractOptions, user = ''): Promise<StoreHarness> {
  const prefix = freshPrefix();
  if (user !== '') {
    const rules = documentedUser({ password: 'secret', prefix });
    await command(server, 'ACL', 'SETUSER', user, 'reset', ...rules);
  }
  const stores: RunStore[] = [];
  const another = async (port: number) => {
    const redis = await openRedis(`redis://${user === '' ? '' : `${user}:secret@`}127.0.0.1:${port}`, {
      prefix,
      retentionSeconds: options.retentionSeconds,
      leaseSeconds: LEASE_SECONDS,
      indexed,
      ...options.eventStream,
    });
    const store = live ? createLive(redis, { tail: redis.tail, lister: redis.lister }) : redis;
    stores.push(store);
    return store;
  };
  // The first process's way to Redis, cut for good when it dies: it cannot take leave, nor write any more.
  const proxy: CuttingProxy = await startCuttingProxy(server.port);
  const first = await another(proxy.port);
  return {
    store: first,
    lister: first.lister,
    passTime: (seconds) => passTime(server, prefix, seconds),
    async crash() {
      proxy.refusing = true;
      proxy.cut();
      return another(server.port);
    },
    another: () => another(server.port),
    async close() {
      await Promise.all(stores.map((store) => store.close()));
      await proxy.close();
    },
  };
}

const traits = { durable: true, shared: true, listed: true };
const unlisted = { ...traits, listed: false };
runStoreContract('Redis', (options) => harness(false, false, options), unlisted);
runStoreContract('Redis with an index, behind the fan-out', (options) => harness(true, true, options), traits);
runStoreContract('Redis with the least permissions', (options) => harness(true, true, options, 'least'), traits);
