// /metrics over HTTP: who gets it, what requests and streams do to it, and that it is not there when it is off.

import { describe, expect, test } from 'bun:test';
import { createSight } from '../../src/observe/sight.ts';
import { sources, valuesOf } from '../observe/metrics/kit.ts';
import { until } from '../support/until.ts';
import { GUARDED, TOKEN } from './doors.ts';
import { ask, connect, type Overrides, startServer, type TestServer } from './support.ts';

/** A server that is looked at. */
async function withSight(
  use: (server: TestServer, values: () => Promise<ReadonlyMap<string, number>>) => Promise<void>,
  settings: Overrides['settings'] = {},
): Promise<void> {
  const sight = createSight({ metrics: true, traces: null });
  const views = sight.views(sources({ streams: () => server.http.streams() }));
  const server = await startServer({ settings, probe: sight.probe, ...views });
  try {
    await use(server, async () => valuesOf((await views.metrics?.())?.body ?? ''));
  } finally {
    sight.stop();
    await server.stop();
  }
}

describe('GET /metrics', () => {
  test('is plain text for Prometheus, not to be kept, and has no place in the document of the wire', async () => {
    await withSight(async ({ url }) => {
      const { status, headers, text } = await ask(`${url}/metrics`);
      expect(status).toBe(200);
      expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(text).toStartWith('# HELP dify_agent_runs_active ');
      const head = await ask(`${url}/metrics`, { method: 'HEAD' });
      expect([head.status, head.text]).toEqual([200, '']);
      expect((await ask(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
      expect((await ask(`${url}/openapi.json`)).text).not.toContain('/metrics');
    });
  });

  test('needs the token where there is one', async () => {
    await withSight(
      async ({ url }) => {
        expect((await ask(`${url}/metrics`)).status).toBe(401);
        const headers = { authorization: `Bearer ${TOKEN}` };
        expect((await ask(`${url}/metrics`, { headers })).status).toBe(200);
      },
      { access: GUARDED },
    );
  });

  test('is not there when metrics are off', async () => {
    const sight = createSight({ metrics: false, traces: null });
    const server = await startServer({ probe: sight.probe, ...sight.views(sources()) });
    expect((await ask(`${server.url}/metrics`)).status).toBe(404);
    expect((await ask(`${server.url}/internal/status`)).status).toBe(200);
    await server.stop();
  });
});

test('requests are counted by route, method and status, whatever their paths and methods are', async () => {
  await withSight(async ({ url, port, run }, values) => {
    const runId = await run();
    for (let i = 0; i < 40; i++) await ask(`${url}/nowhere/${i}?x=${i}`);
    for (let i = 0; i < 3; i++) await ask(`${url}/runs/${runId}`);
    await ask(`${url}/runs/unknown%22%7D`);
    await ask(`${url}/runs/${runId}`, { method: 'DELETE' });
    await ask(`${url}/runs/`, { method: 'GET' });
    const odd = await connect(port);
    odd.write('PROPFIND /runs/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    await until('the answer', () => odd.received.includes('405') || odd.closed);
    odd.end();
    const seen = await values();
    const count = (labels: string) => seen.get(`dify_agent_http_requests_total{${labels}}`);
    expect(count('route="none",method="GET",status="404"')).toBe(40);
    expect(count('route="/runs/:run_id",method="GET",status="200"')).toBe(3);
    expect(count('route="/runs/:run_id",method="GET",status="404"')).toBe(1);
    expect(count('route="/runs/:run_id",method="DELETE",status="405"')).toBe(1);
    expect(seen.get('dify_agent_http_request_duration_seconds_count{route="/runs/:run_id"}')).toBeGreaterThanOrEqual(5);
    expect(seen.get('dify_agent_http_requests_in_flight')).toBe(0);
    expect([...seen.keys()].filter((key) => key.startsWith('dify_agent_http_requests_total')).length).toBeLessThan(8);
  });
});

test('streams: open, sent, behind, and closed again', async () => {
  await withSight(async ({ port, run, say, succeed }, values) => {
    const runId = await run();
    const reader = await connect(port);
    reader.write(`GET /runs/${runId}/events/sse HTTP/1.1\r\nHost: x\r\n\r\n`);
    await until('the stream', () => reader.received.includes('keepalive'));
    await say(runId, 'a', 'b');
    await until('the events', () => reader.received.split('event: ').length === 3);
    const open = await values();
    expect(open.get('dify_agent_sse_streams_open')).toBe(1);
    expect(open.get('dify_agent_sse_events_sent_total')).toBe(2);
    expect(open.get('dify_agent_sse_streams_behind')).toBe(0);
    // A client that stops reading: what does not fit into the sockets is told as not delivered.
    reader.pause();
    const big = 'x'.repeat(64 * 1024);
    await until('the stream to be behind', async () => {
      await say(runId, ...Array.from({ length: 8 }, () => big));
      return (await values()).get('dify_agent_sse_streams_behind') === 1;
    });
    expect((await values()).get('dify_agent_sse_events_behind_max')).toBeGreaterThan(0);
    reader.resume();
    await succeed(runId);
    await until('the end', () => reader.received.includes('run_succeeded'), { timeoutMs: 20_000 });
    reader.end();
    const closed = await values();
    expect(closed.get('dify_agent_sse_streams_open')).toBe(0);
    expect(closed.get('dify_agent_sse_streams_opened_total')).toBe(1);
    expect(closed.get('dify_agent_sse_bytes_sent_total')).toBeGreaterThan(500_000);
  });
}, 40_000);

test('a client that takes nothing for some heartbeats is stuck', async () => {
  const sight = createSight({ metrics: true, traces: null });
  const server = await startServer({ timings: { heartbeatMs: 150 }, probe: sight.probe });
  const runId = await server.run();
  const reader = await connect(server.port);
  reader.write(`GET /runs/${runId}/events/sse HTTP/1.1\r\nHost: x\r\n\r\n`);
  await until('the stream', () => reader.received.includes('keepalive'));
  expect(server.http.streams().stuck).toBe(0);
  reader.pause();
  const big = 'x'.repeat(64 * 1024);
  await until('the stream to be stuck', async () => {
    if (server.http.streams().behind === 0) await server.say(runId, ...Array.from({ length: 8 }, () => big));
    return server.http.streams().stuck === 1;
  });
  reader.end();
  await until('the stream to be closed', () => server.http.streams().open === 0);
  expect(server.http.streams()).toMatchObject({ behind: 0, stuck: 0 });
  sight.stop();
  await server.stop();
}, 40_000);
