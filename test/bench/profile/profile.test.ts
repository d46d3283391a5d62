// The reference's profile in small: the fakes keep honest ledgers, the driver reads any server's stream, blocks of a server that
// contradicts itself are invalid. No figure is asserted.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type BenchDaemon, startBenchDaemon } from '../../fakes/bench-daemon.ts';
import { mismatches, newLedger } from '../../fakes/bench-ledger.ts';
import { budgetMs, idealRunsPerSecond, SCENARIOS, type Scenario, streamItems } from '../../fakes/bench-scenarios.ts';
import { withServer } from '../../support/server.ts';
import { middle } from '../figures.ts';
import { profileBlocks, startFakes } from './blocks.ts';
import { compare, comparison } from './compare.ts';
import { benchmarkRequest } from './request.ts';
import { EventStreams } from './stream.ts';

const [single, , tools] = SCENARIOS as readonly [Scenario, Scenario, Scenario]; // the five of the profile

test('budgets, items and ideal rates are those of the profile', () => {
  expect(SCENARIOS.map(budgetMs)).toEqual([10, 109, 139, 139, 10]);
  expect(SCENARIOS.map(streamItems)).toEqual([1, 100, 102, 102, 1000]);
  expect(SCENARIOS.map((scenario) => Math.round(idealRunsPerSecond(scenario) * 10) / 10)).toEqual([
    100, 9.2, 7.2, 71.9, 100,
  ]);
});

test('the request carries numbers as numbers, and tools only where they are called', () => {
  expect(benchmarkRequest(single, 'b-1')).toContain(
    '"credentials":{"benchmark_run_id":"b-1","scenario_id":"single_1_chunk_c1","scenario_version":1}',
  );
  expect(benchmarkRequest(single, 'b-1')).not.toContain('benchmark_tool');
  expect(benchmarkRequest(tools, 'b-1')).toContain('"tool_name":"benchmark_tool"');
});

describe('the fake peers', () => {
  let daemon: BenchDaemon;
  beforeAll(() => {
    daemon = startBenchDaemon();
  });
  afterAll(() => daemon.stop());

  const ask = async (path: string, body?: object) => {
    const response = await fetch(`${daemon.url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      proxy: false,
    });
    return { status: response.status, text: await response.text() };
  };
  const plan = (scenario: Scenario, id: string) => ({
    benchmark_run_id: id,
    scenario_id: scenario.id,
    scenario_version: scenario.version,
  });
  const invoke = (kind: 'llm' | 'tool', credentials: object) =>
    ask(`/plugin/benchmark-tenant/dispatch/${kind}/invoke`, { data: { credentials }, user_id: 'u' });

  test('play the rounds of a run and refuse one more', async () => {
    const run = plan(tools, 'b-tools');
    expect((await ask('/health')).status).toBe(200);
    expect((await ask('/__bench/ledgers/b-tools')).status).toBe(404);
    expect((await ask('/__bench/prepare', run)).status).toBe(200);
    const first = await invoke('llm', run);
    expect(first.text).toContain('"id":"benchmark-tool-call-1"');
    expect(first.text).toContain('"finish_reason":"tool_calls"');
    expect((await invoke('tool', run)).text).toContain('x'.repeat(1024));
    expect((await invoke('llm', run)).text).toContain('"id":"benchmark-tool-call-2"');
    await invoke('tool', run);
    const last = await invoke('llm', run);
    expect(last.text.match(/"content":"x"/g)?.length).toBe(100);
    expect(last.text).toContain('"total_tokens":15');
    const ledger = JSON.parse((await ask('/__bench/ledgers/b-tools')).text);
    expect(mismatches(ledger, tools)).toEqual([]);
    expect(ledger.model_start_latencies_ms).toHaveLength(3);
    expect((await invoke('llm', run)).status).toBe(409);
    expect(mismatches(JSON.parse((await ask('/__bench/ledgers/b-tools')).text), tools)).toEqual([
      'ledger of b-tools: round 4 of 3',
    ]);
  });

  test('tell when credentials did not come through unchanged', async () => {
    const run = plan(single, 'b-text');
    await ask('/__bench/prepare', run);
    expect((await invoke('llm', { ...run, scenario_version: '1' })).status).toBe(409);
    expect(mismatches(JSON.parse((await ask('/__bench/ledgers/b-text')).text), single).join()).toContain(
      '"scenario_version":"1"',
    );
  });

  test('forget everything on reset, and know only prepared runs and their own scenarios', async () => {
    await ask('/__bench/prepare', plan(single, 'b-gone'));
    expect((await ask('/__bench/reset', {})).status).toBe(200);
    expect((await ask('/__bench/ledgers/b-gone')).status).toBe(404);
    expect((await invoke('llm', plan(single, 'b-gone'))).status).toBe(404);
    expect((await ask('/__bench/prepare', { ...plan(single, 'x'), scenario_version: 2 })).status).toBe(422);
  });
});

test('a ledger of too little is a mismatch', () => {
  expect(mismatches(newLedger('b', single), single)).toEqual([
    'ledger of b: model_calls 0 instead of 1',
    'ledger of b: stream_items 0 instead of 1',
    'ledger of b: text_chunks 0 instead of 1',
  ]);
});

const event = (seq: number, type: string) => JSON.stringify({ id: `1-${seq}`, run_id: 'r', type, data: {} });
const EVENTS = [event(0, 'run_started'), event(1, 'pydantic_ai_event'), event(2, 'run_succeeded')];
const FRAMES = EVENTS.map((text) => `data: ${text}\n\n`).join('');

describe('the reader of streams', () => {
  /** A server that sends exactly these bytes, piece by piece, to each request. */
  async function reading(pieces: readonly string[], ends: boolean) {
    let connections = 0;
    const listener = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open() {
          connections += 1;
        },
        async data(socket) {
          for (const piece of pieces) {
            socket.write(piece);
            socket.flush();
            await Bun.sleep(1);
          }
          if (ends) socket.end();
        },
      },
    });
    const streams = new EventStreams(`http://127.0.0.1:${listener.port}`, { received: 0, sent: 0 });
    try {
      const found = [await streams.read('/x'), await streams.read('/x')];
      return { found, connections };
    } finally {
      streams.close();
      listener.stop(true);
    }
  }
  const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
  const whole = `${head}${FRAMES.length.toString(16)}\r\n${FRAMES}\r\n0\r\n\r\n`;

  test('understands chunks torn anywhere', async () => {
    const torn = Array.from({ length: Math.ceil(whole.length / 7) }, (_, i) => whole.slice(i * 7, i * 7 + 7));
    const { found } = await reading(torn, false);
    for (const { events, terminal } of found) expect([events, terminal]).toEqual([EVENTS, 'run_succeeded']);
  });

  test('uses a connection again whose answer has ended', async () => {
    const { found, connections } = await reading([whole], false);
    expect(found.map(({ events }) => events)).toEqual([EVENTS, EVENTS]);
    expect(connections).toBe(1);
  });

  test('stops at the terminal event of a stream that does not end', async () => {
    const { found, connections } = await reading([`${head}${FRAMES.length.toString(16)}\r\n${FRAMES}\r\n`], false);
    expect(found.map(({ terminal }) => terminal)).toEqual(['run_succeeded', 'run_succeeded']);
    expect(connections).toBe(2);
  });

  test('tells a stream that ends too early from one that never was', async () => {
    const { found } = await reading(['HTTP/1.1 200 OK\r\n\r\n', `data: ${EVENTS[0]}\n\n`], true);
    expect(found.map(({ terminal, events }) => [terminal, events.length])).toEqual([
      [null, 1],
      [null, 1],
    ]);
    await expect(reading(['HTTP/1.1 404 Not Found\r\n\r\n'], true)).rejects.toThrow('no stream: http/1.1 404');
  });
});

test('two servers take turns, and one whose replay differs from its stream has invalid blocks', async () => {
  const fakes = await startFakes();
  const liar = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      if (request.method === 'POST') return Response.json({ run_id: 'r', status: 'running' }, { status: 202 });
      if (pathname.endsWith('/sse')) return new Response(FRAMES);
      const events = searchParams.has('after') ? [] : [{ id: '1-0' }, { id: '1-2' }];
      return Response.json({ run_id: 'r', events, next_cursor: events.at(-1)?.id ?? searchParams.get('after') });
    },
  });
  try {
    await withServer({ env: { DIFY_AGENT_PLUGIN_DAEMON_URL: fakes.url } }, async ({ url, pid }) => {
      const targets = [
        { name: 'ours', url, pid, redis: null },
        { name: 'liar', url: `http://127.0.0.1:${liar.port}`, pid: null, redis: null },
      ];
      const options = { blocks: 2, size: 'short', scenarios: [single] } as const;
      const blocks = await profileBlocks(targets, fakes.url, options);
      expect(blocks.map(({ server }) => server)).toEqual(['ours', 'liar', 'liar', 'ours']);
      const [ours, theirs] = blocks;
      expect(ours?.problems).toEqual([]);
      expect(ours).toMatchObject({
        attempted: 3,
        admitted: 3,
        terminal: 3,
        successful: 3,
        events_per_run: 5,
        max_active_runs: 1,
      });
      expect(ours?.overhead_ms.p50).toBeGreaterThan(0);
      expect(ours?.network_kb_per_run).toBeGreaterThan(1);
      expect(theirs?.problems.join('\n')).toContain('r: 3 ids over SSE, 2 others replayed');
      expect(theirs?.problems.join('\n')).toContain('model_calls 0 instead of 1');
      const text = comparison(blocks, ['ours', 'liar']).join('\n');
      expect(text).toContain('single_1_chunk_c1 (2 INVALID blocks)');
      expect(text).toContain('second ÷ first');
    });
  } finally {
    void liar.stop(true);
    await fakes.stop();
  }
}, 60_000);

test('a server without /openapi.json is not measured', async () => {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('', { status: 503 }) });
  const options = {
    urls: [`http://127.0.0.1:${server.port}`],
    pids: [],
    redisUrls: [],
    redisPrefix: 'x',
    fakesPort: 0,
  };
  const wish = { ...options, blocks: 1, size: 'short', only: null } as const;
  await expect(compare(wish, () => {})).rejects.toThrow('/openapi.json: 503');
  void server.stop(true);
});

test('the middle of an even number of values lies between two', () => {
  expect([middle([3, 1, 2]), middle([4, 1, 2, 3])]).toEqual([2, 2.5]);
});
