// A process of its own that reads many streams at once with the client, so that its memory is the client's alone. Reads a
// plan from standard input, prints what each stream got as a digest, and its largest resident size.

import { Client } from '../../src/client/client.ts';

export interface Plan {
  readonly url: string;
  readonly runIds: readonly string[];
  /** Streams of each run. */
  readonly readers: number;
  readonly idleTimeoutMs: number;
  readonly reconnectDelayMs: number;
}

export interface Report {
  /** Of each run, what each of its readers saw: the ids, hashed in order. */
  readonly digests: readonly (readonly string[])[];
  readonly events: number;
  /** Texts of streams that failed. */
  readonly failures: readonly string[];
  readonly maxRssMegabytes: number;
  readonly elapsedMs: number;
}

/** The digest of a sequence of ids. */
export function digestOf(ids: Iterable<string>): string {
  const hash = new Bun.CryptoHasher('sha1');
  let count = 0;
  for (const id of ids) {
    hash.update(`${id}\n`);
    count += 1;
  }
  return `${count} ${hash.digest('hex')}`;
}

async function main(): Promise<void> {
  const { url, runIds, readers, ...options } = JSON.parse(await Bun.stdin.text()) as Plan; // many.ts wrote it
  const client = new Client({ baseUrl: url, fetch: (input, init) => fetch(input, { ...init, proxy: false }) });
  const failures: string[] = [];
  let events = 0;
  let maxRss = 0;
  const sampler = setInterval(() => {
    maxRss = Math.max(maxRss, process.memoryUsage.rss());
  }, 50);
  const begun = performance.now();
  const read = async (runId: string): Promise<string> => {
    const ids: string[] = [];
    try {
      for await (const { id } of client.streamEvents(runId, { ...options, maxReconnects: 50 })) {
        ids.push(id);
        events += 1;
      }
    } catch (error) {
      failures.push(String(error));
    }
    return digestOf(ids);
  };
  const digests = await Promise.all(
    runIds.map((runId) => Promise.all(Array.from({ length: readers }, () => read(runId)))),
  );
  clearInterval(sampler);
  const report: Report = {
    digests,
    events,
    failures,
    maxRssMegabytes: maxRss / 1e6,
    elapsedMs: performance.now() - begun,
  };
  process.stdout.write(JSON.stringify(report));
}

if (import.meta.main) void main();
