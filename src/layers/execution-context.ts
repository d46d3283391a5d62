// `dify.execution_context`: the ids that other layers hand to their peers (spec 02 §11). No state, hooks or prompts.
// Whether an id is safe in a URL is checked by the peer that puts it there.

import { type ExecutionContext, executionContextConfig } from '../protocol/execution-context.ts';
import { EMPTY_STATE, emptyRuntimeState } from './empty.ts';
import type { AgentLayer, AgentLayerType } from './types.ts';

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
