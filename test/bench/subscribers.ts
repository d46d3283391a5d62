// The readers of the live measurements, in a process of its own: posts runs, opens SSE streams on them, lets the daemon begin, and
// notes how old each chunk is when it arrives (bench-clock-daemon.ts wrote the time into it). Jobs come from live-measures.ts.

import { preciseNow } from '../fakes/bench-clock-daemon.ts';
import { Connection, getRequest, postRequest } from './http1.ts';
import { serveJobs } from './worker.ts';

/** What to do. `open` first, then `follow`, once. */
export type SubscriberJob =
  | {
      readonly do: 'open';
      readonly url: string;
      readonly body: string;
      readonly runs: number;
      readonly streamsPerRun: number;
    }
  | {
      readonly do: 'follow';
      readonly daemon: string;
      /** Ages of the first chunks of a stream that do not count. */
      readonly ignored: number;
    };

/** What was seen. */
export interface Followed {
  /** Of all chunks that count, ms, in order of size. */
  readonly ages: readonly number[];
  readonly frames: number;
  readonly seconds: number;
}

/** Ages that are handed over at most: evenly chosen from the sorted ones, with both ends. */
const MOST_AGES = 20_000;
/** Where a delta carries its time; the first chunk and the answer as a whole stand elsewhere. */
const DELTA = '"content_delta":"@';
const TIME_LENGTH = '0000000000000.000'.length;

class Subscribers {
  #url = '';
  #streams: Stream[] = [];

  async open(job: Extract<SubscriberJob, { do: 'open' }>): Promise<{ readonly streams: number }> {
    this.#url = job.url;
    const connection = new Connection(job.url);
    const runIds: string[] = [];
    for (let run = 0; run < job.runs; run += 1) {
      const { status, body } = await connection.send(postRequest('/runs', job.body));
      const runId = /"run_id":"([^"]+)"/.exec(body)?.[1];
      if (status !== 202 || runId === undefined) throw new Error(`POST: ${status} ${body}`);
      runIds.push(runId);
    }
    connection.close();
    const paths = runIds.flatMap((runId) => new Array<string>(job.streamsPerRun).fill(`/runs/${runId}/events/sse`));
    for (let index = 0; index < paths.length; index += 50) {
      const opened = paths.slice(index, index + 50).map((path) => Stream.open(this.#url, path));
      this.#streams.push(...(await Promise.all(opened)));
    }
    return { streams: this.#streams.length };
  }

  async follow(job: Extract<SubscriberJob, { do: 'follow' }>): Promise<Followed> {
    const gate = new Connection(job.daemon);
    const started = performance.now();
    const { status } = await gate.send(postRequest('/open', ''));
    if (status !== 200) throw new Error(`the gate: ${status}`);
    await Promise.all(this.#streams.map((stream) => stream.over));
    const seconds = (performance.now() - started) / 1000;
    gate.close();
    const frames = this.#streams.reduce((sum, stream) => sum + stream.frames, 0);
    const ages = this.#streams.flatMap((stream) => stream.ages.slice(job.ignored)).sort((a, b) => a - b);
    return { ages: thinned(ages), frames, seconds };
  }
}

/** One SSE stream. */
class Stream {
  readonly ages: number[] = [];
  frames = 0;
  readonly #over = Promise.withResolvers<void>();
  #rest = '';

  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Resolves with the first bytes. */
  static async open(url: string, path: string): Promise<Stream> {
    const { hostname, port } = new URL(url);
    const stream = new Stream();
    const first = Promise.withResolvers<void>();
    const socket = await Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        data(opened, bytes) {
          first.resolve();
          if (stream.#data(bytes)) opened.terminate();
        },
        close: () => stream.#over.reject(new Error('a stream ended early')),
        error: (_, error) => stream.#over.reject(error),
      },
    });
    stream.over.catch(() => {}); // `follow` awaits it later
    socket.write(getRequest(path));
    await first.promise;
    return stream;
  }

  /** True: the terminal event has come. */
  #data(bytes: Buffer): boolean {
    const now = preciseNow();
    const frames = (this.#rest + bytes.toString('latin1')).split('\n\n');
    this.#rest = frames.pop() ?? '';
    let ended = false;
    for (const frame of frames) {
      const at = frame.indexOf(DELTA);
      if (at >= 0) this.ages.push(now - Number(frame.slice(at + DELTA.length, at + DELTA.length + TIME_LENGTH)));
      if (frame.includes('\ndata: ')) this.frames += 1;
      if (frame.includes('event: run_failed')) this.#over.reject(new Error(frame));
      ended ||= frame.includes('event: run_succeeded');
    }
    if (ended) this.#over.resolve();
    return ended;
  }
}

function thinned(sorted: readonly number[]): readonly number[] {
  if (sorted.length <= MOST_AGES) return sorted;
  const step = (sorted.length - 1) / (MOST_AGES - 1);
  return Array.from({ length: MOST_AGES }, (_, index) => sorted[Math.round(index * step)] ?? Number.NaN);
}

if (import.meta.main) {
  const subscribers = new Subscribers();
  void serveJobs<SubscriberJob>((job) => (job.do === 'open' ? subscribers.open(job) : subscribers.follow(job)));
}
