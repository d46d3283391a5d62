// Reads server-sent events as the reference's strictest client does (spec 01 §8.3): the V1 line boundaries, and an
// unknown key, an unknown type or a mismatch between frame and payload is an error. Comments are kept apart, because
// heartbeats are allowed. Knows HTTP only through fetch.

import { checkEvent } from './strict-client.ts';

/** One dispatched frame. */
export interface SseFrame {
  readonly id: string;
  readonly event: string;
  /** The data as text, exactly as it came. */
  readonly data: string;
  /** The frame's own bytes as text, up to and including the empty line; comments left out. */
  readonly raw: string;
}

/** What a response of a stream contained. */
export interface SseReading {
  readonly frames: readonly SseFrame[];
  readonly comments: number;
  readonly headers: Headers;
}

/** Splits text into frames; feed it chunks in order. Throws on what a strict client cannot read. */
export class SseParser {
  comments = 0;
  #rest = '';

  /** Returns the frames that `text` completes. */
  feed(text: string): SseFrame[] {
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    return blocks.flatMap((block) => this.#frame(block));
  }

  /** To be called at the end of the response: an unfinished frame is an error. */
  end(): void {
    if (this.#rest !== '') throw new Error(`the stream ended inside a frame: ${this.#rest.slice(0, 200)}`);
  }

  #frame(block: string): SseFrame[] {
    if (/[\r\v\f\u001c-\u001e\u0085\u2028\u2029]/.test(block)) {
      throw new Error(`a line boundary of the V1 client inside a frame: ${JSON.stringify(block.slice(0, 200))}`);
    }
    const lines = block.split('\n').filter((line) => {
      if (line.startsWith(':')) this.comments += 1;
      return !line.startsWith(':') && line !== '';
    });
    if (lines.length === 0) return [];
    const [id, event, data, ...others] = lines;
    if (!id?.startsWith('id: ') || !event?.startsWith('event: ') || !data?.startsWith('data: ') || others.length > 0) {
      throw new Error(`not exactly id, event, data: ${JSON.stringify(block.slice(0, 200))}`);
    }
    const frame = { id: id.slice(4), event: event.slice(7), data: data.slice(6), raw: `${lines.join('\n')}\n\n` };
    checkEvent(frame);
    return [frame];
  }
}

/** Options of a reader. */
export interface StreamOptions {
  readonly after?: string;
  readonly lastEventId?: string;
  readonly signal?: AbortSignal;
}

/** Opens a stream: resolves when the headers are there. Throws when the answer is not an event stream. */
export async function openSse(
  baseUrl: string,
  runId: string,
  options: StreamOptions = {},
): Promise<{ readonly headers: Headers; readonly frames: AsyncGenerator<SseFrame>; readonly comments: () => number }> {
  const query = options.after === undefined ? '' : `?after=${encodeURIComponent(options.after)}`;
  const response = await fetch(`${baseUrl}/runs/${runId}/events/sse${query}`, {
    proxy: false,
    ...(options.lastEventId === undefined ? {} : { headers: { 'last-event-id': options.lastEventId } }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  } as RequestInit);
  const body = response.body;
  if (response.status !== 200 || body === null) {
    throw new Error(`${response.status} instead of a stream: ${await response.text()}`);
  }
  const parser = new SseParser();
  async function* frames(stream: ReadableStream<Uint8Array>): AsyncGenerator<SseFrame> {
    const decoder = new TextDecoder('utf-8', { fatal: true });
    for await (const chunk of stream) yield* parser.feed(decoder.decode(chunk, { stream: true }));
    decoder.decode();
    parser.end();
  }
  return { headers: response.headers, frames: frames(body), comments: () => parser.comments };
}

/** Reads a stream until the server closes it. */
export async function readSse(baseUrl: string, runId: string, options: StreamOptions = {}): Promise<SseReading> {
  const { headers, frames, comments } = await openSse(baseUrl, runId, options);
  const all = await Array.fromAsync(frames);
  return { frames: all, comments: comments(), headers };
}
