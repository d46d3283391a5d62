import { expect, test } from 'bun:test';
import { sortedNames } from '../../src/compositor/names.ts';
import { planRun } from '../../src/compositor/plan.ts';
import { createLayerRegistry } from '../../src/compositor/registry.ts';
import type { LayerExitSignals } from '../../src/protocol/runs.ts';
import { plan, SUSPEND_ALL, spec, toyWorld } from './toy-layers.ts';

const texts = (build: () => unknown): string => {
  try {
    build();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'accepted';
};

test('a schema version other than 1 is refused before anything else', () => {
  const composition = { schema_version: 2, layers: [spec('a', 'nothing')] };
  expect(texts(() => planRun(composition, SUSPEND_ALL, toyWorld().registry))).toBe(
    'Unsupported compositor config schema_version: 2.',
  );
});

test('an unknown type reads like a KeyError, quotes included', () => {
  expect(texts(() => plan([spec('a', 'x')]))).toBe(`"Layer type id 'x' is not registered."`);
  expect(texts(() => plan([spec('a', 'x"y')]))).toBe(String.raw`'Layer type id \'x"y\' is not registered.'`);
});

test('with an empty registry every type is unknown', () => {
  const composition = { schema_version: 1, layers: [spec('a', 'plain.prompt')] };
  expect(texts(() => planRun(composition, SUSPEND_ALL, createLayerRegistry([])))).toBe(
    `"Layer type id 'plain.prompt' is not registered."`,
  );
});

test('type and name are checked layer by layer, type first', () => {
  expect(texts(() => plan([spec('', 'x')]))).toContain('is not registered');
  expect(texts(() => plan([spec(''), spec('a', 'x')]))).toBe('Layer node name must not be empty.');
  expect(texts(() => plan([spec('a'), spec('', 'toy')]))).toBe('Layer node name must not be empty.');
});

test('the first repeated name is reported, after all types', () => {
  expect(texts(() => plan([spec('a'), spec('b'), spec('b'), spec('a')]))).toBe("Duplicate layer name 'b'.");
  expect(texts(() => plan([spec('a'), spec('a'), spec('c', 'x')]))).toContain('is not registered');
});

test('names are otherwise free', () => {
  expect(plan([spec(' '), spec('constructor'), spec('\u{1F600}')]).layers.map(({ name }) => name)).toEqual([
    ' ',
    'constructor',
    '\u{1F600}',
  ]);
});

test('unknown dependency keys are listed in order of code points', () => {
  const deps = { zzz: 'a', '\u{1F600}': 'a', '\uFFFD': 'a', aaa: 'a' };
  expect(texts(() => plan([spec('a'), spec('n', 'needy', { deps })]))).toBe(
    "Layer 'n' declares unknown dependency keys: aaa, zzz, \uFFFD, \u{1F600}.",
  );
});

test('a key that objects inherit is still unknown', () => {
  expect(texts(() => plan([spec('a'), spec('b', 'toy', { deps: { constructor: 'a' } })]))).toBe(
    "Layer 'b' declares unknown dependency keys: constructor.",
  );
});

test('unknown keys win over undefined targets, those over order', () => {
  expect(texts(() => plan([spec('n', 'needy', { deps: { what: 'nowhere', base: 'n' } })]))).toContain(
    'unknown dependency keys: what.',
  );
  expect(texts(() => plan([spec('n', 'needy', { deps: { base: 'z', extra: 'n' } })]))).toBe(
    "Layer 'n' depends on undefined layer names: z.",
  );
});

test('undefined targets are sorted and named once', () => {
  expect(texts(() => plan([spec('n', 'needy', { deps: { extra: 'y', base: 'y' } })]))).toBe(
    "Layer 'n' depends on undefined layer names: y.",
  );
  expect(texts(() => plan([spec('n', 'needy', { deps: { extra: 'b', base: 'c' } })]))).toBe(
    "Layer 'n' depends on undefined layer names: b, c.",
  );
});

test('a dependency points backwards: neither at itself nor ahead', () => {
  expect(texts(() => plan([spec('n', 'needy', { deps: { extra: 'n', base: 'a' } }), spec('a')]))).toBe(
    "Layer 'n' dependencies must target preceding layer nodes in compositor order: base->a, extra->n.",
  );
});

test('a missing required dependency is not the graph’s business', () => {
  expect(texts(() => plan([spec('n', 'needy')]))).toBe('accepted');
});

test('an empty composition is a graph', () => {
  expect(plan([]).layers).toEqual([]);
});

test('unknown exit keys are named, after the graph', () => {
  const onExit = { default: 'suspend', layers: { zz: 'delete', a: 'suspend', aa: 'suspend' } } as const;
  expect(texts(() => plan([spec('a')], toyWorld(), onExit))).toBe(
    'on_exit.layers references unknown layer ids: aa, zz.',
  );
  expect(texts(() => plan([spec('a'), spec('a')], toyWorld(), onExit))).toBe("Duplicate layer name 'a'.");
});

test('the exit policy gives each layer its own intent or the default', () => {
  const onExit = { default: 'delete', layers: { b: 'suspend' } } as const;
  const layers = plan([spec('a'), spec('b'), spec('constructor')], toyWorld(), onExit).layers;
  expect(layers.map(({ exitIntent }) => exitIntent)).toEqual(['delete', 'suspend', 'delete']);
});

test('names that differ in a surrogate, a lone surrogate or only in length are in order of code points', () => {
  const unordered = ['\u{1F601}', '\u{1F600}b', '\uD83D', '\uE000', 'ab', 'a', '\u{1F600}', '\uD83Da', ''];
  const ordered = ['', 'a', 'ab', '\uD83D', '\uD83Da', '\uE000', '\u{1F600}', '\u{1F600}b', '\u{1F601}'];
  expect([...sortedNames(unordered)]).toEqual(ordered);
});

test('half a million unknown names are listed without holding up the server', () => {
  const layers = Object.fromEntries(
    Array.from({ length: 500_000 }, (_, i) => [`layer-${(i * 7919) % 1_000_003}`, 'delete']),
  );
  const started = performance.now();
  expect(texts(() => plan([spec('a')], toyWorld(), { default: 'suspend', layers } as LayerExitSignals))).toStartWith(
    'on_exit.layers references unknown layer ids: layer-0, layer-1000000, ',
  );
  expect(performance.now() - started).toBeLessThan(2_500);
});
