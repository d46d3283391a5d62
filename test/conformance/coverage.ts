// Which traces this version replays, computed from what they contain: the layer types of their compositions and
// whether the model calls tools. A new layer moves traces by one line here.

import { entries, items, type JsonNode, member, readJson, textOf } from '../support/json-nodes.ts';
import type { Scenario } from './fixtures.ts';

/** Layer types that are built. */
export const COVERED_TYPES: readonly string[] = [
  'plain.prompt',
  'dify.execution_context',
  'pydantic_ai.history',
  'dify.plugin.llm',
];

/** Whose work a layer type is. */
const ISSUE_OF_TYPE: Readonly<Record<string, string>> = {
  'dify.plugin.tools': 'AGENT',
  'dify.output': 'AGENT',
  'dify.ask_human': 'AGENT',
  'dify.shell': 'SHELL',
};
/** Function and unknown tool calls (spec 06 §7) come with the tools. */
const TOOL_CALLS = 'AGENT';

/** Why a trace is not replayed yet: the issue and what it waits for; null when it is replayed. */
export function waitsFor(scenario: Scenario): { readonly issue: string; readonly reason: string } | null {
  const types = new Set(scenario.steps.flatMap((step) => layerTypes(readJson(step.request))));
  const missing = [...types].filter((type) => !COVERED_TYPES.includes(type));
  const first = missing[0];
  if (first !== undefined) {
    return { issue: ISSUE_OF_TYPE[first] ?? 'unknown', reason: `layer types ${missing.join(', ')}` };
  }
  const calls = scenario.steps.some((step) =>
    (step.script.llm ?? []).some((reply) => JSON.stringify(reply).includes(TOOL_CALL_KEY)),
  );
  return calls ? { issue: TOOL_CALLS, reason: 'the model calls a tool' } : null;
}

/** A non-empty `tool_calls` as it stands inside a raw item inside JSON text. */
const TOOL_CALL_KEY = '\\"tool_calls\\":[{';

function layerTypes(request: JsonNode): readonly string[] {
  const layers = items(member(member(request, 'composition'), 'layers'));
  return layers.flatMap((layer) => (entries(layer).length === 0 ? [] : [textOf(member(layer, 'type')) ?? '']));
}
