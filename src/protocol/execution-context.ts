// On whose behalf a run acts (spec 02 §11, 07 §2.3): the config of the layer `dify.execution_context`, what peers are told,
// and what a sandbox's token carries.

import { literal, model, nullable, type Out, optional, required, str } from './dialect.ts';

const MODES = ['workflow_run', 'single_step', 'agent_app', 'babysit', 'fasten'] as const;
const SOURCES = [
  'service-api',
  'openapi',
  'web-app',
  'trigger',
  'explore',
  'debugger',
  'published',
  'validation',
] as const;

const id = () => optional(nullable(str()), null);

export const executionContextConfig = model('DifyExecutionContextLayerConfig', {
  tenant_id: required(str()),
  user_id: id(),
  user_from: optional(nullable(literal('account', 'end-user')), null),
  app_id: id(),
  workflow_id: id(),
  workflow_run_id: id(),
  node_id: id(),
  node_execution_id: id(),
  conversation_id: id(),
  agent_id: id(),
  agent_config_version_id: id(),
  /** Sent with every version id of a Dify API of June 2026 (spec 07 §2.3). */
  agent_config_version_kind: optional(nullable(literal('snapshot', 'draft', 'build_draft')), null),
  agent_mode: optional(nullable(literal(...MODES)), null),
  /** Older clients send modes here, newer ones sources: the union serves both. */
  invoke_from: optional(nullable(literal(...SOURCES, ...MODES)), null),
  trace_id: id(),
});

/** The validated context. */
export type ExecutionContext = Out<typeof executionContextConfig>;
