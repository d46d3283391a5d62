// The layer types with a fixed clock and a model that only says how it was made.

import type { AgentModel } from '../../src/agent/model.ts';
import type { JsonValue } from '../../src/base/json.ts';
import { planRun } from '../../src/compositor/plan.ts';
import { createLayerRegistry } from '../../src/compositor/registry.ts';
import { type CompositorRun, prepareRun } from '../../src/compositor/run.ts';
import type { ToolDaemon } from '../../src/layers/plugin-tools/tool.ts';
import { createLayerTypes } from '../../src/layers/registry.ts';
import type { AgentLayer } from '../../src/layers/types.ts';
import type { PluginLlmConfig } from '../../src/models/plugin-llm-config.ts';
import type { ExecutionContext } from '../../src/protocol/execution-context.ts';
import { messageSchemas } from '../../src/protocol/messages.ts';
import type { RunLayerSpec, SessionSnapshot } from '../../src/protocol/runs.ts';

export const NOW = '2026-06-01T10:00:00.000001Z';

/** A model that keeps what it was built from. */
export interface RecordedModel extends AgentModel {
  readonly config: PluginLlmConfig;
  readonly context: ExecutionContext;
}

/** A client of a daemon that nobody may call. */
const NO_DAEMON: ToolDaemon = {
  apiKey: 'golden-daemon-key',
  streamItems() {
    throw new Error('this test has no daemon');
  },
};

export const layerTypes = ({
  scriptedModel = true,
  pluginDaemon = NO_DAEMON,
}: {
  readonly scriptedModel?: boolean;
  readonly pluginDaemon?: ToolDaemon;
} = {}) =>
  createLayerTypes({
    messages: messageSchemas({ now: () => NOW, toolCallId: () => 'pyd_ai_0' }),
    createPluginModel: (config, context): RecordedModel => ({
      config,
      context,
      modelName: config.model,
      providerName: 'Recorded',
      maxTokens: null,
      stream: async function* () {},
    }),
    pluginDaemon,
    scriptedModel,
  });

/** A composition: name → type, config, deps. */
export type Composition = Readonly<
  Record<string, { readonly type: string; readonly config?: JsonValue; readonly deps?: RunLayerSpec['deps'] }>
>;

/** Plans and prepares a composition with the real types. */
export function prepare(
  layers: Composition,
  snapshot: SessionSnapshot | null = null,
  types = layerTypes(),
): CompositorRun<AgentLayer> {
  const specs = Object.entries(layers).map(([name, { type, config = null, deps = {} }]) => ({
    name,
    type,
    config,
    deps,
    metadata: {},
  }));
  const registry = createLayerRegistry(types);
  const plan = planRun({ schema_version: 1, layers: specs }, { default: 'suspend', layers: {} }, registry);
  return prepareRun(plan, snapshot);
}

/** The text with which a composition is refused, masked values as `…`. */
export function refusal(layers: Composition, snapshot: SessionSnapshot | null = null): string {
  try {
    prepare(layers, snapshot);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return text.replace(/input_value=.*?, input_type/g, 'input_value=…, input_type');
  }
  return 'accepted';
}

/** One fault as pydantic prints it, its value masked as by `refusal`. */
export function fault(loc: string, message: string, type: string, inputType: string): string {
  const url = `https://errors.pydantic.dev/2.12/v/${type}`;
  return `${loc}\n  ${message} [type=${type}, input_value=…, input_type=${inputType}]\n    For further information visit ${url}`;
}
