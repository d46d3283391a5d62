// `test.scripted_llm`: a model that answers from its config, and tools that do, under the reserved name `llm`. It takes
// the dependencies of `dify.plugin.llm` without needing them: a real composition runs scripted when type and config are
// changed.

import { createScriptedModel } from '../models/scripted.ts';
import { type ScriptedConfig, scriptedConfig } from '../models/scripted-config.ts';
import { EMPTY_STATE, emptyRuntimeState } from './empty.ts';
import { createScriptedTools } from './scripted-tools.ts';
import type { AgentLayerType } from './types.ts';

/** The type `test.scripted_llm`. Registered only where the operator enables it. */
export const scriptedLlmLayer: AgentLayerType<ScriptedConfig> = {
  typeId: 'test.scripted_llm',
  className: 'ScriptedLLMLayer',
  config: scriptedConfig,
  state: emptyRuntimeState,
  deps: { execution_context: { classNames: ['DifyExecutionContextLayer'], required: false } },
  create: ({ config }) => ({
    className: 'ScriptedLLMLayer',
    state: EMPTY_STATE,
    model: () => createScriptedModel(config),
    tools: () => createScriptedTools(config.tools),
  }),
};
