// From the loop's deferred calls to the one question that a run may end with (spec 02 §10.4).

import type { DeferredCall } from '../agent/tool-calls.ts';
import { CompositionError } from '../compositor/errors.ts';
import type { RunResult } from '../protocol/events.ts';
import type { AgentLayer, HistorySlot, HumanInput } from './types.ts';

/** What the human-question layer brings, or null without one. There is at most one: the shape rules see to it. */
export function humanInput(layers: ReadonlyMap<string, AgentLayer>): HumanInput | null {
  for (const { humanInput: input } of layers.values()) if (input !== undefined) return input;
  return null;
}

/** The result of a run that ends with a question. @throws CompositionError with the texts of spec 02 §10.4. */
export function deferredResult(
  calls: readonly DeferredCall[],
  human: HumanInput | null,
  history: HistorySlot | null,
): RunResult {
  if (human === null) {
    throw new CompositionError(
      'Deferred tool requests were returned, but no active ask_human layer is available for validation.',
    );
  }
  if (history === null) {
    throw new CompositionError(
      "ask_human deferred tool requests require a 'history' layer so the pending tool call can be resumed.",
    );
  }
  const [first] = calls;
  if (first === undefined || calls.length !== 1) {
    throw new CompositionError(
      `ask_human supports exactly one deferred call per run in this version; got ${calls.length}.`,
    );
  }
  const { call, args } = first;
  return {
    deferred_tool_call: {
      tool_call_id: call.tool_call_id,
      tool_name: call.tool_name,
      args,
      metadata: human.metadata,
    },
  };
}
