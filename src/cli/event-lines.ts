// Events of a run as lines for people: a time, what happened, and the text that came with it. For the demo.

/** As much of an event as is printed. Every member may be missing: it comes from the network. */
export interface WireEvent {
  readonly run_id?: string;
  readonly created_at?: string;
  readonly type?: string;
  readonly data?: {
    readonly event_kind?: string;
    readonly index?: number;
    readonly part?: { readonly part_kind?: string; readonly content?: unknown };
    readonly delta?: { readonly content_delta?: unknown };
    readonly output?: unknown;
    readonly error?: string;
    readonly session_snapshot?: {
      readonly layers?: readonly { readonly name?: string; readonly lifecycle_state?: string }[];
    };
  };
}

const RESET = '\x1b[0m';
const GREY = '\x1b[90m';
const BOLD = '\x1b[1m';
const GREEN = '\x1b[32m';
const RED = '\x1b[31m';

/** Reads one event. Throws SyntaxError when the text is not JSON. */
export function parseEvent(text: string): WireEvent {
  // Our own server's answer; the type promises nothing but optional members.
  return JSON.parse(text) as WireEvent;
}

/** True for the event that ends a run. */
export function isTerminal({ type }: WireEvent): boolean {
  return type === 'run_succeeded' || type === 'run_failed' || type === 'run_cancelled';
}

/** One line, without its line break. */
export function describeEvent(event: WireEvent, colour: boolean): string {
  const paint = (code: string, text: string): string => (colour ? `${code}${text}${RESET}` : text);
  const time = /T(\d\d:\d\d:\d\d(?:\.\d{1,3})?)/.exec(event.created_at ?? '')?.[1] ?? '';
  const kind = event.data?.event_kind ?? event.type ?? 'event';
  const tone = event.type === 'run_failed' ? RED : isTerminal(event) ? GREEN : BOLD;
  const detail = detailOf(event);
  const line = `  ${paint(GREY, time.padEnd(12))}  ${paint(tone, kind.padEnd(13))}${detail === '' ? '' : `  ${detail}`}`;
  return line.trimEnd();
}

function detailOf({ data }: WireEvent): string {
  if (data === undefined) return '';
  if (data.error !== undefined) return JSON.stringify(data.error);
  if (data.delta?.content_delta !== undefined) return JSON.stringify(data.delta.content_delta);
  if (data.part === undefined) return '';
  return `${data.part.part_kind ?? 'part'} ${JSON.stringify(data.part.content ?? null)}`;
}
