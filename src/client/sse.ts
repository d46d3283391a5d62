// Server-sent events from bytes (WHATWG HTML §9.2.6, spec 01 §8.3): lines end in LF, CR or CRLF and nowhere else, comments
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

/** Thrown when a frame is larger than MAX_FRAME_CHARS. */
export class FrameTooLargeError extends Error {
  constructor() {
    super(`an SSE frame of more than ${MAX_FRAME_CHARS} characters`);
  }
}

/** Takes text as it comes and gives the frames that it completes. */
export class FrameReader {
  #rest = '';
  /** Where the search for the next line end goes on. */
  #searched = 0;
  #id: string | null = null;
  #event: string | null = null;
  #data: string[] = [];
  #size = 0;

  push(text: string): readonly Frame[] {
    const frames: Frame[] = [];
    const all = this.#rest === '' ? text : this.#rest + text;
    let start = 0;
    let at = this.#rest === '' ? 0 : this.#searched;
    // Hardly anybody sends CR: looked for once, not for every line.
    const next = all.includes('\r') ? lineEnd : (text: string, from: number) => text.indexOf('\n', from);
    for (;;) {
      const end = next(all, at);
      // A CR at the very end may be half of a CRLF.
      if (end === -1 || (all[end] === '\r' && end === all.length - 1)) break;
      this.#line(all.slice(start, end), frames);
      start = end + (all[end] === '\r' && all[end + 1] === '\n' ? 2 : 1);
      at = start;
    }
    this.#rest = all.slice(start);
    this.#searched = Math.max(0, this.#rest.length - 1);
    if (this.#rest.length + this.#size > MAX_FRAME_CHARS) throw new FrameTooLargeError();
    return frames;
  }

  #line(line: string, frames: Frame[]): void {
    if (line === '') {
      if (this.#data.length > 0) {
        const data = this.#data.length === 1 ? (this.#data[0] ?? '') : this.#data.join('\n');
        frames.push({ id: this.#id, event: this.#event, data });
      }
      this.#id = null;
      this.#event = null;
      this.#data = [];
      this.#size = 0;
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return;
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (name === 'data') {
      this.#data.push(value);
      this.#size += value.length;
    } else if (name === 'event') this.#event = value;
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
  }
}

/** The next LF or CR from `at` on, or -1. */
function lineEnd(text: string, at: number): number {
  const lf = text.indexOf('\n', at);
  const cr = text.indexOf('\r', at);
  if (cr === -1) return lf;
  return lf === -1 ? cr : Math.min(lf, cr);
}
