// `dify.ask_human`: lets the model end the run with a question to a person (spec 02 §10). The layer brings the tool and
// its guidance; ending the run, publishing the call and resuming with the answer are the loop's and the runner's.

import { CompositionError } from '../compositor/errors.ts';
import type { RunLayerSpec } from '../protocol/runs.ts';
import { type AskHumanConfig, askHumanConfig, policyOf } from './ask-human/config.ts';
import { askHumanTool, guidance } from './ask-human/tool.ts';
import { EMPTY_STATE, emptyRuntimeState } from './empty.ts';
import type { AgentLayer, AgentLayerType } from './types.ts';

const TYPE_ID = 'dify.ask_human';
const CLASS_NAME = 'DifyAskHumanLayer';

/** The type `dify.ask_human`. */
export const askHumanLayer: AgentLayerType<AskHumanConfig> = {
  typeId: TYPE_ID,
  className: CLASS_NAME,
  config: askHumanConfig,
  state: emptyRuntimeState,
  deps: {},
  checkShape: checkAskHumanShape,
  create: ({ config }) => createLayer(config),
};

/** At most one layer of the type, disabled ones counted, under any name (spec 02 §10.1). @throws CompositionError */
export function checkAskHumanShape(layers: readonly RunLayerSpec[]): void {
  const names = layers.filter(({ type }) => type === TYPE_ID).map(({ name }) => name);
  if (names.length > 1) {
    throw new CompositionError(`Only one '${TYPE_ID}' layer is supported. Found layers: ${names.join(', ')}.`);
  }
}

/** A disabled layer has no tool and says nothing; the run behaves as if it were absent. */
function createLayer(config: AskHumanConfig): AgentLayer {
  const policy = policyOf(config);
  const metadata = { layer_type: TYPE_ID, tool_name: policy.toolName, schema_version: 1 };
  const layer = { className: CLASS_NAME, state: EMPTY_STATE };
  if (!config.enabled) return { ...layer, humanInput: { tool: null, metadata } };
  return {
    ...layer,
    prompts: { prefix: [guidance(policy)], user: [], suffix: [] },
    humanInput: { tool: askHumanTool(policy), metadata },
  };
}
