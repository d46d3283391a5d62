// How the binary stops: nothing new is taken, what runs may finish within the grace, the rest ends visibly, streams
// deliver the end, and the process exits 0 in bounded time (spec 01 §7.3, §10.9).

import { describe, expect, test } from 'bun:test';
import { createRun, FOREVER, finish, get, post, runStatus, scripted } from '../support/runs.ts';
import { type TestServer, withServer } from '../support/server.ts';
import { openSse } from '../support/sse.ts';
import { until, within } from '../support/until.ts';

const EXIT_0 = { code: 0, signal: null };
const SHUTDOWN = { error: 'run cancelled during server shutdown', reason: 'shutdown' };
const grace = (seconds: number) => ({ env: { DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: String(seconds) } });

const untilStarted = (server: TestServer, runId: string, text = 'run_started') =>
  until(`${text} of ${runId}`, async () => (await get(`${server.url}/runs/${runId}/events`)).text.includes(text));
const untilStopping = (server: TestServer) =>
  until('/readyz to be 503', async () => (await get(`${server.url}/readyz`)).status === 503);

describe('SIGTERM', () => {
  test('ends a run that outlasts the grace, and its open stream delivers the end', async () => {
    await withServer(grace(0.2), async (server) => {
      const runId = await createRun(server.url, scripted([[{ text: 'half ' }, FOREVER]]));
      await untilStarted(server, runId, 'final_result');
      const following = openSse(server.url, runId).then(({ frames }) => Array.fromAsync(frames));
      server.kill('SIGTERM');
      const frames = await within('the stream to end', following);
      expect(frames.map((frame) => frame.event)).toEqual([
        'run_started',
        'pydantic_ai_event',
        'pydantic_ai_event',
        'run_failed',
      ]);
      expect(JSON.parse(frames.at(-1)?.data ?? '').data).toEqual(SHUTDOWN);
      expect(await within('the exit', server.exited)).toEqual(EXIT_0);
    });
  }, 180_000);

  test('lets a run finish within the grace, serves its readers, refuses new runs', async () => {
    await withServer(grace(20), async (server) => {
      const runId = await createRun(server.url, scripted([[{ text: 'a' }, { delay_ms: 700, text: 'b' }]]));
      await untilStarted(server, runId);
      server.kill('SIGTERM');
      await untilStopping(server);
      const refused = await post(server.url, scripted([[{ text: 'late' }]]));
      expect(refused.status).toBe(503);
      expect(await refused.text()).toBe('{"detail":"run scheduler is shutting down"}');
      expect((await runStatus(server.url, runId)).status).toBe('running');
      const { frames } = await openSse(server.url, runId);
      const events = await Array.fromAsync(frames);
      expect(events.at(-1)?.event).toBe('run_succeeded');
      expect(JSON.parse(events.at(-1)?.data ?? '').data.output).toBe('ab');
      expect(await within('the exit', server.exited, 5_000)).toEqual(EXIT_0);
    });
  }, 60_000);

  test('does not wait out the grace when nothing runs', async () => {
    await withServer(grace(60), async (server) => {
      await finish(server.url, await createRun(server.url, scripted([[{ text: 'a' }]])));
      server.kill('SIGTERM');
      expect(await within('the exit', server.exited, 5_000)).toEqual(EXIT_0);
    });
  }, 60_000);

  test('is not held up by a reader that does not read', async () => {
    await withServer(grace(0.2), async (server) => {
      const runId = await createRun(server.url, scripted([[{ text: 'x'.repeat(1000), repeat: 20_000 }, FOREVER]]));
      await untilStarted(server, runId);
      const opened = Promise.withResolvers<void>();
      const socket = await Bun.connect({
        hostname: '127.0.0.1',
        port: server.port,
        socket: {
          data(open) {
            open.pause();
            opened.resolve();
          },
        },
      });
      socket.write(`GET /runs/${runId}/events/sse HTTP/1.1\r\nHost: x\r\n\r\n`);
      await within('the first bytes', opened.promise);
      server.kill('SIGTERM');
      expect(await within('the exit', server.exited, 20_000)).toEqual(EXIT_0);
      socket.terminate();
    });
  }, 60_000);

  test('a second signal hurries, and the run still ends visibly', async () => {
    for (const second of ['SIGTERM', 'SIGINT'] as const) {
      await withServer(grace(60), async (server) => {
        const runId = await createRun(server.url, scripted([[FOREVER]]));
        await untilStarted(server, runId);
        const following = openSse(server.url, runId).then(({ frames }) => Array.fromAsync(frames));
        server.kill('SIGTERM');
        await untilStopping(server);
        server.kill(second);
        const frames = await within('the stream to end', following, 8_000);
        expect(JSON.parse(frames.at(-1)?.data ?? '').data).toEqual(SHUTDOWN);
        expect(await within('the exit', server.exited, 8_000)).toEqual(EXIT_0);
      });
    }
  }, 60_000);
});

test('SIGINT stops like SIGTERM', async () => {
  await withServer(grace(0), async (server) => {
    const runId = await createRun(server.url, scripted([[FOREVER]]));
    await untilStarted(server, runId);
    const following = openSse(server.url, runId).then(({ frames }) => Array.fromAsync(frames));
    server.kill('SIGINT');
    expect(JSON.parse((await within('the stream to end', following)).at(-1)?.data ?? '').data).toEqual(SHUTDOWN);
    expect(await within('the exit', server.exited)).toEqual(EXIT_0);
  });
}, 60_000);

test('twenty runs are all ended by one SIGTERM', async () => {
  await withServer(grace(0.1), async (server) => {
    const runIds = await Promise.all(
      Array.from({ length: 20 }, () => createRun(server.url, scripted([[{ text: 'a' }, FOREVER]]))),
    );
    for (const runId of runIds) await untilStarted(server, runId);
    const following = runIds.map(async (runId) => Array.fromAsync((await openSse(server.url, runId)).frames));
    server.kill('SIGTERM');
    for (const frames of await within('all streams to end', Promise.all(following))) {
      expect(JSON.parse(frames.at(-1)?.data ?? '').data).toEqual(SHUTDOWN);
    }
    expect(await within('the exit', server.exited)).toEqual(EXIT_0);
  });
}, 60_000);
