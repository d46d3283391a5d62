// Which traces this version replays, computed from what they contain: the layer types of their compositions. A new layer
// moves traces by one line here.

import { entries, items, type JsonNode, member, readJson, textOf } from '../support/json-nodes.ts';
import type { Scenario } from './fixtures.ts';

/** Layer types that are built. */
export const COVERED_TYPES: readonly string[] = [
  'plain.prompt',
  'dify.execution_context',
  'pydantic_ai.history',
  'dify.plugin.llm',
  'dify.plugin.tools',
  'dify.output',
  'dify.ask_human',
  'dify.shell',
];

/** Why a trace is not replayed yet: the issue and what it waits for; null when it is replayed. */
export function waitsFor(scenario: Scenario): { readonly issue: string; readonly reason: string } | null {
  const types = new Set(scenario.steps.flatMap((step) => layerTypes(readJson(step.request))));
  const missing = [...types].filter((type) => !COVERED_TYPES.includes(type));
  const first = missing[0];
  return first === undefined ? null : { issue: 'unknown', reason: `layer types ${missing.join(', ')}` };
}

function layerTypes(request: JsonNode): readonly string[] {
  const layers = items(member(member(request, 'composition'), 'layers'));
  return layers.flatMap((layer) => (entries(layer).length === 0 ? [] : [textOf(member(layer, 'type')) ?? '']));
}
