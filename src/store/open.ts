// Which store the settings ask for, opened and fanned out; and the look at it that `dify-agent check` takes.
// The only file of this room that app.ts and cli/ need. Of the two kinds only the one that is asked for is loaded.

import type { Clock } from '../base/clock.ts';
import type { Settings } from '../config/settings.ts';
import type { SessionRows } from '../managed/ports.ts';
import type { Logger } from '../observe/logger.ts';
import { NO_PROBE, type Probe } from '../observe/probe.ts';
import { createWire } from '../protocol/wire.ts';
import { StoreOpenError } from './errors.ts';
import { createLive, type LiveStore } from './live.ts';
import { probed } from './probed.ts';
import type { RedisAddress } from './redis-probe.ts';

/** What the room reads of the settings. */
export type StoreSettings = Pick<
  Settings,
  | 'storeUrl'
  | 'redisPrefix'
  | 'runRetentionSeconds'
  | 'storeOutageSeconds'
  | 'sqliteSynchronous'
  | 'runLeaseSeconds'
  | 'eventStream'
  | 'wireVintage'
  | 'runIndexEnabled'
> &
  Pick<RedisAddress, 'storeUrlVariable'>;

/** The store of runs with its rows of managed sessions. */
export interface OpenStore extends LiveStore {
  readonly sessions: SessionRows;
}

type StoreUrl = { readonly kind: 'sqlite'; readonly path: string } | { readonly kind: 'redis' };

/**
 * Opens the store that `storeUrl` names: `sqlite:PATH`, `sqlite::memory:`, `redis://` or `rediss://`.
 * @throws StoreOpenError: one line that names the variable and what to do.
 */
export async function openStore(
  settings: StoreSettings,
  deps: { readonly clock: Clock; readonly logger: Logger; readonly probe?: Probe },
): Promise<OpenStore> {
  const url = parseStoreUrl(settings.storeUrl);
  const { probe = NO_PROBE } = deps;
  if (url.kind === 'redis') return openRedisStore(settings, deps, probe);
  const { openSqliteStore } = await import('./sqlite.ts');
  const sqlite = openSqliteStore({
    path: url.path,
    retentionSeconds: settings.runRetentionSeconds,
    eventStream: settings.eventStream,
    synchronous: settings.sqliteSynchronous,
    ...deps,
  });
  const store = probed(sqlite, probe);
  // SQLite has lists by itself.
  const live = createLive(store, {
    lister: settings.runIndexEnabled === false ? null : store,
    clock: deps.clock,
  });
  return Object.assign(live, { sessions: sqlite.sessions });
}

/**
 * Says in a few words what the store is like; changes nothing and leaves nothing behind.
 * @throws StoreOpenError as openStore would.
 */
export async function probeStore(settings: StoreSettings): Promise<string> {
  const url = parseStoreUrl(settings.storeUrl);
  if (url.kind === 'redis') return (await import('./redis-probe.ts')).probeRedis(settings);
  const { probeDatabase } = await import('./sqlite-file.ts');
  return `sqlite:${url.path} (${probeDatabase(url.path)})`;
}

async function openRedisStore(
  settings: StoreSettings,
  { logger, clock }: { readonly logger: Logger; readonly clock: Clock },
  probe: Probe,
): Promise<OpenStore> {
  const [{ createRedisStore }, { openConnection }] = await Promise.all([
    import('./redis.ts'),
    import('./redis-probe.ts'),
  ]);
  const { connection, report } = await openConnection(settings, 'dify-agent');
  if (report.warning !== null) logger.warn(report.warning);
  const redis = createRedisStore({
    url: settings.storeUrl,
    description: report.description,
    prefix: settings.redisPrefix,
    retentionSeconds: settings.runRetentionSeconds,
    outageSeconds: settings.storeOutageSeconds,
    leaseSeconds: settings.runLeaseSeconds,
    eventStream: settings.eventStream,
    indexed: settings.runIndexEnabled === true,
    newerRecords: createWire(settings.wireVintage).newerKeys,
    logger,
    first: connection,
  });
  const live = createLive(probed(redis, probe), { tail: redis.tail, lease: redis.lease, lister: redis.lister, clock });
  return Object.assign(live, { sessions: redis.sessions });
}

function parseStoreUrl(text: string): StoreUrl {
  const scheme = /^([a-z]+):/i.exec(text)?.[1]?.toLowerCase();
  if (scheme === 'redis' || scheme === 'rediss') return { kind: 'redis' };
  const path = text.slice('sqlite:'.length);
  // `sqlite://name` would mean /name to the file system and ./name to its author; `sqlite:///var/x.db` is clear.
  if (scheme === 'sqlite' && path !== '' && !/^\/\/(?!\/)/.test(path)) return { kind: 'sqlite', path };
  // The value may hold a password: it is not repeated.
  throw new StoreOpenError(
    'store_url_invalid',
    'DIFY_AGENT_STORE_URL: expected sqlite:PATH, sqlite::memory:, redis://HOST or rediss://HOST',
  );
}
