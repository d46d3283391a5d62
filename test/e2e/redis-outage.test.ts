// A Redis that goes away, comes back, refuses writes or forgets scripts under a running server: what callers are told
// meanwhile, which runs survive, and that nothing needs a restart. What streaming runs look like after each kind of
// fault is test/faults/redis.test.ts.

import { describe, expect, test } from 'bun:test';
import { type CuttingProxy, startCuttingProxy } from '../fakes/cutting-proxy.ts';
import { type FakeDaemon, lastItem, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { follow } from '../support/patient-client.ts';
import { type RedisProcess, withRedis } from '../support/redis-process.ts';
import { createRun, FOREVER, finish, get, plugin, post, runStatus, runToEnd, scripted } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { until, within } from '../support/until.ts';

/** Longer than it takes to notice that Redis is silent. */
const NOTICED_MS = 15_000;

interface World {
  readonly redis: RedisProcess;
  readonly proxy: CuttingProxy;
  readonly daemon: FakeDaemon;
  readonly server: TestServer;
}

/** A server whose Redis lies behind the proxy. */
async function withWorld(env: Readonly<Record<string, string>>, use: (world: World) => Promise<void>): Promise<void> {
  await withRedis({}, async (redis) => {
    const proxy = await startCuttingProxy(redis.port);
    const daemon = await startFakeDaemon();
    try {
      const server = await startServer({
        env: {
          DIFY_AGENT_STORE_URL: `redis://127.0.0.1:${proxy.port}/0`,
          DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url,
          ...env,
        },
      });
      try {
        await use({ redis, proxy, daemon, server });
      } finally {
        await server.dispose();
      }
    } finally {
      await daemon.stop();
      await proxy.close();
    }
  });
}

function goAway(proxy: CuttingProxy): void {
  proxy.refusing = true;
  proxy.cut();
}

async function comeBack({ proxy, server }: World): Promise<void> {
  proxy.refusing = false;
  await until('/readyz to be 200', async () => (await get(`${server.url}/readyz`)).status === 200);
}

const UNAVAILABLE = { status: 503, text: '{"detail":"store unavailable"}' };

/** What every request that needs the store is answered. */
async function expectUnavailable(url: string, runId: string): Promise<void> {
  const [posted, ready, healthy, ...reads] = await Promise.all([
    post(url, scripted([[{ text: 'x' }]])).then(async (answer) => ({
      status: answer.status,
      text: await answer.text(),
    })),
    get(`${url}/readyz`),
    get(`${url}/healthz`),
    ...['', '/events', '/events/sse'].map((path) => get(`${url}/runs/${runId}${path}`)),
  ]);
  expect(posted).toEqual(UNAVAILABLE);
  expect(reads).toEqual([UNAVAILABLE, UNAVAILABLE, UNAVAILABLE]);
  expect([ready.status, ready.text.includes('store unavailable')]).toEqual([503, true]);
  expect(healthy.status).toBe(200);
}

describe('Redis is away', () => {
  test('requests that need it are 503 at once, and everything works again when it is back', async () => {
    await withWorld({}, async (world) => {
      const { url } = world.server;
      const before = await runToEnd(url, scripted([[{ text: 'before' }]]));
      goAway(world.proxy);
      await within('the answers', expectUnavailable(url, before.runId), 5_000);
      await comeBack(world);
      expect(await finish(url, before.runId)).toEqual(before);
      expect((await runToEnd(url, scripted([[{ text: 'after' }]]))).terminal.output).toBe('after');
      const lines = world.server.stderrLines.filter((line) => /"level":"(warn|error)"/.test(line));
      expect(lines.length).toBeLessThan(30);
    });
  }, 180_000);

  test('a Redis that is silent is noticed, and a request does not hang on it', async () => {
    await withWorld({}, async (world) => {
      const { url } = world.server;
      const { runId } = await runToEnd(url, scripted([[{ text: 'x' }]]));
      world.redis.freeze();
      await within('the answers', expectUnavailable(url, runId), NOTICED_MS);
      world.redis.thaw();
      await until('/readyz to be 200', async () => (await get(`${url}/readyz`)).status === 200);
      expect((await runToEnd(url, scripted([[{ text: 'after' }]]))).terminal.output).toBe('after');
    });
  }, 60_000);

  test('a running run survives a short outage, with every event', async () => {
    await withWorld({}, async (world) => {
      const { url } = world.server;
      const texts = Array.from({ length: 80 }, (_, index) => `${index} `);
      world.daemon.play({ llm: [[...texts.flatMap((text) => [text, { delay: 25 }]), lastItem()]] });
      const runId = await createRun(url, plugin());
      const following = follow(url, runId);
      await until('some text', async () => (await get(`${url}/runs/${runId}/events`)).text.includes('part_delta'));
      goAway(world.proxy);
      await until('the outage to be seen', async () => (await get(`${url}/readyz`)).status === 503);
      await Bun.sleep(700); // the outage itself
      await comeBack(world);
      const { frames } = await following;
      const last = JSON.parse(frames.at(-1)?.data ?? '');
      expect([last.type, last.data.output]).toEqual(['run_succeeded', texts.join('')]);
      expect(frames).toHaveLength(texts.length + 4);
    });
  }, 60_000);

  test('after DIFY_AGENT_STORE_OUTAGE_SECONDS a run fails, and its end is there when Redis is back', async () => {
    await withWorld({ DIFY_AGENT_STORE_OUTAGE_SECONDS: '1' }, async (world) => {
      const { url } = world.server;
      world.daemon.play({ llm: [[{ repeat: 10_000, text: 'x', gap_ms: 10 }, lastItem()]] });
      const runId = await createRun(url, plugin());
      await until('some text', async () => (await get(`${url}/runs/${runId}/events`)).text.includes('part_delta'));
      goAway(world.proxy);
      // The model is not asked on for a run that nobody can see.
      await within('the daemon to be hung up on', world.daemon.waitForAbort(), 10_000);
      await comeBack(world);
      const { frames } = await follow(url, runId);
      const ends = frames.filter((frame) => frame.event !== 'run_started' && frame.event !== 'pydantic_ai_event');
      expect(ends).toHaveLength(1);
      const end = JSON.parse(ends[0]?.data ?? '');
      expect([end.type, end.data.reason]).toEqual(['run_failed', 'store_unavailable']);
      expect(await runStatus(url, runId)).toMatchObject({ status: 'failed', error: end.data.error });
      expect((await runToEnd(url, scripted([[{ text: 'after' }]]))).terminal.output).toBe('after');
    });
  }, 60_000);

  test('the server stops in time all the same', async () => {
    await withWorld({ DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0.2' }, async ({ server, proxy }) => {
      await createRun(server.url, scripted([[{ text: 'a' }, FOREVER]]));
      goAway(proxy);
      const { signal } = await server.stop('SIGTERM');
      expect(signal).toBeNull();
    });
  }, 60_000);
});

describe('Redis refuses', () => {
  test('writes for want of memory: new runs are 503, reading goes on, and it passes', async () => {
    await withWorld({}, async ({ redis, server }) => {
      const { runId } = await runToEnd(server.url, scripted([[{ text: 'x' }]]));
      await redis.admin((client) => client.configSet('maxmemory', '1'));
      const refused = await post(server.url, scripted([[{ text: 'x' }]]));
      expect({ status: refused.status, text: await refused.text() }).toEqual(UNAVAILABLE);
      expect((await runStatus(server.url, runId)).status).toBe('succeeded');
      await redis.admin((client) => client.configSet('maxmemory', '0'));
      expect((await runToEnd(server.url, scripted([[{ text: 'after' }]]))).terminal.output).toBe('after');
    });
  }, 60_000);

  test('writes because it became a replica', async () => {
    await withWorld({}, async ({ redis, server }) => {
      await redis.admin((client) => client.replicaOf('127.0.0.1', 9));
      const refused = await post(server.url, scripted([[{ text: 'x' }]]));
      expect({ status: refused.status, text: await refused.text() }).toEqual(UNAVAILABLE);
      await redis.admin((client) => client.sendCommand(['REPLICAOF', 'NO', 'ONE']));
      await until('new runs', async () => (await post(server.url, scripted([[{ text: 'x' }]]))).status === 202);
    });
  }, 60_000);

  test('scripts that it has forgotten: nobody notices', async () => {
    await withWorld({}, async ({ redis, server }) => {
      const runId = await createRun(server.url, scripted([[{ text: 'a' }, { text: 'b', delay_ms: 5, repeat: 100 }]]));
      for (let round = 0; round < 5; round += 1) {
        const before = (await get(`${server.url}/runs/${runId}/events?limit=500`)).text.length;
        await redis.admin((client) => client.scriptFlush());
        await until('more events', async () => {
          const { text } = await get(`${server.url}/runs/${runId}/events?limit=500`);
          return text.length > before;
        });
      }
      expect((await finish(server.url, runId)).terminal.output).toBe(`a${'b'.repeat(100)}`);
    });
  }, 60_000);
});

test('the record of a silent run does not expire under it', async () => {
  await withWorld({ DIFY_AGENT_RUN_RETENTION_SECONDS: '2' }, async ({ server, redis }) => {
    const runId = await createRun(server.url, scripted([[{ text: 'a' }, { delay_ms: 4_500, text: 'b' }]]));
    const run = await finish(server.url, runId);
    expect(run.terminal.output).toBe('ab');
    expect(run.status.status).toBe('succeeded');
    await until('it to expire when it is over', () =>
      redis.admin(async (client) => (await client.keys('*runs*')).length === 0),
    );
  });
}, 60_000);
