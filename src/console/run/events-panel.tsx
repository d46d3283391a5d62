// The raw events beside the rest: a long list of which only the rows in sight are built, and the chosen one as a tree.

import { type Signal, useSignal } from '@preact/signals';
import { Component } from 'preact';
import { useEffect, useId, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import type { JsonValue, RunEvent } from '../../client/types.ts';
import { count, duration, instant } from '../format.ts';
import { JsonTree } from '../ui/json-view.tsx';
import { CopyButton } from '../ui/parts.tsx';
import { scrollTo, windowOf } from '../ui/window.ts';
import { brief, visible } from '../visible.ts';
import { briefOf } from './event-log.ts';
import type { Feed } from './feed.ts';

/** As in run.css, px. */
const ROW_HEIGHT = 24;

interface EventsPanelProps {
  readonly feed: Feed;
  /** Cursor of the event that is looked at. */
  readonly chosen: Signal<string | null>;
}

export function EventsPanel({ feed, chosen }: EventsPanelProps) {
  const { log, version } = feed;
  version.value; // drawn again when there are more
  const marksOnly = useSignal(false);
  const following = useSignal(true);
  const scroll = useSignal(0);
  const height = useSignal(400);
  const box = useRef<HTMLDivElement>(null);
  const id = useId();
  const total = log.count(marksOnly.value);
  const row = useMemo(
    () => (chosen.value === null ? -1 : log.rowOf(chosen.value, marksOnly.value)),
    [chosen.value, marksOnly.value, log.forgotten],
  );
  const window = windowOf(total, ROW_HEIGHT, scroll.value, height.value);
  const zero = log.firstAt;

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => {
      height.value = element.clientHeight;
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (following.value && box.current !== null && feed.state.value !== 'over')
      box.current.scrollTop = total * ROW_HEIGHT;
  }, [total]);
  useEffect(() => {
    const to = row === -1 ? null : scrollTo(row, ROW_HEIGHT, box.current?.scrollTop ?? 0, height.value);
    if (to !== null && box.current !== null) box.current.scrollTop = to;
  }, [chosen.value, marksOnly.value]);

  const onScroll = (): void => {
    const element = box.current;
    if (element === null) return;
    scroll.value = element.scrollTop;
    following.value = element.scrollTop + element.clientHeight >= element.scrollHeight - ROW_HEIGHT;
  };
  const choose = (index: number): void => {
    const event = log.at(Math.min(total - 1, Math.max(0, index)), marksOnly.value);
    if (event === undefined) return;
    following.value = false;
    chosen.value = event.id;
  };
  const onClick = ({ target }: MouseEvent): void => {
    const place = target instanceof Element ? target.closest<HTMLElement>('[data-row]')?.dataset.row : undefined;
    if (place !== undefined) choose(Number(place));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const page = Math.max(1, Math.floor(height.value / ROW_HEIGHT) - 1);
    const target: Readonly<Record<string, number>> = {
      ArrowDown: row + 1,
      ArrowUp: row === -1 ? 0 : row - 1,
      PageDown: row + page,
      PageUp: row - page,
      Home: 0,
      End: total - 1,
    };
    const next = target[event.key];
    if (next === undefined) return;
    event.preventDefault();
    choose(next);
  };
  const rows: RunEvent[] = [];
  for (let index = window.first; index < window.last; index += 1) {
    const event = log.at(index, marksOnly.value);
    if (event !== undefined) rows.push(event);
  }
  const picked = row === -1 ? undefined : log.at(row, marksOnly.value);
  return (
    <section class="events" aria-label="Raw events">
      <header>
        <h2>Events</h2>
        <span class="count">{count(total)}</span>
        <label class="check">
          <input
            type="checkbox"
            checked={marksOnly.value}
            onChange={() => {
              marksOnly.value = !marksOnly.value;
            }}
          />
          <span>without deltas</span>
        </label>
      </header>
      {log.forgotten > 0 && (
        <p class="muted events-note">The first {count(log.forgotten)} events are no longer kept by this page.</p>
      )}
      <div
        class="event-list"
        ref={box}
        role="listbox"
        tabIndex={0}
        aria-label="Events in their order"
        aria-activedescendant={picked === undefined ? undefined : `${id}-${row}`}
        onScroll={onScroll}
        onClick={onClick}
        onKeyDown={onKeyDown}
      >
        <div class="event-space" role="presentation" style={{ height: `${window.height}px` }}>
          <div role="presentation" style={{ transform: `translateY(${window.top}px)` }}>
            {rows.map((event, index) => (
              <EventRow
                key={window.first + index}
                event={event}
                list={id}
                row={window.first + index}
                total={total}
                chosen={window.first + index === row}
                zero={zero}
              />
            ))}
          </div>
        </div>
      </div>
      {picked !== undefined && (
        <div class="event-detail">
          <div class="event-cursor">
            <span class="muted">cursor</span> <code>{visible(brief(picked.id, 80))}</code>
            <CopyButton text={() => JSON.stringify(picked)} label="Copy the event as JSON" />
          </div>
          <JsonTree key={picked.id} name="event" value={picked as unknown as JsonValue} open={3} />
        </div>
      )}
    </section>
  );
}

interface EventRowProps {
  readonly event: RunEvent;
  /** Id of the list. */
  readonly list: string;
  readonly row: number;
  readonly total: number;
  readonly chosen: boolean;
  /** When the first event was, ms since the epoch. */
  readonly zero: number | null;
}

/** Drawn again only when it shows something else: a list that scrolls has no time to spare. */
class EventRow extends Component<EventRowProps> {
  override shouldComponentUpdate({ event, row, chosen, zero }: EventRowProps): boolean {
    const { props } = this;
    return event !== props.event || row !== props.row || chosen !== props.chosen || zero !== props.zero;
  }

  override render({ event, list, row, total, chosen, zero }: EventRowProps) {
    const { kind, tone, text } = briefOf(event);
    const at = instant(event.created_at);
    return (
      <div
        id={`${list}-${row}`}
        class="event-row"
        role="option"
        tabIndex={-1}
        aria-selected={chosen}
        aria-setsize={total}
        aria-posinset={row + 1}
        data-row={row}
      >
        <span class="event-at">{at === null || zero === null ? '' : duration(at - zero)}</span>
        <span class={`event-kind ${tone}`}>{kind}</span>
        <span class="event-text text">{text}</span>
      </div>
    );
  }
}
