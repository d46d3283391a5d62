// The request of the reference's benchmark (spec 07 §6.1): its identifiers travel in the credentials, through the server, to the fake
// peers, numbers staying numbers.

import { type Scenario, toolRoundsOf } from '../../fakes/bench-scenarios.ts';

/** The body of `POST /runs` for one prepared run. */
export function benchmarkRequest(scenario: Scenario, runId: string): string {
  const identity = { benchmark_run_id: runId, scenario_id: scenario.id, scenario_version: scenario.version };
  const context = { execution_context: 'execution_context' };
  const tool = {
    ...{ plugin_id: 'benchmark/tool', provider: 'benchmark', tool_name: 'benchmark_tool', credential_type: 'api-key' },
    credentials: identity,
    parameters: [{ name: 'query', type: 'string', form: 'llm', required: true }],
    parameters_json_schema: { type: 'object', properties: { query: { type: 'string' } }, required: ['query'] },
  };
  const layers = [
    { name: 'prompt', type: 'plain.prompt', config: { prefix: 'benchmark system', user: 'benchmark request' } },
    {
      name: 'execution_context',
      type: 'dify.execution_context',
      config: {
        ...{ tenant_id: 'benchmark-tenant', user_id: 'benchmark-user', user_from: 'account' },
        ...{ agent_mode: 'workflow_run', invoke_from: 'service-api' },
      },
    },
    {
      name: 'llm',
      type: 'dify.plugin.llm',
      deps: context,
      config: {
        ...{ plugin_id: 'benchmark/model', model_provider: 'benchmark', model: 'benchmark-model' },
        credentials: identity,
      },
    },
    ...(toolRoundsOf(scenario) === 0
      ? []
      : [{ name: 'tools', type: 'dify.plugin.tools', deps: context, config: { tools: [tool] } }]),
  ];
  return JSON.stringify({ composition: { schema_version: 1, layers }, metadata: identity });
}
