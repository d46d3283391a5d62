// What becomes of the ends of runs while Redis is away or refuses: runs that are cancelled before or during that, whose time is
// up, whose model answers, or which simply go on. Every one ends as it would have, once, when Redis is back.

import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { lastItem } from '../fakes/plugin-daemon.ts';
import { follow, poll } from '../support/patient-client.ts';
import type { RedisOptions, RedisProcess } from '../support/redis-process.ts';
import { get } from '../support/runs.ts';
import { until } from '../support/until.ts';
import { checkedEnd, dataOf, mustEqual, type RunEnd } from './checks.ts';
import { type Site, startFed, withSite } from './site.ts';
import { CANCEL, cancel, mustCancel, untilSaid } from './watching.ts';

/** Redis and the way there. */
interface Reach {
  readonly redis: RedisProcess;
  readonly proxy: CuttingProxy;
}

/** Something that makes Redis unusable until it is taken back. */
export interface Outage {
  readonly name: string;
  /** How Redis must keep its data to survive this. */
  readonly redis?: RedisOptions;
  begin(reach: Reach): Promise<void> | void;
  end(reach: Reach): Promise<void> | void;
}

export const OUTAGES: readonly Outage[] = [
  {
    name: 'stopped and started again',
    redis: { appendfsync: 'everysec' },
    begin: ({ redis }) => redis.end('SIGTERM'),
    end: ({ redis }) => redis.start(),
  },
  {
    name: 'killed with kill -9 and started again, every write on disk',
    redis: { appendfsync: 'always' },
    begin: ({ redis }) => redis.end('SIGKILL'),
    end: ({ redis }) => redis.start(),
  },
  { name: 'frozen', begin: ({ redis }) => redis.freeze(), end: ({ redis }) => redis.thaw() },
  {
    name: 'out of memory (OOM)',
    begin: ({ redis }) => configure(redis, 'maxmemory', '1'),
    end: ({ redis }) => configure(redis, 'maxmemory', '0'),
  },
  {
    name: 'a replica (READONLY)',
    begin: ({ redis }) => redis.admin(async (client) => void (await client.replicaOf('127.0.0.1', 9))),
    end: ({ redis }) => redis.admin(async (client) => void (await client.sendCommand(['REPLICAOF', 'NO', 'ONE']))),
  },
  {
    name: 'behind a network that was cut',
    begin({ proxy }) {
      proxy.refusing = true;
      proxy.cut();
    },
    end({ proxy }) {
      proxy.refusing = false;
    },
  },
  {
    name: 'behind a network that swallows everything',
    begin({ proxy }) {
      proxy.stuck = true;
    },
    end({ proxy }) {
      proxy.stuck = false;
    },
  },
];

async function configure(redis: RedisProcess, name: string, value: string): Promise<void> {
  await redis.admin((client) => client.configSet(name, value));
}

/** Longer than the pause between two attempts to reach Redis: a lease that runs out in an outage condemns nobody. */
const LEASE_SECONDS = '10';
/** How long an agent may work in the process that has a limit, seconds. Shorter than every outage. */
const RUN_TIMEOUT = '2';

/** Plays one outage of `outageMs`. Throws with what was wrong with a run. */
export function outageRound(outage: Outage, outageMs: number): Promise<void> {
  const options = { ...(outage.redis === undefined ? {} : { redis: outage.redis }), env: ENV };
  return withSite('redis', options, async (site) => {
    const { redis } = site;
    if (redis === null) throw new Error('no Redis');
    const proxy = await startCuttingProxy(redis.port);
    try {
      await playOutage(outage, outageMs, site, { redis, proxy });
    } finally {
      await proxy.close();
    }
  });
}

const ENV = { DIFY_AGENT_RUN_LEASE_SECONDS: LEASE_SECONDS };

async function playOutage(outage: Outage, outageMs: number, site: Site, reach: Reach): Promise<void> {
  const { daemon } = site;
  const way = { DIFY_AGENT_STORE_URL: `redis://127.0.0.1:${reach.proxy.port}/0` };
  const timed = { ...way, DIFY_AGENT_RUN_TIMEOUT_SECONDS: RUN_TIMEOUT };
  const servers = await Promise.all([site.start(way), site.start(way), site.start(timed)]);
  const [owner, beside, limited] = servers;
  const chunks = Math.ceil((outageMs + 1_000) / GAP_MS);
  const runs = {
    streaming: await startFed(owner, daemon, ['x', { repeat: chunks, text: 'y', gap_ms: GAP_MS }, lastItem()]),
    answered: await startFed(owner, daemon, ['x', { delay: outageMs / 2 + 500 }, 'z', lastItem()]),
    cancelledBefore: await startFed(owner, daemon, ['x', { hang: true }]),
    cancelledDuring: await startFed(owner, daemon, ['x', { hang: true }]),
    late: '',
  };
  for (const runId of Object.values(runs)) if (runId !== '') await untilSaid(beside, runId, 'part_start');
  runs.late = await startFed(limited, daemon, ['x', { hang: true }]);
  await untilSaid(beside, runs.late, 'part_start');
  const patience = { timeoutMs: outageMs + 30_000 };
  const followed = Promise.all(Object.values(runs).map((runId) => follow(beside.url, runId, patience)));
  const polled = Promise.all(Object.values(runs).map((runId) => poll(owner.url, runId, patience)));
  followed.catch(() => {}); // awaited below
  polled.catch(() => {});

  await mustCancel(beside.url, runs.cancelledBefore);
  await outage.begin(reach);
  const begun = performance.now();
  const wishing = until(
    'the cancel to be taken',
    async () => (await cancel(owner.url, runs.cancelledDuring)).status === 200,
    { timeoutMs: outageMs + 20_000, everyMs: 100 },
  );
  wishing.catch(() => {});
  await Bun.sleep(outageMs - (performance.now() - begun)); // the outage itself
  await outage.end(reach);
  await wishing;

  const told = await followed;
  for (const [i, pages] of (await polled).entries()) {
    mustEqual('what was polled meanwhile', pages, dataOf(told[i]?.frames ?? []));
  }
  await until('all to be ready again', async () => {
    const answers = await Promise.all(servers.map(({ url }) => get(`${url}/readyz`)));
    return answers.every(({ status }) => status === 200);
  });
  const ends: Record<string, RunEnd> = {};
  for (const [name, runId] of Object.entries(runs)) {
    const seen = told.find(({ frames }) => frames[0]?.data.includes(runId) === true)?.frames;
    ends[name] = await checkedEnd(owner.url, runId, seen);
  }
  mustEqual('the answer that was streamed', [String(ends.streaming?.terminal.output)], [`x${'y'.repeat(chunks)}`]);
  mustEqual('the answer that came meanwhile', [String(ends.answered?.terminal.output)], ['xz']);
  for (const name of ['cancelledBefore', 'cancelledDuring']) {
    mustEqual(`the end of ${name}`, [JSON.stringify(ends[name]?.terminal)], [JSON.stringify(CANCEL)]);
  }
  const limit = `Agent run exceeded the configured limit of ${RUN_TIMEOUT} seconds`;
  mustEqual('the end of the one that took too long', [String(ends.late?.terminal.error)], [limit]);
}

const GAP_MS = 25;
