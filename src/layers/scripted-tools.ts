// The function tools of `test.scripted_llm`: they return what the script says, so that a composition shows tool calls
// without a plugin daemon. The loop treats them like any other function tool.

import { readArguments } from '../agent/arguments.ts';
import { type FunctionTool, ToolRetryError } from '../agent/tools.ts';
import type { JsonObject, JsonValue } from '../base/json.ts';
import { ScriptedModelError, sleep } from '../models/scripted.ts';
import type { ScriptedTool, ScriptedToolResult } from '../models/scripted-config.ts';
import { toNumber } from '../wiretext/numbers.ts';

/** The tools of a run, at the start of their scripts. */
export function createScriptedTools(tools: readonly ScriptedTool[]): readonly FunctionTool[] {
  return tools.map(createTool);
}

function createTool({ name, description, parameters, sequential, results }: ScriptedTool): FunctionTool {
  let calls = 0;
  return {
    kind: 'function',
    definition: { name, description, parameters },
    sequential,
    validate: readArguments,
    call(args, signal) {
      const result = results[Math.min(calls, results.length - 1)];
      calls += 1;
      return result === undefined ? Promise.resolve(args) : play(result, args, signal);
    },
  };
}

async function play(result: ScriptedToolResult, args: JsonObject, signal: AbortSignal): Promise<JsonValue> {
  if (result.delay_ms !== null) await sleep(toNumber(result.delay_ms), signal);
  if (result.retry !== null) throw new ToolRetryError(result.retry);
  if (result.error !== null) throw new ScriptedModelError(result.error);
  return result.content === undefined ? args : result.content;
}
