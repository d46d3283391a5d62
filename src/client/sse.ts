// Server-sent events from text (WHATWG HTML §9.2.6, spec 01 §8.3): lines end in LF, CR or CRLF and nowhere else, comments
// and frames without data are dropped. Knows nothing of runs.

/** One dispatched frame. */
export interface Frame {
  /** Of this frame; null when it had none. */
  readonly id: string | null;
  readonly event: string | null;
  /** `data` lines joined by LF. */
  readonly data: string;
}

/** The most characters that one frame may have (64 Mi): beyond, somebody is not sending events. */
export const MAX_FRAME_CHARS = 64 * 1024 * 1024;

const COLON = 58;
const SPACE = 32;

/** Thrown when a frame is too large. */
export class FrameTooLargeError extends Error {}

/** Takes text as it comes and gives the frames that it completes. */
export class FrameReader {
  readonly #maxChars: number;
  /** The line that has begun, as it came: joined once, however many pieces it has. */
  #pieces: string[] = [];
  /** The text so far ended in CR: an LF that follows belongs to it. */
  #afterCr = false;
  #id: string | null = null;
  #event: string | null = null;
  /** Lines joined by LF; null: there was none. */
  #data: string | null = null;
  /** Characters of the frame so far. */
  #size = 0;

  constructor(maxChars = MAX_FRAME_CHARS) {
    this.#maxChars = maxChars;
  }

  /** @throws FrameTooLargeError */
  push(text: string): readonly Frame[] {
    if (text === '') return [];
    const frames: Frame[] = [];
    let start = this.#afterCr && text[0] === '\n' ? 1 : 0;
    this.#afterCr = text.endsWith('\r');
    let lf = text.indexOf('\n', start);
    let cr = text.indexOf('\r', start);
    while (lf !== -1 || cr !== -1) {
      const end = cr === -1 || (lf !== -1 && lf < cr) ? lf : cr;
      if (this.#pieces.length === 0) this.#line(text, start, end, frames);
      else this.#rest(text.slice(start, end), frames);
      start = end === cr && lf === cr + 1 ? end + 2 : end + 1;
      if (lf !== -1 && lf < start) lf = text.indexOf('\n', start);
      if (cr !== -1 && cr < start) cr = text.indexOf('\r', start);
    }
    if (start < text.length) {
      this.#pieces.push(text.slice(start));
      this.#grow(text.length - start);
    }
    return frames;
  }

  /** The end of a line that has begun before. */
  #rest(end: string, frames: Frame[]): void {
    this.#pieces.push(end);
    const line = this.#pieces.join('');
    this.#pieces = [];
    // What came before the end was counted as it came.
    this.#size -= line.length - end.length;
    this.#line(line, 0, line.length, frames);
  }

  /** The line from `start` to `end`: taken apart in its place, because most of it is never looked at alone. */
  #line(text: string, start: number, end: number, frames: Frame[]): void {
    if (start === end) {
      if (this.#data !== null) frames.push({ id: this.#id, event: this.#event, data: this.#data });
      this.#id = null;
      this.#event = null;
      this.#data = null;
      this.#size = 0;
      return;
    }
    // One more for the line's end, or lines without text would be free.
    this.#grow(end - start + 1);
    let colon = start;
    while (colon < end && text.charCodeAt(colon) !== COLON) {
      // No field's name is longer.
      if (colon - start > 5) return;
      colon += 1;
    }
    const value = (): string => text.slice(text.charCodeAt(colon + 1) === SPACE ? colon + 2 : colon + 1, end);
    switch (text.slice(start, colon)) {
      case 'data':
        this.#data = this.#data === null ? value() : `${this.#data}\n${value()}`;
        return;
      case 'event':
        this.#event = value();
        return;
      case 'id': {
        const id = value();
        if (!id.includes('\0')) this.#id = id;
      }
    }
  }

  #grow(chars: number): void {
    this.#size += chars;
    if (this.#size > this.#maxChars) throw new FrameTooLargeError(`a frame of more than ${this.#maxChars} characters`);
  }
}
