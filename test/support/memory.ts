// Memory of the process that runs the tests, which it shares with other tests and with the clients in it.

import { until } from './until.ts';

/** Resolves once the resident memory is less than `bytes` above `before` (`process.memoryUsage().rss`), garbage collected. */
export async function residentWithin(before: number, bytes: number): Promise<void> {
  await until(`resident memory to be within ${bytes} bytes of what it was`, () => {
    Bun.gc(true);
    return process.memoryUsage().rss - before < bytes;
  });
}
