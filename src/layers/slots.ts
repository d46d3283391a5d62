// The reserved layer names: which class may fill them and what the runner gets from them (spec 02 §12.1 step 7, §12.3).

import type { AgentModel } from '../agent/model.ts';
import type { AgentTool, OutputContract } from '../agent/tools.ts';
import { CompositionError } from '../compositor/errors.ts';
import type { CreateRunRequest, RunLayerSpec } from '../protocol/runs.ts';
import type { AgentLayer, AgentLayerType, HistorySlot } from './types.ts';

/** Reserved name → class names that may fill it; error texts print the first. */
const SLOTS = {
  llm: ['DifyPluginLLMLayer', 'ScriptedLLMLayer'],
  history: ['PydanticAIHistoryLayer'],
  output: ['DifyOutputLayer'],
} as const;

/** A reserved layer name. */
export type SlotName = keyof typeof SLOTS;

type Layers = ReadonlyMap<string, AgentLayer>;

/** Runs the shape rules of all types, in their order. @throws CompositionError */
export function checkShapes(types: readonly AgentLayerType[], layers: readonly RunLayerSpec[]): void {
  for (const type of types) type.checkShape?.(layers);
}

/**
 * Whether the run only resumes and exits its layers: no layer is named `llm` and a snapshot is present (README "Settled").
 * @throws CompositionError when such a run brings deferred tool results (spec 02 §10.5).
 */
export function isLifecycleOnly(
  request: Pick<CreateRunRequest, 'composition' | 'session_snapshot' | 'deferred_tool_results'>,
): boolean {
  if (request.session_snapshot === null || request.composition.layers.some(({ name }) => name === 'llm')) return false;
  if (request.deferred_tool_results !== null) {
    throw new CompositionError("Deferred tool results require the reserved 'llm' layer.");
  }
  return true;
}

/** The layer under a reserved name, or null. @throws CompositionError when its class may not fill it. */
export function slotLayer(layers: Layers, name: SlotName): AgentLayer | null {
  const layer = layers.get(name);
  if (layer === undefined) return null;
  const allowed: readonly string[] = SLOTS[name];
  if (!allowed.includes(layer.className)) {
    throw new CompositionError(`Layer '${name}' must be ${allowed[0]}, got ${layer.className}.`);
  }
  return layer;
}

/** The stored conversation, or null without a history layer. @throws CompositionError */
export function historySlot(layers: Layers): HistorySlot | null {
  return slotLayer(layers, 'history')?.history ?? null;
}

/** @throws CompositionError unless a layer named `llm` is there and can be one. Call it where spec 02 §12.1 resolves the model. */
export function llmModel(layers: Layers): AgentModel {
  const model = slotLayer(layers, 'llm')?.model?.();
  // The reference raises KeyError: its text is the message's repr, quotes included (spec 02 §12.1, README corrections).
  if (model === undefined) throw new CompositionError(`"Layer 'llm' is not defined in this compositor run."`);
  return model;
}

/** How the run must answer, or null for text. @throws CompositionError */
export async function outputContract(layers: Layers): Promise<OutputContract | null> {
  return (await slotLayer(layers, 'output')?.outputContract?.()) ?? null;
}

/** The run's tools in the order in which the model is told of them: questions first, then layer by layer (spec 06 §1). */
export function toolsOf(layers: Layers): readonly AgentTool[] {
  const all = [...layers.values()];
  const questions = all.flatMap(({ humanInput }) => humanInput?.tool ?? []);
  return [...questions, ...all.flatMap((layer) => layer.tools?.() ?? [])];
}
