// From model deltas to response parts and stream events (spec 06 §5): what starts a part, what continues one, and when
// `part_end` and `final_result` are said. One collector serves one response.

import type { AgentStreamEvent, FinalResultEvent, PartEndEvent } from '../protocol/events.ts';
import type { FinishReason, PartKind, RequestUsage, ResponsePart } from '../protocol/messages.ts';
import { emptyUsage } from '../protocol/messages.ts';
import type { ModelDelta } from './model.ts';
import type { Toolset } from './toolset.ts';

/** Collects one response. */
export interface PartCollector {
  /** Takes what arrived together and returns the events it caused. */
  take(deltas: readonly ModelDelta[]): AgentStreamEvent[];
  /** The stream ended normally: the last `part_end`, if one is due. */
  end(): AgentStreamEvent[];
  readonly parts: readonly ResponsePart[];
  readonly usage: RequestUsage;
  readonly finishReason: FinishReason | null;
}

/** Collects one response; the tools decide which part announces a final result (spec 06 §5). */
export function createPartCollector(providerName: string, toolset: Toolset): PartCollector {
  const parts: ResponsePart[] = [];
  const indexByKey = new Map<string, number>();
  let started = -1;
  let saidFinal = false;
  let usage: RequestUsage = emptyUsage();
  let finishReason: FinishReason | null = null;
  let events: AgentStreamEvent[] = [];

  function endStarted(next: PartKind | null): void {
    const part = parts[started];
    if (part !== undefined && hasEnd(part)) {
      events.push({ index: started, part, next_part_kind: next, event_kind: 'part_end' });
    }
  }

  function start(index: number, part: ResponsePart): void {
    const previous = parts[started]?.part_kind ?? null;
    // Before the end of the previous part is said, the new content is in place: a replaced call ends with its new arguments.
    parts[index] = part;
    endStarted(part.part_kind);
    started = index;
    events.push({ index, part, previous_part_kind: previous, event_kind: 'part_start' });
    const final = saidFinal ? null : finalResult(part, toolset);
    if (final !== null) {
      saidFinal = true;
      events.push({ ...final, event_kind: 'final_result' });
    }
  }

  function takeText(text: string): void {
    const index = parts.length - 1;
    const last = parts[index];
    if (last?.part_kind !== 'text') {
      start(parts.length, { content: text, ...provided(providerName), part_kind: 'text' });
      return;
    }
    parts[index] = { ...last, content: last.content + text };
    events.push({
      index,
      delta: { content_delta: text, provider_name: null, provider_details: null, part_delta_kind: 'text' },
      event_kind: 'part_delta',
    });
  }

  function takeThinking(text: string): void {
    const index = parts.length - 1;
    const last = parts[index];
    if (last?.part_kind !== 'thinking') {
      start(parts.length, thinkingPart(text, providerName));
      return;
    }
    parts[index] = { ...last, content: last.content + text };
    events.push({
      index,
      delta: {
        content_delta: text,
        signature_delta: null,
        provider_name: null,
        provider_details: null,
        part_delta_kind: 'thinking',
      },
      event_kind: 'part_delta',
    });
  }

  function takeOne(delta: ModelDelta): void {
    switch (delta.kind) {
      case 'text':
        takeText(delta.text);
        break;
      case 'thinking':
        takeThinking(delta.text);
        break;
      case 'thinking_part':
        start(parts.length, thinkingPart(delta.text, null));
        break;
      case 'file':
        start(parts.length, filePart(delta));
        break;
      case 'tool_call':
        takeToolCall(delta);
        break;
      case 'usage':
        usage = { ...emptyUsage(), input_tokens: delta.inputTokens, output_tokens: delta.outputTokens };
        break;
      case 'finish':
        finishReason = delta.reason;
        break;
    }
  }

  function takeToolCall(call: Extract<ModelDelta, { kind: 'tool_call' }>): void {
    const index = indexByKey.get(call.key) ?? parts.length;
    indexByKey.set(call.key, index);
    start(index, {
      tool_name: call.name,
      args: call.args,
      tool_call_id: call.id,
      ...provided(providerName),
      part_kind: 'tool-call',
    });
  }

  function flush(): AgentStreamEvent[] {
    const out = events;
    events = [];
    return out;
  }

  return {
    take(deltas) {
      for (const delta of deltas) takeOne(delta);
      return flush();
    },
    end() {
      endStarted(null);
      return flush();
    },
    parts,
    get usage() {
      return usage;
    },
    get finishReason() {
      return finishReason;
    },
  };
}

/** Text where text can be the output, a call of the output tool, a call that somebody else answers: these can end a run. */
function finalResult(part: ResponsePart, toolset: Toolset): Omit<FinalResultEvent, 'event_kind'> | null {
  if (part.part_kind === 'text') return toolset.output === null ? { tool_name: null, tool_call_id: null } : null;
  if (part.part_kind !== 'tool-call') return null;
  const handler = toolset.handlerOf(part.tool_name);
  if (handler.kind === 'output') return { tool_name: part.tool_name, tool_call_id: part.tool_call_id };
  const external = handler.kind === 'tool' && handler.tool.kind === 'external';
  return external ? { tool_name: null, tool_call_id: null } : null;
}

function hasEnd(part: ResponsePart): part is PartEndEvent['part'] {
  return part.part_kind === 'text' || part.part_kind === 'thinking' || part.part_kind === 'tool-call';
}

function provided(providerName: string | null) {
  return { id: null, provider_name: providerName, provider_details: null };
}

function thinkingPart(content: string, providerName: string | null): ResponsePart {
  return {
    content,
    id: null,
    signature: null,
    provider_name: providerName,
    provider_details: null,
    part_kind: 'thinking',
  };
}

function filePart(file: Extract<ModelDelta, { kind: 'file' }>): ResponsePart {
  return {
    content: {
      data: file.data,
      media_type: file.mediaType,
      vendor_metadata: null,
      kind: 'binary',
      identifier: file.identifier,
    },
    ...provided(null),
    part_kind: 'file',
  };
}
