// A run's events folded into rounds: what the model said in each of its answers, the tools it called, and when. One pure
// function; the page keeps the value and folds the next event in. How it is drawn is the waterfall's.

import type {
  DeferredToolCall,
  JsonValue,
  RunEvent,
  SessionSnapshot,
  TerminalEvent,
  Usage,
} from '../../client/types.ts';
import { instant } from '../format.ts';
import { type Call, foldData, type Round } from './timeline-round.ts';

/** Everything so far. */
export interface Timeline {
  readonly status: 'running' | 'succeeded' | 'failed' | 'cancelled';
  /** Null: no event yet. */
  readonly startedAt: number | null;
  readonly lastAt: number | null;
  readonly rounds: readonly Round[];
  /** Events folded in. */
  readonly events: number;
  readonly cursor: string;
  readonly output?: JsonValue;
  readonly question?: DeferredToolCall;
  readonly error?: string;
  readonly reason?: string;
  readonly usage?: Usage;
  readonly snapshot?: SessionSnapshot;
}

/** A run that has not begun. */
export const NO_TIMELINE: Timeline = {
  status: 'running',
  startedAt: null,
  lastAt: null,
  rounds: [],
  events: 0,
  cursor: '0-0',
};

/** The timeline after one more event. Takes events in any state of a run, and never throws. */
export function foldTimeline(timeline: Timeline, event: RunEvent): Timeline {
  const { lastAt, startedAt } = timeline;
  // Clocks may step back between two processes; a span never ends before it began.
  const at = Math.max(instant(event.created_at) ?? lastAt ?? 0, lastAt ?? 0);
  const next: Timeline = {
    ...timeline,
    startedAt: startedAt ?? at,
    lastAt: at,
    events: timeline.events + 1,
    cursor: event.id,
  };
  switch (event.type) {
    case 'run_started':
      return next;
    case 'pydantic_ai_event':
      return { ...next, rounds: foldData(timeline.rounds, event.data, { at, before: lastAt ?? at, cursor: event.id }) };
    default:
      return ended(next, event, at);
  }
}

function ended(timeline: Timeline, event: TerminalEvent, at: number): Timeline {
  const { session_snapshot: snapshot, usage } = event.data;
  const question = event.type === 'run_succeeded' ? event.data.deferred_tool_call : undefined;
  return {
    ...timeline,
    ...outcomeOf(event),
    rounds: timeline.rounds.map((round) => settled(round, question?.tool_call_id, at)),
    ...(snapshot == null ? {} : { snapshot }),
    ...(usage == null ? {} : { usage }),
  };
}

function outcomeOf(event: TerminalEvent): Partial<Timeline> {
  switch (event.type) {
    case 'run_succeeded': {
      const { deferred_tool_call: question, output } = event.data;
      return { status: 'succeeded', ...(question === undefined ? { output: output ?? null } : { question }) };
    }
    case 'run_failed': {
      const { error, reason, error_type: type } = event.data;
      return { status: 'failed', error, ...textOf('reason', reason ?? type) };
    }
    case 'run_cancelled': {
      const { message, reason } = event.data;
      return { status: 'cancelled', ...textOf('error', message), ...textOf('reason', reason) };
    }
  }
}

function textOf<K extends 'error' | 'reason'>(
  key: K,
  text: string | null | undefined,
): { readonly [key in K]?: string } {
  return text == null ? {} : ({ [key]: text } as { readonly [key in K]: string }); // a computed key is any string to the compiler
}

/** A round whose run is over: nothing in it goes on. */
function settled(round: Round, question: string | undefined, at: number): Round {
  if (round.calls.every(({ end }) => end !== null)) return round;
  const calls = round.calls.map((call): Call => {
    if (call.end !== null) return call;
    return call.id === question
      ? { ...call, state: 'asked', end: call.start }
      : { ...call, state: 'unanswered', end: at };
  });
  return { ...round, calls };
}

/** Whether the run waits for the model: no answer is being given and no tool is running. */
export function isWaiting(timeline: Timeline): boolean {
  return timeline.status === 'running' && isIdle(timeline);
}

/** Whether it was the model's turn when the run ended without an output. */
export function endedWaiting(timeline: Timeline): boolean {
  const { status, rounds } = timeline;
  const last = rounds.at(-1);
  // An answer that led to nothing was refused itself; a call that never returned is what failed.
  const own = last !== undefined && (last.calls.length === 0 || last.calls.some(({ state }) => state === 'unanswered'));
  return (status === 'failed' || status === 'cancelled') && !own && isIdle(timeline);
}

function isIdle({ rounds, startedAt }: Timeline): boolean {
  if (startedAt === null) return false;
  const last = rounds.at(-1);
  if (last === undefined) return true;
  return (
    last.parts.every(({ complete }) => complete) &&
    last.calls.every(({ end }) => end !== null) &&
    !(last.final && last.calls.length === 0) &&
    last.parts.filter(({ kind }) => kind === 'tool-call').length <= last.calls.length
  );
}
