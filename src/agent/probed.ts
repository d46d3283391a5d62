// What the loop tells a probe: each model request and each tool call, with what happens inside of it. Content is offered as a
// function and is not built unless somebody asks.

import { CodedError } from '../base/errors.ts';
import { NO_RUN, type RunProbe, type Scope, type ToolEnd } from '../observe/probe.ts';
import type { ToolCallPart } from '../protocol/messages.ts';
import { stringifyJson } from '../wiretext/json.ts';
import { type FunctionTool, ToolRetryError } from './tools.ts';

/** Listens to the loop of one run. */
export type AgentProbe = Pick<RunProbe, 'modelRequest' | 'toolCall'>;

/** Nobody listens. */
export const NO_AGENT_PROBE: AgentProbe = NO_RUN;

/** The items of a stream, each asked for inside the scope: what the stream starts belongs to it. */
export function streamWithin<T>(scope: Scope<never>, open: () => AsyncIterable<T>): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = scope.within(() => open()[Symbol.asyncIterator]());
      const next = () => iterator.next();
      return {
        next: () => scope.within(next),
        return: () => iterator.return?.() ?? Promise.resolve({ done: true, value: undefined }),
      };
    },
  };
}

/** The tool for this one call, told to the probe when it is executed. */
export function toolWithin(call: ToolCallPart, tool: FunctionTool, probe: AgentProbe): FunctionTool {
  return {
    kind: tool.kind,
    definition: tool.definition,
    sequential: tool.sequential,
    validate: (args) => tool.validate(args),
    async call(args, signal) {
      const scope = probe.toolCall({
        tool: call.tool_name,
        callId: call.tool_call_id,
        content: () => stringifyJson(args),
      });
      try {
        const result = await scope.within(() => tool.call(args, signal));
        scope.end({ outcome: 'ok', content: () => stringifyJson(result) });
        return result;
      } catch (error) {
        scope.end({ outcome: outcomeOf(error, signal), content: () => failureText(error) });
        throw error;
      }
    },
  };
}

function outcomeOf(error: unknown, signal: AbortSignal): ToolEnd['outcome'] {
  if (error instanceof ToolRetryError) return 'retry';
  return signal.aborted ? 'aborted' : 'error';
}

function failureText(error: unknown): string {
  return error instanceof Error ? error.message : 'an error that has no text';
}

/** What a model request failed with, as a code. */
export function faultOf(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'aborted';
  return error instanceof CodedError ? error.code : 'error';
}
