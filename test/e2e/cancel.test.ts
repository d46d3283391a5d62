// `POST /runs/{id}/cancel` against the binary, on both stores (spec 01 §7.4, V4): the wish is durable when it is answered, the
// daemon is hung up on, `run_cancelled` follows once, and whoever comes too late is told so.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type FakeDaemon, lastItem, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { cancel, untilSaid } from '../faults/watching.ts';
import { agent, call } from '../support/agent-runs.ts';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { createRun, FOREVER, finish, get, plugin, post, runStatus, runToEnd, scripted } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { openSse } from '../support/sse.ts';
import { until, within } from '../support/until.ts';

let redis: RedisProcess;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => {
  await redis?.dispose();
});

/** The answer to a cancel. */
async function answerTo(url: string, runId: string, wish?: object): Promise<readonly [number, unknown]> {
  const response = await cancel(url, runId, wish);
  return [response.status, await response.json()];
}

for (const store of ['sqlite', 'redis'] as const) {
  describe(`a cancel on ${store}`, () => {
    let daemon: FakeDaemon;
    let server: TestServer;

    beforeAll(async () => {
      daemon = await startFakeDaemon();
      const place = store === 'redis' ? { DIFY_AGENT_STORE_URL: redis.url } : {};
      server = await startServer({ env: { ...place, DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url } });
    }, 180_000);

    afterAll(async () => {
      await server?.dispose();
      await daemon?.stop();
    });

    /** A run whose model says something and never goes on. */
    async function hanging(): Promise<string> {
      daemon.play({ llm: [['x', { hang: true }]] });
      const runId = await createRun(server.url, plugin());
      await untilSaid(server, runId, 'part_start');
      return runId;
    }

    test('ends a streaming run: hung up on, one end on the open stream, and the status says why', async () => {
      const runId = await hanging();
      const stream = Array.fromAsync((await openSse(server.url, runId)).frames);
      const wish = { reason: 'user_cancelled', message: 'no longer needed' };
      expect(await answerTo(server.url, runId, wish)).toEqual([200, { run_id: runId, status: 'cancelled' }]);
      await within('the daemon to be hung up on', daemon.waitForAbort());
      const frames = await within('the end of the stream', stream);
      expect(frames.map(({ event }) => event).filter((event) => event !== 'pydantic_ai_event')).toEqual([
        'run_started',
        'run_cancelled',
      ]);
      expect(JSON.parse(frames.at(-1)?.data ?? '').data).toEqual(wish);
      expect(await runStatus(server.url, runId)).toMatchObject({ status: 'cancelled', error: 'no longer needed' });
    });

    test('may be asked for again and again, and the first reason stays', async () => {
      const runId = await hanging();
      const answers = await Promise.all(
        ['first', 'second', 'third'].map((reason) => answerTo(server.url, runId, { reason })),
      );
      expect(answers.map(([status]) => status)).toEqual([200, 200, 200]);
      const run = await finish(server.url, runId);
      expect(run.types.at(-1)).toBe('run_cancelled');
      expect(['first', 'second', 'third']).toContain(String(run.terminal.reason));
      expect(await answerTo(server.url, runId, { reason: 'late' })).toEqual([
        200,
        { run_id: runId, status: 'cancelled' },
      ]);
      expect(await finish(server.url, runId)).toEqual(run);
    });

    test('without reasons: nulls', async () => {
      const runId = await hanging();
      expect((await answerTo(server.url, runId, {}))[0]).toBe(200);
      expect((await finish(server.url, runId)).terminal).toEqual({ reason: null, message: null });
      expect((await runStatus(server.url, runId)).error).toBeNull();
    });

    test('reaches a run in a tool call', async () => {
      const tools = [{ name: 'slow', results: [{ delay_ms: 600_000, content: 'never' }] }];
      const runId = await createRun(server.url, agent([[call('c1', 'slow')], [{ text: 'never' }]], { tools }));
      await untilSaid(server, runId, 'function_tool_call');
      expect((await answerTo(server.url, runId))[0]).toBe(200);
      expect((await within('the end', finish(server.url, runId))).types.at(-1)).toBe('run_cancelled');
    });

    test('that follows its run at once is not lost', async () => {
      const runIds = await Promise.all(
        Array.from({ length: 30 }, async () => {
          const runId = await createRun(server.url, scripted([[FOREVER]]));
          expect((await answerTo(server.url, runId))[0]).toBe(200);
          return runId;
        }),
      );
      for (const runId of runIds) {
        expect((await within('the end', finish(server.url, runId))).types.at(-1)).toBe('run_cancelled');
      }
    });

    test('that races with the end: what was answered is what happened', async () => {
      await Promise.all(
        Array.from({ length: 400 }, async (_, index) => {
          const runId = await createRun(server.url, scripted([[{ text: 'x', delay_ms: index % 40 }]]));
          const [status, body] = await answerTo(server.url, runId);
          const { types } = await finish(server.url, runId);
          if (status === 200) expect(types.at(-1)).toBe('run_cancelled');
          else {
            expect([status, body]).toEqual([409, { detail: "run already finished with status 'succeeded'" }]);
            expect(types.at(-1)).toBe('run_succeeded');
          }
        }),
      );
    });

    test('of a finished, failed or unknown run', async () => {
      const { runId } = await runToEnd(server.url, scripted([[{ text: 'x' }]]));
      const succeeded = { detail: "run already finished with status 'succeeded'" };
      expect(await answerTo(server.url, runId)).toEqual([409, succeeded]);
      const failed = await runToEnd(server.url, { composition: { layers: [{ name: 'a', type: 'no.such.layer' }] } });
      expect(await answerTo(server.url, failed.runId)).toEqual([
        409,
        { detail: "run already finished with status 'failed'" },
      ]);
      expect(await answerTo(server.url, crypto.randomUUID())).toEqual([404, { detail: 'run not found' }]);
      expect((await runStatus(server.url, runId)).status).toBe('succeeded');
    });

    test('that cannot be read is 422 and ends nothing', async () => {
      const runId = await hanging();
      for (const bad of [{ reason: 5 }, { reasons: 'x' }, []]) {
        expect((await answerTo(server.url, runId, bad))[0]).toBe(422);
      }
      expect((await runStatus(server.url, runId)).status).toBe('running');
      expect((await answerTo(server.url, runId))[0]).toBe(200);
      await finish(server.url, runId);
    });

    test('is taken while the server stops, and the exit is clean', async () => {
      const place = store === 'redis' ? { DIFY_AGENT_STORE_URL: redis.url } : {};
      const stopping = await startServer({ env: { ...place, DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '60' } });
      try {
        const runId = await createRun(stopping.url, scripted([[{ text: 'a' }, FOREVER]]));
        const stream = Array.fromAsync((await openSse(stopping.url, runId)).frames);
        stopping.kill('SIGTERM');
        await until('/readyz to be 503', async () => (await get(`${stopping.url}/readyz`)).status === 503);
        expect((await post(stopping.url, scripted([[{ text: 'late' }]]))).status).toBe(503);
        expect((await answerTo(stopping.url, runId))[0]).toBe(200);
        expect((await within('the stream', stream)).at(-1)?.event).toBe('run_cancelled');
        expect(await within('the exit', stopping.exited)).toEqual({ code: 0, signal: null });
      } finally {
        await stopping.dispose();
      }
    }, 60_000);
  });
}

test('through another process: the owner hangs up, and both show the same end', async () => {
  const daemon = await startFakeDaemon();
  const env = { DIFY_AGENT_STORE_URL: redis.url, DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url };
  const [owner, beside] = await Promise.all([startServer({ env }), startServer({ env })]);
  try {
    daemon.play({
      llm: [
        ['x', { hang: true }],
        ['y', lastItem()],
      ],
    });
    const runId = await createRun(owner.url, plugin());
    await untilSaid(beside, runId, 'part_start');
    const stream = Array.fromAsync((await openSse(beside.url, runId)).frames);
    expect((await answerTo(beside.url, runId, { reason: 'elsewhere' }))[0]).toBe(200);
    await within('the daemon to be hung up on', daemon.waitForAbort());
    const frames = await within('the stream', stream);
    expect(frames.at(-1)?.event).toBe('run_cancelled');
    expect((await finish(owner.url, runId)).frames).toEqual(frames);
    expect((await runToEnd(owner.url, plugin())).terminal.output).toBe('y');
  } finally {
    await owner.dispose();
    await beside.dispose();
    await daemon.stop();
  }
}, 60_000);
