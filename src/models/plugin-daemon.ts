// A model behind the plugin daemon: builds the request of a model call (spec 03 §3) and turns the answer's items into
// deltas. Transport, framing and errors of the wire are peers/plugin-daemon's; the loop is agent/'s.

import type { AgentModel, ModelCall, ModelDelta, ToolDefinition } from '../agent/model.ts';
import { secretValues } from '../observe/secrets.ts';
import type { DaemonCall, PluginDaemonClient } from '../peers/plugin-daemon/client.ts';
import { createChunkReader } from './chunk-deltas.ts';
import { maxTokensText, modelParameters } from './model-parameters.ts';
import { asModelError, modelProtocolError } from './plugin-daemon-error.ts';
import type { PluginLlmConfig } from './plugin-llm-config.ts';
import { toPromptMessages } from './prompt-messages.ts';

/** Whose call it is. */
export interface PluginModelContext {
  readonly tenantId: string;
  readonly userId: string | null;
  /** Identifies the run where connections are scarce. Default: this model is a run of its own. */
  readonly owner?: unknown;
}

/**
 * The model that a `dify.plugin.llm` layer describes; one per run. Its stream throws PluginDaemonError, or the signal's
 * reason; nothing is checked or sent before.
 */
export function createPluginModel(
  client: PluginDaemonClient,
  config: PluginLlmConfig,
  context: PluginModelContext,
): AgentModel {
  const secrets = secretValues(config.credentials, client.apiKey);
  const reject = (text: string): Error => modelProtocolError(text, secrets);
  const owner = context.owner ?? {};

  const daemonCall = (call: ModelCall): DaemonCall => ({
    kind: 'llm',
    tenantId: context.tenantId,
    pluginId: config.plugin_id,
    userId: context.userId,
    data: requestData(config, call, reject),
    owner,
  });

  return {
    modelName: config.model,
    providerName: `DifyPlugin/${config.plugin_id}`,
    maxTokens: maxTokensText(config.model_settings),
    async *stream(call, signal) {
      const reader = createChunkReader(reject);
      try {
        for await (const items of client.streamItems(daemonCall(call), signal)) {
          const batch: ModelDelta[] = [];
          let fault: unknown = null;
          try {
            for (const item of items) reader.item(item, batch);
          } catch (error) {
            fault = error;
          }
          // What came before a bad item has happened.
          if (batch.length > 0) yield batch;
          if (fault !== null) throw fault;
        }
        const rest: ModelDelta[] = [];
        reader.end(rest);
        if (rest.length > 0) yield rest;
      } catch (error) {
        throw asModelError(error, config.model, secrets);
      }
    },
  };
}

/** The `data` object; all nine keys, in wire order (spec 03 §3.1). */
function requestData(config: PluginLlmConfig, call: ModelCall, reject: (text: string) => Error): object {
  const { model_parameters, stop } = modelParameters(config.model_settings);
  return {
    provider: config.model_provider,
    model_type: 'llm',
    model: config.model,
    credentials: config.credentials,
    prompt_messages: toPromptMessages(call.messages, reject),
    model_parameters,
    tools: call.tools.length === 0 ? null : call.tools.map(toolData),
    stop,
    stream: true,
  };
}

function toolData({ name, description, parameters }: ToolDefinition): object {
  return { name, description, parameters };
}
