// What the tests of the Redis store share: a store on a prefix of its own.

import { type LogFields, type Logger, noopLogger } from '../../src/observe/logger.ts';
import { createRedisStore, type RedisStore } from '../../src/store/redis.ts';
import { dial } from '../../src/store/redis-connection.ts';
import { RETENTION } from '../contract/kit.ts';
import type { RedisProcess } from '../support/redis-process.ts';

/** Shortens the time to live of all keys that match ARGV[1] by ARGV[2] ms; those at their end are gone. */
const AGE = `
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local left = redis.call('PTTL', key)
  if left >= 0 and left <= tonumber(ARGV[2]) then redis.call('DEL', key)
  elseif left >= 0 then redis.call('PEXPIRE', key, left - ARGV[2]) end
end`;

/** Lets time pass for the keys of a prefix. */
export async function passTime(server: RedisProcess, prefix: string, seconds: number): Promise<void> {
  await command(server, 'EVAL', AGE, '0', `${prefix}:*`, String(seconds * 1000));
}

/** Runs a command as the operator would. RESP2: maps are flat lists. */
export async function command(server: RedisProcess, ...words: readonly string[]): Promise<unknown> {
  return server.admin((client) => client.sendCommand([...words]));
}

let prefixes = 0;

/** A prefix that no other test uses. */
export function freshPrefix(): string {
  prefixes += 1;
  return `t${process.pid}-${prefixes}`;
}

export interface OpenOptions {
  readonly prefix?: string;
  readonly retentionSeconds?: number;
  readonly outageSeconds?: number;
  /** Default: as in production. */
  readonly leaseSeconds?: number;
  /** Default: null, nothing is dropped. */
  readonly maxEvents?: number | null;
  readonly maxBytes?: number | null;
  /** Default: no index is kept. */
  readonly indexed?: boolean;
  /** Default: records as the seed has them. */
  readonly newerRecords?: boolean;
  readonly logger?: Logger;
}

export async function openRedis(url: string, options: OpenOptions = {}): Promise<RedisStore> {
  return createRedisStore({
    url,
    description: 'redis under test',
    prefix: options.prefix ?? freshPrefix(),
    retentionSeconds: options.retentionSeconds ?? RETENTION,
    outageSeconds: options.outageSeconds ?? 30,
    leaseSeconds: options.leaseSeconds ?? 30,
    eventStream: { maxEvents: options.maxEvents ?? null, maxBytes: options.maxBytes ?? null },
    indexed: options.indexed ?? false,
    newerRecords: options.newerRecords ?? false,
    logger: options.logger ?? noopLogger,
    first: await dial({ url, name: 'test' }),
  });
}

/** A logger that keeps what it is told. */
export function listLogger(): Logger & { readonly entries: { level: string; message: string; fields: LogFields }[] } {
  const entries: { level: string; message: string; fields: LogFields }[] = [];
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void entries.push({ level, message, fields });
  const logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), entries };
  return { ...logger, child: () => ({ ...logger, child: () => noopLogger }) };
}
