// A snapshot whose layer names are not the composition's (spec 07 §4.3 rule 4): what is kept, what starts fresh, and what is
// deleted because nothing holds it any more.

import { describe, expect, test } from 'bun:test';
import { errorText } from '../../src/base/errors.ts';
import type { JsonObject } from '../../src/base/json.ts';
import { prepareRun, withinRun } from '../../src/compositor/run.ts';
import type { RunLayerSpec, SessionSnapshot } from '../../src/protocol/runs.ts';
import { type Behaviour, plan, snapshotOf, spec, ToyLayer, toyWorld } from './toy-layers.ts';

const never = new AbortController().signal;

function scene(
  layers: readonly RunLayerSpec[],
  snapshot: SessionSnapshot,
  behaviours: Readonly<Record<string, Behaviour>> = {},
) {
  const world = toyWorld(behaviours);
  const suppressed: string[] = [];
  const prepare = (rebase = true) =>
    prepareRun(plan(layers, world), snapshot, {
      rebase: rebase ? world.registry : null,
      exitTimeoutMs: 20,
      onSuppressedError: (name, error) => suppressed.push(`${name}: ${errorText(error)}`),
    });
  return { ...world, suppressed, prepare };
}

const counts = (layers: Iterable<unknown>) =>
  [...layers].map((layer) => (layer instanceof ToyLayer ? layer.count : null));

/** Runs an empty body; the states of the snapshot afterwards. */
async function play(it: ReturnType<typeof scene>) {
  const run = it.prepare();
  await withinRun(run, never, async () => void it.log.push('body'));
  return run.snapshot();
}

const held = (more: JsonObject = {}): JsonObject => ({ note: 'held', ...more });

describe('entries are laid over the composition', () => {
  test('by name, in its order; new layers start fresh, others are dropped', async () => {
    const it = scene(
      [spec('c'), spec('new'), spec('a')],
      snapshotOf({ a: { count: 1 }, b: { count: 2 }, c: { count: 3 } }),
    );
    const run = it.prepare();
    expect(counts(run.layers.values())).toEqual([3, 0, 1]);
    await withinRun(run, never, async () => {});
    expect(it.log.filter((hook) => /create|resume/.test(hook))).toEqual(['c.resume', 'new.create', 'a.resume']);
    expect(it.created).toEqual(['c', 'new', 'a']);
    expect(run.snapshot().layers.map(({ name }) => name)).toEqual(['c', 'new', 'a']);
  });

  test('only where the state fits the type that is there now', () => {
    const it = scene([spec('a', 'plain'), spec('b')], snapshotOf({ a: { count: 1 }, b: { count: 2 }, x: {} }));
    const run = it.prepare();
    expect(run.snapshot().layers).toEqual([
      { name: 'a', lifecycle_state: 'new', runtime_state: {} },
      { name: 'b', lifecycle_state: 'suspended', runtime_state: { count: 2, note: null } },
    ]);
  });

  test('also when only their order has changed', async () => {
    const it = scene([spec('b'), spec('a')], snapshotOf({ a: { count: 1 }, b: { count: 2 } }));
    expect(counts(it.prepare().layers.values())).toEqual([2, 1]);
  });

  test('an entry that is not begun stays so', async () => {
    const it = scene([spec('a'), spec('b')], snapshotOf({ a: { count: 4 } }, 'new'));
    await play(it);
    expect(it.log).toContain('a.create');
  });

  test('names of the language are names', () => {
    const it = scene([spec('constructor'), spec('__proto__')], snapshotOf({ toString: { count: 1 } }));
    expect(counts(it.prepare().layers.values())).toEqual([0, 0]);
  });
});

describe('errors are those of a snapshot that fits', () => {
  test('a closed entry that stays cannot be entered; one that goes does not matter', () => {
    const closed = snapshotOf({ a: {}, b: {} }, 'closed');
    expect(scene([spec('a')], closed).prepare).toThrow("Layer 'a' is closed; CLOSED snapshots cannot be entered.");
    expect(scene([spec('other')], closed).prepare().layers.size).toBe(1);
  });

  test('of an unknown version', () => {
    const snapshot: SessionSnapshot = { ...snapshotOf({ a: {} }), schema_version: 7 };
    expect(scene([spec('b')], snapshot).prepare).toThrow('Unsupported compositor session snapshot schema_version: 7.');
  });

  test('where the names match, a state that does not fit', () => {
    const it = scene([spec('a')], snapshotOf({ a: { count: -1 } }));
    expect(it.prepare).toThrow('1 validation error for ToyState');
  });

  test('without a rebase, names that do not match', () => {
    const it = scene([spec('b')], snapshotOf({ a: {} }));
    expect(() => it.prepare(false)).toThrow(
      'CompositorSessionSnapshot layer names must match compositor layers in order. Expected [b], got [a].',
    );
  });
});

describe('what is left over', () => {
  test('is entered by itself and deleted, last to first, once the layers are entered', async () => {
    const it = scene(
      [spec('a')],
      snapshotOf({ one: held(), a: { count: 1 }, plain: { count: 9 }, two: held({ count: 5 }) }),
    );
    await play(it);
    const at = (hook: string) => it.log.indexOf(hook);
    expect(it.log.filter((hook) => /^(?:one|two)/.test(hook))).toEqual([
      ...['two.open', 'two.resume', 'two.delete', 'two.close'],
      ...['one.open', 'one.resume', 'one.delete', 'one.close'],
    ]);
    expect(at('two.open')).toBeGreaterThan(at('a.resume'));
    expect(it.created).toEqual(['a', 'two', 'one']);
    expect(it.layers.find(({ name }) => name === 'two')?.count).toBe(5);
  });

  test('gets the dependencies that are there, by class, and none otherwise', async () => {
    const withBase = scene([spec('p', 'plain'), spec('a')], snapshotOf({ gone: held() }));
    await play(withBase);
    expect(withBase.layers.find(({ name }) => name === 'gone')?.bound.base).toBe(withBase.layers[0]);
    const without = scene([spec('p', 'plain')], snapshotOf({ gone: held() }));
    await play(without);
    expect(without.layers[0]?.bound).toEqual({});
    expect(without.log).toContain('gone.delete');
  });

  test('is deleted when a layer of another type has its name', async () => {
    const it = scene([spec('a', 'plain')], snapshotOf({ a: held(), b: {} }));
    await play(it);
    expect(it.log).toContain('a.delete');
  });

  test('is not deleted twice, or beside an entry of its name that stays', async () => {
    const once = snapshotOf({ a: held() });
    const it = scene([spec('a'), spec('b')], { ...once, layers: [...once.layers, ...once.layers] });
    await play(it);
    expect(it.log).not.toContain('a.delete');
  });

  test.each(['new', 'closed'] as const)('is nothing when it is %s', async (state) => {
    const it = scene([spec('a')], snapshotOf({ gone: held() }, state));
    await play(it);
    expect(it.created).toEqual(['a']);
  });

  test('stays when the layers cannot be entered: the snapshot is still the caller’s', async () => {
    const it = scene([spec('a')], snapshotOf({ gone: held() }), {
      a: {
        create: () => {
          throw new Error('no');
        },
      },
    });
    await expect(play(it)).rejects.toThrow('no');
    expect(it.created).toEqual(['a']);
  });

  test('is deleted when the body fails, and when the run is aborted meanwhile', async () => {
    const controller = new AbortController();
    const it = scene([spec('a')], snapshotOf({ gone: held() }));
    const failing = withinRun(it.prepare(), controller.signal, async () => {
      controller.abort(new Error('cancelled'));
      throw new Error('body failed');
    });
    await expect(failing).rejects.toThrow('body failed');
    expect(it.log).toContain('gone.delete');
  });

  test.each(['open', 'resume', 'delete', 'close'] as const)('fails the run in no case: %s', async (hook) => {
    const fail = () => {
      throw new Error('boom');
    };
    const it = scene([spec('a')], snapshotOf({ gone: held(), after: held() }), { after: { [hook]: fail } });
    const snapshot = await play(it);
    expect(snapshot.layers.map(({ name }) => name)).toEqual(['a']);
    expect(it.suppressed).toHaveLength(1);
    expect(it.suppressed[0]).toMatch(/^after: .*boom$/);
    expect(it.log).toContain('gone.delete');
  });

  test.each(['open', 'resume', 'delete', 'close'] as const)('is given up when it hangs: %s', async (hook) => {
    const it = scene([spec('a')], snapshotOf({ gone: held() }), {
      gone: { [hook]: () => new Promise<void>(() => {}) },
    });
    await play(it);
    expect(it.suppressed).toHaveLength(1);
    expect(it.suppressed[0]).toContain('did not exit within 0.02 seconds');
  });

  test('stays when there is no time for all', async () => {
    const names = Array.from({ length: 30 }, (_, i) => `gone${i}`);
    const hang = { resume: () => new Promise<void>(() => {}) };
    const it = scene(
      [spec('a')],
      snapshotOf(Object.fromEntries(names.map((name) => [name, held()]))),
      Object.fromEntries(names.map((name) => [name, hang])),
    );
    await play(it);
    expect(it.suppressed).toHaveLength(30);
    expect(it.suppressed.at(-1)).toBe('gone0: not deleted: no time was left to delete it');
  });

  test('with a state that its type refuses is told of', async () => {
    const it = scene([spec('a')], snapshotOf({ gone: held({ count: -1 }) }));
    await play(it);
    expect(it.suppressed[0]).toStartWith('gone: not deleted: 1 validation error for ToyState');
  });
});
