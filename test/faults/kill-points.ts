// kill -9 at every step of a run, on both stores. On Redis another process stands beside and sees the end on streams that are
// open; on SQLite the next process on the file ends what it finds before it answers.

import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { lastItem } from '../fakes/plugin-daemon.ts';
import { createRun, get, post, type RunStatus, runToEnd, scripted } from '../support/runs.ts';
import type { TestServer } from '../support/server.ts';
import { until, within } from '../support/until.ts';
import { checkedEnd, dataOf, mustEqual } from './checks.ts';
import { callReply, fed, type Site, type StoreName, startFed, withSite } from './site.ts';
import { CANCEL, mustCancel, untilSaid, type Watch, watchRun } from './watching.ts';

/** How long owners live after their last sign; what withSite sets. */
export const LEASE_MS = 2_000;

/** A process that is going to be killed, and what is around it. */
export interface Scene extends Site {
  readonly owner: TestServer;
  /** Between the owner and Redis; null on SQLite. */
  readonly proxy: CuttingProxy;
  /** Stands beside the owner on Redis. On SQLite it is the owner, for want of another. */
  readonly beside: TestServer;
  /** Follows a run where it can be seen, from now on. */
  watch(runId: string): void;
  kill(): Promise<void>;
}

/** How a run must have ended. */
export type Expected = 'worker_lost' | 'run_cancelled' | 'run_succeeded';

/** A step at which a process can die. */
export interface KillPoint {
  readonly name: string;
  /** Where it can be hit exactly. */
  readonly stores: readonly StoreName[];
  readonly env?: Readonly<Record<string, string>>;
  /** Brings runs of the owner to the step and kills it there. What becomes of them, by id. */
  strike(scene: Scene): Promise<Readonly<Record<string, Expected>>>;
}

const BOTH: readonly StoreName[] = ['sqlite', 'redis'];
const REDIS: readonly StoreName[] = ['redis'];
const SQLITE: readonly StoreName[] = ['sqlite'];
const NO_GRACE = { DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0' };
const LONG_GRACE = { DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '60' };

export const KILL_POINTS: readonly KillPoint[] = [
  {
    name: 'accepted, and not started: its first event has not reached the store',
    stores: REDIS,
    async strike(scene) {
      const runId = await lastWords(scene, 'run_started', () => startFed(scene.owner, scene.daemon, ['x', lastItem()]));
      await scene.kill();
      return { [runId]: 'worker_lost' };
    },
  },
  {
    name: 'created, and its caller not told',
    stores: REDIS,
    async strike(scene) {
      const { proxy, owner } = scene;
      await settled(scene);
      proxy.refusing = true;
      const sprung = proxy.cutReplyTo('"status":"running"');
      const posting = post(owner.url, { ...scripted([[{ text: 'x' }]]), idempotency_key: 'told-to-nobody' }).catch(
        () => {},
      );
      await within('the creation', sprung);
      await scene.kill();
      await posting;
      // None where the connection broke before Redis had read it all.
      return Object.fromEntries((await runningIds(scene)).map((runId) => [runId, 'worker_lost']));
    },
  },
  {
    name: 'in the middle of a chunk',
    stores: BOTH,
    async strike(scene) {
      const { owner, daemon } = scene;
      const half = Buffer.from('data: {"code":0,"message":"succ');
      const runId = await startFed(owner, daemon, ['a ', 'b ', { bytes: half }, { hang: true }]);
      scene.watch(runId);
      await untilSaid(owner, runId, 'b ');
      await scene.kill();
      return { [runId]: 'worker_lost' };
    },
  },
  {
    name: 'during a tool call',
    stores: BOTH,
    async strike(scene) {
      const { owner, daemon } = scene;
      const tool = { name: 'slow', replies: [[{ hang: true as const }]] };
      const runId = await createRun(owner.url, fed(daemon, [callReply('slow')], tool).body);
      scene.watch(runId);
      await within(
        'the tool to be called',
        daemon.waitUntil(() => daemon.toolRequests.length > 0),
      );
      await untilSaid(owner, runId, 'function_tool_call');
      await scene.kill();
      return { [runId]: 'worker_lost' };
    },
  },
  {
    name: 'with its answer complete, and no time to see it',
    stores: BOTH,
    async strike(scene) {
      const { owner, daemon } = scene;
      const runId = await startFed(owner, daemon, ['all of it', { delay: 1_500 }, lastItem()]);
      scene.watch(runId);
      await untilSaid(owner, runId, 'all of it');
      owner.kill('SIGSTOP');
      await Bun.sleep(1_600); // until the daemon's last item lies in the socket of the process
      await scene.kill();
      return { [runId]: 'worker_lost' };
    },
  },
  {
    name: 'between the decision how it ends and the write of that',
    stores: REDIS,
    async strike(scene) {
      const runId = await lastWords(scene, 'run_succeeded', () =>
        startFed(scene.owner, scene.daemon, ['x', lastItem()]),
      );
      await scene.kill();
      return { [runId]: 'worker_lost' };
    },
  },
  {
    name: 'between the decision how it ends and the write of that: the disk is full',
    stores: SQLITE,
    async strike(scene) {
      const { owner, daemon } = scene;
      const runId = await startFed(owner, daemon, ['x', { hang: true }]);
      scene.watch(runId);
      await untilSaid(owner, runId, 'part_start');
      const { exitCode } = Bun.spawnSync(['prlimit', '--pid', String(owner.pid), '--fsize=1:unlimited']);
      if (exitCode !== 0) throw new Error('prlimit failed');
      // Its model breaks off: the run has failed.
      await daemon.stop();
      await until('the end to be held up', () =>
        owner.stderrLines.some((line) => line.includes('cannot be stored yet')),
      );
      await scene.kill();
      return { [runId]: 'worker_lost' };
    },
  },
  {
    name: 'when its end is written, and it does not know',
    stores: REDIS,
    async strike(scene) {
      const { proxy } = scene;
      await settled(scene);
      const sprung = proxy.cutReplyTo('run_succeeded');
      proxy.refusing = true;
      const runId = await startFed(scene.owner, scene.daemon, ['x', lastItem()]);
      scene.watch(runId);
      await within('the end', sprung);
      await scene.kill();
      // Unless the connection broke before Redis had read it all.
      return { [runId]: (await runningIds(scene)).includes(runId) ? 'worker_lost' : 'run_succeeded' };
    },
  },
  {
    name: 'when a cancel was accepted elsewhere, and it has not heard of it',
    stores: REDIS,
    async strike(scene) {
      const { owner, beside } = scene;
      const runId = await startFed(owner, scene.daemon, ['x', { hang: true }]);
      scene.watch(runId);
      await untilSaid(owner, runId, 'part_start');
      owner.kill('SIGSTOP');
      await mustCancel(beside.url, runId);
      await scene.kill();
      return { [runId]: 'run_cancelled' };
    },
  },
  {
    name: 'between a cancel and the write of its end',
    stores: REDIS,
    async strike(scene) {
      const { owner } = scene;
      const runId = await lastWords(scene, 'run_cancelled', async () => {
        const id = await startFed(owner, scene.daemon, ['x', { hang: true }]);
        await untilSaid(owner, id, 'part_start');
        await mustCancel(owner.url, id);
        return id;
      });
      await scene.kill();
      return { [runId]: 'run_cancelled' };
    },
  },
  {
    name: 'during the grace of a stop',
    stores: BOTH,
    env: LONG_GRACE,
    async strike(scene) {
      const { owner, daemon } = scene;
      const runIds = await Promise.all([1, 2, 3].map(() => startFed(owner, daemon, ['x', { hang: true }])));
      for (const runId of runIds) {
        scene.watch(runId);
        await untilSaid(owner, runId, 'part_start');
      }
      owner.kill('SIGTERM');
      await until('/readyz to be 503', async () => (await get(`${owner.url}/readyz`)).status === 503);
      await scene.kill();
      return Object.fromEntries(runIds.map((runId) => [runId, 'worker_lost']));
    },
  },
  {
    name: 'when the grace of a stop is over, and the ends are on their way',
    stores: REDIS,
    env: NO_GRACE,
    async strike(scene) {
      const { owner } = scene;
      const runId = await lastWords(scene, 'run_failed', async () => {
        const id = await startFed(owner, scene.daemon, ['x', { hang: true }]);
        await untilSaid(owner, id, 'part_start');
        owner.kill('SIGTERM');
        return id;
      });
      await scene.kill();
      return { [runId]: 'worker_lost' };
    },
  },
];

/** What a kill was about. */
export interface KillReport {
  readonly runs: number;
  /** From the kill until the last run was seen to be over on an open stream, ms. On SQLite: until the next process was ready. */
  readonly overAfterMs: number;
}

/** Plays one kill on one store. Throws with what was wrong afterwards. */
export function killAt(point: KillPoint, store: StoreName): Promise<KillReport> {
  return withSite(store, {}, async (site) => {
    const proxy = await startCuttingProxy(site.redis?.port ?? 0);
    try {
      return await playKill(point, site, proxy);
    } finally {
      await proxy.close();
    }
  });
}

async function playKill(point: KillPoint, site: Site, proxy: CuttingProxy): Promise<KillReport> {
  const way = site.redis === null ? {} : { DIFY_AGENT_STORE_URL: `redis://127.0.0.1:${proxy.port}/0` };
  const owner = await site.start({ ...way, ...point.env });
  const beside = site.redis === null ? owner : await site.start();
  const watches = new Map<string, Watch[]>();
  let killedAt = 0;
  const expected = await point.strike({
    ...site,
    owner,
    proxy,
    beside,
    watch(runId) {
      watches.set(
        runId,
        [...new Set([owner, beside])].map(({ url }) => watchRun(url, runId)),
      );
    },
    async kill() {
      killedAt = performance.now();
      owner.kill('SIGKILL');
      await within('the end of the process', owner.exited);
    },
  });
  const runIds = Object.keys(expected);
  const survivor = site.redis === null ? await nextOwner(site, runIds) : beside;
  if (site.redis !== null) {
    // Who comes late waits like those who watch.
    for (const runId of runIds) {
      const open = watches.get(runId)?.at(-1) ?? watchRun(beside.url, runId);
      await within(`the end of ${runId} on an open stream`, open.over, 3 * LEASE_MS);
      mustEqual('the last on the open stream', [open.frames.at(-1)?.event ?? ''], [eventOf(expected[runId])]);
    }
  }
  const overAfterMs = performance.now() - killedAt;
  for (const [runId, how] of Object.entries(expected)) {
    const [before] = watches.get(runId) ?? [];
    const { terminal, frames } = await checkedEnd(survivor.url, runId, before?.frames);
    mustEqual(`the end of ${runId}`, [frames.at(-1)?.event ?? ''], [eventOf(how)]);
    if (how === 'worker_lost') mustEqual('its reason', [String(terminal.reason)], ['worker_lost']);
    if (how === 'run_cancelled') mustEqual('its reason', [String(terminal.reason)], [CANCEL.reason]);
    for (const { frames: seen } of watches.get(runId)?.slice(1) ?? []) {
      mustEqual('what was seen beside', dataOf(seen), dataOf(frames));
    }
  }
  const after = await within('a new run', runToEnd(survivor.url, scripted([[{ text: 'new' }]])));
  mustEqual('a new run', [String(after.terminal.output)], ['new']);
  return { runs: runIds.length, overAfterMs };
}

function eventOf(expected: Expected | undefined): string {
  return expected === 'worker_lost' ? 'run_failed' : (expected ?? '');
}

/** The next process on the file. Its very first answers must show the runs as over. */
async function nextOwner(site: Site, runIds: readonly string[]): Promise<TestServer> {
  const url = `http://127.0.0.1:${site.env.DIFY_AGENT_PORT}`;
  const starting = site.start();
  starting.catch(() => {});
  const first = until('the first answer', async () => (await get(`${url}/runs/${runIds[0]}`)).text, { everyMs: 1 });
  const { status } = JSON.parse(await first) as RunStatus; // spec 01 §1.5
  if (status === 'running') throw new Error(`${runIds[0]} is running at the first answer`);
  return starting;
}

/** Lets `play` happen until the owner has `text` to write, which never arrives, like everything after it. */
async function lastWords(scene: Scene, text: string, play: () => Promise<string>): Promise<string> {
  const { proxy } = scene;
  await settled(scene);
  const sprung = proxy.cutBefore(text);
  sprung.then(
    () => {},
    () => {},
  );
  proxy.refusing = true;
  const runId = await play();
  scene.watch(runId);
  await within(`the write of ${text}`, sprung);
  return runId;
}

/** The owner has all the connections that it will need: it has run something. */
async function settled({ owner, proxy }: Scene): Promise<void> {
  await runToEnd(owner.url, scripted([[{ text: 'first' }]]));
  await until('both connections', () => proxy.open >= 2);
}

/** Runs that are running in Redis. */
async function runningIds({ redis }: Scene): Promise<readonly string[]> {
  if (redis === null) return [];
  return redis.admin(async (client) => {
    const ids: string[] = [];
    for (const key of await client.keys('*:record')) {
      if ((await client.get(key))?.includes('"running"') === true) ids.push(key.split(':').at(-2) ?? '');
    }
    return ids;
  });
}
