// A timeline as the rows of a waterfall, and what part of time they show: zoom, pan and ticks. Pure; drawing is waterfall.tsx.

import { endedWaiting, isWaiting, type Timeline } from './timeline.ts';

/** A stretch of a row. `wait`: nothing came yet. */
export interface Bar {
  readonly kind: 'wait' | 'thinking' | 'text' | 'call' | 'tool';
  readonly tone: 'plain' | 'bad' | 'warn' | 'open';
  readonly start: number;
  readonly end: number;
}

/** A row: a round, or a tool call under it. Times are ms since the run began. */
export interface Row {
  readonly key: string;
  readonly level: 0 | 1;
  readonly label: string;
  /** Beside the label: `retry`, `failed` … */
  readonly note: string;
  readonly tone: Bar['tone'];
  readonly start: number;
  readonly end: number;
  /** It goes on. */
  readonly open: boolean;
  readonly bars: readonly Bar[];
  /** What it is about: the cursor of its first event. */
  readonly cursor: string | null;
}

/** What is shown of the time, ms since the run began. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Rows that are drawn at most; the newest are left out, with a word about it. */
export const MAX_ROWS = 400;

const PART_BARS = { text: 'text', thinking: 'thinking', 'tool-call': 'call', file: 'text', other: 'text' } as const;
const CALL_TONES: Readonly<Record<string, Bar['tone']>> = {
  called: 'open',
  failed: 'bad',
  denied: 'bad',
  unanswered: 'bad',
  retried: 'warn',
  asked: 'open',
};

/** @param now ms since the epoch: where what goes on ends */
export function rowsOf(timeline: Timeline, now: number): readonly Row[] {
  const { startedAt, rounds, status, lastAt } = timeline;
  if (startedAt === null || lastAt === null) return [];
  const zero = startedAt;
  const running = status === 'running';
  const present = Math.max(running ? now : lastAt, lastAt) - zero;
  const rows: Row[] = [];
  for (const round of rounds) {
    const isLast = round === rounds.at(-1);
    const talking = running && isLast && round.parts.some(({ complete }) => !complete);
    const refused = status === 'failed' && isLast && round.calls.length === 0;
    const tone = refused ? 'bad' : round.retry ? 'warn' : 'plain';
    const end = talking ? present : round.end - zero;
    const bars: Bar[] = [{ kind: 'wait', tone: 'plain', start: round.start - zero, end: round.first - zero }];
    for (const part of round.parts) {
      const partEnd = talking && !part.complete ? present : part.end - zero;
      bars.push({ kind: PART_BARS[part.kind], tone, start: part.start - zero, end: partEnd });
    }
    rows.push({
      key: `round ${round.number}`,
      level: 0,
      label: `Model ${round.number}`,
      note: refused ? 'failed' : round.retry ? 'retry' : '',
      tone,
      start: round.start - zero,
      end,
      open: talking,
      bars,
      cursor: round.parts[0]?.cursor ?? round.calls[0]?.cursor ?? null,
    });
    for (const [index, call] of round.calls.entries()) {
      const callTone = CALL_TONES[call.state] ?? 'plain';
      const start = call.start - zero;
      const callEnd = call.end === null ? present : call.end - zero;
      rows.push({
        key: `round ${round.number} call ${index}`,
        level: 1,
        label: call.name,
        note: call.state === 'returned' || call.state === 'called' ? '' : call.state,
        tone: callTone,
        start,
        end: callEnd,
        open: running && call.end === null,
        bars: [{ kind: 'tool', tone: callTone, start, end: callEnd }],
        cursor: call.cursor,
      });
    }
  }
  if (isWaiting(timeline)) {
    rows.push(waitingRow(rounds.length + 1, lastAt - zero, present, { note: 'waiting', tone: 'open', open: true }));
  } else if (endedWaiting(timeline)) {
    const since = Math.max(0, ...rows.map(({ end }) => end));
    const end =
      status === 'failed'
        ? ({ note: 'no answer', tone: 'bad' } as const)
        : ({ note: 'cancelled', tone: 'warn' } as const);
    rows.push(waitingRow(rounds.length + 1, since, present, { ...end, open: false }));
  }
  return rows;
}

/** The model's turn, of which nothing was heard. */
function waitingRow(number: number, start: number, end: number, how: Pick<Row, 'note' | 'tone' | 'open'>): Row {
  return {
    ...how,
    key: 'waiting',
    level: 0,
    label: `Model ${number}`,
    start,
    end,
    bars: [{ kind: 'wait', tone: how.tone, start, end }],
    cursor: null,
  };
}

/** All of it. A run that has only begun is a millisecond long. */
export function wholeOf(rows: readonly Row[]): Span {
  return { from: 0, to: Math.max(1, ...rows.map(({ end }) => end)) };
}

/** The shortest stretch that may fill the picture, ms. */
const SHORTEST = 0.05;

/** Shows more (`factor` > 1) or less around `at`, within the whole. */
export function zoomed(span: Span, factor: number, at: number, whole: Span): Span {
  const length = Math.min(whole.to - whole.from, Math.max(SHORTEST, (span.to - span.from) * factor));
  const share = (at - span.from) / (span.to - span.from);
  return within({ from: at - share * length, to: at + (1 - share) * length }, whole);
}

/** The same stretch `by` ms later, as far as there is something. */
export function panned(span: Span, by: number, whole: Span): Span {
  return within({ from: span.from + by, to: span.to + by }, whole);
}

function within(span: Span, whole: Span): Span {
  const length = Math.min(span.to - span.from, whole.to - whole.from);
  const from = Math.min(Math.max(span.from, whole.from), whole.to - length);
  return { from, to: from + length };
}

/** Round times in a stretch, at most `most` of them. */
export function ticksOf({ from, to }: Span, most: number): readonly number[] {
  const rough = (to - from) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((candidate) => candidate >= rough) ?? 10 * power;
  const ticks: number[] = [];
  for (let index = Math.ceil(from / step); index * step <= to && ticks.length <= most; index += 1) {
    ticks.push(index * step);
  }
  return ticks;
}
