// The layer types of this server. A new layer is a file in this room and a line here.

import { createSchemaCompiler } from '../jsonschema/compiler.ts';
import type { messageSchemas } from '../protocol/messages.ts';
import { askHumanLayer } from './ask-human.ts';
import { executionContextLayer } from './execution-context.ts';
import { historyLayer } from './history.ts';
import { outputLayer } from './output.ts';
import { type CreatePluginModel, pluginLlmLayer } from './plugin-llm.ts';
import type { ToolDaemon } from './plugin-tools/tool.ts';
import { pluginToolsLayer } from './plugin-tools.ts';
import { promptLayer } from './prompt.ts';
import { scriptedLlmLayer } from './scripted-llm.ts';
import { type ShellDependencies, shellLayer } from './shell.ts';
import type { AgentLayerType } from './types.ts';

/** What the layers' factories take from the outside. */
export interface LayerDependencies {
  /** The message schemas with the process's clock. */
  readonly messages: ReturnType<typeof messageSchemas>;
  /** Builds the model of a `dify.plugin.llm` layer; called once per run. */
  readonly createPluginModel: CreatePluginModel;
  /** What `dify.plugin.tools` calls its tools through. */
  readonly pluginDaemon: ToolDaemon;
  /** What `dify.shell` works with. Null (the default): no shellctl is configured. */
  readonly shell?: ShellDependencies | null;
  /** Registers `test.scripted_llm`. */
  readonly scriptedModel: boolean;
}

/** All types, in the order in which their shape rules are checked: output, history, ask_human (spec 02 §2.2), then the rest. */
export function createLayerTypes(deps: LayerDependencies): readonly AgentLayerType[] {
  return [
    outputLayer(createSchemaCompiler()),
    historyLayer(deps.messages),
    askHumanLayer,
    promptLayer,
    executionContextLayer,
    pluginLlmLayer(deps.createPluginModel),
    pluginToolsLayer(deps.pluginDaemon),
    shellLayer(deps.shell ?? null),
    ...(deps.scriptedModel ? [scriptedLlmLayer] : []),
  ];
}
