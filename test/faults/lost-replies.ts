// "Rejected but applied": the connection breaks after Redis has done what it was asked for, and before anybody hears of it. For
// each kind of write it must be there once, and its caller be told the truth.

import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { lastItem } from '../fakes/plugin-daemon.ts';
import { createRun, runToEnd, scripted } from '../support/runs.ts';
import type { TestServer } from '../support/server.ts';
import { until, within } from '../support/until.ts';
import { checkedEnd, mustEqual, type RunEnd } from './checks.ts';
import { fed, type Site, startFed, withSite } from './site.ts';
import { CANCEL, cancel, mustCancel, untilSaid } from './watching.ts';

/** Servers whose way to Redis leads through proxies of their own. */
interface Scene extends Site {
  readonly owner: TestServer;
  readonly beside: TestServer;
  /** The owner's way. */
  readonly proxy: CuttingProxy;
  readonly besideProxy: CuttingProxy;
}

/** A write whose reply is lost. */
export interface LostReply {
  readonly name: string;
  play(scene: Scene): Promise<void>;
}

export const LOST_REPLIES: readonly LostReply[] = [
  {
    name: 'the creation: the caller gets the one run that there is',
    async play({ owner, daemon, proxy, redis }) {
      const { body } = fed(daemon, [['x', lastItem()]], null, { idempotency_key: 'lost-reply' });
      const before = await records(redis);
      const cut = proxy.cutReplyTo('"status":"running"');
      const runId = await createRun(owner.url, body);
      await within('the cut', cut);
      mustOutput(await checkedEnd(owner.url, runId), 'x');
      mustEqual('runs', [String((await records(redis)) - before)], ['1']);
      // And the key means that run.
      mustEqual('the same request', [await createRun(owner.url, body)], [runId]);
    },
  },
  {
    name: 'the first event',
    async play({ owner, daemon, proxy }) {
      const cut = proxy.cutReplyTo('run_started');
      const runId = await startFed(owner, daemon, ['x', lastItem()]);
      await within('the cut', cut);
      mustOutput(await checkedEnd(owner.url, runId), 'x');
    },
  },
  {
    name: 'a chunk, five times',
    async play({ owner, daemon, proxy }) {
      const texts = Array.from({ length: 100 }, (_, chunk) => `<${chunk}>`);
      const runId = await startFed(owner, daemon, [...texts.flatMap((text) => [text, { delay: 10 }]), lastItem()]);
      for (let cuts = 0; cuts < 5; cuts += 1) await within('a cut', proxy.cutReplyTo('content_delta'));
      const end = await checkedEnd(owner.url, runId);
      mustOutput(end, texts.join(''));
      mustEqual('events', [String(end.frames.length)], [String(texts.length + 4)]);
    },
  },
  {
    name: 'the end: it is not written twice',
    async play({ owner, daemon, proxy }) {
      const cut = proxy.cutReplyTo('run_succeeded');
      const runId = await startFed(owner, daemon, ['x', lastItem()]);
      await within('the cut', cut);
      mustOutput(await checkedEnd(owner.url, runId), 'x');
      await until('the owner to know', () =>
        owner.stderrLines.some((line) => line.includes('run ended') && line.includes(runId)),
      );
    },
  },
  {
    name: 'a cancel: it is accepted, and asking again changes nothing',
    async play({ owner, daemon, proxy }) {
      const runId = await startFed(owner, daemon, ['x', { hang: true }]);
      await untilSaid(owner, runId, 'part_start');
      const cut = proxy.cutReplyTo('requested_at');
      await mustCancel(owner.url, runId);
      await within('the cut', cut);
      mustEqual('asking again', [String((await cancel(owner.url, runId, { reason: 'other' })).status)], ['200']);
      mustBeCancelled(await checkedEnd(owner.url, runId));
    },
  },
  {
    name: 'a cancel through another process',
    async play({ owner, beside, daemon, besideProxy }) {
      const runId = await startFed(owner, daemon, ['x', { hang: true }]);
      await untilSaid(beside, runId, 'part_start');
      const cut = besideProxy.cutReplyTo('requested_at');
      await mustCancel(beside.url, runId);
      await within('the cut', cut);
      mustBeCancelled(await checkedEnd(beside.url, runId));
    },
  },
  {
    name: 'the end of a cancelled run',
    async play({ owner, daemon, proxy }) {
      const runId = await startFed(owner, daemon, ['x', { hang: true }]);
      await untilSaid(owner, runId, 'part_start');
      const cut = proxy.cutReplyTo('run_cancelled');
      await mustCancel(owner.url, runId);
      await within('the cut', cut);
      mustBeCancelled(await checkedEnd(owner.url, runId));
    },
  },
  {
    name: 'the end of a dead process’s run',
    async play({ owner, beside, daemon, besideProxy }) {
      const runId = await startFed(owner, daemon, ['x', { hang: true }]);
      await untilSaid(beside, runId, 'part_start');
      const cut = besideProxy.cutReplyTo('worker_lost');
      owner.kill('SIGKILL');
      await within('the cut', cut);
      const { terminal } = await checkedEnd(beside.url, runId);
      mustEqual('the reason', [String(terminal.reason)], ['worker_lost']);
    },
  },
];

/** Plays one. Throws with what was wrong. */
export function lostReplyRound(lost: LostReply): Promise<void> {
  return withSite('redis', {}, async (site) => {
    const port = site.redis?.port ?? 0;
    const [proxy, besideProxy] = await Promise.all([startCuttingProxy(port), startCuttingProxy(port)]);
    try {
      const start = (through: CuttingProxy) =>
        site.start({ DIFY_AGENT_STORE_URL: `redis://127.0.0.1:${through.port}/0` });
      const [owner, beside] = await Promise.all([start(proxy), start(besideProxy)]);
      // The scripts' texts, which have some of the words, are sent once.
      for (const { url } of [owner, beside]) {
        await runToEnd(url, scripted([[{ text: 'first' }]]));
        await mustBeRefused(url);
      }
      await lost.play({ ...site, owner, beside, proxy, besideProxy });
      const { terminal } = await within('a new run', runToEnd(beside.url, scripted([[{ text: 'new' }]])));
      mustEqual('a new run', [String(terminal.output)], ['new']);
      // Before the ways are gone.
      for (const server of [owner, beside]) if (!(await isOver(server))) await server.stop();
    } finally {
      await proxy.close();
      await besideProxy.close();
    }
  });
}

/** Has the script of cancels loaded. */
async function mustBeRefused(url: string): Promise<void> {
  const { status } = await cancel(url, crypto.randomUUID());
  if (status !== 404) throw new Error(`a cancel of no run: ${status}`);
}

async function isOver(server: TestServer): Promise<boolean> {
  return (await Promise.race([server.exited, Bun.sleep(0)])) !== undefined;
}

function mustOutput({ terminal }: RunEnd, text: string): void {
  mustEqual('the output', [String(terminal.output)], [text]);
}

function mustBeCancelled({ terminal }: RunEnd): void {
  mustEqual('the end', [JSON.stringify(terminal)], [JSON.stringify(CANCEL)]);
}

async function records(redis: Site['redis']): Promise<number> {
  return redis?.admin(async (client) => (await client.keys('*:record')).length) ?? 0;
}
