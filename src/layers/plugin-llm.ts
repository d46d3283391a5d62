// `dify.plugin.llm`: a model behind the plugin daemon, under the reserved name `llm` (spec 03 §1.1). The layer knows the
// configuration and whose run it is; how the daemon is asked is the model's (models/).

import type { AgentModel } from '../agent/model.ts';
import type { Layer } from '../compositor/layer.ts';
import { type PluginLlmConfig, pluginLlmConfig } from '../models/plugin-llm-config.ts';
import type { ExecutionContext } from '../protocol/execution-context.ts';
import { EMPTY_STATE, emptyRuntimeState } from './empty.ts';
import { ExecutionContextLayer } from './execution-context.ts';
import type { AgentLayer, AgentLayerType } from './types.ts';

const CLASS_NAME = 'DifyPluginLLMLayer';

/** Builds the model that a layer's config describes, for the tenant and user of the context. */
export type CreatePluginModel = (config: PluginLlmConfig, context: ExecutionContext) => AgentModel;

/** The type `dify.plugin.llm`. */
export function pluginLlmLayer(createModel: CreatePluginModel): AgentLayerType<PluginLlmConfig> {
  return {
    typeId: 'dify.plugin.llm',
    className: CLASS_NAME,
    config: pluginLlmConfig,
    state: emptyRuntimeState,
    deps: { execution_context: { classNames: ['DifyExecutionContextLayer'], required: true } },
    create: ({ config }) => new PluginLlmLayer(config, createModel),
  };
}

class PluginLlmLayer implements AgentLayer {
  readonly className = CLASS_NAME;
  readonly state = EMPTY_STATE;
  readonly #config: PluginLlmConfig;
  readonly #createModel: CreatePluginModel;
  #context: ExecutionContext | null = null;

  constructor(config: PluginLlmConfig, createModel: CreatePluginModel) {
    this.#config = config;
    this.#createModel = createModel;
  }

  bind({ execution_context: target }: Readonly<Record<string, Layer>>): void {
    if (target instanceof ExecutionContextLayer) this.#context = target.context;
  }

  model(): AgentModel {
    if (this.#context === null) throw new Error('The model was asked for before its layer was bound.');
    return this.#createModel(this.#config, this.#context);
  }
}
