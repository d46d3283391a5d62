// Events of a run for the console's tests, as a server sends them.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isTerminal, type RunEvent, type SessionSnapshot, type StreamEventData } from '../../src/client/types.ts';

const BEGIN = Date.parse('2026-11-21T12:00:00Z');

/** A line of events: each gets the next cursor and its time, ms after the run began. */
export class EventLine {
  #number = 0;

  started(at = 0): RunEvent {
    return { ...this.#envelope(at), type: 'run_started', data: {} };
  }

  data(at: number, data: StreamEventData): RunEvent {
    return { ...this.#envelope(at), type: 'pydantic_ai_event', data };
  }

  text(at: number, index: number, content: string): RunEvent {
    return this.data(at, { event_kind: 'part_start', index, part: { part_kind: 'text', content } });
  }

  thinking(at: number, index: number, content: string): RunEvent {
    return this.data(at, { event_kind: 'part_start', index, part: { part_kind: 'thinking', content } });
  }

  delta(at: number, index: number, content: string): RunEvent {
    return this.data(at, {
      event_kind: 'part_delta',
      index,
      delta: { part_delta_kind: 'text', content_delta: content },
    });
  }

  end(at: number, index: number, content: string): RunEvent {
    return this.data(at, { event_kind: 'part_end', index, part: { part_kind: 'text', content } });
  }

  call(at: number, id: string, name: string, args = '{}'): RunEvent {
    const part = { part_kind: 'tool-call', tool_name: name, tool_call_id: id, args } as const;
    return this.data(at, { event_kind: 'function_tool_call', part, args_valid: true });
  }

  returned(at: number, id: string, name: string, content: string): RunEvent {
    const result = { part_kind: 'tool-return', tool_name: name, tool_call_id: id, content } as const;
    return this.data(at, { event_kind: 'function_tool_result', result });
  }

  retried(at: number, id: string, name: string, content: string): RunEvent {
    const part = { part_kind: 'retry-prompt', tool_name: name, tool_call_id: id, content } as const;
    return this.data(at, { event_kind: 'function_tool_result', part });
  }

  succeeded(at: number, output: string): RunEvent {
    return { ...this.#envelope(at), type: 'run_succeeded', data: { session_snapshot: NO_LAYERS, output } };
  }

  asked(at: number, id: string): RunEvent {
    const question = { tool_call_id: id, tool_name: 'ask_human', args: { question: 'Sure?' }, metadata: null };
    return {
      ...this.#envelope(at),
      type: 'run_succeeded',
      data: { session_snapshot: NO_LAYERS, deferred_tool_call: question },
    };
  }

  failed(at: number, error: string): RunEvent {
    return { ...this.#envelope(at), type: 'run_failed', data: { error, reason: 'tool_failed' } };
  }

  #envelope(at: number) {
    this.#number += 1;
    return { id: `${this.#number}-0`, run_id: 'run', created_at: new Date(BEGIN + at).toISOString() };
  }
}

export const NO_LAYERS: SessionSnapshot = { schema_version: 1, layers: [] };

const FOLDER = new URL('../fixtures/reference', import.meta.url).pathname;

/** The events of every run that was recorded from the reference to its end. */
export function recordedRuns(): readonly { readonly name: string; readonly events: readonly RunEvent[] }[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) =>
      eventLists(JSON.parse(readFileSync(join(FOLDER, name), 'utf8'))).map((events) => ({ name, events })),
    );
}

/** Lists of events anywhere in a trace. */
function eventLists(value: unknown): readonly (readonly RunEvent[])[] {
  if (typeof value !== 'object' || value === null) return [];
  const [first] = Array.isArray(value) ? value : [];
  const isRun = typeof first === 'object' && first !== null && 'created_at' in first && first.type === 'run_started';
  if (!isRun) return Object.values(value).flatMap(eventLists);
  const events = value as readonly RunEvent[];
  return events.slice(1).some(isTerminal) ? [events] : [];
}
