// /metrics of the compiled binary after known runs: names, labels, values. And the log of the same runs.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { StatusReport } from '../../src/observe/status.ts';
import { type FakeDaemon, lastItem, startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { cancel } from '../faults/watching.ts';
import { valuesOf } from '../observe/metrics/kit.ts';
import { withRedis } from '../support/redis-process.ts';
import { createRun, FOREVER, finish, get, plugin, post, runToEnd, scripted } from '../support/runs.ts';
import { startServer, type TestServer, withServer } from '../support/server.ts';
import { until } from '../support/until.ts';

let daemon: FakeDaemon;
let server: TestServer;

beforeAll(async () => {
  daemon = await startFakeDaemon();
  server = await startServer({
    env: {
      DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url,
      DIFY_AGENT_PLUGIN_DAEMON_READ_TIMEOUT: '0.4',
      DIFY_AGENT_MAX_ACTIVE_RUNS: '3',
    },
  });
}, 180_000);

afterAll(async () => {
  await server.dispose();
  await daemon.stop();
});

const scrape = async () => valuesOf((await get(`${server.url}/metrics`)).text);

/** JSON log entries with this message. */
function entries(message: string): readonly Record<string, unknown>[] {
  const all = server.stderrLines.map((line) => JSON.parse(line) as Record<string, unknown>); // the log is JSON here
  return all.filter((entry) => entry.message === message);
}

describe('after known runs', () => {
  test('a scrape says what became of them', async () => {
    const before = await scrape();
    const since = async (name: string) => ((await scrape()).get(name) ?? 0) - (before.get(name) ?? 0);

    // A model that answers in three parts, with usage; one that is cut off; one that is silent; one that refuses.
    daemon.play({
      llm: [['a', 'b', lastItem()], ['a', { cut: true }], [{ hang: true }], [{ http: 400, text: 'no' }]],
    });
    const answered = await runToEnd(server.url, plugin({ tenant: 'tenant-1' }));
    expect(answered.terminal.output).toBe('ab');
    for (let i = 0; i < 3; i++) expect((await runToEnd(server.url, plugin())).types.at(-1)).toBe('run_failed');
    // A run that is cancelled, a composition that cannot run.
    const cancelled = await createRun(server.url, scripted([[FOREVER]]));
    await until('the model phase', async () => (await scrape()).get('dify_agent_runs_active{phase="model"}') === 1);
    await cancel(server.url, cancelled);
    await finish(server.url, cancelled);
    await runToEnd(server.url, { composition: { layers: [{ name: 'x', type: 'no.such.layer' }] } });

    const runs = (outcome: string, reason: string) =>
      since(`dify_agent_runs_total{outcome="${outcome}",reason="${reason}"}`);
    expect(await runs('succeeded', 'none')).toBe(1);
    expect(await runs('failed', 'model_transport_error')).toBe(2);
    expect(await runs('failed', 'model_http_error')).toBe(1);
    expect(await runs('failed', 'invalid_composition')).toBe(1);
    expect(await runs('cancelled', 'none')).toBe(1);

    const peers = (status: string) =>
      since(`dify_agent_peer_requests_total{peer="plugin_daemon",operation="llm/invoke",status="${status}"}`);
    expect([await peers('2xx'), await peers('4xx'), await peers('none')]).toEqual([2, 1, 1]);
    const errors = (error: string) => since(`dify_agent_peer_errors_total{peer="plugin_daemon",error="${error}"}`);
    expect([await errors('cut_off'), await errors('read_timeout')]).toEqual([1, 1]);
    const took = 'dify_agent_peer_request_duration_seconds_count{peer="plugin_daemon",operation="llm/invoke"}';
    expect(await since(took)).toBe(4);

    const models = (outcome: string) => since(`dify_agent_model_request_duration_seconds_count{outcome="${outcome}"}`);
    expect([await models('ok'), await models('error'), await models('aborted')]).toEqual([1, 3, 1]);
    expect(await since('dify_agent_model_tokens_total{direction="output"}')).toBeGreaterThan(0);
    expect(await since('dify_agent_run_first_event_seconds_count')).toBe(6);
    expect(await since('dify_agent_store_operation_duration_seconds_count{operation="create"}')).toBe(6);
    expect(
      await since('dify_agent_store_operation_duration_seconds_count{operation="finalise"}'),
    ).toBeGreaterThanOrEqual(6);
    expect(await since('dify_agent_http_requests_total{route="/runs",method="POST",status="202"}')).toBe(6);

    const now = await scrape();
    expect(now.get('dify_agent_sse_streams_open')).toBe(0);
    expect(now.get('dify_agent_peer_connections{peer="plugin_daemon",state="active"}')).toBe(0);
    expect(now.get('dify_agent_runs_active_limit')).toBe(3);
    // Everything stored was sent to the one stream of its run.
    expect(await since('dify_agent_events_stored_total')).toBe(await since('dify_agent_sse_events_sent_total'));
  }, 30_000);

  test('refusals are counted where nothing ran', async () => {
    const before = (await scrape()).get('dify_agent_run_refusals_total{reason="too_many_runs"}') ?? 0;
    const held = await Promise.all([1, 2, 3].map(() => createRun(server.url, scripted([[FOREVER]]))));
    expect((await post(server.url, scripted([[{ text: 'x' }]]))).status).toBe(503);
    const values = await scrape();
    expect(values.get('dify_agent_run_refusals_total{reason="too_many_runs"}')).toBe(before + 1);
    const phases = ['queued', 'starting', 'model'].map(
      (phase) => values.get(`dify_agent_runs_active{phase="${phase}"}`) ?? 0,
    );
    expect(phases.reduce((sum, count) => sum + count, 0)).toBe(3);
    for (const runId of held) {
      await cancel(server.url, runId);
      await finish(server.url, runId);
    }
    expect((await scrape()).get('dify_agent_runs_active{phase="model"}')).toBe(0);
  }, 30_000);

  test('hostile tenants, paths and methods make no labels and no lines of their own', async () => {
    const nasty = 'tenant"} 1\nfake_metric 2\r\n{"level":"error"}\u001b[31m\u202e';
    const lines = (await get(`${server.url}/metrics`)).text.split('\n').length;
    for (let i = 0; i < 20; i++) {
      await runToEnd(server.url, plugin({ tenant: `${nasty}${i}` }));
      await get(`${server.url}/${encodeURIComponent(`${nasty}${i}`)}`);
      await fetch(`${server.url}/runs/${i}`, { method: i % 2 === 0 ? 'PATCH' : 'DELETE', proxy: false });
    }
    const { text } = await get(`${server.url}/metrics`);
    expect(text).not.toContain('fake_metric');
    expect(text).not.toContain('tenant');
    expect(text.split('\n').length).toBeLessThan(lines + 60);
    // Every line of the log is one JSON object; the tenant is in it as text.
    const started = entries('run started').filter(({ tenant }) => String(tenant).startsWith('tenant"}'));
    expect(started).toHaveLength(20);
  }, 30_000);

  test('each run has one line when it starts and one when it ends', async () => {
    daemon.play({ llm: [['a', 'b', lastItem()]] });
    const { runId, frames } = await runToEnd(server.url, plugin({ tenant: 'tenant-9' }));
    const of = (message: string) => entries(message).filter(({ run_id }) => run_id === runId);
    await until('the line of the end', () => of('run ended').length > 0);
    expect(of('run started')).toMatchObject([{ level: 'info', tenant: 'tenant-9', layers: 3, resumed: false }]);
    expect(of('run ended')).toMatchObject([
      {
        level: 'info',
        tenant: 'tenant-9',
        outcome: 'succeeded',
        events: frames.length,
        model_requests: 1,
        tool_calls: 0,
      },
    ]);
    expect(entries('run started').length).toBe(entries('run ended').length);
    expect(server.stderrLines.join('\n')).not.toContain('sk-golden');
  });
});

test('switched off there is no such route, and the runs run', async () => {
  await withServer({ env: { DIFY_AGENT_METRICS_ENABLED: 'false' } }, async ({ url }) => {
    expect((await get(`${url}/metrics`)).status).toBe(404);
    expect((await runToEnd(url, scripted([[{ text: 'x' }]]))).types.at(-1)).toBe('run_succeeded');
    const { text } = await get(`${url}/internal/status`);
    expect(JSON.parse(text)).toMatchObject({ runs: { active: 0, ended: { succeeded: 1 } } });
  });
}, 30_000);

test('on Redis the lease is told: held while Redis is there, and not when it was away for longer than it lasts', async () => {
  await withRedis({}, async (redis) => {
    const env = {
      DIFY_AGENT_STORE_URL: redis.url,
      DIFY_AGENT_RUN_LEASE_SECONDS: '2',
    };
    await withServer({ env }, async ({ url }) => {
      const values = async () => valuesOf((await get(`${url}/metrics`)).text);
      await until('the lease', async () => (await values()).get('dify_agent_lease_held') === 1);
      expect((await runToEnd(url, scripted([[{ text: 'x' }]]))).types.at(-1)).toBe('run_succeeded');
      const now = await values();
      expect(now.get('dify_agent_lease_renewals_total{outcome="ok"}')).toBeGreaterThan(0);
      expect(now.get('dify_agent_store_operation_duration_seconds_count{operation="create"}')).toBe(1);
      expect([...now.keys()].some((key) => key.startsWith('dify_agent_build_info') && key.includes('redis'))).toBe(
        true,
      );
      redis.freeze();
      try {
        await until('the lease to be gone', async () => (await values()).get('dify_agent_lease_held') === 0);
        const report = JSON.parse((await get(`${url}/internal/status`)).text) as StatusReport; // documented
        expect(report.store.lease?.held).toBe(false);
      } finally {
        redis.thaw();
      }
      await until('the lease again', async () => (await values()).get('dify_agent_lease_held') === 1);
    });
  });
}, 60_000);
