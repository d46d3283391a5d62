// Joins consecutive text deltas between the agent and the store (spec 01 §7.6): fewer events for the store and for whoever
// reads them. At most one joined delta is held; everything else passes in its order.

import type { CoalescingSettings } from '../config/settings.ts';
import type { AgentStreamEvent, PartDeltaEvent, TextPartDelta } from '../protocol/events.ts';

/** Publishes events in order; see EventSink.emit. */
export type Emit = (events: readonly AgentStreamEvent[]) => Promise<void>;

/** Runs `task` after `ms` milliseconds; the returned function calls it off. */
export type Schedule = (ms: number, task: () => void) => () => void;

/** Joins text deltas on their way to an `Emit`. */
export interface Coalescer {
  /** Rejects like the `emit` behind it, also for what a timer has published since. */
  readonly emit: Emit;
  /** Publishes what is held. To be called at the end of the stream, however it ended. Rejects like `emit`. */
  flush(): Promise<void>;
}

interface TextDeltaEvent extends PartDeltaEvent {
  readonly delta: TextPartDelta;
}

interface Held {
  readonly first: TextDeltaEvent;
  text: string;
  /** Of the text, in code points: what Python calls its length. */
  chars: number;
  readonly callOff: () => void;
}

/** Builds a coalescer. `enabled` is its caller's to look at. */
export function createCoalescer(
  emit: Emit,
  { flushIntervalMs, maxChars }: Pick<CoalescingSettings, 'flushIntervalMs' | 'maxChars'>,
  schedule: Schedule = byTimer,
): Coalescer {
  let held: Held | null = null;
  let failure: { readonly error: unknown } | null = null;

  /** Moves the held delta to `out`. */
  function release(out: AgentStreamEvent[]): void {
    if (held === null) return;
    const { first, text, callOff } = held;
    callOff();
    held = null;
    out.push(text === first.delta.content_delta ? first : { ...first, delta: { ...first.delta, content_delta: text } });
  }

  function onTimer(): void {
    const out: AgentStreamEvent[] = [];
    release(out);
    if (out.length === 0) return;
    // Nobody awaits this: the next call tells.
    emit(out).catch((error: unknown) => {
      failure ??= { error };
    });
  }

  function take(event: AgentStreamEvent, out: AgentStreamEvent[]): void {
    if (!isTextDelta(event)) {
      release(out);
      out.push(event);
      return;
    }
    const { content_delta: text } = event.delta;
    if (held !== null && joins(held.first, event)) {
      held.text += text;
      held.chars += codePoints(text);
    } else {
      release(out);
      held = { first: event, text, chars: codePoints(text), callOff: schedule(flushIntervalMs, onTimer) };
    }
    if (held.chars >= maxChars) release(out);
  }

  async function publish(out: readonly AgentStreamEvent[]): Promise<void> {
    if (failure !== null) throw failure.error;
    if (out.length > 0) await emit(out);
  }

  return {
    emit(events) {
      const out: AgentStreamEvent[] = [];
      for (const event of events) take(event, out);
      return publish(out);
    },
    flush() {
      const out: AgentStreamEvent[] = [];
      release(out);
      return publish(out);
    },
  };
}

/** Runs a producer with an `emit` that joins text deltas; what is held is published before this settles. */
export async function coalescing<T>(
  emit: Emit,
  settings: CoalescingSettings,
  produce: (emit: Emit) => Promise<T>,
): Promise<T> {
  if (!settings.enabled) return produce(emit);
  const coalescer = createCoalescer(emit, settings);
  let result: T;
  try {
    result = await produce(coalescer.emit);
  } catch (error) {
    // The producer's error is the one to tell.
    await coalescer.flush().catch(() => {});
    throw error;
  }
  await coalescer.flush();
  return result;
}

function isTextDelta(event: AgentStreamEvent): event is TextDeltaEvent {
  return event.event_kind === 'part_delta' && event.delta.part_delta_kind === 'text';
}

function joins(held: TextDeltaEvent, next: TextDeltaEvent): boolean {
  const [a, b] = [held.delta, next.delta];
  return held.index === next.index && a.provider_name === b.provider_name && a.provider_details === b.provider_details;
}

const PAIRS = /[\ud800-\udbff][\udc00-\udfff]/g;

function codePoints(text: string): number {
  return text.length - (text.match(PAIRS)?.length ?? 0);
}

function byTimer(ms: number, task: () => void): () => void {
  const timer = setTimeout(task, ms);
  return () => clearTimeout(timer);
}
