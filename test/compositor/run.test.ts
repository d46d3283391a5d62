import { describe, expect, test } from 'bun:test';
import { prepareRun, type RunOptions, withinRun } from '../../src/compositor/run.ts';
import type { LayerExitSignals, SessionSnapshot } from '../../src/protocol/runs.ts';
import { type Behaviour, plan, SUSPEND_ALL, snapshotOf, spec, ToyLayer, toyWorld } from './toy-layers.ts';

const never = new AbortController().signal;

const fail = (text: string) => () => {
  throw new Error(text);
};

/** Layers `a`, `b`, `c` with hooks. */
function threeLayers(
  behaviours: Readonly<Record<string, Behaviour>> = {},
  { snapshot = null, onExit = SUSPEND_ALL }: { snapshot?: SessionSnapshot | null; onExit?: LayerExitSignals } = {},
  options: RunOptions = {},
) {
  const world = toyWorld(behaviours);
  const suppressed: string[] = [];
  const run = prepareRun(plan([spec('a'), spec('b'), spec('c')], world, onExit), snapshot, {
    onSuppressedError: (name, error) => suppressed.push(`${name}: ${error instanceof Error ? error.message : error}`),
    ...options,
  });
  const states = () => run.snapshot().layers.map(({ lifecycle_state }) => lifecycle_state);
  return { run, log: world.log, suppressed, states };
}

const stored = (state: 'suspended' | 'new' = 'suspended') => snapshotOf({ a: {}, b: {}, c: {} }, state);

test('layers enter first to last and exit last to first, each inside its scope', async () => {
  const { run, log, states } = threeLayers();
  await withinRun(run, never, async () => {
    log.push('body');
  });
  expect(log).toEqual([
    ...['a.open', 'a.create', 'b.open', 'b.create', 'c.open', 'c.create', 'body'],
    ...['c.suspend', 'c.close', 'b.suspend', 'b.close', 'a.suspend', 'a.close'],
  ]);
  expect(states()).toEqual(['suspended', 'suspended', 'suspended']);
});

test('one plan entered twice gives distinct layers, and the second entry resumes from the first one’s snapshot', async () => {
  const world = toyWorld();
  const once = plan([spec('a')], world);
  const first = prepareRun(once, null);
  await withinRun(first, never, async () => {
    const layer = first.get('a');
    if (layer instanceof ToyLayer) layer.count = 3;
  });
  const second = prepareRun(once, first.snapshot());
  expect(second.get('a')).not.toBe(first.get('a'));
  await second.enter(never);
  const resumed = second.get('a');
  expect(resumed instanceof ToyLayer && resumed.count).toBe(3);
  await second.exit(); // no policy was applied: delete
  expect(world.log).toEqual([
    ...['a.open', 'a.create', 'a.suspend', 'a.close', 'a.open', 'a.resume', 'a.delete', 'a.close'],
  ]);
  expect(second.snapshot()).toEqual({
    schema_version: 1,
    layers: [{ name: 'a', lifecycle_state: 'closed', runtime_state: { count: 3, note: null } }],
  });
});

test('concurrent entries share nothing', async () => {
  const once = plan([spec('a')]);
  const runs = [prepareRun(once, null), prepareRun(once, null)];
  await Promise.all(
    runs.map((run, i) =>
      withinRun(run, never, async () => {
        const layer = run.get('a');
        if (layer instanceof ToyLayer) layer.count = i + 1;
      }),
    ),
  );
  expect(runs.map((run) => run.snapshot().layers[0]?.runtime_state)).toEqual([
    { count: 1, note: null },
    { count: 2, note: null },
  ]);
});

test('a snapshot layer in state new is created with its hydrated state', async () => {
  const world = toyWorld();
  const run = prepareRun(plan([spec('a')], world), snapshotOf({ a: { count: 7 } }, 'new'));
  await run.enter(never);
  expect(world.log).toEqual(['a.open', 'a.create']);
  const layer = run.get('a');
  expect(layer instanceof ToyLayer && layer.count).toBe(7);
});

test('the snapshot prints its keys in the wire’s order, and nothing of configs, dependencies or types', async () => {
  const layers = [spec('a', 'toy', { config: { label: 'x' }, metadata: { m: 1 } }), spec('p', 'plain')];
  const run = prepareRun(plan(layers), null);
  await withinRun(run, never, async () => {});
  expect(JSON.stringify(run.snapshot())).toBe(
    '{"schema_version":1,"layers":[{"name":"a","lifecycle_state":"suspended","runtime_state":{"count":0,"note":null}},' +
      '{"name":"p","lifecycle_state":"suspended","runtime_state":{}}]}',
  );
});

test('an active run has no snapshot', async () => {
  const { run } = threeLayers();
  await run.enter(never);
  expect(() => run.snapshot()).toThrow('Cannot snapshot active compositor run layers: a, b, c.');
  await run.exit();
  expect(run.snapshot().layers).toHaveLength(3);
});

test('the exit policy decides layer by layer, also when the body fails', async () => {
  const onExit: LayerExitSignals = { default: 'delete', layers: { b: 'suspend' } };
  const { run, states } = threeLayers({}, { onExit });
  await expect(withinRun(run, never, () => Promise.reject(new Error('model failed')))).rejects.toThrow('model failed');
  expect(states()).toEqual(['closed', 'suspended', 'closed']);
});

describe('when the body fails and nobody gets its snapshot', () => {
  const lose = (run: ReturnType<typeof threeLayers>['run'], discardCreated: boolean) =>
    expect(withinRun(run, never, async () => fail('body')(), { discardCreated })).rejects.toThrow('body');

  test('what the run created is deleted, what it resumed keeps its intent', async () => {
    const fresh = threeLayers();
    await lose(fresh.run, true);
    expect(fresh.states()).toEqual(['closed', 'closed', 'closed']);
    const resumed = threeLayers({}, { snapshot: stored() });
    await lose(resumed.run, true);
    expect(resumed.states()).toEqual(['suspended', 'suspended', 'suspended']);
  });

  test('otherwise the exit policy holds, and it holds for a success in any case', async () => {
    const kept = threeLayers();
    await lose(kept.run, false);
    expect(kept.states()).toEqual(['suspended', 'suspended', 'suspended']);
    const { run, states } = threeLayers();
    await withinRun(run, never, async () => {}, { discardCreated: true });
    expect(states()).toEqual(['suspended', 'suspended', 'suspended']);
  });
});

test('an intent can be changed only while the layer is active', async () => {
  const { run, states } = threeLayers();
  const text = 'Layer exit intent can only be changed while the run slot is active.';
  expect(() => run.setExitIntent('a', 'suspend')).toThrow(text);
  await run.enter(never);
  run.setExitIntent('a', 'suspend');
  await run.exit();
  expect(states()).toEqual(['suspended', 'closed', 'closed']);
  expect(() => run.setExitIntent('a', 'suspend')).toThrow(text);
});

test('an unknown layer reads like a KeyError', () => {
  expect(() => threeLayers().run.get('zz')).toThrow(`"Layer 'zz' is not defined in this compositor run."`);
});

test('an exited run cannot be entered again', async () => {
  const { run } = threeLayers();
  await run.enter(never);
  await expect(run.enter(never)).rejects.toThrow("Layer 'a' is already active; ACTIVE snapshots are not allowed.");
  await run.exit();
  await expect(run.enter(never)).rejects.toThrow("Layer 'a' is closed; CLOSED snapshots cannot be entered.");
});

test('exiting twice runs the hooks once', async () => {
  const { run, log } = threeLayers();
  await run.enter(never);
  await run.exit();
  const { length } = log;
  await run.exit();
  expect(log).toHaveLength(length);
});

test('when an exit hook fails the others still exit, its state is set and the run fails', async () => {
  const { run, log, states, suppressed } = threeLayers({
    c: { suspend: fail('c broke'), close: fail('c scope broke') },
    a: { suspend: fail('a broke') },
  });
  await expect(withinRun(run, never, async () => 'answer')).rejects.toThrow('c broke');
  expect(states()).toEqual(['suspended', 'suspended', 'suspended']);
  expect(log.slice(-6)).toEqual(['c.suspend', 'c.close', 'b.suspend', 'b.close', 'a.suspend', 'a.close']);
  expect(suppressed).toEqual(['c: c scope broke', 'a: a broke']);
});

test('the body’s error wins over errors of exit hooks, which are told to the callback', async () => {
  const { run, suppressed } = threeLayers({ b: { suspend: fail('b broke') } });
  await expect(withinRun(run, never, () => Promise.reject(new Error('body broke')))).rejects.toThrow('body broke');
  expect(suppressed).toEqual(['b: b broke']);
});

test('a failed entry deletes what was created', async () => {
  const { run, log, states } = threeLayers({ c: { create: fail('c cannot') } });
  await expect(withinRun(run, never, async () => {})).rejects.toThrow('c cannot');
  expect(log.slice(5)).toEqual(['c.create', 'c.close', 'b.delete', 'b.close', 'a.delete', 'a.close']);
  expect(states()).toEqual(['closed', 'closed', 'new']);
});

test('a failed entry suspends what was resumed', async () => {
  const { run, log, states } = threeLayers({ c: { resume: fail('c cannot') } }, { snapshot: stored() });
  await expect(run.enter(never)).rejects.toThrow('c cannot');
  expect(log.slice(5)).toEqual(['c.resume', 'c.close', 'b.suspend', 'b.close', 'a.suspend', 'a.close']);
  expect(states()).toEqual(['suspended', 'suspended', 'suspended']);
});

test('a rollback looks at each layer: a new one of the snapshot is deleted, a suspended one suspended', async () => {
  const [a, b, c] = stored().layers;
  if (!a || !b || !c) throw new Error('the snapshot has three layers');
  const snapshot: SessionSnapshot = { schema_version: 1, layers: [a, { ...b, lifecycle_state: 'new' }, c] };
  const { run, log } = threeLayers({ c: { resume: fail('c cannot') } }, { snapshot });
  await expect(run.enter(never)).rejects.toThrow('c cannot');
  expect(log.slice(-4)).toEqual(['b.delete', 'b.close', 'a.suspend', 'a.close']);
});

test('when a scope does not open there is none to close', async () => {
  const { run, log } = threeLayers({ b: { open: fail('b cannot') } });
  await expect(run.enter(never)).rejects.toThrow('b cannot');
  expect(log).toEqual(['a.open', 'a.create', 'b.open', 'a.delete', 'a.close']);
});

test('errors of a rollback do not hide why the entry failed', async () => {
  const { run, suppressed } = threeLayers({
    a: { delete: fail('a broke') },
    b: { create: fail('b cannot'), close: fail('b scope broke') },
  });
  await expect(run.enter(never)).rejects.toThrow('b cannot');
  expect(suppressed).toEqual(['b: b scope broke', 'a: a broke']);
});

test('an aborted run enters no further layer and rolls back', async () => {
  const controller = new AbortController();
  const { run, log } = threeLayers({ a: { create: () => controller.abort(new Error('cancelled')) } });
  await expect(run.enter(controller.signal)).rejects.toThrow('cancelled');
  expect(log).toEqual(['a.open', 'a.create', 'a.delete', 'a.close']);
});

test('exit hooks do not see the run’s abort', async () => {
  const controller = new AbortController();
  const seen: boolean[] = [];
  const note = (signal: AbortSignal) => {
    seen.push(signal.aborted);
  };
  const { run } = threeLayers({ a: { suspend: note, close: note }, b: { delete: note } }, {});
  await run.enter(controller.signal);
  run.setExitIntent('a', 'suspend');
  controller.abort();
  await run.exit();
  expect(seen).toEqual([false, false, false]);
});

test('a hook that hangs is left behind after its time; the others still exit', async () => {
  let reason: unknown = null;
  const hang = (signal: AbortSignal) =>
    new Promise<void>(() => {
      signal.addEventListener('abort', () => {
        reason = signal.reason;
      });
    });
  const { run, log, states } = threeLayers({ c: { suspend: hang } }, {}, { exitTimeoutMs: 5 });
  const text = "Layer 'c' did not exit within 0.005 seconds.";
  await expect(withinRun(run, never, async () => {})).rejects.toThrow(text);
  expect(reason).toHaveProperty('message', text);
  expect(log.slice(-4)).toEqual(['b.suspend', 'b.close', 'a.suspend', 'a.close']);
  expect(states()).toEqual(['suspended', 'suspended', 'suspended']);
});

test('many hooks that hang take the time of a few; each is still told', async () => {
  const told: string[] = [];
  const hang = (name: string) => () =>
    new Promise<void>(() => {
      told.push(name);
    });
  const names = Array.from({ length: 40 }, (_, i) => `h${i}`);
  const behaviours = Object.fromEntries(names.map((name) => [name, { suspend: hang(name) }]));
  const exitTimeoutMs = 100;
  const run = prepareRun(
    plan(
      names.map((name) => spec(name)),
      toyWorld(behaviours),
    ),
    null,
    { exitTimeoutMs },
  );
  await run.enter(never);
  run.applyExitPolicy();
  const started = performance.now();
  await expect(run.exit()).rejects.toThrow("Layer 'h39' did not exit within 0.1 seconds.");
  // Forty times 100 ms would be 4 s.
  expect(performance.now() - started).toBeLessThan(2_000);
  expect(told).toEqual(names.toReversed());
  expect(run.snapshot().layers.every(({ lifecycle_state }) => lifecycle_state === 'suspended')).toBe(true);
});

describe('a hook that goes on after the abort', () => {
  const hang = () => new Promise<void>(() => {});

  test.each(['create', 'resume'] as const)('is left behind while it enters: %s', async (hook) => {
    const controller = new AbortController();
    const { run, log } = threeLayers(
      {
        b: {
          [hook]: () => {
            controller.abort(new Error('cancelled'));
            return hang();
          },
        },
      },
      { snapshot: hook === 'resume' ? stored() : null },
      { exitTimeoutMs: 5 },
    );
    await expect(run.enter(controller.signal)).rejects.toThrow('cancelled');
    const exit = hook === 'resume' ? 'suspend' : 'delete';
    expect(log.slice(-3)).toEqual(['b.close', `a.${exit}`, 'a.close']);
    expect(run.entered).toBe(false);
  });

  test('and opens its scope after all: the scope is closed', async () => {
    const controller = new AbortController();
    const opened = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    const { run } = threeLayers(
      {
        b: {
          open: () => {
            controller.abort(new Error('cancelled'));
            return opened.promise;
          },
          close: () => closed.resolve(),
        },
      },
      {},
      { exitTimeoutMs: 5 },
    );
    await expect(run.enter(controller.signal)).rejects.toThrow('cancelled');
    opened.resolve();
    await closed.promise;
  });
});

test('a run says whether its layers were entered', async () => {
  const { run } = threeLayers();
  expect(run.entered).toBe(false);
  await run.enter(never);
  await run.exit();
  expect(run.entered).toBe(true);
});

test('layers without hooks pass through', async () => {
  const run = prepareRun(plan([spec('p', 'plain')]), null);
  expect(await withinRun(run, never, async () => 42)).toBe(42);
  expect([...run.layers.keys()]).toEqual(['p']);
});

test('fifty thousand layers pass in the time that their number explains', async () => {
  const count = 50_000;
  const run = prepareRun(plan(Array.from({ length: count }, (_, i) => spec(`p${i}`, 'plain'))), null);
  const started = performance.now();
  await withinRun(run, never, async () => {});
  expect(run.snapshot().layers).toHaveLength(count);
  // Quadratic work took 4 s here; linear work takes 0.05 s.
  expect(performance.now() - started).toBeLessThan(1_000);
});
