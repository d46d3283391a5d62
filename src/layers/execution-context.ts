// `dify.execution_context`: the ids that other layers hand to their peers (spec 02 §11). No state, hooks or prompts.
// Whether an id is safe in a URL is checked by the peer that puts it there.

import { literal, model, nullable, type Out, optional, required, str } from '../protocol/dialect.ts';
import { EMPTY_STATE, emptyRuntimeState } from './empty.ts';
import type { AgentLayer, AgentLayerType } from './types.ts';

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

const executionContextConfig = model('DifyExecutionContextLayerConfig', {
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

/** Carries the context to the layers that depend on it. */
export class ExecutionContextLayer implements AgentLayer {
  readonly className = 'DifyExecutionContextLayer';
  readonly state = EMPTY_STATE;
  readonly context: ExecutionContext;

  constructor(context: ExecutionContext) {
    this.context = context;
  }
}

/** The type `dify.execution_context`. */
export const executionContextLayer: AgentLayerType<ExecutionContext> = {
  typeId: 'dify.execution_context',
  className: 'DifyExecutionContextLayer',
  config: executionContextConfig,
  state: emptyRuntimeState,
  deps: {},
  create: ({ config }) => new ExecutionContextLayer(config),
};
