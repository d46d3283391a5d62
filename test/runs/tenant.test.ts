import { expect, test } from 'bun:test';
import { statedTenant } from '../../src/runs/tenant.ts';

const context = (config: unknown) => ({ type: 'dify.execution_context', config: config as never }); // of any shape: nothing is validated yet
const other = { type: 'plain.prompt', config: { tenant_id: 'not this' } };

test.each([
  ['an object', [other, context({ tenant_id: 'acme' })], 'acme'],
  ['JSON text', [context('{"tenant_id":"acme"}')], 'acme'],
  ['the first of two', [context({ tenant_id: 'a' }), context({ tenant_id: 'b' })], 'a'],
  ['no context', [other], null],
  ['no configuration', [context(null)], null],
  ['an empty name', [context({ tenant_id: '' })], null],
  ['a number', [context({ tenant_id: 5 })], null],
  ['text that is no JSON', [context('{"tenant_id":')], null],
  ['text that is too long', [context(`{"tenant_id":"acme","x":"${'x'.repeat(70_000)}"}`)], null],
])('%s', (_what, layers, tenant) => {
  expect(statedTenant(layers)).toBe(tenant);
});
