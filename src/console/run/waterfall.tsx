// The waterfall: one row per answer of the model and per tool call, drawn over the time that is shown. Wheel with Ctrl, the
// buttons and the keys + - 0 ← → zoom and move; what is not zoomed follows the run.

import { useSignal } from '@preact/signals';
import { useMemo, useRef } from 'preact/hooks';
import { duration } from '../format.ts';
import { useNow } from '../hooks.ts';
import { brief, visible } from '../visible.ts';
import type { Timeline } from './timeline.ts';
import { type Bar, MAX_ROWS, panned, type Row, rowsOf, type Span, ticksOf, wholeOf, zoomed } from './waterfall-rows.ts';

interface WaterfallProps {
  readonly timeline: Timeline;
  /** A row was clicked: the cursor of what it is about. */
  readonly onChoose: (cursor: string) => void;
}

const STEP = 1.6;

export function Waterfall({ timeline, onChoose }: WaterfallProps) {
  const running = timeline.status === 'running';
  const now = useNow(running ? 100 : 60_000, running);
  const all = useMemo(() => rowsOf(timeline, now), [timeline, running ? now : 0]);
  const whole = wholeOf(all);
  /** Null: all of it. */
  const zoom = useSignal<Span | null>(null);
  const tracks = useRef<HTMLDivElement>(null);
  const span = zoom.value ?? whole;
  if (all.length === 0)
    return <p class="muted loading">{running ? 'Nothing has happened yet.' : 'Nothing happened in this run.'}</p>;
  const rows = all.slice(0, MAX_ROWS);

  const zoomTo = (factor: number, at = (span.from + span.to) / 2): void => {
    const next = zoomed(span, factor, at, whole);
    zoom.value = next.to - next.from >= whole.to - whole.from ? null : next;
  };
  const move = (by: number): void => {
    if (zoom.value !== null) zoom.value = panned(zoom.value, by, whole);
  };
  const onWheel = (event: WheelEvent): void => {
    const box = tracks.current?.querySelector('.wf-axis')?.getBoundingClientRect();
    if (box === undefined || box.width === 0) return;
    const length = span.to - span.from;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const at = span.from + ((event.clientX - box.left) / box.width) * length;
      zoomTo(Math.exp(event.deltaY / 200), at);
    } else if (event.deltaX !== 0 && zoom.value !== null) {
      event.preventDefault();
      move((event.deltaX / box.width) * length);
    }
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const quarter = (span.to - span.from) / 4;
    const actions: Readonly<Record<string, () => void>> = {
      '+': () => zoomTo(1 / STEP),
      '=': () => zoomTo(1 / STEP),
      '-': () => zoomTo(STEP),
      '0': () => {
        zoom.value = null;
      },
      ArrowLeft: () => move(-quarter),
      ArrowRight: () => move(quarter),
    };
    const action = actions[event.key];
    if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  };
  return (
    <section class="waterfall" aria-label="Waterfall" onKeyDown={onKeyDown}>
      <div class="wf-tools">
        <span class="wf-legend" aria-hidden="true">
          <i class="key-wait" /> waiting <i class="key-thinking" /> thinking <i class="key-answer" /> answer{' '}
          <i class="key-tool" /> tool
        </span>
        <button type="button" class="quiet" aria-label="Zoom in" title="Zoom in ( + )" onClick={() => zoomTo(1 / STEP)}>
          +
        </button>
        <button
          type="button"
          class="quiet"
          aria-label="Zoom out"
          title="Zoom out ( - )"
          disabled={zoom.value === null}
          onClick={() => zoomTo(STEP)}
        >
          −
        </button>
        <button
          type="button"
          class="quiet"
          aria-label="fit: show all of it"
          title="Show all of it ( 0 )"
          disabled={zoom.value === null}
          onClick={() => {
            zoom.value = null;
          }}
        >
          fit
        </button>
      </div>
      <div class="wf-grid" ref={tracks} onWheel={onWheel}>
        <Axis span={span} />
        {rows.map((row) => (
          <WaterfallRow key={row.key} row={row} span={span} onChoose={onChoose} />
        ))}
      </div>
      {all.length > rows.length && <p class="muted">{all.length - rows.length} more rows are not drawn.</p>}
    </section>
  );
}

const percent = (at: number, { from, to }: Span): number => ((at - from) / (to - from)) * 100;

/** Px: of the axis in a small and in another window, about; of a character of its labels; between two of them. */
const AXIS = { small: 190, wide: 480 } as const;
const CHARACTER = 6.2;
const GAP = 12;

function Axis({ span }: { readonly span: Span }) {
  const small = innerWidth < 640;
  const labels = ticksOf(span, small ? 3 : 6).map((tick) => ({ tick, text: duration(tick), at: percent(tick, span) }));
  const widthOf = (text: string): number => ((text.length * CHARACTER + GAP) / (small ? AXIS.small : AXIS.wide)) * 100;
  return (
    <div class="wf-row wf-head" aria-hidden="true">
      <span class="wf-label" />
      <span class="wf-axis">
        {labels.map(({ tick, text, at }, index) => {
          // A label stands after its line; where there is no room for that, before it, unless its neighbour is there.
          const isLast = at + widthOf(text) > 100;
          const before = labels[index - 1];
          if (isLast && before !== undefined && before.at + widthOf(before.text) > at - widthOf(text)) return null;
          return (
            <span key={tick} class={`wf-tick ${isLast ? 'last' : ''}`} style={{ left: `${at}%` }}>
              {text}
            </span>
          );
        })}
      </span>
      <span class="wf-length" />
    </div>
  );
}

interface WaterfallRowProps {
  readonly row: Row;
  readonly span: Span;
  readonly onChoose: (cursor: string) => void;
}

function WaterfallRow({ row, span, onChoose }: WaterfallRowProps) {
  const { label, note, start, end, cursor, level, open, tone } = row;
  return (
    <button
      type="button"
      class={`wf-row level-${level} ${tone}`}
      disabled={cursor === null}
      onClick={() => {
        if (cursor !== null) onChoose(cursor);
      }}
    >
      <span class="wf-label">
        <span class="wf-name text" title={visible(label)}>
          {brief(label, 60)}
        </span>
        {note !== '' && <span class="wf-note">{note}</span>}
        <span class="unseen">begins at {duration(start)}, takes</span>
      </span>
      <svg class="wf-track" aria-hidden="true">
        {row.bars.map((bar, index) => (
          <BarShape key={`${index} ${bar.kind}`} bar={bar} span={span} open={open && index === row.bars.length - 1} />
        ))}
      </svg>
      <span class="wf-length">{duration(end - start)}</span>
    </button>
  );
}

function BarShape({ bar, span, open }: { readonly bar: Bar; readonly span: Span; readonly open: boolean }) {
  // Far outside numbers would leave what browsers can draw.
  const from = Math.max(-5, percent(bar.start, span));
  const to = Math.min(105, percent(bar.end, span));
  if (to < 0 || from > 100 || (bar.kind === 'wait' && to <= from)) return null;
  const thin = bar.kind === 'wait';
  return (
    <rect
      class={`bar ${bar.kind} ${bar.tone} ${open ? 'open' : ''}`}
      x={`${Math.min(from, 99.6)}%`}
      y={thin ? 10 : 5}
      width={`${Math.max(0.25, to - from)}%`}
      height={thin ? 2 : 12}
      rx={thin ? 1 : 2}
    />
  );
}
