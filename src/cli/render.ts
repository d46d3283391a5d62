// Events of a run for a reader at a terminal: text as it comes, thinking in grey, a tool call and its result on a line each.

import type { RunEvent, StreamEventData } from '../client/types.ts';

/** Gets events in order and gives what is to be printed. */
export interface Renderer {
  /** Ready to print, line breaks included; often empty. */
  render(event: RunEvent): string;
}

const RESET = '\x1b[0m';
const GREY = '\x1b[90m';
const RED = '\x1b[31m';
const CYAN = '\x1b[36m';
/** Columns of arguments and results; the rest is in `--json`. */
const MAX_DETAIL = 160;
/** Terminals that say they are narrower (some say 0) do not know. */
const MIN_COLUMNS = 20;

/** `columns`: of the terminal, which a tool call does not exceed; null: there is none. */
export function createRenderer(colour: boolean, columns: number | null = null): Renderer {
  const paint = (code: string, text: string): string => (colour && text !== '' ? `${code}${text}${RESET}` : text);
  /** What is being written: the next thing of another kind begins on a new line. */
  let open: 'text' | 'thinking' | null = null;
  /** The model has said something since its last tool call. */
  let spoken = false;

  const close = (): string => {
    const end = open === null ? '' : '\n';
    open = null;
    return end;
  };
  const say = (kind: 'text' | 'thinking', text: string): string => {
    if (text === '') return '';
    const before = open === null || open === kind ? '' : '\n';
    open = kind;
    if (kind === 'text') spoken = true;
    return before + (kind === 'thinking' ? paint(GREY, printable(text)) : printable(text));
  };
  const line = (code: string, text: string): string => `${close()}${paint(code, text)}\n`;
  const folded = (code: string, text: string): string =>
    line(code, columns === null ? text : cut(text, Math.max(MIN_COLUMNS, columns)));

  function stream(data: StreamEventData): string {
    switch (data.event_kind) {
      case 'part_start': {
        const { part } = data;
        return part.part_kind === 'text' || part.part_kind === 'thinking'
          ? close() + say(part.part_kind, part.content)
          : '';
      }
      case 'part_delta': {
        const { part_delta_kind: kind, content_delta: text } = data.delta;
        return kind === 'text' || kind === 'thinking' ? say(kind, text ?? '') : '';
      }
      case 'function_tool_call':
      case 'output_tool_call':
        spoken = false;
        return folded(CYAN, `→ ${onOneLine(data.part.tool_name)} ${short(data.part.args)}`);
      case 'function_tool_result':
      case 'output_tool_result': {
        const part = data.part ?? data.result;
        const refused = part.part_kind === 'retry-prompt' ? 'to be called again: ' : '';
        return folded(GREY, `← ${onOneLine(part.tool_name ?? '')} ${refused}${short(part.content)}`);
      }
      default:
        return '';
    }
  }

  /** A text has been shown while it came, unless it came whole or before the cursor. */
  function result(output: unknown): string {
    if (output === undefined || (typeof output === 'string' && (spoken || output === ''))) return close();
    return `${close()}${printable(typeof output === 'string' ? output : JSON.stringify(output, null, 2))}\n`;
  }

  return {
    render(event) {
      switch (event.type) {
        case 'run_started':
          return '';
        case 'pydantic_ai_event':
          return stream(event.data);
        case 'run_succeeded':
          return result(event.data.output);
        case 'run_failed':
          return line(RED, `failed: ${printable(event.data.error)}${reasonOf(event.data.reason)}`);
        case 'run_cancelled':
          return line(RED, `cancelled${reasonOf(event.data.message ?? event.data.reason)}`);
      }
    },
  };
}

function reasonOf(reason: string | null | undefined): string {
  return reason == null ? '' : ` (${printable(reason)})`;
}

function short(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return cut(onOneLine(text), MAX_DETAIL + 1);
}

/** Printable, and nothing that could pass for another line. */
export function onOneLine(text: string): string {
  return printable(text).replaceAll(/\s+/g, ' ');
}

/** At most so many columns: characters of two columns count as two, none is halved. */
function cut(text: string, columns: number): string {
  return Bun.sliceAnsi(text, 0, columns, '…');
}

/**
 * Without what would move the cursor, colour the terminal, write elsewhere, or turn the direction of writing (which can make
 * "deny" look like "allow"); line breaks and tabs stay.
 */
export function printable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '\ufffd');
}

/** One line of JSON; what `printable` replaces is escaped, which JSON.stringify does below U+0020 alone. */
export function jsonLine(value: unknown): string {
  const text = JSON.stringify(value).replaceAll(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${text}\n`;
}
