import { expect, test } from 'bun:test';
import type { JsonValue } from '../../src/base/json.ts';
import { prepareRun } from '../../src/compositor/run.ts';
import type { SessionSnapshot } from '../../src/protocol/runs.ts';
import { plan, snapshotOf, spec, ToyLayer, toyWorld } from './toy-layers.ts';

const failure = (build: () => unknown): string => {
  try {
    build();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'accepted';
};

const configFailure = (config: JsonValue) =>
  failure(() => prepareRun(plan([spec('a', 'toy', { config })]), null)).replace(
    /input_value=.*?, input_type/g,
    'input_value=…, input_type',
  );

const url = (type: string) => `\n    For further information visit https://errors.pydantic.dev/2.12/v/${type}`;

test('a config may be an object, null or JSON text', () => {
  const label = (config: JsonValue) => {
    const layer = prepareRun(plan([spec('a', 'toy', { config })]), null).get('a');
    return layer instanceof ToyLayer ? layer.label : null;
  };
  expect(label({ label: 'x' })).toBe('x');
  expect(label(null)).toBe('none');
  expect(label('{"label":"from text"}')).toBe('from text');
});

test('an unknown config key reads as pydantic prints it', () => {
  expect(configFailure({ unknown: 'field' })).toBe(
    `1 validation error for ToyConfig\nunknown\n  Extra inputs are not permitted [type=extra_forbidden, input_value=…, input_type=str]${url('extra_forbidden')}`,
  );
});

test('an array is not a config', () => {
  expect(configFailure([1])).toBe(
    `1 validation error for ToyConfig\n  Input should be a valid dictionary or instance of ToyConfig [type=model_type, input_value=…, input_type=list]${url('model_type')}`,
  );
});

test('bad JSON text says where it is bad', () => {
  expect(configFailure('{nope')).toBe(
    `1 validation error for ToyConfig\n  Invalid JSON: key must be a string at line 1 column 2 [type=json_invalid, input_value=…, input_type=str]${url('json_invalid')}`,
  );
});

test('JSON text that is not an object is refused like JSON', () => {
  expect(configFailure('[1]')).toStartWith('1 validation error for ToyConfig\n  Input should be an object');
});

test('error texts do not echo values', () => {
  const secret = 'sk-very-secret';
  expect(failure(() => prepareRun(plan([spec('a', 'toy', { config: { label: [secret] } })]), null))).not.toContain(
    secret,
  );
  expect(failure(() => prepareRun(plan([spec('a', 'toy', { config: `{${secret}` })]), null))).not.toContain(secret);
});

test('all configs are read before any layer is built, the first bad one is reported', () => {
  const world = toyWorld();
  const layers = [spec('a'), spec('b', 'toy', { config: { first: 1 } }), spec('c', 'toy', { config: { second: 1 } })];
  const text = failure(() => prepareRun(plan(layers, world), null));
  expect(text).toContain('first');
  expect(text).not.toContain('second');
  expect(world.created).toEqual([]);
});

test('configs win over the snapshot', () => {
  const layers = [spec('a', 'toy', { config: { bad: 1 } })];
  expect(failure(() => prepareRun(plan(layers), snapshotOf({ other: {} })))).toContain('ToyConfig');
});

test('a snapshot of another schema version is refused first', () => {
  const snapshot: SessionSnapshot = { schema_version: 2, layers: [] };
  expect(failure(() => prepareRun(plan([spec('a')]), snapshot))).toBe(
    'Unsupported compositor session snapshot schema_version: 2.',
  );
});

test('a snapshot names the same layers in the same order', () => {
  const mismatch = (snapshot: SessionSnapshot) => failure(() => prepareRun(plan([spec('a'), spec('b')]), snapshot));
  const start = 'CompositorSessionSnapshot layer names must match compositor layers in order. Expected [a, b], got ';
  expect(mismatch(snapshotOf({}))).toBe(`${start}[].`);
  expect(mismatch(snapshotOf({ b: {}, a: {} }))).toBe(`${start}[b, a].`);
  expect(mismatch(snapshotOf({ a: {} }))).toBe(`${start}[a].`);
  expect(mismatch(snapshotOf({ a: {}, b: {}, c: {} }))).toBe(`${start}[a, b, c].`);
});

test('a bad runtime state is refused with the state’s class', () => {
  expect(failure(() => prepareRun(plan([spec('a')]), snapshotOf({ a: { count: -1 } })))).toStartWith(
    '1 validation error for ToyState\ncount\n  Input should be greater than or equal to 0 [type=greater_than_equal,',
  );
  expect(failure(() => prepareRun(plan([spec('a', 'plain')]), snapshotOf({ a: { x: 1 } })))).toStartWith(
    '1 validation error for EmptyRuntimeState\nx\n  Extra inputs are not permitted [type=extra_forbidden,',
  );
});

test('closed and active states are refused before factories', () => {
  const world = toyWorld();
  const refuse = (state: 'closed' | 'active') =>
    failure(() => prepareRun(plan([spec('a')], world), snapshotOf({ a: {} }, state)));
  expect(refuse('closed')).toBe("Layer 'a' is closed; CLOSED snapshots cannot be entered.");
  expect(refuse('active')).toBe("Layer 'a' is already active; ACTIVE snapshots are not allowed.");
  expect(world.created).toEqual([]);
});

test('states are checked layer by layer: an earlier bad state wins over a later closed layer', () => {
  const snapshot: SessionSnapshot = {
    schema_version: 1,
    layers: [
      { name: 'a', lifecycle_state: 'suspended', runtime_state: { count: 'x' } },
      { name: 'b', lifecycle_state: 'closed', runtime_state: {} },
    ],
  };
  expect(failure(() => prepareRun(plan([spec('a'), spec('b')]), snapshot))).toContain('ToyState');
});

test('a required dependency must be given', () => {
  expect(failure(() => prepareRun(plan([spec('n', 'needy')]), null))).toBe(
    "Dependency 'base' is required for layer 'NeedyLayer' but not provided.",
  );
});

test('a dependency must have the right class', () => {
  const layers = [spec('p', 'plain'), spec('n', 'needy', { deps: { base: 'p' } })];
  expect(failure(() => prepareRun(plan(layers), null))).toBe(
    "Dependency 'base' should be of type 'ToyLayer', but got type 'PlainLayer'.",
  );
});

test('dependencies are bound, absent optional ones are missing', () => {
  const layers = [spec('a'), spec('p', 'plain'), spec('n', 'needy', { deps: { base: 'a', extra: 'p' } })];
  const run = prepareRun(plan(layers), null);
  const bound = (name: string) => {
    const layer = run.get(name);
    return layer instanceof ToyLayer ? layer.bound : null;
  };
  expect(bound('n')).toEqual({ base: run.get('a'), extra: run.get('p') });
  expect(bound('a')).toEqual({});
});
