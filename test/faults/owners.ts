// Several server processes on one Redis when some of them die, sleep or lose the network: whose runs are ended by whom, and that
// everybody sees the same end. Kills at exact steps of a run are kill-points.ts's.

import { startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { lastItem } from '../fakes/plugin-daemon.ts';
import { poll } from '../support/patient-client.ts';
import { runStatus, runToEnd, scripted } from '../support/runs.ts';
import type { TestServer } from '../support/server.ts';
import { until, within } from '../support/until.ts';
import { checkedEnd, dataOf, mustEqual } from './checks.ts';
import { LEASE_MS } from './kill-points.ts';
import { type Site, startFed } from './site.ts';
import { mustCancel, untilSaid, watchRun } from './watching.ts';

/** What happens to processes. `runs`: how many each of them has. */
export interface OwnerFault {
  readonly name: string;
  /** Returns how long after the fault the last of the runs was seen to be over, ms. */
  play(site: Site, runs: number): Promise<number>;
}

export const OWNER_FAULTS: readonly OwnerFault[] = [
  {
    name: 'one of three is killed: both others show the ends on open streams, pages and status',
    play: (site, runs) => killSome(site, runs, 1),
  },
  {
    name: 'two of three are killed at once',
    play: (site, runs) => killSome(site, runs, 2),
  },
  {
    name: 'all are killed, and one starts when their leases have run out: its first answers show the ends',
    async play(site, runs) {
      const owner = await site.start();
      const runIds = await startRuns(site, owner, runs);
      await killed(owner);
      const struckAt = performance.now();
      await until('the lease to run out', () => leases(site, 0), { timeoutMs: 2 * LEASE_MS });
      const next = await site.start();
      for (const runId of runIds)
        mustEqual('the first status', [(await runStatus(next.url, runId)).status], ['failed']);
      const took = performance.now() - struckAt;
      await checkEnds(next, runIds, 'worker_lost');
      return took;
    },
  },
  {
    name: 'all are killed, and one starts at once',
    async play(site, runs) {
      const owner = await site.start();
      const runIds = await startRuns(site, owner, runs);
      await killed(owner);
      const struckAt = performance.now();
      const next = await site.start();
      const took = await seenEnds(next, runIds, struckAt);
      await checkEnds(next, runIds, 'worker_lost');
      return took;
    },
  },
  {
    name: 'one sleeps for longer than its lease: others end its runs, it stops them, and writes nothing more to them',
    async play(site, runs) {
      const { daemon } = site;
      const [owner, beside] = await Promise.all([site.start(), site.start()]);
      const runIds = await startRuns(site, owner, runs, 20);
      const cancelled = await startFed(owner, daemon, ['x', { repeat: 100_000, text: 'y', gap_ms: 20 }, lastItem()]);
      await untilSaid(owner, cancelled, 'part_start');
      owner.kill('SIGSTOP');
      const struckAt = performance.now();
      await mustCancel(beside.url, cancelled);
      const took = await seenEnds(beside, [...runIds, cancelled], struckAt);
      const before = await Promise.all([...runIds, cancelled].map((runId) => poll(beside.url, runId)));
      owner.kill('SIGCONT');
      // It has chunks of the daemon to write, and nobody takes them.
      await stopsThem(site, owner, runs + 1);
      const after = await Promise.all([...runIds, cancelled].map((runId) => poll(owner.url, runId)));
      mustEqual('what was there while it slept', after.flat(), before.flat());
      await checkEnds(owner, runIds, 'worker_lost');
      mustEqual('the cancelled one', [(await checkedEnd(owner.url, cancelled)).status.status], ['cancelled']);
      await worksAgain(site, owner, beside);
      return took;
    },
  },
  {
    name: 'one loses the network to Redis for longer than its lease: likewise',
    async play(site, runs) {
      const proxy = await startCuttingProxy(site.redis?.port ?? 0);
      try {
        const way = { DIFY_AGENT_STORE_URL: `redis://127.0.0.1:${proxy.port}/0` };
        const [owner, beside] = await Promise.all([site.start(way), site.start()]);
        const runIds = await startRuns(site, owner, runs, 20);
        proxy.refusing = true;
        proxy.cut();
        const struckAt = performance.now();
        const took = await seenEnds(beside, runIds, struckAt);
        const before = await Promise.all(runIds.map((runId) => poll(beside.url, runId)));
        proxy.refusing = false;
        await stopsThem(site, owner, runs);
        const after = await Promise.all(runIds.map((runId) => poll(owner.url, runId)));
        mustEqual('what was there meanwhile', after.flat(), before.flat());
        await checkEnds(owner, runIds, 'worker_lost');
        await worksAgain(site, owner, beside);
        // Not through the proxy, which is about to go.
        mustEqual('the exit', [JSON.stringify(await owner.stop())], [JSON.stringify({ code: 0, signal: null })]);
        return took;
      } finally {
        await proxy.close();
      }
    },
  },
  {
    name: 'one is stopped with SIGKILL while it leaves: what it had let go is nobody’s and ends',
    async play(site, runs) {
      const [owner, beside] = await Promise.all([site.start({ DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0' }), site.start()]);
      const runIds = await startRuns(site, owner, runs);
      const struckAt = performance.now();
      owner.kill('SIGTERM');
      await Bun.sleep(5); // somewhere in its shutdown
      await killed(owner);
      const took = await seenEnds(beside, runIds, struckAt);
      for (const runId of runIds) {
        const { terminal } = await checkedEnd(beside.url, runId);
        if (terminal.reason !== 'shutdown') mustEqual('the reason', [String(terminal.reason)], ['worker_lost']);
      }
      return took;
    },
  },
];

/** Three processes with runs, of which `victims` are killed at the same moment. */
async function killSome(site: Site, runs: number, victims: number): Promise<number> {
  const servers = await Promise.all([site.start(), site.start(), site.start()]);
  const [dying, living] = [servers.slice(0, victims), servers.slice(victims)];
  const lost = (await Promise.all(dying.map((server) => startRuns(site, server, runs)))).flat();
  const kept = (await Promise.all(living.map((server) => startRuns(site, server, 1)))).flat();
  const watches = living.flatMap(({ url }) => lost.map((runId) => ({ runId, ...watchRun(url, runId) })));
  await until('the streams', () => watches.every(({ frames }) => frames.length > 2));
  for (const server of dying) server.kill('SIGKILL');
  const struckAt = performance.now();
  const polled = living.map(({ url }) => Promise.all(lost.map((runId) => poll(url, runId))));
  await within('the ends on open streams', Promise.all(watches.map(({ over }) => over)), 4 * LEASE_MS);
  const took = performance.now() - struckAt;
  const [first = []] = await Promise.all(polled);
  for (const pages of await Promise.all(polled)) mustEqual('what was polled', pages.flat(), first.flat());
  for (const { runId, frames } of watches) {
    mustEqual('what was streamed', dataOf(frames), first[lost.indexOf(runId)] ?? []);
  }
  for (const server of living) await checkEnds(server, lost, 'worker_lost');
  for (const runId of kept)
    mustEqual('a run of who lives', [(await runStatus(living[0]?.url ?? '', runId)).status], ['running']);
  return took;
}

/** Runs that go on for ever; with `gapMs`, saying something so often. */
function startRuns({ daemon }: Site, server: TestServer, count: number, gapMs?: number): Promise<readonly string[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const more = gapMs === undefined ? { hang: true as const } : { repeat: 100_000, text: 'y', gap_ms: gapMs };
      const runId = await startFed(server, daemon, ['x', more]);
      await untilSaid(server, runId, 'part_start');
      return runId;
    }),
  );
}

async function killed(server: TestServer): Promise<void> {
  server.kill('SIGKILL');
  await within('the end of a process', server.exited);
}

/** Follows runs until each is over; how long after the fault that was. */
async function seenEnds({ url }: TestServer, runIds: readonly string[], struckAt: number): Promise<number> {
  await within('the ends', Promise.all(runIds.map((runId) => watchRun(url, runId).over)), 4 * LEASE_MS);
  return performance.now() - struckAt;
}

async function checkEnds({ url }: TestServer, runIds: readonly string[], reason: string): Promise<void> {
  for (const runId of runIds) {
    const { terminal } = await checkedEnd(url, runId);
    mustEqual(`the reason of ${runId}`, [String(terminal.reason)], [reason]);
  }
}

/** The process closes its calls to the daemon, and says why. */
async function stopsThem({ daemon }: Site, owner: TestServer, runs: number): Promise<void> {
  const told = () => owner.stderrLines.filter((line) => /run was (ended elsewhere|already over)/.test(line)).length;
  await until('the runs to be stopped', () => told() >= runs && daemon.openSockets() === 0);
}

/** New runs of a process that had been given up are as good as any. */
async function worksAgain(site: Site, owner: TestServer, beside: TestServer): Promise<void> {
  const { runId } = await within('a new run', runToEnd(owner.url, scripted([[{ text: 'new', delay_ms: LEASE_MS }]])));
  mustEqual('a new run', [(await checkedEnd(beside.url, runId)).status.status], ['succeeded']);
  if (!(await leases(site, 2))) throw new Error('not both have a lease');
}

/** Whether so many processes have a lease. */
function leases({ redis }: Site, count: number): Promise<boolean> {
  return redis?.admin(async (client) => (await client.keys('*:x:lease:*')).length === count) ?? Promise.resolve(false);
}
