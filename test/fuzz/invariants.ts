// What must hold for the events of every run, whatever the model, the tools and the caller did.

import { at, items, type JsonNode, member, numberOf, readJson, textOf } from '../support/json-nodes.ts';
import type { SseFrame } from '../support/sse.ts';
import { TERMINAL_TYPES } from '../support/strict-client.ts';

/** Words of the JavaScript engine: a run that fails with them has met a bug of ours. */
const ENGINE_WORDS =
  /undefined is not|is not a function|Cannot (?:read|destructure|convert|access)|not iterable|\[object |TypeError|call stack|not an object \(/;

/** The first thing that is wrong with the events of a run, or null. The strict client has read them before. */
export function violation(frames: readonly SseFrame[]): string | null {
  const types = frames.map(({ event }) => event);
  if (types[0] !== 'run_started' && types[0] !== 'run_failed') return `begins with ${types[0]}`;
  const terminals = types.filter((type) => TERMINAL_TYPES.includes(type));
  if (terminals.length !== 1 || !TERMINAL_TYPES.includes(types.at(-1) ?? '')) return `terminal events: ${terminals}`;
  const state: State = { started: null, parts: new Map(), calls: new Set(), finals: 0 };
  for (const frame of frames) {
    if (frame.event !== 'pydantic_ai_event') continue;
    const found = check(member(readJson(frame.data), 'data'), state);
    if (found !== null) return `${found}: ${frame.data.slice(0, 300)}`;
  }
  return checkError(frames.at(-1)) ?? checkSnapshot(frames.at(-1));
}

interface State {
  /** Index of the part that has been started and not ended; null before the first. */
  started: number | null;
  /** Content of the text and thinking parts of this response so far. */
  readonly parts: Map<number, string>;
  /** Ids of announced calls. */
  readonly calls: Set<string>;
  finals: number;
}

function check(event: JsonNode | undefined, state: State): string | null {
  const index = numberOf(member(event, 'index')) ?? -1;
  const kind = textOf(at(event, 'part', 'part_kind')) ?? null;
  switch (textOf(member(event, 'event_kind'))) {
    case 'part_start':
      // The first part of a response says that none was before it.
      if (at(event, 'previous_part_kind')?.kind === 'null') {
        if (index !== 0) return 'a response begins at another index than 0';
        state.parts.clear();
        state.finals = 0;
      }
      state.started = index;
      state.parts.set(index, textOf(at(event, 'part', 'content')) ?? '');
      return null;
    case 'part_delta': {
      const delta = textOf(at(event, 'delta', 'content_delta'));
      // A call that is sent again reopens an earlier part; text goes on in the last one all the same.
      if (index !== state.started && index !== Math.max(...state.parts.keys())) return 'a delta of another part';
      if (delta === undefined || delta === '') return 'an empty delta';
      state.parts.set(index, (state.parts.get(index) ?? '') + delta);
      return null;
    }
    case 'part_end':
      if (index !== state.started) return 'the end of a part that is not the open one';
      if (kind !== 'tool-call' && textOf(at(event, 'part', 'content')) !== state.parts.get(index)) {
        return 'a part ends with other content than it streamed';
      }
      return null;
    case 'final_result':
      state.finals += 1;
      return state.finals > 1 ? 'two final results in one response' : null;
    case 'function_tool_call':
      state.calls.add(textOf(at(event, 'part', 'tool_call_id')) ?? '');
      return null;
    case 'function_tool_result': {
      const id = textOf(at(event, 'result', 'tool_call_id')) ?? '';
      return state.calls.has(id) ? null : 'a result of a call that was not announced';
    }
    default:
      return 'an unknown event';
  }
}

function checkError(frame: SseFrame | undefined): string | null {
  const error = frame === undefined ? undefined : textOf(at(readJson(frame.data), 'data', 'error'));
  if (error === '') return 'fails without a text';
  return error !== undefined && ENGINE_WORDS.test(error) ? `fails with ${error}` : null;
}

/** A published snapshot has no active layer. */
function checkSnapshot(frame: SseFrame | undefined): string | null {
  if (frame?.event !== 'run_succeeded') return null;
  for (const layer of items(at(readJson(frame.data), 'data', 'session_snapshot', 'layers'))) {
    const state = textOf(member(layer, 'lifecycle_state'));
    if (state !== 'suspended' && state !== 'closed') return `layer ${textOf(member(layer, 'name'))} is ${state}`;
  }
  return null;
}
