// What can go wrong between a server and its Redis: killed, restarted, frozen, refusing, connections cut in the worst moment or
// gone silent. What must hold afterwards is redis-loop.ts's business.

import type { CuttingProxy } from '../fakes/cutting-proxy.ts';
import type { RedisOptions, RedisProcess } from '../support/redis-process.ts';
import type { TestServer } from '../support/server.ts';
import { until, within } from '../support/until.ts';

/** What a fault can reach. */
export interface World {
  readonly redis: RedisProcess;
  readonly proxy: CuttingProxy;
  /** Executes the runs. */
  readonly server: TestServer;
  /** Only reads them. */
  readonly reader: TestServer;
}

/** Something that goes wrong and is over when `strike` resolves. */
export interface Fault {
  readonly name: string;
  /** How Redis must keep its data to survive this. */
  readonly redis?: RedisOptions;
  /** For seconds nothing happens: others may be played beside. */
  readonly slow?: true;
  strike(world: World): Promise<void>;
}

/** The faults; `freezeMs` is how long Redis stands still. */
export function faults(freezeMs: number): readonly Fault[] {
  return [
    {
      name: 'kill -9 and restart, every write on disk',
      redis: { appendfsync: 'always' },
      strike: ({ redis }) => restart(redis, 'SIGKILL'),
    },
    {
      name: 'restart, writes on disk every second',
      redis: { appendfsync: 'everysec' },
      strike: ({ redis }) => restart(redis, 'SIGTERM'),
    },
    {
      name: `frozen for ${freezeMs / 1000} s`,
      slow: true,
      async strike({ redis }) {
        redis.freeze();
        await Bun.sleep(freezeMs); // the fault itself, not a wait for something
        redis.thaw();
      },
    },
    {
      name: 'out of memory (OOM) for a second',
      strike: ({ redis }) =>
        redis.admin(async (client) => {
          await client.configSet('maxmemory', '1');
          await Bun.sleep(1_000); // the outage itself
          await client.configSet('maxmemory', '0');
        }),
    },
    {
      name: 'a replica (READONLY) for a second',
      strike: ({ redis }) =>
        redis.admin(async (client) => {
          await client.replicaOf('127.0.0.1', 9);
          await Bun.sleep(1_000); // the outage itself
          await client.sendCommand(['REPLICAOF', 'NO', 'ONE']);
        }),
    },
    {
      name: 'every connection cut, three times',
      async strike({ proxy }) {
        for (let round = 0; round < 3; round += 1) {
          await until('a connection', () => proxy.open > 0);
          proxy.cut();
        }
      },
    },
    {
      name: 'cut between an append and its reply, three times',
      async strike({ proxy }) {
        for (let round = 0; round < 3; round += 1) await within('an append', proxy.cutReplyTo('EVALSHA'));
      },
    },
    {
      name: 'connections that go silent for ever',
      slow: true,
      async strike({ proxy }) {
        const before = proxy.accepted;
        proxy.mute();
        await until('another connection', () => proxy.accepted > before, { timeoutMs: 30_000 });
      },
    },
  ];
}

/**
 * Only for long suites on a disk that keeps up: while a slow one is still at the last second's writes, Redis acknowledges
 * more without having handed them over, and a kill then loses them.
 */
export const killWithEverysec: Fault = {
  name: 'kill -9 and restart, writes on disk every second',
  redis: { appendfsync: 'everysec' },
  strike: ({ redis }) => restart(redis, 'SIGKILL'),
};

async function restart(redis: RedisProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  await redis.end(signal);
  await Bun.sleep(300); // the outage itself
  await redis.start();
}
