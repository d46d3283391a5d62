// Tracing through the binary: a run with a tool call is one trace from the caller's request to the daemon; nobody waits for
// the collector; a stop sends what is waiting; a bad setting stops the start.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type FakeCollector, type ReceivedSpan, startFakeCollector } from '../fakes/otlp.ts';
import { type FakeDaemon, lastItem, type Reply, startFakeDaemon, toolCallItem } from '../fakes/plugin-daemon.ts';
import { finish, post, type RunBody, runToEnd, scripted } from '../support/runs.ts';
import { startProcess, startServer, type TestServer, withServer } from '../support/server.ts';
import { until, within } from '../support/until.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const KEY = 'sk-live-hunter2-hunter2';
const PROMPT = 'What is the weather in Atlantis?';

let collector: FakeCollector;
let daemon: FakeDaemon;
let server: TestServer;

beforeAll(async () => {
  collector = startFakeCollector();
  daemon = await startFakeDaemon();
  server = await startServer({ env: { ...tracing(), DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url } });
}, 180_000);

afterAll(async () => {
  await server.dispose();
  await daemon.stop();
  await collector.stop();
});

function tracing(): Record<string, string> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20hunter2',
    OTEL_SERVICE_NAME: 'agents',
    OTEL_BSP_SCHEDULE_DELAY: '20',
  };
}

/** A composition that asks the daemon for a model and a tool. */
function withTool(): RunBody {
  const deps = { execution_context: 'execution_context' };
  const plugin = { plugin_id: 'langgenius/weather', provider: 'weather', tool_name: 'get_weather' };
  const credentials = { api_key: KEY };
  const layers = [
    { name: 'prompt', type: 'plain.prompt', config: { prefix: 'Be exact.', user: PROMPT } },
    { name: 'execution_context', type: 'dify.execution_context', config: { tenant_id: 'tenant-1', user_id: 'user-1' } },
    {
      name: 'llm',
      type: 'dify.plugin.llm',
      deps,
      config: { plugin_id: 'langgenius/openai', model_provider: 'openai', model: 'gpt-4o-mini', credentials },
    },
    {
      name: 'tools',
      type: 'dify.plugin.tools',
      deps,
      config: { tools: [{ ...plugin, credential_type: 'api-key', credentials }] },
    },
  ];
  return { composition: { layers } };
}

const ASKS: Reply = [toolCallItem('c1', 'get_weather', '{"city":"Atlantis"}'), lastItem('tool_calls')];
const TOOL_SAYS: Reply = [
  { raw: 'data: {"code":0,"message":"","data":{"type":"text","message":{"text":"wet"},"meta":{}}}\n\n' },
];

/** Posts the run as a caller with a trace of its own. */
async function runInTrace(url: string, traceparent: string): Promise<string> {
  const response = await fetch(`${url}/runs`, {
    method: 'POST',
    proxy: false,
    headers: { 'content-type': 'application/json', traceparent },
    body: JSON.stringify(withTool()),
  });
  expect(response.status).toBe(202);
  expect(response.headers.get('traceparent')).toBeNull();
  const { run_id } = (await response.json()) as { readonly run_id: string }; // spec 01 §1.5
  const run = await finish(url, run_id);
  expect(run.types.at(-1)).toBe('run_succeeded');
  return run_id;
}

async function spansOfTrace(trace: string): Promise<readonly ReceivedSpan[]> {
  const inTrace = (spans: readonly ReceivedSpan[]) => spans.filter(({ traceId }) => traceId === trace);
  const all = await collector.wait('the run and its request', (spans) => {
    const names = inTrace(spans).map(({ name }) => name);
    return names.includes('invoke_agent') && names.includes('POST /runs');
  });
  return inTrace(all);
}

function playWeather(): void {
  daemon.play({ llm: [ASKS, ['It is wet.', lastItem()]], tool: { get_weather: [TOOL_SAYS] } });
}

describe('a run with a tool call', () => {
  test('is one trace from the caller to the daemon, without a word of what was said', async () => {
    playWeather();
    const runId = await runInTrace(server.url, `00-${TRACE}-${CALLER}-01`);
    const spans = await spansOfTrace(TRACE);
    const only = (name: string): ReceivedSpan => {
      const found = spans.filter((span) => span.name === name);
      if (found[0] === undefined) throw new Error(`no ${name} in ${spans.map((span) => span.name).join(', ')}`);
      return found[0];
    };
    const [request, run] = [only('POST /runs'), only('invoke_agent')];
    expect(request).toMatchObject({ parentSpanId: CALLER, kind: 'server' });
    expect(request.attributes).toMatchObject({ 'http.route': '/runs', 'http.response.status_code': 202 });
    expect(run).toMatchObject({ parentSpanId: request.spanId, status: 'unset' });
    expect(run.attributes).toMatchObject({
      'dify_agent.run.id': runId,
      'dify_agent.tenant.id': 'tenant-1',
      'dify_agent.run.outcome': 'succeeded',
      'gen_ai.request.model': 'gpt-4o-mini',
      'gen_ai.usage.input_tokens': 20,
      'gen_ai.usage.output_tokens': 10,
    });
    const models = spans.filter(({ name }) => name === 'chat gpt-4o-mini');
    expect(models.map(({ parentSpanId }) => parentSpanId)).toEqual([run.spanId, run.spanId]);
    const tool = only('execute_tool get_weather');
    expect(tool).toMatchObject({ parentSpanId: run.spanId, attributes: { 'gen_ai.tool.call.id': 'c1' } });
    expect(only('store create').traceId).toBe(TRACE);
    expect(only('store finalise').parentSpanId).toBe(run.spanId);

    // What the daemon was told hangs below whatever asked it.
    const asked = [...daemon.llmRequests, ...daemon.toolRequests].map(({ headers }) => headers.traceparent);
    const peers = spans.filter(({ attributes }) => attributes['service.peer.name'] === 'plugin_daemon');
    expect([...asked].sort()).toEqual(peers.map(({ spanId }) => `00-${TRACE}-${spanId}-01`).sort());
    expect(new Set(peers.map(({ parentSpanId }) => parentSpanId))).toEqual(
      new Set([...models.map(({ spanId }) => spanId), tool.spanId]),
    );

    for (const span of spans) expect(span.resource['service.name']).toBe('agents');
    const everything = JSON.stringify(spans, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    for (const said of ['Atlantis', 'wet', 'hunter2']) expect(everything).not.toContain(said);
    expect(collector.posts.at(-1)?.headers.authorization).toBe('Basic hunter2');
    expect(server.stderrLines.join('\n')).not.toContain('hunter2');
    expect(collector.violations).toEqual([]);
  });

  test('of a caller that records nothing is not recorded, and the daemon knows', async () => {
    playWeather();
    const trace = TRACE.replace('4', '5');
    await runInTrace(server.url, `00-${trace}-${CALLER}-00`);
    expect(daemon.llmRequests[0]?.headers.traceparent).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-00$`));
    // Something that is recorded, behind it.
    await runToEnd(server.url, scripted([[{ text: 'done' }]]));
    await collector.wait('another run', (spans) => spans.filter(({ name }) => name === 'invoke_agent').length >= 2);
    expect(collector.spans.filter(({ traceId }) => traceId === trace)).toEqual([]);
  });

  test('tells what was said where DIFY_AGENT_TRACE_CONTENT asks for it, without configured secrets', async () => {
    playWeather();
    const env = { ...tracing(), DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url, DIFY_AGENT_TRACE_CONTENT: 'true' };
    await withServer({ env }, async ({ url }) => {
      const trace = TRACE.replace('4', '6');
      await runInTrace(url, `00-${trace}-${CALLER}-01`);
      const spans = await spansOfTrace(trace);
      const all = (name: string) => spans.map(({ attributes }) => String(attributes[name] ?? '')).join('\n');
      expect(all('gen_ai.input.messages')).toContain(PROMPT);
      expect(all('gen_ai.output.messages')).toContain('It is wet.');
      expect(all('gen_ai.tool.call.arguments')).toContain('Atlantis');
      expect(all('gen_ai.tool.call.result')).toContain('wet');
      expect(all('gen_ai.input.messages')).not.toContain('hunter2');
    });
  });

  test('that fails is an error with its text', async () => {
    daemon.play({ llm: [[{ http: 500, text: 'no' }]] });
    const response = await post(server.url, withTool());
    const { run_id } = (await response.json()) as { readonly run_id: string }; // spec 01 §1.5
    const run = await finish(server.url, run_id);
    expect(run.types.at(-1)).toBe('run_failed');
    const isRun = ({ attributes }: ReceivedSpan) => attributes['dify_agent.run.id'] === run_id;
    const spans = await collector.wait('the run', (all) => all.some(isRun));
    expect(spans.find(isRun)).toMatchObject({ status: 'error', statusMessage: String(run.terminal.error) });
  });
});

test('without the variables the daemon is told nothing', async () => {
  playWeather();
  await withServer({ env: { DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url } }, async ({ url }) => {
    await runInTrace(url, `00-${TRACE}-${CALLER}-01`);
    for (const { headers } of [...daemon.llmRequests, ...daemon.toolRequests]) {
      expect(headers).not.toHaveProperty('traceparent');
      expect(headers).not.toHaveProperty('tracestate');
    }
  });
});

describe('the collector', () => {
  test('may be away: runs succeed, the server stops as usual, and the log says it without repeating itself', async () => {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_EXPORTER_OTLP_TIMEOUT: '300',
      OTEL_BSP_SCHEDULE_DELAY: '20',
    };
    await withServer({ env }, async (site) => {
      for (let i = 0; i < 5; i++) await runToEnd(site.url, scripted([[{ text: 'done' }]]));
      expect(await within('the end', site.stop(), 15_000)).toEqual({ code: 0, signal: null });
      const said = site.stderrLines.filter((line) => line.includes('traces are lost'));
      expect(said.length).toBeGreaterThan(0);
      expect(said.length).toBeLessThan(3);
    });
  });

  test('gets what is waiting when the server stops', async () => {
    const before = collector.spans.length;
    await withServer({ env: { ...tracing(), OTEL_BSP_SCHEDULE_DELAY: '600000' } }, async (site) => {
      await runToEnd(site.url, scripted([[{ text: 'done' }]]));
      expect(await site.stop()).toEqual({ code: 0, signal: null });
    });
    const names = collector.spans.slice(before).map(({ name }) => name);
    expect(names).toContain('invoke_agent');
    expect(names).toContain('POST /runs');
  });
});

test('a setting that is not supported stops the start on one line', async () => {
  const env = { ...tracing(), OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' };
  const running = await startProcess({ env });
  try {
    expect(await within('the end', running.exited)).toEqual({ code: 1, signal: null });
    await until('the line', () => running.stderrLines.length > 0);
    expect(running.stderrLines).toEqual([
      expect.stringMatching(
        /^OTEL_EXPORTER_OTLP_PROTOCOL: grpc is not supported here: set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL/,
      ),
    ]);
  } finally {
    await running.dispose();
  }
});
