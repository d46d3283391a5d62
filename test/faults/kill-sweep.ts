// kill -9 at any moment: processes take runs and cancels as fast as they come and die one after the other, each a little later
// in its life than the one before. In the end every run that was told to somebody, or to nobody, is over, as it was told.

import { agent, call } from '../support/agent-runs.ts';
import { post, type RunBody, scripted } from '../support/runs.ts';
import type { TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';
import { checkedEnd, mustEqual } from './checks.ts';
import { LEASE_MS } from './kill-points.ts';
import { type Site, type StoreName, withSite } from './site.ts';
import { cancel } from './watching.ts';

/** Clients that post runs at the same time. */
const CLIENTS = 12;
/** How long a process lives at most once it takes runs, ms. */
const LONGEST_LIFE_MS = 120;

/** What a sweep was about. */
export interface SweepReport {
  readonly kills: number;
  readonly runs: number;
  /** Runs by how they ended: `succeeded`, `worker_lost`, `cancelled`. */
  readonly ends: Readonly<Record<string, number>>;
  /** Lost runs by the last event that they had before: at which steps the kills came. */
  readonly lostAfter: Readonly<Record<string, number>>;
}

/** A run whose id somebody was told. */
interface Told {
  readonly runId: string;
  cancelled: boolean;
}

/** Kills `kills` processes on one store. Throws with what was wrong with a run. */
export function killSweep(store: StoreName, kills: number): Promise<SweepReport> {
  return withSite(store, {}, async (site) => {
    const told: Told[] = [];
    for (let kill = 0; kill < kills; kill += 1) {
      const server = await site.start();
      await liveAndDie(server, ((kill + 1) / kills) * LONGEST_LIFE_MS, told);
    }
    const last = await site.start();
    if (site.redis !== null) await until('nothing to run', () => nothingRuns(site), { timeoutMs: 4 * LEASE_MS });
    const ends: Record<string, number> = {};
    const lostAfter: Record<string, number> = {};
    for (const { runId, cancelled } of told) {
      const { status, terminal, frames } = await checkedEnd(last.url, runId);
      if (cancelled) mustEqual(`the end of ${runId}, whose cancel was accepted`, [status.status], ['cancelled']);
      const end = status.status === 'failed' ? String(terminal.reason) : status.status;
      if (!['succeeded', 'worker_lost', 'cancelled'].includes(end)) throw new Error(`${runId} ended with ${end}`);
      ends[end] = (ends[end] ?? 0) + 1;
      if (end === 'worker_lost') {
        const step =
          frames.at(-2)?.event === 'pydantic_ai_event'
            ? kindOf(frames.at(-2)?.data)
            : (frames.at(-2)?.event ?? 'nothing');
        lostAfter[step] = (lostAfter[step] ?? 0) + 1;
      }
    }
    return { kills, runs: told.length, ends, lostAfter };
  });
}

function kindOf(data = ''): string {
  return /"event_kind":"([^"]+)"/.exec(data)?.[1] ?? '';
}

/** Clients are served until the process is killed. */
async function liveAndDie(server: TestServer, lifeMs: number, told: Told[]): Promise<void> {
  let dead = false;
  const client = async (number: number): Promise<void> => {
    while (!dead) {
      try {
        const answer = await post(server.url, BODIES[(number + told.length) % BODIES.length] ?? {});
        if (answer.status !== 202) throw new Error(`POST /runs: ${answer.status}`);
        const run: Told = { runId: ((await answer.json()) as { run_id: string }).run_id, cancelled: false }; // spec 01 §1.5
        told.push(run);
        if (number % 3 !== 0) continue;
        // 409: it was over already.
        run.cancelled = (await cancel(server.url, run.runId)).status === 200;
      } catch (error) {
        if (!dead) throw error;
      }
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, number) => client(number));
  await Bun.sleep(lifeMs); // its life
  dead = true;
  server.kill('SIGKILL');
  await server.exited;
  await Promise.all(clients);
}

/** Short runs and longer ones, with tools and without. */
const BODIES: readonly RunBody[] = [
  scripted([[{ text: 'x' }]]),
  scripted([[{ text: 'a' }, { text: 'b', delay_ms: 1, repeat: 20 }]]),
  agent([[{ thinking: 'hm' }, call('c1', 'echo', { n: 1 })], [{ text: 'ok' }]], {
    tools: [{ name: 'echo' }],
    history: true,
  }),
  scripted([[{ delay_ms: 15, text: 'late' }]]),
];

async function nothingRuns({ redis }: Site): Promise<boolean> {
  if (redis === null) return true;
  return redis.admin(async (client) => {
    for (const key of await client.keys('*:record')) {
      if ((await client.get(key))?.includes('"running"') === true) return false;
    }
    return true;
  });
}
