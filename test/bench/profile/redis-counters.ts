// What a block of runs costs in Redis (spec 07 §6.1): commands, network bytes, bytes stored; and whether Redis itself was in trouble.

import { createClient } from 'redis';

/** Asking is not counted (spec 07 §6.1). */
const INTROSPECTION = ['flushdb', 'info', 'memory', 'ping', 'scan'];

/** A reading of the counters. Everything but the bytes stored only grows. */
export interface RedisReading {
  /** Calls, those inside scripts counted (INFO commandstats). */
  readonly commands: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** MEMORY USAGE of all keys under the prefix. */
  readonly storedBytes: number;
  readonly evictedKeys: number;
  readonly rejectedConnections: number;
}

/** A connection that reads counters. */
export interface RedisCounters {
  /** `stored`: also looks at every key of the prefix, which takes a while and belongs outside the measured time. */
  read(stored: boolean): Promise<RedisReading>;
  close(): void;
}

/** Connects. `prefix` without `:`. */
export async function openRedisCounters(url: string, prefix: string): Promise<RedisCounters> {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on('error', () => {});
  await client.connect();
  const number = (info: string, name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return {
    async read(stored) {
      const stats = await client.info('stats');
      const commandStats = await client.info('commandstats');
      const calls = [...commandStats.matchAll(/^cmdstat_([^:|]+)[^:]*:calls=(\d+)/gm)];
      return {
        commands: calls.reduce(
          (sum, [, name = '', count]) => sum + (INTROSPECTION.includes(name) ? 0 : Number(count)),
          0,
        ),
        receivedBytes: number(stats, 'total_net_input_bytes'),
        sentBytes: number(stats, 'total_net_output_bytes'),
        storedBytes: stored ? await storedBytes() : 0,
        evictedKeys: number(stats, 'evicted_keys'),
        rejectedConnections: number(stats, 'rejected_connections'),
      };
    },
    close: () => client.destroy(),
  };

  async function storedBytes(): Promise<number> {
    let sum = 0;
    for await (const keys of client.scanIterator({ MATCH: `${prefix}:*`, COUNT: 1_000 })) {
      const sizes = await Promise.all(keys.map((key) => client.memoryUsage(key)));
      for (const size of sizes) sum += size ?? 0;
    }
    return sum;
  }
}
