// A run's events folded into what a user interface shows: texts as they grow, thinking, tool calls with their results, and
// how it ended. One function, no state of its own: keep the view, fold the next event in.

import type { DeferredToolCall, JsonValue, RunEvent, StreamEventData, TerminalStatus, Usage } from './types.ts';

export interface TextItem {
  readonly kind: 'text' | 'thinking';
  readonly text: string;
  /** The model is done with it. */
  readonly complete: boolean;
}

export interface ToolItem {
  readonly kind: 'tool';
  readonly toolCallId: string;
  readonly toolName: string;
  /** JSON text, or an object, as the model gave it; null when the call itself was not seen. */
  readonly args: JsonValue;
  /** `called`: no result yet; `retried`: the model is asked to correct its call. */
  readonly state: 'called' | 'returned' | 'retried';
  readonly result: JsonValue;
}

export type RunItem = TextItem | ToolItem;

/** Everything so far. */
export interface RunView {
  readonly status: 'running' | TerminalStatus;
  /** In order of appearance, all rounds of the model. */
  readonly items: readonly RunItem[];
  /** The last event's id. */
  readonly cursor: string;
  /** Of a success with an output. */
  readonly output?: JsonValue;
  /** Of a success with a question. */
  readonly question?: DeferredToolCall;
  /** Of a failure, or of a cancel that gave a text. */
  readonly error?: string;
  readonly usage?: Usage;
  /** Place in `items` of each text of the model's present answer, by the event's index. */
  readonly open: Readonly<Record<number, number>>;
}

/** A run that has not begun. */
export const EMPTY_VIEW: RunView = { status: 'running', items: [], cursor: '0-0', open: {} };

/** The view after one more event. The old one is not changed. Takes events in any state of a run, and never throws. */
export function foldEvent(view: RunView, event: RunEvent): RunView {
  const next = { ...view, cursor: event.id };
  switch (event.type) {
    case 'run_started':
      return next;
    case 'pydantic_ai_event':
      return foldData(next, event.data);
    case 'run_succeeded': {
      const { output, deferred_tool_call: question } = event.data;
      const result = question === undefined ? { output } : { question };
      return { ...next, status: 'succeeded', ...result, ...usageOf(event.data) };
    }
    case 'run_failed':
      return { ...next, status: 'failed', error: event.data.error, ...usageOf(event.data) };
    case 'run_cancelled': {
      const error = event.data.message ?? event.data.reason;
      return { ...next, status: 'cancelled', ...(error == null ? {} : { error }), ...usageOf(event.data) };
    }
  }
}

/** What the agent has said so far: the texts of a view, joined. */
export function textOf(view: RunView): string {
  return joined(view, 'text');
}

/** What it has thought so far. */
export function thinkingOf(view: RunView): string {
  return joined(view, 'thinking');
}

/** Calls that nobody has answered yet. */
export function openToolCalls(view: RunView): readonly ToolItem[] {
  return view.items.filter((item): item is ToolItem => item.kind === 'tool' && item.state === 'called');
}

function joined(view: RunView, kind: TextItem['kind']): string {
  return view.items.map((item) => (item.kind === kind ? item.text : '')).join('');
}

function usageOf({ usage }: { readonly usage?: Usage | null }): { readonly usage?: Usage } {
  return usage == null ? {} : { usage };
}

function foldData(view: RunView, data: StreamEventData): RunView {
  switch (data.event_kind) {
    case 'part_start': {
      const { index, part } = data;
      // Index 0 begins the next answer of the model; another part under a known index replaces the first.
      const { [index]: _, ...others } = index === 0 ? {} : view.open;
      if (part.part_kind !== 'text' && part.part_kind !== 'thinking') return { ...view, open: others };
      const item: TextItem = { kind: part.part_kind, text: part.content, complete: false };
      return { ...view, items: [...view.items, item], open: { ...others, [index]: view.items.length } };
    }
    case 'part_delta': {
      const { delta, index } = data;
      return changeText(view, index, (item) =>
        delta.part_delta_kind === item.kind ? { ...item, text: item.text + (delta.content_delta ?? '') } : item,
      );
    }
    case 'part_end':
      return changeText(view, data.index, (item) => ({ ...item, complete: true }));
    case 'function_tool_call':
    case 'output_tool_call': {
      const { tool_call_id: toolCallId, tool_name: toolName, args } = data.part;
      const item: ToolItem = { kind: 'tool', toolCallId, toolName, args: args ?? null, state: 'called', result: null };
      return { ...view, items: [...view.items, item] };
    }
    case 'function_tool_result':
    case 'output_tool_result': {
      const part = data.part ?? data.result;
      const { tool_call_id: toolCallId, tool_name: toolName, content: result = null } = part;
      const state = part.part_kind === 'tool-return' ? 'returned' : 'retried';
      const place = view.items.findLastIndex((item) => item.kind === 'tool' && item.toolCallId === toolCallId);
      const call = view.items[place];
      if (call?.kind === 'tool') return { ...view, items: view.items.with(place, { ...call, state, result }) };
      // The view began after the call.
      const item: ToolItem = { kind: 'tool', toolCallId, toolName: toolName ?? '', args: null, state, result };
      return { ...view, items: [...view.items, item] };
    }
    default:
      return view;
  }
}

function changeText(view: RunView, index: number, change: (item: TextItem) => TextItem): RunView {
  const place = view.open[index] ?? -1;
  const item = view.items[place];
  return item === undefined || item.kind === 'tool' ? view : { ...view, items: view.items.with(place, change(item)) };
}
