// How runs end other than well: cancelled, out of time, failed; what they leave behind; and what they must not tell.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { AgentModel } from '../../src/agent/model.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { emptyLayerConfig, emptyRuntimeState } from '../../src/layers/empty.ts';
import type { AgentLayer, AgentLayerType } from '../../src/layers/types.ts';
import { EndedElsewhereError, ShutdownError } from '../../src/runs/aborts.ts';
import type { RunStore } from '../../src/runs/ports.ts';
import { EventTooLargeError } from '../../src/store/errors.ts';
import {
  chunk,
  errorItem,
  type FakeDaemon,
  goJson,
  lastItem,
  pluginErrorItem,
  startFakeDaemon,
  toolCallItem,
  usage,
} from '../fakes/plugin-daemon.ts';
import { clientFor } from '../peers/plugin-daemon/kit.ts';
import { until } from '../support/until.ts';
import { type LayerSpec, play, start } from './running.ts';
import { memoryStore } from './support.ts';

let daemon: FakeDaemon;
beforeAll(async () => {
  daemon = await startFakeDaemon();
});
afterAll(() => daemon.stop());

const SECRET = 'sk-live/42"quoted';
const prompt: LayerSpec = { type: 'plain.prompt', config: { user: 'Hi' } };
const context: LayerSpec = { type: 'dify.execution_context', config: { tenant_id: 't-1', user_id: 'u-1' } };
const onContext = { execution_context: 'context' };
const llm: LayerSpec = {
  type: 'dify.plugin.llm',
  deps: onContext,
  config: { plugin_id: 'a/b', model_provider: 'b', model: 'm', credentials: { api_key: SECRET, region: 'eu-west-1' } },
};
const tools: LayerSpec = {
  type: 'dify.plugin.tools',
  deps: onContext,
  config: {
    tools: [
      {
        plugin_id: 'a/b',
        provider: 'b',
        tool_name: 'find',
        credential_type: 'api-key',
        credentials: { token: SECRET },
      },
    ],
  },
};
const plugin = { prompt, context, llm };
const withHistory = { ...plugin, history: { type: 'pydantic_ai.history' } };
const clientOf = () => clientFor(daemon.url);
const usageItem = { data: chunk({ usage: usage(10, 5) }) };
const counted = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };

/** A layer `odd.llm` named `llm`, with these hooks and this model. */
function oddType(more: Partial<AgentLayer>, stream: AgentModel['stream']): AgentLayerType {
  return {
    typeId: 'odd.llm',
    className: 'ScriptedLLMLayer',
    config: emptyLayerConfig,
    state: emptyRuntimeState,
    deps: {},
    create: () => ({
      className: 'ScriptedLLMLayer',
      state: {},
      model: () => ({ modelName: 'odd', providerName: 'Odd', maxTokens: null, stream }),
      ...more,
    }),
  };
}
const odd = { prompt, llm: { type: 'odd.llm' } };

/** Says something and then nothing until the abort. */
async function* silent(_: unknown, signal: AbortSignal) {
  yield [{ kind: 'text', text: 'Hel' } as const, { kind: 'usage', inputTokens: 10, outputTokens: 5 } as const];
  await new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

const statesOf = (data: JsonObject) => {
  const snapshot = data.session_snapshot as { layers: { name: string; lifecycle_state: string }[] } | null; // spec 02 §6
  return snapshot && Object.fromEntries(snapshot.layers.map((layer) => [layer.name, layer.lifecycle_state]));
};
const suspended = (layers: object) => Object.fromEntries(Object.keys(layers).map((name) => [name, 'suspended']));

describe('a cancelled run', () => {
  test('closes its request to the daemon, exits its layers and tells what it leaves', async () => {
    daemon.play({ llm: [['Hel', 'lo', usageItem, { hang: true }]] });
    const run = await start({ layers: withHistory, client: clientOf() });
    await run.stored(4);
    await run.cancel({ reason: 'user_cancelled', message: 'enough' });
    await daemon.waitForAbort();
    const { status, error, types, data } = await run.done;
    expect({ status, error }).toEqual({ status: 'cancelled', error: 'enough' });
    expect(types.slice(-2)).toEqual(['pydantic_ai_event', 'run_cancelled']);
    expect(Object.keys(data)).toEqual(['reason', 'message', 'session_snapshot', 'usage']);
    expect(data).toMatchObject({ reason: 'user_cancelled', message: 'enough', usage: counted });
    expect(statesOf(data)).toEqual(suspended(withHistory));
    expect(JSON.stringify(data)).toContain('"messages":[]');
  });

  test('closes the request of a tool, and publishes no result of it', async () => {
    daemon.play({
      llm: [[toolCallItem('c-1', 'find', '{}'), lastItem('tool_calls')]],
      tool: { find: [[{ hang: true }]] },
    });
    const run = await start({ layers: { ...plugin, tools }, client: clientOf() });
    await daemon.waitForRequest(2);
    await run.cancel();
    await daemon.waitForAbort();
    const { status, stream, data } = await run.done;
    expect(status).toBe('cancelled');
    expect(data.usage).toEqual(counted);
    expect(stream.at(-1)?.event_kind).toBe('function_tool_call');
  });

  test('waits for no connection', async () => {
    daemon.play({ llm: [[{ hang: true }]] });
    const client = clientFor(daemon.url, { maxConnections: 1 });
    const [first, second] = [await start({ layers: plugin, client }), await start({ layers: plugin, client })];
    await until('a call that waits', () => client.load().waiting === 1);
    await second.cancel();
    expect((await second.done).status).toBe('cancelled');
    await first.cancel();
    expect((await first.done).status).toBe('cancelled');
  });

  test('before it began has one event and leaves nothing: the snapshot of the request is not its own', async () => {
    const layers = { prompt, llm: scripted() };
    const more = { session_snapshot: (await play({ layers })).data.session_snapshot as never }; // printed from one
    const { status, types, data } = await play({ layers, more, cancelled: true });
    expect({ status, types }).toEqual({ status: 'cancelled', types: ['run_cancelled'] });
    expect(data).toEqual({ reason: 'user_cancelled', message: null, session_snapshot: null, usage: null });
  });

  test('whose layer does not enter to the end leaves no snapshot', async () => {
    const types = [
      oddType(
        {
          onCreate: (signal) =>
            new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        },
        silent,
      ),
    ];
    const run = await start({ layers: odd, types });
    await run.stored(1);
    await run.cancel();
    expect((await run.done).data.session_snapshot).toBeNull();
  });

  test('cleans up out of reach of the cancel', async () => {
    const seen: boolean[] = [];
    const onSuspend = async (signal: AbortSignal) => {
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(signal.aborted);
    };
    const run = await start({ layers: odd, types: [oddType({ onSuspend }, silent)] });
    await run.stored(2);
    await run.cancel();
    expect(statesOf((await run.done).data)).toEqual(suspended(odd));
    expect(seen).toEqual([false]);
  });

  test.each(['exit', 'model'] as const)('does not hang with its %s', async (what) => {
    const hang = () => new Promise<never>(() => {});
    const types = [
      what === 'exit'
        ? oddType({ onSuspend: hang }, silent)
        : oddType({}, async function* () {
            yield [{ kind: 'text', text: 'a' } as const];
            await hang();
          }),
    ];
    const run = await start({ layers: odd, types, deps: { exitTimeoutMs: 10, stopGraceMs: 10 } });
    await run.stored(2);
    await run.cancel();
    expect(await run.done).toMatchObject({ status: 'cancelled' });
  });

  test('that had its answer before is cancelled with the snapshot of that', async () => {
    const exiting = Promise.withResolvers<void>();
    const exited = Promise.withResolvers<void>();
    const onSuspend = () => {
      exiting.resolve();
      return exited.promise;
    };
    const hello = async function* () {
      yield [{ kind: 'text', text: 'Hello' } as const, { kind: 'usage', inputTokens: 10, outputTokens: 5 } as const];
    };
    const run = await start({ layers: odd, types: [oddType({ onSuspend }, hello)] });
    await exiting.promise;
    await run.cancel();
    exited.resolve();
    const { status, data } = await run.done;
    expect(status).toBe('cancelled');
    expect(data.usage).toEqual(counted);
    expect(statesOf(data)).toEqual(suspended(odd));
  });

  test('shows the older wire what it knows', async () => {
    const run = await start({ layers: odd, types: [oddType({}, silent)], vintage: '2026-06' });
    await run.stored(2);
    await run.cancel();
    expect((await run.done).data).toEqual({ reason: 'user_cancelled', message: null });
  });
});

test('a run that somebody else has ended stops, and writes nothing', async () => {
  const exited: string[] = [];
  const run = await start({
    layers: odd,
    types: [oddType({ onSuspend: async () => void exited.push('llm') }, silent)],
  });
  await run.stored(2);
  run.abort.abort(new EndedElsewhereError(run.runId));
  const { status, types } = await run.done;
  expect({ status, types }).toEqual({
    status: 'running',
    types: ['run_started', 'pydantic_ai_event', 'pydantic_ai_event'],
  });
  expect(exited).toEqual(['llm']);
});

test('a stop of the server leaves a snapshot and the usage', async () => {
  const run = await start({ layers: odd, types: [oddType({}, silent)] });
  await run.stored(2);
  run.abort.abort(new ShutdownError());
  const { data } = await run.done;
  expect(data).toMatchObject({ error: 'run cancelled during server shutdown', reason: 'shutdown', usage: counted });
  expect(statesOf(data)).toEqual(suspended(odd));
});

describe('a run with a time limit', () => {
  const deps = { runTimeoutSeconds: 0.05 };
  const text = 'Agent run exceeded the configured limit of 0.05 seconds';

  test('fails when it is over, closes its request and leaves a snapshot and the usage', async () => {
    daemon.play({ llm: [['Hel', usageItem, { hang: true }]] });
    const { status, error, data } = await play({ layers: withHistory, client: clientOf(), deps });
    await daemon.waitForAbort();
    expect({ status, error }).toEqual({ status: 'failed', error: text });
    expect(data).toMatchObject({ error: text, error_type: 'agent_run_limit_exceeded', reason: null, usage: counted });
    expect(statesOf(data)).toEqual(suspended(withHistory));
  });

  test('says so to the older wire in the keys that it knows', async () => {
    const ended = await play({ layers: odd, types: [oddType({}, silent)], deps, vintage: '2026-06' });
    expect(ended.data).toEqual({ error: text, reason: null });
  });

  test('is not limited while its layers enter and exit', async () => {
    const slow = () => Bun.sleep(80); // longer than the limit: the point
    const hello = async function* () {
      yield [{ kind: 'text', text: 'Hello' } as const];
    };
    const ended = await play({ layers: odd, types: [oddType({ onCreate: slow, onSuspend: slow }, hello)], deps });
    expect(ended).toMatchObject({ status: 'succeeded', data: { output: 'Hello' } });
  });

  test('keeps the time-out of its peer when that comes first', async () => {
    daemon.play({ llm: [[{ hang: true }]] });
    const client = clientFor(daemon.url, { readTimeoutSeconds: 0.05 });
    const { data } = await play({ layers: plugin, client, deps: { runTimeoutSeconds: 30 } });
    expect(data).toMatchObject({ error: 'ReadTimeout', error_type: null });
  });

  test('and the limit of a call to the daemon says that it was the daemon', async () => {
    daemon.play({ llm: [['a', { hang: true }]] });
    const client = clientFor(daemon.url, { requestTimeoutSeconds: 0.05 });
    const { data } = await play({ layers: plugin, client });
    expect(data).toMatchObject({
      error: 'The plugin daemon took longer to answer than a call may take: 0.05 seconds',
      error_type: null,
    });
  });

  test('of a tool’s call is told to the model, and the run goes on', async () => {
    daemon.play({
      llm: [
        [toolCallItem('c-1', 'find', '{}'), lastItem('tool_calls')],
        ['sorry', lastItem()],
      ],
      tool: { find: [[{ hang: true }]] },
    });
    const client = clientFor(daemon.url, { requestTimeoutSeconds: 0.3 });
    const { status, everything } = await play({ layers: { ...plugin, tools }, client });
    expect(status).toBe('succeeded');
    expect(everything).toContain('tool invoke error: The plugin daemon took longer to answer than a call may take');
  });
});

describe('a run that fails', () => {
  test('leaves a snapshot with the history that it found, and the usage of what was answered', async () => {
    daemon.play({ llm: [['Hel', usageItem, errorItem(-500, 'InvokeServerUnavailableError', 'down')]] });
    const { data } = await play({ layers: withHistory, client: clientOf() });
    expect(Object.keys(data)).toEqual(['error', 'error_type', 'reason', 'session_snapshot', 'usage']);
    expect(data).toMatchObject({
      error: 'down',
      reason: 'InvokeServerUnavailableError',
      error_type: null,
      usage: counted,
    });
    expect(statesOf(data)).toEqual(suspended(withHistory));
  });

  test('for too many requests says that it was a limit', async () => {
    const again = async function* () {
      yield [{ kind: 'tool_call', key: 'k', id: `c-${calls++}`, name: 'find', args: '{}' } as const];
    };
    let calls = 0;
    daemon.play({ tool: { find: [[lastItem()]] } });
    const layers = { prompt, context, llm: { type: 'odd.llm' }, tools };
    const { data } = await play({ layers, types: [oddType({}, again)], client: clientOf() });
    expect(data).toMatchObject({
      error: 'The next request would exceed the request_limit of 50',
      error_type: 'agent_run_limit_exceeded',
    });
  });

  test('before its layers were entered leaves nothing', async () => {
    const { data } = await play({ layers: { prompt: { ...prompt, config: { user: '' } }, llm: scripted() } });
    expect(data).toMatchObject({ error: 'run.user_prompts must not be empty', session_snapshot: null, usage: null });
  });

  test('because a layer could not exit still says what state it is in', async () => {
    const hello = async function* () {
      yield [{ kind: 'text', text: 'Hello' } as const];
    };
    const onSuspend = () => Promise.reject(new Error('boom'));
    const { data } = await play({ layers: odd, types: [oddType({ onSuspend }, hello)] });
    expect(data.error).toBe('boom');
    expect(statesOf(data)).toEqual(suspended(odd));
  });

  test('and whose state cannot be printed loses the snapshot, not its error', async () => {
    let state: JsonObject = {};
    for (let i = 0; i < 200_000; i += 1) state = { a: state };
    const broken = async function* () {
      yield* [];
      throw new Error('the reason');
    };
    const { data } = await play({ layers: odd, types: [oddType({ state }, broken)] });
    expect(data).toMatchObject({ error: 'the reason', session_snapshot: null });
  });
});

describe('a run with an event that the store will never take', () => {
  /** Takes nothing of this size; says so as the stores do. */
  const narrow = (maxChars: number): RunStore => {
    const inner = memoryStore();
    const check = ({ length }: string) => {
      if (length > maxChars) throw new EventTooLargeError(`${length} characters`);
    };
    return {
      ...inner,
      async append(runId, payloads) {
        payloads.forEach(check);
        return inner.append(runId, payloads);
      },
      async finalise(runId, transition) {
        check(transition.payload);
        return inner.finalise(runId, transition);
      },
    };
  };
  const TOO_LARGE = 'an event of the run is too large for the store';

  test('does not wait for the store to be back: the end goes without what is too large', async () => {
    const answer = async function* () {
      yield [{ kind: 'text', text: 'Hello' } as const];
    };
    const types = [oddType({ state: { text: 'x'.repeat(5_000) } }, answer)];
    const { status, error, data, types: events } = await play({ layers: odd, types, store: narrow(4_000) });
    expect(status).toBe('failed');
    expect(error).toStartWith(TOO_LARGE);
    expect(data).toMatchObject({ reason: null, session_snapshot: null });
    expect(events.slice(-1)).toEqual(['run_failed']);
  });

  test('says so, and not that the store was away', async () => {
    const answer = async function* () {
      yield [{ kind: 'text', text: 'x'.repeat(5_000) } as const];
    };
    const { error, data } = await play({ layers: odd, types: [oddType({}, answer)], store: narrow(4_000) });
    expect(error).toStartWith(TOO_LARGE);
    expect(data).toMatchObject({ reason: null });
    expect(statesOf(data)).toEqual(suspended(odd));
  });
});

describe('no secret of the run or of the process is told', () => {
  const spellings = [SECRET, JSON.stringify(SECRET).slice(1, -1), encodeURIComponent(SECRET), 'daemon-key-1'];
  const echo = `Incorrect API key ${SECRET} (${encodeURIComponent(SECRET)}), daemon-key-1`;
  const deps = { configuredSecrets: ['daemon-key-1'] };
  const keep = (everything: string) => {
    for (const spelling of spellings) expect(everything).not.toContain(spelling);
    expect(everything).toContain('***');
  };

  test.each(['2026-06', '2026-08'] as const)('by an error of the provider, wire %s', async (vintage) => {
    const replies = [
      [errorItem(-500, 'InvokeAuthorizationError', echo)],
      [pluginErrorItem('InvokeAuthorizationError', echo)],
      [pluginErrorItem(SECRET, 'no')],
      [{ http: 401, text: goJson({ code: -401, message: goJson({ error_type: 'X', message: echo }), data: null }) }],
      [{ http: 500, text: echo }],
      [{ raw: `data: ${echo}\n\n` }],
      [{ data: { delta: echo } }],
    ];
    for (const reply of replies) {
      daemon.play({ llm: [reply] });
      const { status, everything } = await play({ layers: plugin, client: clientOf(), vintage, deps });
      expect(status).toBe('failed');
      keep(everything);
    }
  });

  test('by an error of a tool', async () => {
    daemon.play({
      llm: [
        [toolCallItem('c-1', 'find', '{}'), lastItem('tool_calls')],
        ['done', lastItem()],
      ],
      tool: { find: [[{ http: 500, text: echo.replace('daemon-key-1', '') }]] },
    });
    const { status, everything } = await play({ layers: { ...plugin, tools }, client: clientOf(), deps });
    expect(status).toBe('succeeded');
    keep(everything);
  });

  test('by a bug: the event, the record and the log with its stack', async () => {
    const bug = async function* () {
      yield* [];
      throw new TypeError(echo, { cause: new Error(echo) });
    };
    const layers = { ...odd, context, tools };
    const { status, everything } = await play({ layers, types: [oddType({}, bug)], client: clientOf(), deps });
    expect(status).toBe('failed');
    keep(everything);
    expect(everything).toContain('TypeError');
  });

  test('by a layer that cannot exit', async () => {
    const fails = () => Promise.reject(new Error(echo));
    const bug = async function* () {
      yield* [];
      throw new Error('first');
    };
    const layers = { ...odd, context, tools };
    const types = [oddType({ onSuspend: fails }, bug)];
    const { everything } = await play({ layers, types, client: clientOf(), deps });
    expect(everything).toContain('layer exit failed');
    keep(everything);
  });

  test('by a composition that is refused', async () => {
    const config = { plugin_id: 'a/b', model_provider: 'b', model: 'm', credentials: { api_key: [SECRET] } };
    const { everything } = await play({ layers: { ...plugin, llm: { ...llm, config } }, client: clientOf(), deps });
    for (const spelling of spellings) expect(everything).not.toContain(spelling);
  });
});

describe('joined text deltas', () => {
  const textDeltaCoalescing = { enabled: true, flushIntervalMs: 60_000, maxChars: 4096 };
  const words = ['a', 'b', 'c', 'd', 'e'];

  test('make one event, before the next one', async () => {
    daemon.play({ llm: [[...words, lastItem()]] });
    const { stream, status } = await play({ layers: plugin, client: clientOf(), deps: { textDeltaCoalescing } });
    expect(status).toBe('succeeded');
    expect(stream.map(({ event_kind: kind }) => kind)).toEqual([
      'part_start',
      'final_result',
      'part_delta',
      'part_end',
    ]);
    expect(stream[2]).toMatchObject({ delta: { content_delta: 'bcde' } });
  });

  test('are published before the end of a run that fails or is cancelled', async () => {
    daemon.play({ llm: [[...words, { cut: true }]] });
    const failed = await play({ layers: plugin, client: clientOf(), deps: { textDeltaCoalescing } });
    expect(failed.stream.at(-1)).toMatchObject({ delta: { content_delta: 'bcde' } });

    const said = Promise.withResolvers<void>();
    const types = [
      oddType({}, async function* (_, signal) {
        yield words.map((text) => ({ kind: 'text', text }) as const);
        said.resolve();
        yield* silent(_, signal);
      }),
    ];
    const run = await start({ layers: odd, types, deps: { textDeltaCoalescing } });
    await said.promise;
    await run.cancel();
    const { status, stream } = await run.done;
    expect(status).toBe('cancelled');
    expect(stream.at(-1)).toMatchObject({ delta: { content_delta: 'bcdeHel' } });
  });

  test('are events of their own when nobody asks for it', async () => {
    daemon.play({ llm: [[...words, lastItem()]] });
    const { stream } = await play({ layers: plugin, client: clientOf() });
    expect(stream.filter(({ event_kind: kind }) => kind === 'part_delta')).toHaveLength(4);
  });
});

test('a hundred thousand tiny chunks are an answer like any other', async () => {
  daemon.play({ llm: [[{ repeat: 100_000, text: 'x', batch: 1000 }, lastItem()]] });
  const textDeltaCoalescing = { enabled: true, flushIntervalMs: 100, maxChars: 4096 };
  const { status, data, stream } = await play({ layers: plugin, client: clientOf(), deps: { textDeltaCoalescing } });
  expect(status).toBe('succeeded');
  expect(data.output).toHaveLength(100_000);
  expect(stream.length).toBeLessThan(200);
}, 30_000);

describe('a snapshot of other layers', () => {
  const rebased = {
    prompt,
    extra: { type: 'plain.prompt', config: { prefix: 'Be brief.' } },
    history: { type: 'pydantic_ai.history' },
  };
  const first = () => play({ layers: { old: prompt, history: { type: 'pydantic_ai.history' }, llm: scripted() } });

  test('fails the run, unless a rebase is asked for: then the conversation goes on', async () => {
    const more = { session_snapshot: (await first()).data.session_snapshot as never }; // printed from one
    const layers = { ...rebased, llm: scripted() };
    expect((await play({ layers, more })).error).toStartWith('CompositorSessionSnapshot layer names must match');
    const { status, data } = await play({ layers, more, policy: 'rebase' });
    expect(status).toBe('succeeded');
    expect(statesOf(data)).toEqual(suspended(layers));
    const stored = JSON.stringify(data.session_snapshot).match(/"kind":"(?:request|response)"/g);
    expect(stored).toHaveLength(4);
  });

  test('a rebase deletes what its layers held', async () => {
    const log: string[] = [];
    const holder: AgentLayerType = {
      ...oddType({}, silent),
      typeId: 'odd.holder',
      className: 'OddHolderLayer',
      recogniseState: () => true,
      create: ({ name }) => ({
        className: 'OddHolderLayer',
        state: {},
        onSuspend: async () => void log.push(`${name}.suspend`),
        onDelete: async () => void log.push(`${name}.delete`),
      }),
    };
    const once = await play({ layers: { prompt, box: { type: 'odd.holder' }, llm: scripted() }, types: [holder] });
    const more = { session_snapshot: once.data.session_snapshot as never }; // printed from one
    const { status } = await play({ layers: { prompt, llm: scripted() }, more, types: [holder], policy: 'rebase' });
    expect(status).toBe('succeeded');
    expect(log).toEqual(['box.suspend', 'box.delete']);
  });
});

function scripted(items: readonly JsonObject[] = [{ text: 'Hello' }]): LayerSpec {
  return { type: 'test.scripted_llm', config: { turns: [{ items }] } };
}
