// A process of its own that reads many streams at once with the client, so that its memory is the client's alone. Reads a
// plan from standard input, prints what each stream got as a digest, and its largest resident size. Runs in Bun and in Node.

import { Client } from '../../src/client/client.ts';
import type { RunEvent } from '../../src/client/types.ts';

export interface Plan {
  readonly url: string;
  readonly runIds: readonly string[];
  /** Streams of each run. */
  readonly readers: number;
  readonly idleTimeoutMs: number;
  readonly reconnectDelayMs: number;
}

export interface Report {
  /** Of each run, what each of its readers saw. */
  readonly digests: readonly (readonly string[])[];
  readonly events: number;
  /** Texts of streams that failed, and of rejections that nobody handled. */
  readonly failures: readonly string[];
  /** Before the first stream. */
  readonly emptyMegabytes: number;
  readonly mostMegabytes: number;
  readonly elapsedMs: number;
}

/**
 * A sequence of events in one text, however long it is: FNV-1a over ids and spoken text, which sees what is missing, twice, out
 * of order or changed. Makes no garbage, which would count as the client's.
 */
export class Digest {
  #hash = 0x811c9dc5;
  #count = 0;

  add(event: RunEvent): void {
    this.#mix(event.id);
    this.#mix(event.type);
    if (event.type === 'pydantic_ai_event' && event.data.event_kind === 'part_delta') {
      this.#mix(event.data.delta.content_delta ?? '');
    }
    if (event.type === 'run_succeeded') this.#mix(JSON.stringify(event.data));
    this.#count += 1;
  }

  text(): string {
    return `${this.#count} ${(this.#hash >>> 0).toString(16)}`;
  }

  #mix(text: string): void {
    let hash = this.#hash;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    this.#hash = Math.imul(hash ^ 10, 0x01000193);
  }
}

/** Reads all streams of a plan. */
export async function readAll({ url, runIds, readers, ...options }: Plan): Promise<Report> {
  const client = new Client({ baseUrl: url });
  const failures: string[] = [];
  process.on('unhandledRejection', (reason) => failures.push(`unhandled: ${String(reason)}`));
  const megabytes = (): number => process.memoryUsage().rss / 1e6;
  const emptyMegabytes = megabytes();
  let mostMegabytes = emptyMegabytes;
  let events = 0;
  const sampler = setInterval(() => {
    mostMegabytes = Math.max(mostMegabytes, megabytes());
  }, 50);
  const begun = performance.now();
  const read = async (runId: string): Promise<string> => {
    const digest = new Digest();
    try {
      for await (const event of client.streamEvents(runId, { ...options, maxReconnects: 50 })) {
        digest.add(event);
        events += 1;
      }
    } catch (error) {
      failures.push(String(error));
    }
    return digest.text();
  };
  const digests = await Promise.all(
    runIds.map((runId) => Promise.all(Array.from({ length: readers }, () => read(runId)))),
  );
  clearInterval(sampler);
  return { digests, events, failures, emptyMegabytes, mostMegabytes, elapsedMs: performance.now() - begun };
}

async function main(): Promise<void> {
  const pieces: Uint8Array[] = [];
  for await (const piece of process.stdin) pieces.push(piece);
  const plan = JSON.parse(Buffer.concat(pieces).toString('utf8')) as Plan; // many.ts wrote it
  process.stdout.write(JSON.stringify(await readAll(plan)));
}

// Whatever imports this file wants the rest of it.
if (process.argv[2] === 'read') void main();
