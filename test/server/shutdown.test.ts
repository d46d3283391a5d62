import { describe, expect, test } from 'bun:test';
import { systemClock } from '../../src/base/clock.ts';
import { CodedError } from '../../src/base/errors.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import { createServer } from '../../src/server/server.ts';
import { openSse } from '../support/sse.ts';
import { until, within } from '../support/until.ts';
import { ask, connect, memoryStore, OPEN_DOORS, startServer } from './support.ts';

describe('stop', () => {
  test('lets open streams deliver the terminal event of a finished run', async () => {
    const server = await startServer();
    const runIds = await Promise.all(Array.from({ length: 20 }, () => server.run()));
    const streams = await Promise.all(runIds.map((runId) => openSse(server.url, runId)));
    const readings = streams.map(({ frames }) => Array.fromAsync(frames));
    for (const runId of runIds) await server.succeed(runId);
    await server.http.stop();
    for (const frames of await Promise.all(readings)) expect(frames.at(-1)?.event).toBe('run_succeeded');
    await server.store.close();
  });

  test('ends the streams of runs that go on elsewhere without waiting for them', async () => {
    const server = await startServer({ timings: { drainMs: 60_000 } });
    const { frames } = await openSse(server.url, await server.run());
    const reading = Array.fromAsync(frames);
    await within('the stop', server.http.stop(), 3_000);
    expect(await reading).toEqual([]);
    await server.store.close();
  });

  test('is not held up for ever by a client that does not read', async () => {
    const server = await startServer({ timings: { drainMs: 100 } });
    const runId = await server.run();
    const stuck = await connect(server.port);
    stuck.write(`GET /runs/${runId}/events/sse HTTP/1.1\r\nHost: x\r\n\r\n`);
    await until('the headers', () => stuck.received.includes('keepalive'));
    stuck.pause();
    for (let index = 0; index < 40; index++) await server.say(runId, 'x'.repeat(500_000));
    await server.succeed(runId);
    await within('the stop', server.http.stop(), 4_000);
    stuck.end();
    await server.store.close();
  }, 10_000);

  test('closes idle connections and refuses new ones', async () => {
    const server = await startServer();
    const idle = await connect(server.port);
    idle.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('the answer', () => idle.received.endsWith('{"status":"ok"}'));
    await within('the stop', server.http.stop(), 3_000);
    await until('the end of the idle connection', () => idle.closed);
    expect(ask(`${server.url}/healthz`)).rejects.toThrow();
    await server.store.close();
  });

  test('answers a request that is under way', async () => {
    const gate = Promise.withResolvers<void>();
    let asked = false;
    const server = await startServer({
      readiness: async () => {
        asked = true;
        await gate.promise;
        return [];
      },
    });
    const answer = ask(`${server.url}/readyz`);
    await until('the question', () => asked);
    const stopped = server.http.stop();
    gate.resolve();
    expect((await answer).status).toBe(200);
    await stopped;
    await server.store.close();
  });

  test('twice, or without a start, does nothing', async () => {
    const server = await startServer();
    await Promise.all([server.http.stop(), server.http.stop()]);
    await server.stop();
    await serverOn(0).stop();
  });

  test('until then /readyz says 503 and everything else goes on', async () => {
    const server = await startServer();
    server.http.beginShutdown();
    expect((await ask(`${server.url}/readyz`)).status).toBe(503);
    expect((await ask(`${server.url}/runs/x`)).status).toBe(404);
    await server.stop();
  });
});

describe('start', () => {
  test('a taken port is one line that names the variable; the first server keeps all connections', async () => {
    const first = await startServer();
    const error = await serverOn(first.port)
      .start()
      .then(
        () => null,
        (reason: unknown) => reason,
      );
    expect(error).toBeInstanceOf(CodedError);
    expect(error).toMatchObject({
      code: 'port_in_use',
      message: `DIFY_AGENT_PORT: 127.0.0.1:${first.port} is already in use`,
    });
    for (let index = 0; index < 20; index++) expect((await ask(`${first.url}/healthz`)).status).toBe(200);
    await first.stop();
  });

  test('an address that is not ours names the host variable', async () => {
    const error = await serverOn(0, '192.0.2.1')
      .start()
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'listen_failed' });
    expect(String(error)).toContain('DIFY_AGENT_HOST: cannot listen on 192.0.2.1:0');
  });

  test('an IPv6 address is printed in brackets', async () => {
    const server = serverOn(0, '::1');
    const { url, port } = await server.start();
    expect(url).toBe(`http://[::1]:${port}`);
    expect((await ask(`${url}/healthz`)).status).toBe(200);
    await server.stop();
  });
});

const notAsked = () => Promise.reject(new Error('not asked'));

function serverOn(port: number, host = '127.0.0.1') {
  return createServer({
    settings: { ...OPEN_DOORS, host, port, maxRequestBytes: 1000 },
    runs: memoryStore(),
    submitter: { submit: notAsked, cancel: notAsked },
    readiness: async () => [],
    logger: noopLogger,
    clock: systemClock(),
    version: '0.0.0',
  });
}
