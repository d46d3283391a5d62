// The tools of a run by name, as the loop and the model see them (spec 06 §1, §7).

import { agentErrors } from './errors.ts';
import type { ToolDefinition } from './model.ts';
import type { AgentTool, OutputContract } from './tools.ts';

/** What handles a call. */
export type Handler =
  | { readonly kind: 'output'; readonly contract: OutputContract }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'tool'; readonly tool: AgentTool };

/** The tools of one run. */
export interface Toolset {
  /** Function and external tools in registration order, then the output tool: what the model is sent. */
  readonly definitions: readonly ToolDefinition[];
  readonly output: OutputContract | null;
  /** Whether there is any tool beside the output tool. */
  readonly hasTools: boolean;
  handlerOf(name: string): Handler;
  /** `Unknown tool name: 'x'. Available tools: …`; the output tool is named first (spec 06 §1). */
  unknownText(name: string): string;
}

/** @throws AgentError when a name stands twice; names are told apart across all layers (spec 02 §12.1). */
export function createToolset(tools: readonly AgentTool[], output: OutputContract | null): Toolset {
  const byName = new Map(tools.map((tool) => [tool.definition.name, tool]));
  const duplicates = new Set(
    tools.filter((tool) => byName.get(tool.definition.name) !== tool).map(({ definition }) => definition.name),
  );
  if (duplicates.size > 0) throw agentErrors.duplicateTools([...duplicates]);
  const outputName = output?.definition.name;
  const names = [...(outputName === undefined ? [] : [outputName]), ...byName.keys()];
  const available =
    names.length === 0 ? 'No tools available.' : `Available tools: ${names.map((name) => `'${name}'`).join(', ')}`;
  return {
    definitions: [...tools.map(({ definition }) => definition), ...(output === null ? [] : [output.definition])],
    output,
    hasTools: tools.length > 0,
    handlerOf(name) {
      if (output !== null && name === outputName) return { kind: 'output', contract: output };
      const tool = byName.get(name);
      return tool === undefined ? { kind: 'unknown' } : { kind: 'tool', tool };
    },
    unknownText: (name) => `Unknown tool name: '${name}'. ${available}`,
  };
}
