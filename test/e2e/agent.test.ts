// The sequences of spec 06 §14 through the binary, as a strict client reads them: the scripted model plays the model and
// its tools.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type AgentOptions, type AgentTurn, agent, answerOf, call, runAgent } from '../support/agent-runs.ts';
import { createRun, get } from '../support/runs.ts';
import { startServer, type TestServer, withServer } from '../support/server.ts';
import { until } from '../support/until.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startServer();
}, 180_000);

afterAll(() => server.dispose());

const play = (turns: readonly AgentTurn[], options: AgentOptions = {}) => runAgent(server.url, agent(turns, options));

const add = { name: 'add', results: [{ content: 3 }] };
const slow = { name: 'slow', results: [{ content: 'late', delay_ms: 40 }] };
const answer = answerOf({ n: { type: 'integer' } });
const TEXT = ['PS(text)', 'FR', 'PE(text)'];
const TOOL = ['PS(tool-call)', 'PE(tool-call)'];
const OUTPUT = ['PS(tool-call)', 'FR(final_output)', 'PE(tool-call)'];
const good = (id = 'o1') => call(id, 'final_output', { n: 1 });
const bad = (id = 'o1') => call(id, 'final_output', { n: 'x' });
const question = (id = 'h1') => call(id, 'ask_human', { question: 'Really?' });
const ok = [{ text: 'ok' }];

describe('text and thinking', () => {
  test('one chunk, and a stream', async () => {
    expect((await play([ok])).kinds).toEqual(TEXT);
    const streamed = await play([[{ text: 'a' }, { text: 'b' }, { text: 'c' }]]);
    expect(streamed.kinds).toEqual(['PS(text)', 'FR', 'PD', 'PD', 'PE(text)']);
    expect(streamed.terminal.output).toBe('abc');
  });

  test('thinking, then text', async () => {
    const { kinds } = await play([[{ thinking: 'h' }, { thinking: 'm' }, { text: 'ok' }]]);
    expect(kinds).toEqual(['PS(thinking)', 'PD', 'PE(thinking)', ...TEXT]);
  });

  test('an empty answer is asked again once, then the run fails', async () => {
    const again = await play([[], ok], { history: true });
    expect(again.kinds).toEqual(TEXT);
    expect(again.stored).toEqual(['request:user-prompt', 'response:', 'request:', 'response:text']);
    expect((await play([[], []])).error).toBe('Exceeded maximum retries (1) for output validation');
  });

  test('an empty answer after text and a call: the text of this run is the answer', async () => {
    const run = await play([[{ text: 'so far' }, call('c1', 'add')], []], { tools: [add] });
    expect(run.terminal.output).toBe('so far');
    expect(run.kinds).toEqual([...TEXT, ...TOOL, 'TC(true)', 'TR(tool-return)']);
  });

  test('but never the text of an earlier run', async () => {
    const first = await play([ok], { history: true });
    const second = await play([[], [{ text: 'new' }]], { history: true, snapshot: first.terminal.session_snapshot });
    expect(second.terminal.output).toBe('new');
  });
});

describe('tools', () => {
  test('one call', async () => {
    const { kinds, stored } = await play([[call('c1', 'add')], ok], { tools: [add], history: true });
    expect(kinds).toEqual([...TOOL, 'TC(true)', 'TR(tool-return)', ...TEXT]);
    expect(stored).toEqual(['request:user-prompt', 'response:tool-call', 'request:tool-return', 'response:text']);
  });

  test('parallel calls: results as they complete, stored in call order', async () => {
    const run = await play([[call('c1', 'slow'), call('c2', 'add')], ok], { tools: [slow, add], history: true });
    const order = (text: string) => [...text.matchAll(/"tool_call_id":"(c\d)","metadata"/g)].map((match) => match[1]);
    const results = run.frames.filter(({ data }) => data.includes('"function_tool_result"'));
    expect(results.flatMap(({ data }) => order(data))).toEqual(['c2', 'c1']);
    expect(order(run.frames.at(-1)?.data ?? '')).toEqual(['c1', 'c2']);
  });

  test('text beside a call is announced as a final result, and is not the answer', async () => {
    const run = await play([[{ text: 'let me' }, call('c1', 'add')], ok], { tools: [add] });
    expect(run.kinds).toEqual([...TEXT, ...TOOL, 'TC(true)', 'TR(tool-return)', ...TEXT]);
    expect(run.terminal.output).toBe('ok');
  });

  test('invalid arguments are told to the model; twice in a row ends the run', async () => {
    const once = await play([[call('c1', 'add', '{bad')], [call('c2', 'add')], ok], { tools: [add] });
    expect(once.kinds).toEqual([
      ...[...TOOL, 'TC(false)', 'TR(retry-prompt)'],
      ...[...TOOL, 'TC(true)', 'TR(tool-return)', ...TEXT],
    ]);
    const twice = await play([[call('c1', 'add', '[1]')], [call('c2', 'add', 'nonsense')]], { tools: [add] });
    expect(twice.kinds.slice(-3)).toEqual([...TOOL, 'TC(false)']);
    expect(twice.error).toBe("Tool 'add' exceeded max retries count of 1");
  });

  test('a name that nobody has', async () => {
    const run = await play([[call('c1', 'nope')], ok], { tools: [add], output: answer });
    expect(run.frames.find(({ data }) => data.includes('retry-prompt'))?.data).toContain(
      `"content":"Unknown tool name: 'nope'. Available tools: 'final_output', 'add'"`,
    );
  });

  test('a tool that wants another try, and one that fails', async () => {
    const trying = { name: 'try', results: [{ retry: 'smaller' }, { content: 'done' }] };
    const run = await play([[call('c1', 'try')], [call('c2', 'try')], ok], { tools: [trying] });
    expect(run.kinds.filter((kind) => kind.startsWith('T'))).toEqual([
      ...['TC(true)', 'TR(retry-prompt)', 'TC(true)', 'TR(tool-return)'],
    ]);
    const never = { name: 'try', results: [{ retry: 'smaller' }] };
    const failed = await play([[call('c1', 'try')], [call('c2', 'try')]], { tools: [never] });
    expect([failed.kinds.at(-1), failed.error]).toEqual(['TC(true)', "Tool 'try' exceeded max retries count of 1"]);
    const broken = { name: 'broken', results: [{ error: 'no more paper' }] };
    const ended = await play([[call('c1', 'broken'), call('c2', 'slow')]], { tools: [broken, slow] });
    expect([ended.kinds.slice(-2), ended.error]).toEqual([['TC(true)', 'TC(true)'], 'no more paper']);
  });

  test('fifty model requests, and no more', async () => {
    const run = await play(
      Array.from({ length: 51 }, (_, index) => [call(`c${index}`, 'add')]),
      { tools: [add] },
    );
    expect(run.error).toBe('The next request would exceed the request_limit of 50');
    expect(run.kinds.filter((kind) => kind === 'TR(tool-return)')).toHaveLength(50);
  });

  test('names that stand twice are refused before the model is asked', async () => {
    const run = await play([ok], { tools: [add, slow, add], ask: { tool_name: 'slow' } });
    expect(run.types).toEqual(['run_started', 'run_failed']);
    expect(run.error).toBe('Agent run requires unique tool names across all layers, got duplicates: add, slow.');
  });
});

describe('structured output', () => {
  const play1 = (turns: readonly AgentTurn[], more: AgentOptions = {}) => play(turns, { output: answer, ...more });

  test('in one call, with text before it', async () => {
    const one = await play1([[good()]], { history: true });
    expect([one.kinds, one.terminal.output]).toEqual([OUTPUT, { n: 1 }]);
    expect(one.stored).toEqual(['request:user-prompt', 'response:tool-call', 'request:tool-return']);
    expect((await play1([[{ text: 'so' }, good()]])).kinds).toEqual(['PS(text)', 'PE(text)', ...OUTPUT]);
  });

  test('invalid, then valid; invalid twice', async () => {
    const once = await play1([[bad()], [good('o2')]]);
    expect(once.kinds).toEqual([...OUTPUT, 'TC(false)', 'TR(retry-prompt)', ...OUTPUT]);
    expect(once.frames.find(({ data }) => data.includes('retry-prompt'))?.data).toContain(
      `Output does not match JSON Schema: $.n: 'x' is not of type 'integer'`,
    );
    const twice = await play1([[bad()], [bad('o2')]]);
    expect(twice.kinds.slice(-3)).toEqual(OUTPUT);
    expect(twice.error).toBe('Exceeded maximum retries (1) for output validation');
  });

  test('text alone is no answer: asked again once', async () => {
    expect((await play1([ok, [good()]])).kinds).toEqual(['PS(text)', 'PE(text)', ...OUTPUT]);
    expect((await play1([ok, ok])).error).toBe('Exceeded maximum retries (1) for output validation');
    // The reference counts an invalid call without looking at the limit (spec 06 §8.2).
    expect((await play1([ok, [bad()], [good('o2')]])).terminal.output).toEqual({ n: 1 });
    expect((await play1([[bad()], ok])).error).toBe('Exceeded maximum retries (1) for output validation');
  });

  test('beside a tool call: the tool is not run', async () => {
    const run = await play1([[call('c1', 'add'), good()]], { tools: [add], history: true });
    expect(run.kinds).toEqual([...TOOL, ...OUTPUT]);
    expect(run.frames.at(-1)?.data).toContain('Tool not executed - a final result was already processed.');
  });

  test('bad, good, good and an unknown call in one response', async () => {
    const run = await play1([[bad('o1'), good('o2'), good('o3'), call('c1', 'nope')]]);
    expect(run.kinds.filter((kind) => !kind.startsWith('P'))).toEqual([
      'FR(final_output)',
      ...['TC(false)', 'TR(retry-prompt)', 'TC(null)', 'TR(tool-return)', 'TC(false)', 'TR(retry-prompt)'],
    ]);
    expect(run.terminal.output).toEqual({ n: 1 });
  });

  test('cut at the token limit', async () => {
    const cut = { items: [call('o1', 'final_output', '{"n":')], finish_reason: 'length' };
    expect((await play1([cut, cut])).error).toStartWith(
      'Model token limit (provider default) exceeded while generating a tool call, resulting in incomplete arguments.',
    );
  });
});

describe('asking a human', () => {
  const asking = { ask: {}, history: true };

  test('ends the run with the question; the answer goes on', async () => {
    const asked = await play([[question()]], asking);
    expect(asked.kinds).toEqual(['PS(tool-call)', 'FR', 'PE(tool-call)', 'TC(true)']);
    expect(asked.status.status).toBe('succeeded');
    expect(Object.keys(asked.terminal)).toEqual(['session_snapshot', 'deferred_tool_call']);
    expect(asked.terminal.deferred_tool_call).toMatchObject({
      tool_call_id: 'h1',
      tool_name: 'ask_human',
      args: { title: null, question: 'Really?', fields: [], actions: [{ id: 'submit', style: 'primary' }] },
    });
    const snapshot = asked.terminal.session_snapshot;
    const answered = await play([ok], { ...asking, prompt: ' ', snapshot, results: { h1: { status: 'submitted' } } });
    expect(answered.kinds).toEqual(['TC(null)', 'TR(tool-return)', ...TEXT]);
    expect(answered.stored).toEqual([
      'request:user-prompt',
      'response:tool-call',
      'request:tool-return',
      'response:text',
    ]);
  });

  test('may ask again after an answer', async () => {
    const first = await play([[question('h1')]], asking);
    const more = { ...asking, snapshot: first.terminal.session_snapshot, results: { h1: 'yes' } };
    const second = await play([[question('h2')]], more);
    expect(second.terminal.deferred_tool_call).toMatchObject({ tool_call_id: 'h2' });
    const last = { ...asking, snapshot: second.terminal.session_snapshot, results: { h2: null } };
    expect((await play([ok], last)).terminal.output).toBe('ok');
  });

  test('with other tools: they run first, and only the question stays open', async () => {
    const run = await play([[question(), call('c1', 'add')]], { ...asking, tools: [add] });
    expect(run.kinds.slice(-3)).toEqual(['TC(true)', 'TR(tool-return)', 'TC(true)']);
    const snapshot = run.terminal.session_snapshot;
    const resumed = await play([ok], { ...asking, tools: [add], snapshot, results: { h1: 1 } });
    expect(resumed.terminal.output).toBe('ok');
    const again = await play([ok], { ...asking, tools: [add], snapshot, results: { h1: 1, c1: 2 } });
    expect(again.error).toBe("Tool call 'c1' was already executed and its result cannot be overridden.");
  });

  test('bad arguments, then good ones', async () => {
    const run = await play([[call('h1', 'ask_human', { question: ' ' })], [question('h2')]], asking);
    expect(run.kinds.filter((kind) => kind.startsWith('T'))).toEqual(['TC(false)', 'TR(retry-prompt)', 'TC(true)']);
  });

  test('beside a valid output: the output wins', async () => {
    const run = await play([[question(), good()]], { ...asking, output: answer });
    expect(run.kinds).toEqual(['PS(tool-call)', 'FR', 'PE(tool-call)', ...TOOL]);
    expect(run.terminal.output).toEqual({ n: 1 });
  });

  test('what cannot be resumed is said at once', async () => {
    const errorOf = async (turns: readonly AgentTurn[], options: AgentOptions) => (await play(turns, options)).error;
    expect(await errorOf([[question()]], { ask: {} })).toBe(
      "ask_human deferred tool requests require a 'history' layer so the pending tool call can be resumed.",
    );
    expect(await errorOf([[question('a'), question('b')]], asking)).toBe(
      'ask_human supports exactly one deferred call per run in this version; got 2.',
    );
    expect(await errorOf([ok], { results: {} })).toBe(
      "Deferred tool results require a 'history' layer with prior message history.",
    );
    const { session_snapshot: snapshot } = (await play([[question()]], asking)).terminal;
    expect(await errorOf([ok], { ...asking, snapshot })).toBe(
      'Cannot provide a new user prompt when the message history contains unprocessed tool calls.',
    );
    expect(await errorOf([ok], { ...asking, snapshot, results: { hx: 1 } })).toBe(
      "Tool call results need to be provided for all deferred tool calls. Expected: {'h1'}, got: {'hx'}",
    );
  });

  test('a disabled layer is as none', async () => {
    const run = await play([[question()], ok], { ask: { enabled: false }, history: true });
    expect(run.frames.find(({ data }) => data.includes('retry-prompt'))?.data).toContain(
      `Unknown tool name: 'ask_human'. No tools available.`,
    );
  });
});

describe('lifecycle-only runs', () => {
  const layers = [
    { name: 'prompt', lifecycle_state: 'suspended', runtime_state: {} },
    { name: 'history', lifecycle_state: 'suspended', runtime_state: { messages: [] } },
  ];
  const body = (snapshot: unknown) => ({
    composition: {
      layers: [
        { name: 'prompt', type: 'plain.prompt', config: { user: '' } },
        { name: 'history', type: 'pydantic_ai.history', config: null },
      ],
    },
    session_snapshot: snapshot,
    on_exit: { default: 'delete' },
  });

  test('close every layer, answer null, and take milliseconds', async () => {
    const times: number[] = [];
    for (let round = 0; round < 20; round += 1) {
      const started = performance.now();
      const run = await runAgent(server.url, body({ layers }));
      times.push(performance.now() - started);
      expect(run.types).toEqual(['run_started', 'run_succeeded']);
      expect(run.terminal).toEqual({
        session_snapshot: {
          schema_version: 1,
          layers: layers.map((layer) => ({ ...layer, lifecycle_state: 'closed' })),
        },
        output: null,
      });
    }
    expect(Math.min(...times)).toBeLessThan(50);
  });

  test('need a snapshot that can be entered', async () => {
    expect((await runAgent(server.url, body(null))).error).toBe('run.user_prompts must not be empty');
    const closed = layers.map((layer) => ({ ...layer, lifecycle_state: 'closed' }));
    expect((await runAgent(server.url, body({ layers: closed }))).error).toBe(
      "Layer 'prompt' is closed; CLOSED snapshots cannot be entered.",
    );
  });

  test('take no answers to questions', async () => {
    const run = await runAgent(server.url, { ...body({ layers }), deferred_tool_results: { calls: {} } });
    expect(run.error).toBe("Deferred tool results require the reserved 'llm' layer.");
  });
});

test('in vintage 2026-08 a result is called part, and every other event is as before', async () => {
  const env = { DIFY_AGENT_WIRE_VINTAGE: '2026-08' };
  await withServer({ env }, async ({ url }) => {
    const runId = await createRun(url, agent([[call('c1', 'add')], ok], { tools: [add] }));
    const events = await until('the end of the run', async () => {
      const page = JSON.parse((await get(`${url}/runs/${runId}/events?limit=500`)).text) as {
        readonly events: readonly { readonly type: string; readonly data: { readonly event_kind?: string } }[];
      }; // docs/http-api.md
      return page.events.at(-1)?.type === 'run_succeeded' && page.events;
    });
    const result = events.find(({ data }) => data.event_kind === 'function_tool_result');
    expect(Object.keys(result?.data ?? {})).toEqual(['part', 'content', 'event_kind']);
    expect(events.flatMap(({ data }) => data.event_kind ?? [])).toEqual([
      ...['part_start', 'part_end', 'function_tool_call', 'function_tool_result'],
      ...['part_start', 'final_result', 'part_end'],
    ]);
  });
}, 60_000);
