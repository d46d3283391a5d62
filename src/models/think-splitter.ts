// Splits streamed text into thinking and answer at `<think>` and `</think>` (spec 03 §4.3). Tags may be cut anywhere
// between chunks; what could be the start of a tag is held back. Newlines are kept as they come.

import type { ModelDelta } from '../agent/model.ts';

const OPEN = '<think>';
const CLOSE = '</think>';

/** The splitter of one response. */
export interface ThinkSplitter {
  /** Appends what `text` makes certain to `out`. */
  push(text: string, out: ModelDelta[]): void;
  /** The stream is over: what was held back is ordinary text (or thinking). */
  flush(out: ModelDelta[]): void;
}

/** A splitter at the start of a response: outside. */
export function createThinkSplitter(): ThinkSplitter {
  let inside = false;
  let pending = '';

  const emit = (text: string, out: ModelDelta[]): void => {
    if (text !== '') out.push({ kind: inside ? 'thinking' : 'text', text });
  };

  return {
    push(text, out) {
      if (pending === '' && !text.includes('<')) {
        emit(text, out);
        return;
      }
      let rest = pending + text;
      pending = '';
      for (;;) {
        const tag = inside ? CLOSE : OPEN;
        const at = rest.indexOf(tag);
        if (at < 0) {
          const held = heldBack(rest, tag);
          emit(rest.slice(0, rest.length - held), out);
          pending = rest.slice(rest.length - held);
          return;
        }
        emit(rest.slice(0, at), out);
        inside = !inside;
        rest = rest.slice(at + tag.length);
        if (rest === '') return;
      }
    },
    flush(out) {
      emit(pending, out);
      pending = '';
    },
  };
}

/** Length of the longest end of `text` that is a proper beginning of `tag`. */
function heldBack(text: string, tag: string): number {
  for (let length = Math.min(tag.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(tag.slice(0, length))) return length;
  }
  return 0;
}

/**
 * The seed's rule for text inside a content list: complete `<think>…</think>` pairs become thinking parts of their own,
 * without newlines around and dropped when empty; the text between them is plain (spec 03 §4.2 item 3).
 */
export function splitListText(text: string, out: ModelDelta[]): void {
  let start = 0;
  for (;;) {
    const open = text.indexOf(OPEN, start);
    const close = open < 0 ? -1 : text.indexOf(CLOSE, open + OPEN.length);
    const end = close < 0 ? text.length : open;
    if (end > start) out.push({ kind: 'text', text: text.slice(start, end) });
    if (close < 0) return;
    const thinking = trimNewlines(text.slice(open + OPEN.length, close));
    if (thinking !== '') out.push({ kind: 'thinking_part', text: thinking });
    start = close + CLOSE.length;
  }
}

function trimNewlines(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && text.charCodeAt(start) === 10) start++;
  while (end > start && text.charCodeAt(end - 1) === 10) end--;
  return text.slice(start, end);
}
