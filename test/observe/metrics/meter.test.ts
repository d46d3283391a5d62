// What is counted, once each, and that no text of a caller becomes a label.

import { describe, expect, test } from 'bun:test';
import { createMeter } from '../../../src/observe/metrics/meter.ts';
import type { Probe } from '../../../src/observe/probe.ts';
import { ended, facts, scrape, valuesOf } from './kit.ts';

const content = () => {
  throw new Error('content was asked for');
};
const MODEL = { provider: 'p', model: 'm', step: 1, content };
const ANSWERED = { error: null, finishReason: 'stop', inputTokens: 3, outputTokens: 4, content };

function request(probe: Probe, method: string, route: string | null, status: number): void {
  const scope = probe.request({ method, route, traceparent: null, tracestate: null, requestId: 'r' });
  scope.end({ status });
  scope.end({ status: 500 });
}

describe('a run', () => {
  test('is active until its end, which counts once', () => {
    const { probe, runs } = createMeter();
    const run = probe.run(facts());
    expect(runs.active.size).toBe(1);
    run.end(ended('failed', 'shutdown'));
    run.end(ended('succeeded'));
    expect(runs.active.size).toBe(0);
    expect(runs.ended.series.map(({ labels, value }) => [...labels, value.total])).toEqual([['failed', 'shutdown', 1]]);
  });

  test('goes through its phases', () => {
    const { probe, runs } = createMeter();
    const run = probe.run(facts());
    const phase = () => [...runs.active][0]?.phase;
    expect(phase()).toBe('queued');
    run.stored(1, 80, 1);
    expect(phase()).toBe('starting');
    const request = run.modelRequest(MODEL);
    expect(phase()).toBe('model');
    request.end(ANSWERED);
    const tools = ['a', 'b'].map((callId) => run.toolCall({ tool: 't', callId, content }));
    expect(phase()).toBe('tool');
    tools[0]?.end({ outcome: 'ok', content });
    tools[0]?.end({ outcome: 'ok', content });
    expect(phase()).toBe('tool');
    tools[1]?.end({ outcome: 'error', content });
    const second = run.modelRequest(MODEL);
    expect(phase()).toBe('model');
    second.end({ ...ANSWERED, error: 'aborted' });
    expect(phase()).toBe('exiting');
    expect(runs.modelSeconds.series.map(({ labels, value }) => [labels[0], value.count])).toEqual([
      ['ok', 1],
      ['aborted', 1],
    ]);
    expect(runs.toolSeconds.series.map(({ labels, value }) => [labels[0], value.count])).toEqual([
      ['ok', 1],
      ['error', 1],
    ]);
    expect([runs.inputTokens.total, runs.outputTokens.total]).toEqual([6, 8]);
  });

  test('that was not created is no run: a repeated one is counted as such, a refused one where it is refused', () => {
    const { probe, runs } = createMeter();
    probe.run(facts()).end(ended('not_created', 'repeated'));
    probe.run(facts()).end(ended('not_created', 'refused'));
    probe.refused('too_many_runs');
    expect([runs.active.size, runs.ended.series.length, runs.repeated.total]).toEqual([0, 0, 1]);
    expect(runs.refused.of('too_many_runs').total).toBe(1);
  });

  test('has one first event', () => {
    const { probe, runs } = createMeter();
    const run = probe.run(facts());
    run.stored(1, 80, 1);
    run.stored(10, 800, 1);
    expect([runs.firstEventSeconds.count, runs.events.total, runs.chars.total, runs.storedSeconds.count]).toEqual([
      1, 11, 880, 2,
    ]);
  });
});

describe('a peer', () => {
  const call = { peer: 'plugin_daemon', method: 'POST', operation: 'llm/invoke' } as const;

  test('is seen as it answered last', () => {
    const { probe, peers } = createMeter();
    const sight = () => peers.sights.get('plugin_daemon');
    probe.peer(call).end({ status: 200, error: null });
    expect(sight()).toMatchObject({ failing: false, lastStatus: 200, lastFailureAt: null });
    probe.peer(call).end({ status: null, error: 'connect_failed' });
    expect(sight()).toMatchObject({ failing: true, lastFailure: 'connect_failed', lastFailedOperation: 'llm/invoke' });
    probe.peer(call).end({ status: 400, error: null });
    expect(sight()).toMatchObject({ failing: false, lastStatus: 400 });
    probe.peer(call).end({ status: 401, error: null });
    expect(sight()).toMatchObject({ failing: true, lastFailure: 'http_401' });
  });

  test('that was called off is neither well nor ill', () => {
    const { probe, peers } = createMeter();
    probe.peer(call).end({ status: null, error: 'aborted' });
    expect(peers.sights.size).toBe(0);
    expect(peers.errors.of('plugin_daemon', 'aborted').total).toBe(1);
    expect(peers.open).toBe(0);
  });
});

test('the store: steps by operation, and batches of events by their own time', async () => {
  const meter = createMeter();
  meter.probe.store('create').end({ failed: false });
  meter.probe.store('create').end({ failed: true });
  meter.probe.store('append').end({ failed: false });
  meter.probe.store('append').end({ failed: true });
  const values = valuesOf(await scrape(meter));
  expect(values.get('dify_agent_store_operation_duration_seconds_count{operation="create"}')).toBe(2);
  expect(values.get('dify_agent_store_operation_failures_total{operation="create"}')).toBe(1);
  expect(values.get('dify_agent_store_operation_failures_total{operation="append"}')).toBe(1);
  expect([...values.keys()].filter((name) => /duration.*append/.test(name))).toEqual([]);
});

test('the labels of hostile input are bounded: methods, paths, ids, tenants, models and codes', async () => {
  const meter = createMeter();
  const nasty = (i: number) => `x${i}"}\n\\evil{le="${'y'.repeat(100)}`;
  for (let i = 0; i < 5_000; i++) {
    request(meter.probe, nasty(i), null, 404);
    const run = meter.probe.run(facts({ runId: nasty(i), tenantId: nasty(i) }));
    run.modelRequest({ ...MODEL, provider: nasty(i), model: nasty(i) }).end({ ...ANSWERED, error: nasty(i) });
    run.toolCall({ tool: nasty(i), callId: nasty(i), content }).end({ outcome: 'ok', content });
    run.end(ended('failed', i % 2 === 0 ? 'internal' : 'error'));
  }
  const text = await scrape(meter);
  expect(text).not.toContain('evil');
  expect(text.split('\n').length).toBeLessThan(400);
  const values = valuesOf(text);
  expect(values.get('dify_agent_http_requests_total{route="none",method="other",status="404"}')).toBe(5_000);
  expect(values.get('dify_agent_model_request_duration_seconds_count{outcome="error"}')).toBe(5_000);
  expect(values.get('dify_agent_runs_total{outcome="failed",reason="internal"}')).toBe(2_500);
});

test('even codes that should come from a list cannot grow without bound', async () => {
  const meter = createMeter();
  for (let i = 0; i < 5_000; i++) meter.probe.run(facts()).end(ended('failed', `code_${i}`));
  const text = await scrape(meter);
  expect(text.match(/^dify_agent_runs_total/gm)?.length).toBe(513);
  expect(valuesOf(text).get('dify_agent_runs_total{outcome="other",reason="other"}')).toBe(5_000 - 512);
});

test('switched off it still knows the runs and the peers, and counts no request and no step of the store', () => {
  const { probe, runs, http, store } = createMeter(false);
  request(probe, 'GET', '/runs', 200);
  probe.store('create').end({ failed: false });
  probe.run(facts());
  expect([runs.active.size, http.requests.series, store.sums]).toEqual([1, [], []]);
});

test('work inside a scope is done once, and its result and its error pass', () => {
  const { probe } = createMeter();
  const run = probe.run(facts());
  const scopes = [
    probe.request({ method: 'GET', route: null, traceparent: null, tracestate: null, requestId: 'r' }),
    run,
    run.modelRequest(MODEL),
    run.toolCall({ tool: 't', callId: 'c', content }),
    probe.peer({ peer: 'shellctl', method: 'GET', operation: 'healthz' }),
    probe.store('append'),
    probe.store('read'),
  ];
  for (const scope of scopes) {
    let calls = 0;
    expect(scope.within(() => ++calls)).toBe(1);
    expect(() =>
      scope.within(() => {
        throw new Error('mine');
      }),
    ).toThrow('mine');
  }
});
