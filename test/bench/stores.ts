// The stores that benches run on: an SQLite file, or a redis-server of the bench's own (no persistence, like a cache-less
// production Redis between two fsyncs). Every measurement gets a fresh file or prefix.

import { join } from 'node:path';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { type TestServer, withFolder, withServer } from '../support/server.ts';

/** Where a server under measurement keeps its runs. */
export interface BenchStore {
  readonly name: 'sqlite' | 'redis';
  /** Null for SQLite. */
  readonly redis: RedisProcess | null;
  /** The server under measurement. Default: the compiled binary, built when stale. */
  readonly binary?: string;
  /** Runs `use` with the environment of a store that is empty. */
  withPlace<T>(use: (env: Readonly<Record<string, string>>) => Promise<T>): Promise<T>;
}

/** A store on Redis. */
export interface RedisBenchStore extends BenchStore {
  readonly redis: RedisProcess;
  dispose(): Promise<void>;
}

/** A new file per measurement. */
export const sqliteStore: BenchStore = {
  name: 'sqlite',
  redis: null,
  withPlace: (use) => withFolder((folder) => use({ DIFY_AGENT_STORE_URL: `sqlite:${join(folder, 'runs.db')}` })),
};

/** A Redis of the bench's own; emptied after each measurement. */
export async function startRedisStore(): Promise<RedisBenchStore> {
  const redis = await startRedis();
  return {
    name: 'redis',
    redis,
    async withPlace(use) {
      try {
        return await use({ DIFY_AGENT_STORE_URL: redis.url, DIFY_AGENT_REDIS_PREFIX: 'dify-agent-bench' });
      } finally {
        await redis.admin(async (client) => {
          await client.flushAll();
          await client.configResetStat();
        });
      }
    },
    dispose: () => redis.dispose(),
  };
}

/** A server on this store for the length of `use`; it stops without waiting for runs. */
export function withStore<T>(
  store: BenchStore,
  env: Readonly<Record<string, string>>,
  use: (server: TestServer) => Promise<T>,
): Promise<T> {
  const common = {
    DIFY_AGENT_LOG_LEVEL: 'info',
    DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0',
    // Said although it is the default: every figure is one without joined deltas.
    DIFY_AGENT_STREAM_TEXT_DELTA_COALESCING_ENABLED: 'false',
  };
  const which = store.binary === undefined ? {} : { binary: store.binary };
  return store.withPlace((place) =>
    withServer({ ...which, env: { ...place, ...common, ...env }, logsToFile: true }, use),
  );
}
