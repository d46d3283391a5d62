// The plugin daemon through the binary: down, slow, cut off, talking nonsense. Always `run_failed` with the
// reference's text, in time; never a hang, never a proxy.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chunk, type FakeDaemon, lastItem, type Reply, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { createRun, finish, plugin, runToEnd } from '../support/runs.ts';
import { startServer, type TestServer, withServer } from '../support/server.ts';
import { within } from '../support/until.ts';

let daemon: FakeDaemon;
let server: TestServer;

beforeAll(async () => {
  daemon = await startFakeDaemon();
  server = await startServer({
    env: {
      DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url,
      DIFY_AGENT_PLUGIN_DAEMON_READ_TIMEOUT: '0.4',
      DIFY_AGENT_PLUGIN_DAEMON_CONNECT_TIMEOUT: '0.4',
      DIFY_AGENT_PLUGIN_DAEMON_POOL_TIMEOUT: '0.3',
      DIFY_AGENT_PLUGIN_DAEMON_MAX_CONNECTIONS: '2',
    },
  });
}, 180_000);

afterAll(async () => {
  await server.dispose();
  await daemon.stop();
});

/** The error of a run whose model call gets this reply. */
async function errorOf(reply: Reply): Promise<string> {
  daemon.play({ llm: [reply] });
  const run = await within('the run to end', runToEnd(server.url, plugin()), 8_000);
  expect(run.types.at(-1)).toBe('run_failed');
  expect(run.terminal.reason).toBeNull();
  expect(run.status.error).toBe(String(run.terminal.error));
  return String(run.terminal.error);
}

describe('a daemon in trouble', () => {
  test('silent before the head, and silent in the middle: ReadTimeout', async () => {
    expect(await errorOf([{ hang: true }])).toBe('ReadTimeout');
    expect(await errorOf([{ flush: true }, { hang: true }])).toBe('ReadTimeout');
    expect(await errorOf(['a', { hang: true }])).toBe('ReadTimeout');
  });

  test('slow but alive is not a timeout', async () => {
    daemon.play({ llm: [['a', { delay: 250 }, 'b', { delay: 250 }, 'c', lastItem()]] });
    expect((await runToEnd(server.url, plugin())).terminal.output).toBe('abc');
  });

  test('cut before the head and in the middle', async () => {
    expect(await errorOf([{ cut: true }])).toBe('Server disconnected without sending a response.');
    expect(await errorOf(['a', { cut: true }])).toBe(
      'peer closed connection without sending complete message body (incomplete chunked read)',
    );
  });

  test('nonsense in the stream', async () => {
    expect(await errorOf([{ raw: 'data: {nope\n\n' }])).toStartWith(
      '1 validation error for PluginDaemonBasicResponse\n  Invalid JSON: key must be a string at line 1 column 2',
    );
    expect(await errorOf([{ raw: 'data: [1,2]\n\n' }])).toStartWith('1 validation error for PluginDaemonBasicResponse');
    expect(await errorOf([{ data: { hello: 1 } }])).toStartWith('2 validation errors for LLMResultChunk\nmodel\n');
  });

  test('a line without end is bounded', async () => {
    const item = { raw: 'x'.repeat(1024 * 1024) };
    expect(await errorOf(Array.from({ length: 24 }, () => item))).not.toBe('');
  }, 20_000);

  test('a pool that is full: PoolTimeout, and the others are not hurt', async () => {
    daemon.play({ llm: Array.from({ length: 3 }, () => ['a', { delay: 380 }, 'b', { delay: 380 }, lastItem()]) });
    const first = await Promise.all([createRun(server.url, plugin()), createRun(server.url, plugin())]);
    await daemon.waitForRequest(2);
    const third = await runToEnd(server.url, plugin());
    expect(third.terminal.error).toBe('PoolTimeout');
    for (const runId of first) expect((await finish(server.url, runId)).terminal.output).toBe('ab');
  });

  test('down, then up again', async () => {
    daemon.play({ down: true });
    const run = await within('the run to end', runToEnd(server.url, plugin()), 8_000);
    expect(run.terminal).toEqual({ error: 'All connection attempts failed', reason: null });
    daemon.play({ llm: [['back', lastItem()]] });
    expect((await runToEnd(server.url, plugin())).terminal.output).toBe('back');
  });
});

test('text survives any split of its bytes', async () => {
  const text = '<thin äöü 漢字 🙂 ">&\u2028\u0085 end';
  daemon.play({ llm: [[{ rawsplit: text, at: Array.from({ length: 30 }, (_, index) => 140 + index) }, lastItem()]] });
  expect((await runToEnd(server.url, plugin())).terminal.output).toBe(text);
});

test('a thousand chunks arrive one by one, in order', async () => {
  daemon.play({ llm: [[{ repeat: 1000, text: 'x' }, lastItem()]] });
  const run = await runToEnd(server.url, plugin());
  expect(run.terminal.output).toBe('x'.repeat(1000));
  expect(run.frames.length).toBe(1004);
});

test('hostile tenants and plugin ids never reach another route', async () => {
  for (const tenant of ['../../x', 'a/b', '..', 'a\\b', 'a\r\nb', 'a?b', 'a#b', '%2e%2e']) {
    daemon.play({ llm: [[{ data: chunk({ content: 'reached' }) }, lastItem()]] });
    const run = await runToEnd(server.url, plugin({ tenant }));
    for (const request of daemon.llmRequests) {
      expect(request.path).toMatch(/^\/plugin\/[^/?#]+\/dispatch\/llm\/invoke$/);
      expect(decodeURIComponent(request.path.split('/')[2] ?? '')).toBe(tenant);
    }
    if (daemon.llmRequests.length === 0) expect(run.types.at(-1)).toBe('run_failed');
  }
});

test('proxies in the environment are ignored', async () => {
  let proxied = 0;
  const proxy = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        proxied += 1;
        socket.end();
      },
      data() {},
    },
  });
  const address = `http://127.0.0.1:${proxy.port}`;
  const env = {
    DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url,
    HTTP_PROXY: address,
    http_proxy: address,
    HTTPS_PROXY: address,
    ALL_PROXY: address,
    all_proxy: address,
  };
  await withServer({ env }, async (proxiedServer) => {
    daemon.play({ llm: [['direct', lastItem()]] });
    expect((await runToEnd(proxiedServer.url, plugin())).terminal.output).toBe('direct');
  });
  proxy.stop(true);
  expect(proxied).toBe(0);
}, 60_000);

test('a stop closes the connection to the daemon', async () => {
  const patient = await startFakeDaemon();
  const env = { DIFY_AGENT_PLUGIN_DAEMON_URL: patient.url, DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0' };
  await withServer({ env }, async (stopping) => {
    patient.play({ llm: [['a', { hang: true }]] });
    await createRun(stopping.url, plugin());
    await patient.waitForRequest(1);
    stopping.kill('SIGTERM');
    await within('the daemon to see it', patient.waitForAbort());
    expect(await within('the exit', stopping.exited)).toEqual({ code: 0, signal: null });
  });
  await patient.stop();
}, 60_000);

test('more connections than Bun fetches at once are really there, after one restart of the process by itself', async () => {
  const runs = 300;
  const env = {
    DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url,
    DIFY_AGENT_PLUGIN_DAEMON_MAX_CONNECTIONS: String(runs),
    DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0',
  };
  await withServer({ env }, async (many) => {
    daemon.play({ llm: Array.from({ length: runs }, () => [{ hang: true }]) });
    await Promise.all(Array.from({ length: runs }, () => createRun(many.url, plugin())));
    await within('every call to be under way', daemon.waitForRequest(runs), 15_000);
    expect(daemon.openSockets()).toBeGreaterThanOrEqual(runs);
  });
}, 60_000);
