// /internal/status over HTTP: who is told, and what.

import { describe, expect, test } from 'bun:test';
import { networkInterfaces } from 'node:os';
import { createSight } from '../../src/observe/sight.ts';
import { MAX_LISTED, type StatusReport } from '../../src/observe/status.ts';
import { isLocal } from '../../src/server/routes/status.ts';
import { ended, facts, sources } from '../observe/metrics/kit.ts';
import { GUARDED, TOKEN } from './doors.ts';
import { ask, type Overrides, startServer } from './support.ts';

/** Starts a server with a sight; the probe is the test's to tell. */
async function start(settings: Overrides['settings'] = {}) {
  const sight = createSight({ metrics: true, traces: null });
  const server = await startServer({ settings, probe: sight.probe, ...sight.views(sources()) });
  return {
    ...server,
    probe: sight.probe,
    async report(): Promise<StatusReport> {
      const { status, text } = await ask(`${server.url}/internal/status`);
      if (status !== 200) throw new Error(`${status} ${text}`);
      return JSON.parse(text) as StatusReport; // what the test is about
    },
    async stop() {
      sight.stop();
      await server.stop();
    },
  };
}

describe('who is told', () => {
  test('with a token whoever has it, from wherever', async () => {
    const server = await start({ access: GUARDED });
    const url = `${server.url}/internal/status`;
    expect((await ask(url)).status).toBe(401);
    const authorization = `Bearer ${TOKEN}`;
    expect((await ask(url, { headers: { authorization, 'x-forwarded-for': '10.0.0.1' } })).status).toBe(200);
    await server.stop();
  });

  test('without one a caller on this machine, but no proxy and no page with a name of its own', async () => {
    const server = await start();
    const url = `${server.url}/internal/status`;
    const told = await ask(url);
    expect([told.status, told.headers.get('cache-control')]).toEqual([200, 'no-store']);
    for (const headers of [
      { 'x-forwarded-for': '127.0.0.1' },
      { forwarded: 'for=127.0.0.1' },
      { 'x-real-ip': '::1' },
      { via: '1.1 proxy' },
      { host: 'evil.example' },
      { host: `127.0.0.1.evil.example:${server.port}` },
    ]) {
      const refused = await ask(url, { headers });
      expect([refused.status, refused.text]).toEqual([
        403,
        '{"detail":"without DIFY_AGENT_API_TOKEN the status is only told to callers on this machine"}',
      ]);
    }
    await server.stop();
  });

  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

  test.if(outside !== undefined)('a caller from another address is not', async () => {
    const server = await start({ host: '0.0.0.0' });
    expect((await ask(`http://${outside}:${server.port}/internal/status`)).status).toBe(403);
    const host = { host: `localhost:${server.port}` };
    expect((await ask(`http://${outside}:${server.port}/internal/status`, { headers: host })).status).toBe(403);
    await server.stop();
  });

  test.each([
    ['127.0.0.1', 'localhost:8000', true],
    ['::ffff:127.0.0.1', '127.0.0.1', true],
    ['127.9.9.9', 'LOCALHOST', true],
    ['::1', '[::1]:8000', true],
    ['10.0.0.1', 'localhost', false],
    ['::ffff:10.0.0.1', 'localhost', false],
    ['1270.0.0.1', 'localhost', false],
    [null, 'localhost', false],
    ['127.0.0.1', 'localhost.evil', false],
    ['127.0.0.1', '', false],
  ])('%j that asks %j: %j', (address, host, local) => {
    expect(isLocal(new Request('http://x/', { headers: { host } }), address)).toBe(local);
  });
});

describe('the report', () => {
  test('tells of runs by phase, the oldest first, and of how others ended', async () => {
    const server = await start();
    const first = server.probe.run(facts({ runId: 'r1', tenantId: 't\u0000"\ud800', layers: 4 }));
    first.stored(3, 100, 1);
    server.probe.run(facts({ runId: 'r2', tenantId: null }));
    server.probe.run(facts()).end(ended('failed', 'internal'));
    server.probe.run(facts()).end(ended('failed', 'shutdown'));
    server.probe.run(facts()).end(ended('cancelled'));
    server.probe.run(facts()).end(ended('not_created', 'repeated'));
    server.probe.refused('stopping');
    const { runs, version, wire, store, stopping } = await server.report();
    expect({ version, wire, stopping, store }).toEqual({
      version: '1.2.3',
      wire: '2026-08',
      stopping: false,
      store: { description: 'sqlite:/x.db', lease: null },
    });
    expect(runs).toMatchObject({
      active: 2,
      limit: 10,
      phases: { queued: 1, starting: 1, model: 0, tool: 0, exiting: 0 },
      ended: { succeeded: 0, failed: 2, cancelled: 1, lost: 0 },
      refused: 1,
    });
    expect(
      runs.oldest.map(({ run_id, tenant_id, phase, layers, events }) => [run_id, tenant_id, phase, layers, events]),
    ).toEqual([
      ['r1', 't\u0000"\ufffd', 'starting', 4, 3],
      ['r2', null, 'queued', 2, 0],
    ]);
    expect(runs.oldest[0]?.age_seconds).toBeGreaterThanOrEqual(0);
    await server.stop();
  });

  test('is bounded, however many runs there are and whatever their tenants are called', async () => {
    const server = await start();
    for (let i = 0; i < 3_000; i++) server.probe.run(facts({ tenantId: 'x'.repeat(100_000) }));
    const report = await server.report();
    expect([report.runs.active, report.runs.oldest.length]).toEqual([3_000, MAX_LISTED]);
    expect(JSON.stringify(report).length).toBeLessThan(64 * 1024);
    await server.stop();
  });

  test('tells of peers as they were seen, and of those that nobody has asked', async () => {
    const server = await start();
    const peer = (end: { status: number | null; error: string | null }) =>
      server.probe.peer({ peer: 'shellctl', method: 'POST', operation: 'jobs/run' }).end(end);
    expect((await server.report()).peers).toEqual([
      {
        peer: 'plugin_daemon',
        state: 'unknown',
        last_answer_at: null,
        last_status: null,
        last_failure_at: null,
        last_failure: null,
        last_failed_operation: null,
        connections: { active: 3, waiting: 1, limit: 100 },
      },
    ]);
    peer({ status: 503, error: null });
    expect((await server.report()).peers[1]).toMatchObject({
      peer: 'shellctl',
      state: 'failing',
      last_failure: 'http_503',
      last_failed_operation: 'jobs/run',
      connections: null,
    });
    peer({ status: 200, error: null });
    const seen = (await server.report()).peers[1];
    expect(seen).toMatchObject({ state: 'ok', last_status: 200, last_failure: 'http_503' });
    expect(Date.parse(seen?.last_answer_at ?? '')).toBeGreaterThan(1.7e12);
    await server.stop();
  });
});
