// The runner under attack: layers that throw in every place, stores that fail at every write, aborts at every moment.
// Whatever happens, a run has exactly one terminal event, it comes last, and it is what the record says.

import { describe, expect, test } from 'bun:test';
import type { AgentModel } from '../../src/agent/model.ts';
import { errorText } from '../../src/base/errors.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { createLayerRegistry } from '../../src/compositor/registry.ts';
import { promptLayer } from '../../src/layers/prompt.ts';
import type { AgentLayer, AgentLayerType } from '../../src/layers/types.ts';
import type { LogFields, Logger } from '../../src/observe/logger.ts';
import { model } from '../../src/protocol/dialect.ts';
import { ShutdownError } from '../../src/runs/aborts.ts';
import { StoreUnavailableError } from '../../src/runs/errors.ts';
import type { RunStore } from '../../src/runs/ports.ts';
import { createRunner } from '../../src/runs/runner.ts';
import { clock, memoryStore, now, reporterOf, request, wire } from './support.ts';

/** A layer named `llm` that answers `Hello`, then does what `more` says. */
function llmType(
  more: Partial<AgentLayer>,
  type: Partial<AgentLayerType> = {},
  answer: AgentModel['stream'] = hello,
): AgentLayerType {
  return {
    typeId: 'odd.llm',
    className: 'ScriptedLLMLayer',
    config: model('OddConfig', {}),
    state: model('OddState', {}),
    deps: {},
    create: () => {
      const layer: AgentLayer = {
        className: 'ScriptedLLMLayer',
        state: {},
        model: () => ({ modelName: 'odd', providerName: 'Odd', maxTokens: null, stream: answer }),
      };
      return Object.defineProperties(layer, Object.getOwnPropertyDescriptors(more));
    },
    ...type,
  };
}

async function* hello() {
  yield [{ kind: 'text', text: 'Hel' } as const];
  yield [{ kind: 'text', text: 'lo' } as const, { kind: 'finish', reason: 'stop' } as const];
}

interface Ending {
  readonly status: string | undefined;
  readonly error: string | null | undefined;
  readonly types: readonly string[];
  /** `data` of the last event. */
  readonly data: Record<string, unknown>;
  readonly log: readonly string[];
}

/** Runs prompt + llm once; checks what holds for every run. */
async function runOnce(
  type: AgentLayerType,
  { store = memoryStore(), abort = new AbortController() }: { store?: RunStore; abort?: AbortController } = {},
): Promise<Ending> {
  const layerTypes = [promptLayer as AgentLayerType, type];
  const log: string[] = [];
  const runner = createRunner({
    store,
    wire,
    clock,
    logger: listLogger(log),
    layerTypes,
    registry: createLayerRegistry(layerTypes),
  });
  const runId = crypto.randomUUID();
  await store.create({ run_id: runId, status: 'running', created_at: now(), updated_at: now(), error: null });
  const layer = (name: string, typeId: string, config: JsonObject) => ({
    name,
    type: typeId,
    deps: {},
    metadata: {},
    config,
  });
  const composition = {
    schema_version: 1,
    layers: [layer('prompt', 'plain.prompt', { user: 'Hello?' }), layer('llm', 'odd.llm', {})],
  };
  const submission = { request: { ...request, composition }, snapshotPolicy: 'reject' } as const;
  await runner(runId, submission, abort.signal, reporterOf(runId, submission, listLogger(log)));
  const record = await store.getRecord(runId);
  const payloads = (await store.readEvents(runId, '0-0', 1000)).map(({ payload }) => JSON.parse(payload));
  const types: string[] = payloads.map(({ type: name }) => name);
  expect(types.filter((name) => /^run_(succeeded|failed|cancelled)$/.test(name))).toEqual(types.slice(-1));
  expect(types.at(-1)).toBe(`run_${record?.status}`);
  const { data } = payloads.at(-1);
  if (record?.status === 'failed') expect(data.error).toBe(record.error);
  return { status: record?.status, error: record?.error, types, data, log };
}

function listLogger(log: string[]): Logger {
  const at = (level: string) => (message: string, fields?: LogFields) =>
    void log.push(`${level} ${message} ${'error' in (fields ?? {}) ? errorText(fields?.error) : ''}`.trim());
  const logger: Logger = {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
  };
  return logger;
}

const boom = () => {
  throw new Error('boom');
};
const reject = () => Promise.reject(new Error('boom'));
const deep = (levels: number): JsonObject => {
  let value: JsonObject = {};
  for (let i = 0; i < levels; i += 1) value = { a: value };
  return value;
};

const ODD_PLACES: readonly (readonly [string, AgentLayerType])[] = [
  ['the shape rule', llmType({}, { checkShape: boom })],
  ['the factory', llmType({}, { create: boom })],
  ['binding', llmType({ bind: boom })],
  [
    'the prompts',
    llmType({
      get prompts() {
        return boom();
      },
    }),
  ],
  ['building the model', llmType({ model: boom })],
  ['asking for tools', llmType({ tools: boom })],
  ['opening', llmType({ open: boom })],
  ['opening, later', llmType({ open: reject })],
  ['creating', llmType({ onCreate: reject })],
  ['the call of the model', llmType({}, {}, boom)],
  [
    'the first answer',
    llmType({}, {}, async function* () {
      yield* [];
      boom();
    }),
  ],
  [
    'the middle of the answer',
    llmType({}, {}, async function* () {
      yield* hello();
      boom();
    }),
  ],
  ['suspending', llmType({ onSuspend: reject })],
  ['closing', llmType({ open: async () => reject })],
  [
    'the state',
    llmType({
      get state() {
        return boom();
      },
    }),
  ],
  ['a toJSON in the state', llmType({ state: { trap: { toJSON: boom } as unknown as JsonObject } })],
  [
    'a getter in the state',
    llmType({
      state: {
        get trap() {
          return boom();
        },
      },
    }),
  ],
];

describe('an error ends the run as failed, once, wherever it comes from', () => {
  test.each(ODD_PLACES)('%s', async (_, type) => {
    const ending = await runOnce(type);
    expect(ending).toMatchObject({ status: 'failed', error: 'boom' });
    expect(ending.types[0]).toBe('run_started');
    expect(ending.log.filter((line) => line.startsWith('info run ended'))).toHaveLength(1);
    // A bug leaves its trace for whoever has to find it.
    expect(ending.log.some((line) => line.startsWith('error '))).toBe(true);
  });

  test.each([
    ['nothing', undefined, 'undefined'],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
    ['an error without a text', new TypeError(), 'TypeError'],
    ['an object that does not print', Object.create(null), 'an error that has no text'],
    ['a text with what a line cannot hold', new Error('a\u2028b\u0000\ud800'), 'a\u2028b\u0000\ud800'],
  ])('%s is thrown', async (_, thrown, text) => {
    const ending = await runOnce(
      llmType({}, {}, async function* () {
        yield* [];
        throw thrown;
      }),
    );
    expect(ending.status).toBe('failed');
    expect(ending.error).toBe(text.toWellFormed());
  });

  test('a state that is nested deeper than can be printed', async () => {
    const ending = await runOnce(llmType({ state: deep(200_000) }));
    expect(ending.status).toBe('failed');
    expect(ending.error).not.toBe('');
    expect(ending.log.some((line) => line.startsWith('error the end of the run cannot be written'))).toBe(true);
  });
});

describe('a store that fails', () => {
  /** Fails the writes whose number `fails` says, before or after they took effect. */
  function failing(
    fails: (write: number) => boolean,
    effect: 'lost' | 'applied',
  ): { store: RunStore; writes: () => number } {
    const inner = memoryStore();
    let writes = 0;
    async function attempt<T>(write: () => Promise<T>): Promise<T> {
      writes += 1;
      if (!fails(writes)) return write();
      if (effect === 'applied') await write();
      throw new StoreUnavailableError(new Error('gone'));
    }
    const store: RunStore = {
      ...inner,
      append: (runId, payloads) => attempt(() => inner.append(runId, payloads)),
      finalise: (runId, transition) => attempt(() => inner.finalise(runId, transition)),
    };
    return { store, writes: () => writes };
  }
  const healthy = failing(() => false, 'lost');
  const whole = runOnce(llmType({}), { store: healthy.store });

  test.each(['lost', 'applied'] as const)(
    'at any one write that is %s: one terminal, and no success with a hole',
    async (effect) => {
      const { types } = await whole;
      const count = healthy.writes();
      expect(count).toBeGreaterThan(2);
      for (let broken = 1; broken <= count; broken += 1) {
        const { store } = failing((write) => write === broken, effect);
        const ending = await runOnce(llmType({}), { store });
        if (ending.status === 'succeeded') expect(ending.types).toEqual(types);
        else expect(ending.data).toMatchObject({ reason: 'store_unavailable' });
        // Only the end can be repeated; what else was lost ends the run.
        expect(ending.status).toBe(broken === count ? 'succeeded' : 'failed');
        expect(ending.log.filter((line) => line.startsWith('warn '))).not.toEqual([]);
      }
    },
  );

  test('for a while, from any write on', async () => {
    const count = healthy.writes();
    for (let first = 1; first <= count; first += 1) {
      const { store } = failing((write) => write >= first && write < first + 3, 'lost');
      expect((await runOnce(llmType({}), { store })).status).toBe(first === count ? 'succeeded' : 'failed');
    }
  });

  test('because the run was ended elsewhere: its events stop and its end stands', async () => {
    const inner = memoryStore();
    let appends = 0;
    const store: RunStore = {
      ...inner,
      async append(runId, payloads) {
        appends += 1;
        if (appends === 2) {
          const payload = '{"type":"run_failed","data":{"error":"elsewhere"}}';
          await inner.finalise(runId, { status: 'failed', updatedAt: now(), error: 'elsewhere', payload });
        }
        return inner.append(runId, payloads);
      },
    };
    const ending = await runOnce(llmType({}), { store });
    expect(ending).toMatchObject({ status: 'failed', error: 'elsewhere', types: ['run_started', 'run_failed'] });
  });
});

describe('an abort by the stop of the server', () => {
  const SHUTDOWN = { error: 'run cancelled during server shutdown', reason: 'shutdown' };

  test('before the start leaves one event', async () => {
    const abort = new AbortController();
    abort.abort(new ShutdownError());
    const ending = await runOnce(llmType({}), { abort });
    expect(ending).toMatchObject({ status: 'failed', types: ['run_failed'], data: SHUTDOWN });
  });

  const whileEntering = (abort: AbortController): Partial<Record<string, Partial<AgentLayer>>> => ({
    'while a layer opens': {
      open: async () => {
        abort.abort(new ShutdownError());
        return async () => {};
      },
    },
    'while a layer opens that fails then': {
      open: async (signal) => {
        abort.abort(new ShutdownError());
        return Promise.reject(signal.reason);
      },
    },
    'while a layer is created': {
      onCreate: async () => abort.abort(new ShutdownError()),
    },
  });

  test.each(['while a layer opens', 'while a layer opens that fails then', 'while a layer is created'])(
    '%s',
    async (when) => {
      const abort = new AbortController();
      const stop = (signal: AbortSignal) =>
        (async function* () {
          signal.throwIfAborted();
          yield* hello();
        })();
      const ending = await runOnce(
        llmType(whileEntering(abort)[when] ?? {}, {}, (_, signal) => stop(signal)),
        { abort },
      );
      expect(ending).toMatchObject({ status: 'failed', data: SHUTDOWN });
      expect(ending.types).toEqual(['run_started', 'run_failed']);
    },
  );

  test('while events are being appended', async () => {
    const abort = new AbortController();
    const inner = memoryStore();
    let appends = 0;
    const store: RunStore = {
      ...inner,
      append(runId, payloads) {
        appends += 1;
        if (appends === 2) abort.abort(new ShutdownError());
        return inner.append(runId, payloads);
      },
    };
    const ending = await runOnce(
      llmType({}, {}, async function* (_, signal) {
        for await (const deltas of hello()) {
          signal.throwIfAborted();
          yield deltas;
        }
      }),
      { abort, store },
    );
    expect(ending).toMatchObject({ status: 'failed', data: SHUTDOWN });
  });

  test('while the layers exit lets the answer stand', async () => {
    const abort = new AbortController();
    const ending = await runOnce(llmType({ onSuspend: async () => abort.abort(new ShutdownError()) }), { abort });
    expect(ending).toMatchObject({ status: 'succeeded', data: { output: 'Hello' } });
  });
});
