// `dify.plugin.tools`: tools behind the plugin daemon (spec 03 §1.4, §5). The layer knows the configuration and whose run
// it is; what a tool does is plugin-tools/, that names are unique across layers is checked where all tools meet.

import type { FunctionTool } from '../agent/tools.ts';
import { CompositionError } from '../compositor/errors.ts';
import type { Layer } from '../compositor/layer.ts';
import { nameList } from '../compositor/names.ts';
import type { ExecutionContext } from '../protocol/execution-context.ts';
import { EMPTY_STATE, emptyRuntimeState } from './empty.ts';
import { ExecutionContextLayer } from './execution-context.ts';
import { missingHiddenParameters } from './plugin-tools/arguments.ts';
import { type PluginToolsConfig, pluginToolsConfig } from './plugin-tools/config.ts';
import { createPluginTool, type ToolDaemon } from './plugin-tools/tool.ts';
import type { AgentLayer, AgentLayerType } from './types.ts';

const CLASS_NAME = 'DifyPluginToolsLayer';

/** The type `dify.plugin.tools`; its tools are called through this client. */
export function pluginToolsLayer(daemon: ToolDaemon): AgentLayerType<PluginToolsConfig> {
  return {
    typeId: 'dify.plugin.tools',
    className: CLASS_NAME,
    config: pluginToolsConfig,
    state: emptyRuntimeState,
    deps: { execution_context: { classNames: ['DifyExecutionContextLayer'], required: true } },
    create: ({ config }) => new PluginToolsLayer(config, daemon),
  };
}

class PluginToolsLayer implements AgentLayer {
  readonly className = CLASS_NAME;
  readonly state = EMPTY_STATE;
  readonly #config: PluginToolsConfig;
  readonly #daemon: ToolDaemon;
  #context: ExecutionContext | null = null;

  constructor(config: PluginToolsConfig, daemon: ToolDaemon) {
    this.#config = config;
    this.#daemon = daemon;
  }

  bind({ execution_context: target }: Readonly<Record<string, Layer>>): void {
    if (target instanceof ExecutionContextLayer) this.#context = target.context;
  }

  tools(): readonly FunctionTool[] {
    const context = this.#context;
    if (context === null) throw new Error('The tools were asked for before their layer was bound.');
    return this.#config.tools.map((config) => {
      const missing = missingHiddenParameters(config);
      if (missing.length > 0) {
        throw new CompositionError(
          `Tool '${config.tool_name}' requires non-LLM runtime_parameters for: ${nameList(missing)}.`,
        );
      }
      return createPluginTool(config, context, this.#daemon);
    });
  }
}
