// The raw events of a run in the order in which they came, bounded; and each of them in a few words.

import type { RunEvent } from '../../client/types.ts';
import { instant } from '../format.ts';
import { brief } from '../visible.ts';

/** Events that are kept; of longer runs the oldest are forgotten, in blocks. */
export const MAX_EVENTS = 100_000;
const BLOCK = 10_000;

/** A list that only grows at its end. Rows are numbered from 0 over the whole run. */
export class EventLog {
  #events: RunEvent[] = [];
  /** Numbers of events that are no deltas. */
  #marks: number[] = [];
  #first = 0;

  /** Events that were forgotten. */
  get forgotten(): number {
    return this.#first;
  }

  /** @param marksOnly without text and thinking as they grow */
  count(marksOnly: boolean): number {
    return marksOnly ? this.#marks.length : this.#events.length;
  }

  /** The event in a row of the list. */
  at(row: number, marksOnly: boolean): RunEvent | undefined {
    if (!marksOnly) return this.#events[row];
    const number = this.#marks[row];
    return number === undefined ? undefined : this.#events[number - this.#first];
  }

  /** The row of a cursor, or of the last event before it; -1: there is none. */
  rowOf(cursor: string, marksOnly: boolean): number {
    const row = this.#events.findIndex(({ id }) => id === cursor);
    if (row === -1 || !marksOnly) return row;
    return this.#marks.findLastIndex((number) => number <= row + this.#first);
  }

  get firstAt(): number | null {
    const [event] = this.#events;
    return event === undefined ? null : instant(event.created_at);
  }

  push(event: RunEvent): void {
    if (this.#events.length >= MAX_EVENTS) {
      this.#events = this.#events.slice(BLOCK);
      this.#first += BLOCK;
      this.#marks = this.#marks.filter((number) => number >= this.#first);
    }
    if (!isDelta(event)) this.#marks.push(this.#first + this.#events.length);
    this.#events.push(event);
  }
}

export function isDelta(event: RunEvent): boolean {
  return event.type === 'pydantic_ai_event' && event.data.event_kind === 'part_delta';
}

/** What a row says of an event. */
export interface EventBrief {
  readonly kind: string;
  readonly tone: '' | 'ok' | 'bad' | 'warn' | 'muted';
  readonly text: string;
}

const LENGTH = 120;

export function briefOf(event: RunEvent): EventBrief {
  switch (event.type) {
    case 'run_started':
      return { kind: event.type, tone: '', text: '' };
    case 'run_succeeded': {
      const { output, deferred_tool_call: question } = event.data;
      const text = question === undefined ? jsonBrief(output) : `asks: ${brief(question.tool_name, 60)}`;
      return { kind: event.type, tone: 'ok', text };
    }
    case 'run_failed':
      return { kind: event.type, tone: 'bad', text: brief(event.data.error, LENGTH) };
    case 'run_cancelled':
      return { kind: event.type, tone: 'warn', text: brief(event.data.message ?? event.data.reason ?? '', LENGTH) };
    case 'pydantic_ai_event':
      return dataBrief(event.data);
  }
}

type Data = Extract<RunEvent, { type: 'pydantic_ai_event' }>['data'];

function dataBrief(data: Data): EventBrief {
  const kind = brief(data.event_kind, 40);
  switch (data.event_kind) {
    case 'part_start':
    case 'part_end': {
      const { part } = data;
      const text =
        part.part_kind === 'tool-call'
          ? `${part.tool_name}(${typeof part.args === 'string' ? part.args : jsonBrief(part.args)})`
          : 'content' in part && typeof part.content === 'string'
            ? part.content
            : '';
      return { kind, tone: '', text: brief(`${part.part_kind} ${text}`, LENGTH) };
    }
    case 'part_delta': {
      const { delta } = data;
      const text = delta.part_delta_kind === 'tool_call' ? jsonBrief(delta.args_delta) : (delta.content_delta ?? '');
      return { kind, tone: 'muted', text: brief(text, LENGTH) };
    }
    case 'function_tool_call':
    case 'output_tool_call': {
      const { part, args_valid: valid } = data;
      const args = typeof part.args === 'string' ? part.args : jsonBrief(part.args);
      return { kind, tone: valid === false ? 'warn' : '', text: brief(`${part.tool_name}(${args})`, LENGTH) };
    }
    case 'function_tool_result':
    case 'output_tool_result': {
      const part = data.part ?? data.result;
      const content = typeof part.content === 'string' ? part.content : jsonBrief(part.content);
      const tone = part.part_kind === 'retry-prompt' ? 'warn' : part.outcome === 'failed' ? 'bad' : '';
      return { kind, tone, text: brief(`${part.tool_name ?? ''} → ${content}`, LENGTH) };
    }
    case 'final_result':
      return { kind, tone: '', text: brief(data.tool_name ?? '', LENGTH) };
    default:
      return { kind, tone: '', text: '' };
  }
}

function jsonBrief(value: unknown): string {
  return brief(JSON.stringify(value ?? null) ?? '', LENGTH);
}
