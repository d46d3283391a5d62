// Bytes of a body → lines of text. Splits on LF and CRLF only: text may contain U+0085 and U+2028 (spec 03 §10.1).
// Characters split across reads are put together; a read is decoded once.

import { DaemonProtocolError } from './errors.ts';

/** Longest line in UTF-16 units (spec 03 §10.9). A plugin's own limit is 5 MiB of bytes. */
export const MAX_LINE_LENGTH = 8 * 1024 * 1024;

/** Cuts a body into lines. One per response. */
export interface LineReader {
  /** Appends the lines that these bytes complete, without their ends, to `out`. Throws when a line is too long. */
  push(bytes: Uint8Array, out: string[]): void;
  /** Appends the unfinished last line, if any. */
  end(out: string[]): void;
}

/** A reader that has seen nothing yet. */
export function createLineReader(maxLength: number = MAX_LINE_LENGTH): LineReader {
  const decoder = new TextDecoder();
  // The unfinished line, in the pieces in which it came: joined once, so that long lines cost linear time.
  let pieces: string[] = [];
  let pending = 0;

  const add = (line: string, out: string[]): void => {
    if (line.length > maxLength) throw tooLong(maxLength);
    out.push(line.endsWith('\r') ? line.slice(0, -1) : line);
  };
  const keep = (text: string): void => {
    if (text === '') return;
    pending += text.length;
    if (pending > maxLength) throw tooLong(maxLength);
    pieces.push(text);
  };
  const feed = (text: string, out: string[]): void => {
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      const tail = text.slice(start, end);
      if (pending === 0) add(tail, out);
      else {
        pieces.push(tail);
        const line = pieces.join('');
        pieces = [];
        pending = 0;
        add(line, out);
      }
      start = end + 1;
    }
    keep(start === 0 ? text : text.slice(start));
  };

  return {
    push: (bytes, out) => feed(decoder.decode(bytes, { stream: true }), out),
    end(out) {
      feed(decoder.decode(), out);
      if (pending === 0) return;
      add(pieces.join(''), out);
      pieces = [];
      pending = 0;
    },
  };
}

/** The error of a line, or of the joined lines of an event, beyond the limit. */
export function tooLong(maxLength: number): DaemonProtocolError {
  return new DaemonProtocolError('line_too_long', `Plugin daemon sent a line longer than ${maxLength} characters`);
}
