// Variables of the store: where runs are kept, for how long, how much of each, declared in the shape of the Settings that they fill (settings.ts). variables.ts puts the groups together.

import { anyText, optionally, redisUrl, storeUrl } from '../formats.ts';
import type { RawSettings } from '../raw.ts';
import { choice, decimal, integer, optionalInteger, SECONDS, type VariableTree, variable } from '../variable.ts';

/** The longest retention whose end is still an exact integer of microseconds (2^53) when counted from now. */
const MAX_RETENTION_SECONDS = 7_000_000_000;

type StoreSettings = Pick<
  RawSettings,
  | 'storeUrl'
  | 'redisUrl'
  | 'redisPrefix'
  | 'runRetentionSeconds'
  | 'storeOutageSeconds'
  | 'runLeaseSeconds'
  | 'eventStream'
  | 'sqliteSynchronous'
>;

export const storeVariables: VariableTree<StoreSettings> = {
  storeUrl: variable({
    name: 'DIFY_AGENT_STORE_URL',
    description:
      'Where runs and their events are kept. `sqlite:./dify-agent.db` needs no other service. Unset or blank: `DIFY_AGENT_REDIS_URL`.',
    allowed: '`sqlite:PATH`, `sqlite::memory:`, `redis://…` or `rediss://…`',
    default: null,
    url: true,
    parse: optionally(storeUrl),
  }),
  redisUrl: variable({
    name: 'DIFY_AGENT_REDIS_URL',
    description: 'The Redis to use when `DIFY_AGENT_STORE_URL` is unset.',
    allowed: '`redis://…` or `rediss://…`',
    default: 'redis://localhost:6379/0',
    url: true,
    parse: redisUrl,
  }),
  redisPrefix: variable({
    name: 'DIFY_AGENT_REDIS_PREFIX',
    description: 'Prefix of every key in Redis. Servers that share a Redis and a prefix see the same runs.',
    allowed: 'text',
    default: 'dify-agent',
    parse: anyText,
  }),
  sqliteSynchronous: choice({
    name: 'DIFY_AGENT_SQLITE_SYNCHRONOUS',
    description:
      'When SQLite waits for the disk. `normal`: what is acknowledged survives the death of the process, and a power cut may take the last moments. `full`: it survives a power cut too; every commit waits.',
    default: 'normal',
    choices: ['normal', 'full'],
  }),
  runRetentionSeconds: integer({
    name: 'DIFY_AGENT_RUN_RETENTION_SECONDS',
    description: 'How long a run and its events are kept after the last write. The default is three days.',
    default: 259_200,
    min: 1,
    max: MAX_RETENTION_SECONDS,
    unit: 'seconds',
  }),
  storeOutageSeconds: decimal({
    name: 'DIFY_AGENT_STORE_OUTAGE_SECONDS',
    description:
      'How long running runs go on while Redis is away; their events are kept in memory meanwhile. After that they fail with reason `store_unavailable`.',
    default: 30,
    ...SECONDS,
  }),
  runLeaseSeconds: integer({
    name: 'DIFY_AGENT_RUN_LEASE_SECONDS',
    description:
      'Redis: how long a server may be silent before the others take it for dead. Its runs then end with reason `worker_lost`, within twice this time. SQLite has one server and needs no lease.',
    default: 30,
    min: 2,
    max: 3_600,
    unit: 'seconds',
  }),
  eventStream: {
    maxEvents: optionalInteger({
      name: 'DIFY_AGENT_RUN_EVENT_STREAM_MAX_LENGTH',
      description:
        'How many events of a run are kept, roughly: the oldest are dropped, but never the first and the last. Unset: all, or 5000 with wire vintage `2026-08`.',
      min: 1,
      max: 1_000_000_000,
    }),
    maxBytes: optionalInteger({
      name: 'DIFY_AGENT_RUN_EVENT_STREAM_MAX_BYTES',
      description:
        'How many bytes of events of a run are kept, roughly: the oldest are dropped, but never the first and the last. Unset: all.',
      min: 1024,
      max: 1_000_000_000_000,
      unit: 'bytes',
    }),
  },
};
