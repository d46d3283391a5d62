import { expect, test } from 'bun:test';
import { createLayerRegistry } from '../../src/compositor/registry.ts';
import { model } from '../../src/protocol/dialect.ts';

const type = (typeId: string) => ({
  typeId,
  className: 'XLayer',
  config: model('XConfig', {}),
  state: model('EmptyRuntimeState', {}),
  deps: {},
  create: () => ({ className: 'XLayer', state: {} }),
});

test('a type id is found, an unknown one is not', () => {
  const registry = createLayerRegistry([type('x')]);
  expect(registry.get('x')?.className).toBe('XLayer');
  expect(registry.get('constructor')).toBeUndefined();
  expect(registry.typeIds).toEqual(['x']);
});

test('an id cannot be registered twice', () => {
  expect(() => createLayerRegistry([type('x'), type('x')])).toThrow("Layer type id 'x' is already registered.");
});

test('a type needs an id', () => {
  expect(() => createLayerRegistry([type('')])).toThrow("Layer provider for 'XLayer' must declare a type_id.");
});

test('an empty registry knows nothing', () => {
  expect(createLayerRegistry([]).typeIds).toEqual([]);
});
