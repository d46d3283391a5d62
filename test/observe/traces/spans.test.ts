// What a collector receives of a run that the rooms tell to the probe: names, attributes, and what hangs below what.

import { describe, expect, test } from 'bun:test';
import * as conventions from '@opentelemetry/semantic-conventions/incubating';
import { GEN_AI, SERVICE_INSTANCE_ID, SERVICE_PEER_NAME } from '../../../src/observe/traces/names.ts';
import type { ReceivedSpan } from '../../fakes/otlp.ts';
import { REQUEST, SUCCEEDED, tellRun, withTraces } from './kit.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';

/** `name` of each span with the names of those above it, e.g. `POST /runs > invoke_agent > chat gpt-4o`. */
function paths(spans: readonly ReceivedSpan[]): readonly string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const path = (span: ReceivedSpan): string => {
    const parent = span.parentSpanId === null ? undefined : byId.get(span.parentSpanId);
    return parent === undefined ? span.name : `${path(parent)} > ${span.name}`;
  };
  return [...spans].sort((a, b) => Number(a.start - b.start)).map(path);
}

/** Resolves with everything once the request span, the last but for the run's, and the run's have come. */
async function spansOf(collector: {
  wait: (what: string, check: (spans: readonly ReceivedSpan[]) => boolean) => Promise<readonly ReceivedSpan[]>;
}) {
  return await collector.wait('run and request', (spans) =>
    ['invoke_agent', 'POST /runs'].every((name) => spans.some((span) => span.name === name)),
  );
}

describe('a run with a tool call', () => {
  test('is one trace: request, run, models, tool, peers and store, each below what waits for it', async () => {
    await withTraces({}, async ({ probe, collector }) => {
      await tellRun(probe);
      const spans = await spansOf(collector);
      const run = 'POST /runs > invoke_agent';
      expect([...paths(spans)].sort()).toEqual(
        [
          'POST /runs',
          run,
          `${run} > store create`,
          `${run} > chat gpt-4o`,
          `${run} > chat gpt-4o > POST llm/invoke`,
          `${run} > execute_tool add`,
          `${run} > execute_tool add > POST tool/invoke`,
          `${run} > chat gpt-4o`,
          `${run} > chat gpt-4o > POST llm/invoke`,
          `${run} > store finalise`,
        ].sort(),
      );
      expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
      expect(new Set(spans.map(({ scope }) => scope))).toEqual(new Set(['dify-agent']));
    });
  });

  test('says what the semantic conventions ask for, and nothing of what was said', async () => {
    const built: string[] = [];
    await withTraces(
      { resourceAttributes: [['deployment.environment.name', 'test']] },
      async ({ probe, collector }) => {
        await tellRun(probe, { built: (what) => built.push(what) });
        const spans = await spansOf(collector);
        const named = (name: string): ReceivedSpan => {
          const span = spans.find((candidate) => candidate.name === name);
          if (span === undefined) throw new Error(`no span ${name}`);
          return span;
        };
        expect(named('POST /runs')).toMatchObject({ kind: 'server', status: 'unset', parentSpanId: null });
        expect(named('POST /runs').attributes).toEqual({
          'http.request.method': 'POST',
          'http.route': '/runs',
          'http.response.status_code': 202,
          'dify_agent.request.id': 'req-1',
        });
        expect(named('invoke_agent')).toMatchObject({ kind: 'internal', status: 'unset' });
        expect(named('invoke_agent').attributes).toEqual({
          'gen_ai.operation.name': 'invoke_agent',
          'gen_ai.provider.name': 'p/openai',
          'gen_ai.request.model': 'gpt-4o',
          'gen_ai.usage.input_tokens': 20,
          'gen_ai.usage.output_tokens': 30,
          'dify_agent.run.id': 'run-1',
          'dify_agent.tenant.id': 'tenant-1',
          'dify_agent.run.layers': 4,
          'dify_agent.run.outcome': 'succeeded',
          'dify_agent.run.events': 12,
          'dify_agent.run.event_chars': 3456,
          'dify_agent.store.appends': 2,
          'dify_agent.store.append_ms': 4,
          'dify_agent.store.append_ms_max': 2.5,
        });
        expect(named('chat gpt-4o').kind).toBe('client');
        expect(named('chat gpt-4o').attributes).toEqual({
          'gen_ai.operation.name': 'chat',
          'gen_ai.provider.name': 'p/openai',
          'gen_ai.request.model': 'gpt-4o',
          'gen_ai.response.finish_reasons': ['stop'],
          'gen_ai.usage.input_tokens': 10,
          'gen_ai.usage.output_tokens': 15,
          'dify_agent.model.step': 1,
        });
        expect(named('execute_tool add').attributes).toEqual({
          'gen_ai.operation.name': 'execute_tool',
          'gen_ai.tool.name': 'add',
          'gen_ai.tool.type': 'function',
          'gen_ai.tool.call.id': 'call-1',
          'dify_agent.tool.outcome': 'ok',
        });
        expect(named('POST llm/invoke').kind).toBe('client');
        expect(named('POST llm/invoke').attributes).toEqual({
          'http.request.method': 'POST',
          'http.response.status_code': 200,
          'service.peer.name': 'plugin_daemon',
          'dify_agent.peer.operation': 'llm/invoke',
        });
        expect(named('store create').attributes).toEqual({ 'dify_agent.store.operation': 'create' });
        expect(named('POST /runs').resource).toMatchObject({
          'service.name': 'dify-agent',
          'deployment.environment.name': 'test',
          'telemetry.sdk.name': 'opentelemetry',
          'service.version': expect.any(String),
          'service.instance.id': expect.any(String),
        });
      },
    );
    expect(built).toEqual([]);
  });

  test('the names of attributes are those of the installed conventions', () => {
    const known = new Set<unknown>(Object.values(conventions));
    for (const name of [...Object.values(GEN_AI), SERVICE_INSTANCE_ID, SERVICE_PEER_NAME]) {
      expect([name, known.has(name)]).toEqual([name, true]);
    }
  });
});

describe('ends that are not good', () => {
  const FAILED = { ...SUCCEEDED, outcome: 'failed', reason: 'model_error', error: 'the model said no' } as const;

  test('a failed run is an error with its reason and its text', async () => {
    await withTraces({}, async ({ probe, collector }) => {
      await tellRun(probe, { end: FAILED });
      const run = await collector.span('invoke_agent');
      expect(run).toMatchObject({ status: 'error', statusMessage: 'the model said no' });
      expect(run.attributes).toMatchObject({
        'error.type': 'model_error',
        'dify_agent.run.outcome': 'failed',
        'dify_agent.run.reason': 'model_error',
      });
    });
  });

  test('a long text of a failure is cut', async () => {
    await withTraces({}, async ({ probe, collector }) => {
      await tellRun(probe, { end: { ...FAILED, error: 'x'.repeat(100_000) } });
      expect((await collector.span('invoke_agent')).statusMessage).toHaveLength(2000);
    });
  });

  test('a cancelled run is none: somebody wanted it', async () => {
    await withTraces({}, async ({ probe, collector }) => {
      await tellRun(probe, { end: { ...SUCCEEDED, outcome: 'cancelled' } });
      const run = await collector.span('invoke_agent');
      expect(run).toMatchObject({ status: 'unset', attributes: { 'dify_agent.run.outcome': 'cancelled' } });
    });
  });

  test('models, tools, peers, the store and answers of the server fail with a type; what was stopped did not fail', async () => {
    await withTraces({}, async ({ probe, collector }) => {
      const request = probe.request(REQUEST);
      request.within(() => {
        const run = probe.run({ runId: 'r', tenantId: null, layers: 1 });
        const content = () => '';
        const asked = { provider: 'p', step: 1, content };
        const unanswered = { finishReason: null, inputTokens: 0, outputTokens: 0, content };
        run.modelRequest({ ...asked, model: 'bad' }).end({ ...unanswered, error: 'rate_limit' });
        run.modelRequest({ ...asked, model: 'stopped' }).end({ ...unanswered, error: 'aborted' });
        run.toolCall({ tool: 'bad', callId: 'c', content }).end({ outcome: 'error', content });
        run.toolCall({ tool: 'again', callId: 'c', content }).end({ outcome: 'retry', content });
        probe.peer({ peer: 'shellctl', method: 'GET', operation: 'job/wait' }).end({ status: 503, error: null });
        probe
          .peer({ peer: 'dify_api', method: 'PUT', operation: 'file' })
          .end({ status: null, error: 'connect_timeout' });
        probe.store('finalise').end({ failed: true });
        run.end(SUCCEEDED);
      });
      request.end({ status: 503 });
      await collector.span('POST /runs');
      const ends = Object.fromEntries(
        collector.spans.map(({ name, status, attributes }) => [name, [status, attributes['error.type'] ?? null]]),
      );
      expect(ends).toEqual({
        'chat bad': ['error', 'rate_limit'],
        'chat stopped': ['unset', null],
        'execute_tool bad': ['error', 'tool_error'],
        'execute_tool again': ['unset', null],
        'GET job/wait': ['error', '503'],
        'PUT file': ['error', 'connect_timeout'],
        'store finalise': ['error', 'store_unavailable'],
        invoke_agent: ['unset', null],
        'POST /runs': ['error', '503'],
      });
    });
  });

  test('runs of a dead process are told by whoever ended them', async () => {
    await withTraces({}, async ({ probe, collector }) => {
      probe.swept(0);
      probe.swept(3);
      expect(await collector.span('recover_runs')).toMatchObject({
        parentSpanId: null,
        status: 'error',
        attributes: { 'dify_agent.runs.recovered': 3, 'dify_agent.run.outcome': 'lost', 'error.type': 'worker_lost' },
      });
      expect(collector.spans).toHaveLength(1);
    });
  });
});

describe('hostile input', () => {
  test('methods, names and ids of any length and any letters', async () => {
    await withTraces({}, async ({ probe, collector }) => {
      const long = '\u{1f600}'.repeat(5000);
      const request = probe.request({ ...REQUEST, method: 'X'.repeat(5000), route: null, requestId: long });
      request.within(() => {
        const run = probe.run({ runId: 'r', tenantId: `x${long}`, layers: 1 });
        run.toolCall({ tool: long, callId: long, content: () => '' }).end({ outcome: 'ok', content: () => '' });
        run.modelRequest({ provider: long, model: '\ud800', step: 1, content: () => '' }).end({
          error: long,
          finishReason: long,
          inputTokens: 1e30,
          outputTokens: Number.NaN,
          content: () => '',
        });
        run.end(SUCCEEDED);
      });
      request.end({ status: 400 });
      const server = await collector.span('HTTP');
      expect(server.attributes['http.request.method']).toBe('_OTHER');
      for (const { name, attributes } of collector.spans) {
        expect(name.length).toBeLessThan(240);
        for (const value of Object.values(attributes)) expect(String(value).length).toBeLessThanOrEqual(200);
      }
    });
  });

  test('a scope that is ended again, and work that throws', async () => {
    await withTraces({}, async ({ probe, collector }) => {
      const request = probe.request(REQUEST);
      expect(() =>
        request.within(() => {
          throw new Error('of the work');
        }),
      ).toThrow('of the work');
      request.end({ status: 500 });
      request.end({ status: 200 });
      expect((await collector.span('POST /runs')).attributes['http.response.status_code']).toBe(500);
      expect(collector.spans).toHaveLength(1);
    });
  });
});

describe('trace context', () => {
  const from = `00-${TRACE}-${PARENT}-01`;

  test('a caller’s trace is continued, and told to the peers', async () => {
    await withTraces({}, async ({ probe, collector }) => {
      const sent = await tellRun(probe, { traceparent: from, tracestate: 'vendor=1,other=2' });
      const spans = await spansOf(collector);
      expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
      const request = spans.find(({ name }) => name === 'POST /runs');
      expect(request).toMatchObject({ parentSpanId: PARENT, remoteParent: true, traceState: 'vendor=1,other=2' });
      expect(sent).toHaveLength(3);
      const peers = spans.filter(({ name }) => / (?:llm|tool)\/invoke$/.test(name)).map(({ spanId }) => spanId);
      expect(sent.map(({ traceparent }) => traceparent).sort()).toEqual(
        peers.map((spanId) => `00-${TRACE}-${spanId}-01`).sort(),
      );
      expect(sent.map(({ tracestate }) => tracestate)).toEqual(Array(3).fill('vendor=1,other=2'));
    });
  });

  test.each([
    'nonsense',
    '',
    `00-${TRACE}-${PARENT}`,
    `00-${TRACE}-${PARENT}-01-extra`,
    `ff-${TRACE}-${PARENT}-01`,
    `00-${'0'.repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01\r\nx: y`,
  ])('%j is not one: the trace is new', async (traceparent) => {
    await withTraces({}, async ({ probe, collector }) => {
      const [sent] = await tellRun(probe, { traceparent, tracestate: 'a=1' });
      const request = await collector.span('POST /runs');
      expect(request.parentSpanId).toBeNull();
      expect(request.traceId).not.toBe(TRACE);
      expect(request.traceState).toBeNull();
      expect(sent?.traceparent).toStartWith(`00-${request.traceId}-`);
    });
  });

  test('a bad tracestate is dropped, the trace goes on', async () => {
    await withTraces({}, async ({ probe, collector }) => {
      const [sent] = await tellRun(probe, { traceparent: from, tracestate: `ok=1,\u0001bad,${'x'.repeat(10_000)}=1` });
      expect((await collector.span('POST /runs')).traceId).toBe(TRACE);
      expect(sent?.tracestate ?? '').toMatch(/^(?:ok=1)?$/);
    });
  });

  test('a caller that does not record is followed: nothing is exported, and the peers are told so', async () => {
    const built: string[] = [];
    await withTraces({ content: true }, async ({ probe, collector, traces }) => {
      const sent = await tellRun(probe, { traceparent: `00-${TRACE}-${PARENT}-00`, built: (what) => built.push(what) });
      for (const headers of sent) expect(headers.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
      await traces.close();
      expect(collector.posts).toEqual([]);
    });
    expect(built).toEqual([]);
  });

  test('without propagation a caller’s trace is not read and peers are told nothing', async () => {
    await withTraces({ propagate: false }, async ({ probe, collector }) => {
      const sent = await tellRun(probe, { traceparent: from });
      expect((await collector.span('POST /runs')).traceId).not.toBe(TRACE);
      expect(sent).toEqual([{}, {}, {}]);
    });
  });

  test('runs at the same time do not mix', async () => {
    await withTraces({}, async ({ probe, collector }) => {
      const traces = Array.from({ length: 50 }, (_, i) => (i + 1).toString(16).padStart(32, 'a'));
      const sent = await Promise.all(
        traces.map((trace) => tellRun(probe, { traceparent: `00-${trace}-${PARENT}-01` })),
      );
      const spans = await collector.wait('all of them', (all) => all.length === 50 * 10);
      for (const [at, trace] of traces.entries()) {
        expect(spans.filter(({ traceId }) => traceId === trace)).toHaveLength(10);
        for (const { traceparent } of sent[at] ?? []) expect(traceparent).toContain(trace);
      }
    });
  });
});

describe('what nobody waits for', () => {
  test('probes of the process, and peers and the store outside any request, make no spans', async () => {
    await withTraces({}, async ({ probe, collector, traces }) => {
      for (const route of ['/healthz', '/readyz', '/metrics']) {
        const request = probe.request({ ...REQUEST, method: 'GET', route });
        request.within(() => probe.store('cancel').end({ failed: false }));
        request.end({ status: 200 });
      }
      const peer = probe.peer({ peer: 'plugin_daemon', method: 'GET', operation: 'health' });
      expect(peer.headers).toEqual({});
      peer.end({ status: 200, error: null });
      probe.store('sweep').end({ failed: false });
      probe.refused('stopping');
      await traces.close();
      expect(collector.posts).toEqual([]);
    });
  });
});

describe('sampling', () => {
  /** How many of 200 traces are recorded, and whether each is recorded as a whole. */
  async function recorded(sampler: 'always_on' | 'always_off' | 'traceidratio', samplerRatio = 1): Promise<number> {
    let traces = 0;
    await withTraces({ sampler, samplerRatio }, async ({ probe, collector, traces: open }) => {
      for (let i = 0; i < 200; i++) await tellRun(probe);
      await open.close();
      const perTrace = Map.groupBy(collector.spans, ({ traceId }) => traceId);
      for (const spans of perTrace.values()) expect(spans).toHaveLength(10);
      traces = perTrace.size;
    });
    return traces;
  }

  test('all, none, or about the share that was asked for; always whole traces', async () => {
    expect(await recorded('always_on')).toBe(200);
    expect(await recorded('always_off')).toBe(0);
    // Binomial: outside of this once in more than a billion.
    const half = await recorded('traceidratio', 0.5);
    expect(half).toBeGreaterThan(50);
    expect(half).toBeLessThan(150);
  });
});

describe('content', () => {
  test('is recorded where it is wanted', async () => {
    await withTraces({ content: true }, async ({ probe, collector }) => {
      await tellRun(probe);
      expect((await collector.span('chat gpt-4o')).attributes).toMatchObject({
        'gen_ai.input.messages': 'Add 1 and 2.',
        'gen_ai.output.messages': 'call add',
      });
      expect((await collector.span('execute_tool add')).attributes).toMatchObject({
        'gen_ai.tool.call.arguments': '{"a":1,"b":2}',
        'gen_ai.tool.call.result': '3',
      });
    });
  });
});
