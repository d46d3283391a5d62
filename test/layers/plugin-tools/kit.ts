// What the tests of `dify.plugin.tools` share: tools of a composition with a real client for a fake daemon.

import type { FunctionTool } from '../../../src/agent/tools.ts';
import type { JsonObject, JsonValue } from '../../../src/base/json.ts';
import type { PluginDaemonClient } from '../../../src/peers/plugin-daemon/client.ts';
import { quiet } from '../../peers/plugin-daemon/kit.ts';
import { type Composition, layerTypes, prepare } from '../fixtures.ts';

/** The tools of all layers, in registration order. */
export function toolsOf(layers: Composition, pluginDaemon: PluginDaemonClient): readonly FunctionTool[] {
  const run = prepare(layers, null, layerTypes({ pluginDaemon }));
  return [...run.layers.values()].flatMap((layer) => layer.tools?.() ?? []);
}

/** A composition of one tool. */
export function oneTool(changes: JsonObject = {}): Composition {
  return withTools([{ ...TOOL, ...changes }]);
}

/** A composition of these tools in one layer. */
export function withTools(tools: readonly JsonValue[], context: JsonObject = { tenant_id: 't', user_id: 'u' }) {
  return {
    where: { type: 'dify.execution_context', config: context },
    tools: { type: 'dify.plugin.tools', config: { tools }, deps: { execution_context: 'where' } },
  } satisfies Composition;
}

/** The smallest tool config. */
export const TOOL = { plugin_id: 'a/p', provider: 'p', tool_name: 'get', credential_type: 'unauthorized' } as const;

/** What the tool tells the model when it is called with these arguments. */
export async function observe(
  tool: FunctionTool | undefined,
  args: JsonValue = {},
  signal: AbortSignal = quiet(),
): Promise<JsonValue> {
  if (tool === undefined) throw new Error('no tool');
  const checked = tool.validate(typeof args === 'string' ? args : JSON.stringify(args));
  if (!checked.ok) throw new Error(JSON.stringify(checked.retry));
  return await tool.call(checked.value, signal);
}
