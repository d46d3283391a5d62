// The last round of a timeline after one more of the agent's events: parts that begin, grow and end, tool calls and what
// came of them.

import type {
  JsonValue,
  PartDeltaEvent,
  ResponsePart,
  RetryPromptPart,
  StreamEventData,
  ToolReturnPart,
} from '../../client/types.ts';

/** Something that the model said in one go. Times are ms since the epoch. */
export interface Part {
  readonly kind: 'text' | 'thinking' | 'tool-call' | 'file' | 'other';
  readonly index: number;
  readonly start: number;
  /** Of the last piece so far. */
  readonly end: number;
  readonly complete: boolean;
  /** Text and thinking: so far. Tool calls: the arguments as text. Files: their media type. */
  readonly text: string;
  /** Of a tool call. */
  readonly toolName?: string;
  /** Cursor of its first event. */
  readonly cursor: string;
}

/**
 * A tool call. `called`: no result yet; `unanswered`: the run ended without one; `asked`: its answer is a person's;
 * `retried`: the model is asked to correct it.
 */
export interface Call {
  readonly id: string;
  readonly name: string;
  readonly args: JsonValue;
  /** False: its arguments did not fit. */
  readonly argsValid: boolean | null;
  readonly start: number;
  readonly end: number | null;
  readonly state: 'called' | 'returned' | 'failed' | 'denied' | 'retried' | 'asked' | 'unanswered';
  readonly result: JsonValue;
  readonly cursor: string;
}

/** One answer of the model and what it led to. */
export interface Round {
  /** From 1. */
  readonly number: number;
  /** When the model could begin: the end of what came before. */
  readonly start: number;
  /** Its first part. */
  readonly first: number;
  /** Its last part. */
  readonly end: number;
  readonly parts: readonly Part[];
  readonly calls: readonly Call[];
  /** The answer before was refused. */
  readonly retry: boolean;
  /** It holds the run's output, or its question. */
  readonly final: boolean;
}

/** When and where an event was. */
interface Moment {
  readonly at: number;
  /** The event before it. */
  readonly before: number;
  readonly cursor: string;
}

/** The rounds after an event; kinds that are not known change nothing. */
export function foldData(rounds: readonly Round[], data: StreamEventData, moment: Moment): readonly Round[] {
  switch (data.event_kind) {
    case 'part_start':
      return startPart(rounds, data.index, data.part, moment);
    case 'part_delta':
      return changePart(rounds, data.index, (part) => grown(part, data.delta, moment.at));
    case 'part_end':
      return changePart(rounds, data.index, (part) => ({
        ...part,
        end: moment.at,
        complete: true,
        // The whole, where pieces of it were not seen.
        text: part.kind === 'tool-call' || part.text === '' ? contentOf(data.part) : part.text,
      }));
    case 'final_result':
      return changeLast(rounds, (round) => ({ ...round, final: true }));
    case 'function_tool_call':
    case 'output_tool_call': {
      const { tool_call_id: id, tool_name: name, args } = data.part;
      const call: Call = {
        id,
        name,
        args: args ?? null,
        argsValid: data.args_valid ?? null,
        start: moment.at,
        end: null,
        state: 'called',
        result: null,
        cursor: moment.cursor,
      };
      return changeLast(withRound(rounds, moment), (round) => ({ ...round, calls: [...round.calls, call] }));
    }
    case 'function_tool_result':
    case 'output_tool_result':
      return endCall(rounds, data.part ?? data.result, moment);
    default:
      return rounds;
  }
}

/** Index 0 begins the next answer of the model, and so does any part after a tool was called. */
function startPart(rounds: readonly Round[], index: number, part: ResponsePart, moment: Moment): readonly Round[] {
  const last = rounds.at(-1);
  const begins = last === undefined || last.calls.length > 0 || (index === 0 && last.parts.length > 0);
  const all = begins ? [...rounds, newRound(rounds, moment)] : rounds;
  const { at, cursor } = moment;
  const kind = kindOf(part);
  const started: Part = {
    kind,
    index,
    start: at,
    end: at,
    complete: kind !== 'text' && kind !== 'thinking' && kind !== 'tool-call',
    text: contentOf(part),
    ...(part.part_kind === 'tool-call' ? { toolName: part.tool_name } : {}),
    cursor,
  };
  return changeLast(all, (round) => ({ ...round, end: at, parts: [...round.parts, started] }));
}

function newRound(rounds: readonly Round[], { at, before }: Moment): Round {
  const last = rounds.at(-1);
  // An answer that led to no call was refused, or the model would not have been asked again.
  const retry = last !== undefined && (last.calls.length === 0 || last.calls.some(({ state }) => state === 'retried'));
  return { number: rounds.length + 1, start: before, first: at, end: at, parts: [], calls: [], retry, final: false };
}

function withRound(rounds: readonly Round[], moment: Moment): readonly Round[] {
  return rounds.length > 0 ? rounds : [newRound(rounds, moment)];
}

function grown(part: Part, delta: PartDeltaEvent['delta'], at: number): Part {
  if (delta.part_delta_kind === 'tool_call') {
    const { args_delta: args } = delta;
    const more = typeof args === 'string' ? args : args == null ? '' : JSON.stringify(args);
    return { ...part, end: at, text: part.text + more };
  }
  return delta.part_delta_kind === part.kind
    ? { ...part, end: at, text: part.text + (delta.content_delta ?? '') }
    : { ...part, end: at };
}

function changePart(rounds: readonly Round[], index: number, change: (part: Part) => Part): readonly Round[] {
  return changeLast(rounds, (round) => {
    const place = round.parts.findLastIndex((part) => part.index === index);
    const part = round.parts[place];
    if (part === undefined) return round;
    const changed = change(part);
    return { ...round, end: Math.max(round.end, changed.end), parts: round.parts.with(place, changed) };
  });
}

/** A result ends the last call of its id, in whichever round that was; without one it is shown alone. */
function endCall(rounds: readonly Round[], part: ToolReturnPart | RetryPromptPart, moment: Moment): readonly Round[] {
  const result = part.content ?? null;
  const state =
    part.part_kind === 'retry-prompt'
      ? 'retried'
      : part.outcome === 'failed' || part.outcome === 'denied'
        ? part.outcome
        : 'returned';
  for (let place = rounds.length - 1; place >= 0; place -= 1) {
    const round = rounds[place];
    const index = round?.calls.findLastIndex(({ id }) => id === part.tool_call_id) ?? -1;
    const call = round?.calls[index];
    if (round === undefined || call === undefined) continue;
    const calls = round.calls.with(index, { ...call, state, result, end: moment.at });
    return rounds.with(place, { ...round, calls });
  }
  const alone: Call = {
    id: part.tool_call_id,
    name: part.tool_name ?? '',
    args: null,
    argsValid: null,
    start: moment.at,
    end: moment.at,
    state,
    result,
    cursor: moment.cursor,
  };
  return changeLast(withRound(rounds, moment), (round) => ({ ...round, calls: [...round.calls, alone] }));
}

function changeLast(rounds: readonly Round[], change: (round: Round) => Round): readonly Round[] {
  const last = rounds.at(-1);
  return last === undefined ? rounds : rounds.with(-1, change(last));
}

function kindOf(part: ResponsePart): Part['kind'] {
  const { part_kind: kind } = part;
  return kind === 'text' || kind === 'thinking' || kind === 'tool-call' || kind === 'file' ? kind : 'other';
}

function contentOf(part: ResponsePart): string {
  switch (part.part_kind) {
    case 'text':
    case 'thinking':
      return part.content;
    case 'tool-call':
      return argsText(part.args ?? null);
    case 'file':
      return part.content.media_type;
    default:
      return part.part_kind;
  }
}

function argsText(args: JsonValue): string {
  return typeof args === 'string' ? args : args === null ? '' : JSON.stringify(args);
}
