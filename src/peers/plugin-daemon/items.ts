// Lines of a stream → the data of its items (spec 03 §2.4). Server-sent events as the daemon writes them, tolerant of
// what a proxy might add: comments, other fields, bare JSON lines, data split over several `data:` lines.
// The common line costs one JSON.parse; texts of errors are made on the failure path only.

import { any, int, model, nullable, optional, required, str } from '../../protocol/dialect.ts';
import type { Issue } from '../../validation/issue.ts';
import { invalidJsonIssue, printPydantic } from '../../validation/pydantic.ts';
import { validate } from '../../validation/walker.ts';
import { parseJiter } from '../../wiretext/jiter.ts';
import { toNumber } from '../../wiretext/numbers.ts';
import { pyStrip } from '../../wiretext/strip.ts';
import { DaemonProtocolError, itemRejection } from './errors.ts';
import { MAX_LINE_LENGTH, tooLong } from './lines.ts';

/** `code` is 0 for success; numeric strings are accepted. */
const envelopeSchema = model(
  'PluginDaemonBasicResponse',
  { code: required(int()), message: required(str()), data: optional(nullable(any()), null) },
  { extra: 'ignore' },
);

/** Options of reading. */
export interface ItemReaderOptions {
  /**
   * Keep numbers that a double cannot hold (and `1.0`) as raw numbers and the order of integer-like keys. Default
   * false: the reader of model chunks needs neither, and plain parsing is several times faster.
   */
  readonly exactNumbers?: boolean;
}

/** Turns lines into items. One per response. */
export interface ItemReader {
  /** Appends the data of the item that this line completes, if it does. Throws what ends the stream. */
  line(line: string, out: unknown[]): void;
  /** The body is over: an item that lacks its blank line counts. */
  end(out: unknown[]): void;
}

const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;
const FIELD_LINE = /^(?:event|id|retry):/;

/** A reader at the start of a body. */
export function createItemReader(options: ItemReaderOptions = {}): ItemReader {
  const exact = options.exactNumbers === true;
  // `data:` lines that are no JSON by themselves: the event may go on (joined with LF at the blank line).
  let partial: string | null = null;

  const parse = (text: string): unknown => {
    if (exact || (text.includes('\\u') && SURROGATE_ESCAPE.test(text))) return parseCarefully(text);
    try {
      return JSON.parse(text);
    } catch {
      return parseCarefully(text);
    }
  };

  const complete = (out: unknown[]): void => {
    if (partial === null) return;
    const text = partial;
    partial = null;
    addItem(text, out);
  };

  const addItem = (text: string, out: unknown[]): void => {
    const value = parse(text);
    if (value === MALFORMED) throw malformed(text);
    out.push(dataOf(value));
  };

  /** The first data line of an event: nearly always the whole item. */
  const startEvent = (text: string, out: unknown[]): void => {
    const value = parse(text);
    if (value !== MALFORMED) {
      out.push(dataOf(value));
      return;
    }
    const start = pyStrip(text);
    if (start !== '') partial = start;
  };

  const unusual = (line: string, out: unknown[]): void => {
    const text = pyStrip(line);
    if (text === '') complete(out);
    else if (text.startsWith('data:')) {
      if (partial === null) startEvent(text.slice(5), out);
      else partial = `${partial}\n${pyStrip(text.slice(5))}`;
      if (partial !== null && partial.length > MAX_LINE_LENGTH) throw tooLong(MAX_LINE_LENGTH);
    } else if (!text.startsWith(':') && !FIELD_LINE.test(text)) {
      complete(out);
      addItem(text, out);
    }
  };

  return {
    line(line, out) {
      if (line === '' && partial === null) return;
      if (partial === null && line.startsWith('data:')) startEvent(line.slice(5), out);
      else unusual(line, out);
    },
    end: complete,
  };
}

/** No JSON text yields this. */
const MALFORMED = Symbol('malformed');

function parseCarefully(text: string): unknown {
  const parsed = parseJiter(text);
  return parsed.ok ? parsed.value : MALFORMED;
}

function malformed(line: string): DaemonProtocolError {
  const text = pyStrip(line);
  const parsed = parseJiter(text);
  return badItem([invalidJsonIssue(parsed.ok ? 'malformed item' : parsed.message, text)]);
}

/** The data of a successful envelope; throws for everything else. */
function dataOf(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    const { code, message, data } = value as Record<string, unknown>; // an array has none of them and falls through
    if (code === 0 && typeof message === 'string' && data !== null && data !== undefined) return data;
  }
  const result = validate(envelopeSchema, value, { mode: 'json' });
  if (!result.ok) throw badItem(result.issues);
  const code = toNumber(result.value.code);
  if (code !== 0) throw itemRejection(code, result.value.message);
  if (result.value.data === null) {
    throw new DaemonProtocolError('empty_item', 'Plugin daemon returned an empty stream item');
  }
  return result.value.data;
}

function badItem(issues: readonly Issue[]): DaemonProtocolError {
  return new DaemonProtocolError('bad_item', printPydantic('PluginDaemonBasicResponse', issues, { maskInput: false }));
}
