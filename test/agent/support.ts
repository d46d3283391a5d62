// A model whose answers are written down as deltas, and a runner that collects what the loop did with them.

import { type AgentOutcome, type AgentRunOptions, runAgent } from '../../src/agent/loop.ts';
import type { AgentModel, ModelCall, ModelDelta } from '../../src/agent/model.ts';
import type { AgentTool, OutputContract } from '../../src/agent/tools.ts';
import { createToolset } from '../../src/agent/toolset.ts';
import { createUsageMeter } from '../../src/agent/usage.ts';
import type { JsonValue } from '../../src/base/json.ts';
import type { AgentStreamEvent, RunUsage } from '../../src/protocol/events.ts';
import type { ModelMessage } from '../../src/protocol/messages.ts';

export type Answer = readonly ModelDelta[] | Error;

export const text = (value: string): ModelDelta => ({ kind: 'text', text: value });
export const thinking = (value: string): ModelDelta => ({ kind: 'thinking', text: value });
export const finish = (reason: Extract<ModelDelta, { kind: 'finish' }>['reason']): ModelDelta => ({
  kind: 'finish',
  reason,
});
export const call = (id: string, name: string, args = '{}', key = id): ModelDelta => ({
  kind: 'tool_call',
  key,
  id,
  name,
  args,
});

export const NOW = '2026-06-01T08:00:00.000100Z';

/** Each answer is streamed one delta a batch; an Error inside an answer is thrown there. */
export function modelOf(answers: readonly (readonly (ModelDelta | Error)[])[], maxTokens: string | null = null) {
  const calls: ModelCall[] = [];
  const model: AgentModel = {
    modelName: 'm',
    providerName: 'P',
    maxTokens,
    async *stream(modelCall, signal) {
      const answer = answers[calls.length];
      calls.push(modelCall);
      if (answer === undefined) throw new Error(`no answer ${calls.length}`);
      for (const delta of answer) {
        signal.throwIfAborted();
        if (delta instanceof Error) throw delta;
        yield [delta];
      }
    },
  };
  return { model, calls };
}

export interface Played {
  readonly outcome: AgentOutcome | null;
  /** The output, if the run ended with one. */
  readonly output: JsonValue | undefined;
  readonly error: string | null;
  readonly events: readonly AgentStreamEvent[];
  readonly kinds: readonly string[];
  readonly calls: readonly ModelCall[];
  /** However the run ended. */
  readonly usage: RunUsage;
}

/** Options of the loop, or what they are made of. */
export interface PlayOptions extends Partial<AgentRunOptions> {
  readonly maxTokens?: string;
  readonly tools?: readonly AgentTool[];
  readonly output?: OutputContract;
}

/** Runs the loop over these answers. */
export async function play(
  answers: readonly (readonly (ModelDelta | Error)[])[],
  options: PlayOptions = {},
): Promise<Played> {
  const { model, calls } = modelOf(answers, options.maxTokens ?? null);
  const events: AgentStreamEvent[] = [];
  const usage = createUsageMeter();
  let outcome: AgentOutcome | null = null;
  let error: string | null = null;
  try {
    outcome = await runAgent({
      model,
      toolset: createToolset(options.tools ?? [], options.output ?? null),
      systemPrompts: [],
      history: [],
      userPrompt: 'hi',
      deferredResults: null,
      messageRunId: 'message-run',
      now: () => NOW,
      emit: async (batch) => void events.push(...batch),
      usage,
      signal: new AbortController().signal,
      ...options,
    });
  } catch (thrown) {
    error = thrown instanceof Error ? thrown.message : String(thrown);
  }
  const output = outcome !== null && 'output' in outcome.result ? outcome.result.output : undefined;
  return { outcome, output, error, events, kinds: events.map(shortName), calls, usage: usage.total };
}

/** `PS(text)`, `FR`, `PD`, `PE(text)`, `TC(false)`, `TR(retry)`: the notation of spec 06 §14. */
function shortName(event: AgentStreamEvent): string {
  switch (event.event_kind) {
    case 'part_start':
      return `PS(${event.part.part_kind})`;
    case 'part_delta':
      return 'PD';
    case 'part_end':
      return `PE(${event.part.part_kind})`;
    case 'final_result':
      return 'FR';
    case 'function_tool_call':
      return `TC(${event.args_valid})`;
    case 'function_tool_result':
      return `TR(${event.result.part_kind})`;
  }
}

/** Part kinds of each message: what the model was sent or what was stored. */
export function shape(messages: readonly ModelMessage[]): string[] {
  return messages.map((message) => `${message.kind}:${message.parts.map((part) => part.part_kind).join('+')}`);
}

/** A stored response. */
export function response(parts: Extract<ModelMessage, { kind: 'response' }>['parts']): ModelMessage {
  return {
    parts,
    usage: {
      input_tokens: 0,
      cache_write_tokens: 0,
      cache_read_tokens: 0,
      output_tokens: 0,
      input_audio_tokens: 0,
      cache_audio_read_tokens: 0,
      output_audio_tokens: 0,
      details: {},
    },
    model_name: 'm',
    timestamp: NOW,
    kind: 'response',
    provider_name: 'P',
    provider_url: null,
    provider_details: null,
    provider_response_id: null,
    finish_reason: null,
    run_id: 'old',
    metadata: null,
  };
}

const provided = { id: null, provider_name: null, provider_details: null };
export const textPart = (content: string) => ({ content, ...provided, part_kind: 'text' as const });
export const callPart = (id: string, name: string) => ({
  tool_name: name,
  args: '{}',
  tool_call_id: id,
  ...provided,
  part_kind: 'tool-call' as const,
});
