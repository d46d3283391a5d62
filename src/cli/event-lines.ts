// Events of a run as lines for people: a time, what happened, and the text that came with it. For the demo.

/** A part of a message, or what a tool came back with. */
interface WirePart {
  readonly part_kind?: string;
  readonly content?: unknown;
  readonly tool_name?: string | null;
  readonly args?: unknown;
}

/** A question that a run ends with. */
export interface WireQuestion {
  readonly args?: {
    readonly title?: string | null;
    readonly question?: string;
    readonly fields?: readonly { readonly label?: string; readonly type?: string }[];
    readonly actions?: readonly { readonly label?: string }[];
  };
  readonly tool_name?: string;
}

/** As much of an event as is printed. Every member may be missing: it comes from the network. */
export interface WireEvent {
  readonly run_id?: string;
  readonly created_at?: string;
  readonly type?: string;
  readonly data?: {
    readonly event_kind?: string;
    readonly index?: number;
    readonly part?: WirePart;
    readonly result?: WirePart;
    readonly delta?: { readonly content_delta?: unknown };
    readonly tool_name?: string | null;
    readonly args_valid?: boolean | null;
    readonly output?: unknown;
    readonly deferred_tool_call?: WireQuestion;
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
  const line = `  ${paint(GREY, time.padEnd(12))}  ${paint(tone, kind.padEnd(20))}${detail === '' ? '' : `  ${detail}`}`;
  return line.trimEnd();
}

/** A question as a form on paper, some lines with their breaks. */
export function describeQuestion({ args }: WireQuestion): string {
  const lines = [args?.title, args?.question].filter((line): line is string => typeof line === 'string');
  const fields = (args?.fields ?? []).map(({ label, type }) => `${label ?? '?'} (${type ?? '?'}): ____`);
  const actions = (args?.actions ?? []).map(({ label }) => `[ ${label ?? '?'} ]`);
  return [...lines, ...fields, actions.join(' ')].map((line) => `  | ${printable(line)}\n`).join('');
}

function detailOf({ data }: WireEvent): string {
  if (data === undefined) return '';
  if (data.error !== undefined) return short(data.error);
  if (data.delta?.content_delta !== undefined) return short(data.delta.content_delta);
  if (data.deferred_tool_call !== undefined) return `ends with a call of ${data.deferred_tool_call.tool_name ?? '?'}`;
  if (data.result !== undefined) return resultOf(data.result);
  if (data.event_kind === 'final_result') return printable(data.tool_name ?? '');
  if (data.part === undefined) return '';
  const { part_kind: kind, tool_name: tool, args, content } = data.part;
  if (kind !== 'tool-call') return `${kind ?? 'part'} ${short(content ?? null)}`;
  const call = `${printable(tool ?? '?')} ${typeof args === 'string' ? cut(printable(args)) : short(args ?? null)}`;
  if (data.event_kind !== 'function_tool_call') return `${kind} ${call}`;
  return data.args_valid === false ? `${call} (arguments refused)` : call;
}

function resultOf({ part_kind: kind, tool_name: tool, content }: WirePart): string {
  return `${printable(tool ?? '?')} ${kind === 'retry-prompt' ? 'shall be called again: ' : 'returned '}${short(content ?? null)}`;
}

/** Characters of a detail; a line that wraps is hard to read. */
const MAX_DETAIL = 90;

function short(value: unknown): string {
  return cut(printable(JSON.stringify(value)));
}

function cut(text: string): string {
  return text.length <= MAX_DETAIL ? text : `${text.slice(0, MAX_DETAIL)}…`;
}

/** Without what would move the cursor or colour the terminal. */
function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '\ufffd');
}
