import { expect, test } from 'bun:test';
import type { JsonObject } from '../../src/base/json.ts';
import { ExecutionContextLayer } from '../../src/layers/execution-context.ts';
import { fault, prepare, refusal } from './fixtures.ts';

const context = (config: JsonObject) => ({ where: { type: 'dify.execution_context', config } });

test('only the tenant is needed; the rest is null', () => {
  const layer = prepare(context({ tenant_id: 't' })).get('where');
  expect(layer instanceof ExecutionContextLayer && layer.context).toMatchObject({
    tenant_id: 't',
    user_id: null,
    user_from: null,
    agent_mode: null,
    invoke_from: null,
    trace_id: null,
  });
});

test.each(['workflow_run', 'single_step', 'fasten', 'service-api', 'validation'])('invoke_from may be %s', (value) => {
  expect(refusal(context({ tenant_id: 't', invoke_from: value }))).toBe('accepted');
});

test('agent_mode takes modes alone', () => {
  expect(refusal(context({ tenant_id: 't', agent_mode: 'babysit' }))).toBe('accepted');
  expect(refusal(context({ tenant_id: 't', agent_mode: 'service-api' }))).toBe(
    `1 validation error for DifyExecutionContextLayerConfig\n${fault(
      'agent_mode',
      "Input should be 'workflow_run', 'single_step', 'agent_app', 'babysit' or 'fasten'",
      'literal_error',
      'str',
    )}`,
  );
});

test('a missing tenant and an unknown key are both told', () => {
  expect(refusal(context({ zzz: 1 }))).toBe(
    [
      '2 validation errors for DifyExecutionContextLayerConfig',
      fault('tenant_id', 'Field required', 'missing', 'dict'),
      fault('zzz', 'Extra inputs are not permitted', 'extra_forbidden', 'int'),
    ].join('\n'),
  );
});
