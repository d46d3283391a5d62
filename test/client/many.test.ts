// Many streams at once through a proxy that does to connections what networks do, in Bun and in Node: the short version of
// `bun test/client/many.ts`. How much memory it takes is that script's to say.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { startServer, type TestServer } from '../support/server.ts';
import { type Load, manyStreams, type Runtime, SEPARATE_EVENTS } from './many.ts';
import { FATES } from './unruly-proxy.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ env: SEPARATE_EVENTS });
}, 180_000);
afterAll(() => server.dispose());

/** More streams than the proxy's deck has cards, so that every fate is met. */
const LOADS: readonly (readonly [Runtime, Pick<Load, 'runs' | 'readers' | 'seed'>])[] = [
  ['bun', { runs: 6, readers: 10, seed: 1 }],
  ['node', { runs: 5, readers: 9, seed: 2 }],
];

test.concurrent.each(LOADS)(
  'in %s every stream hands out every event once, in order, whatever happens to its connections',
  async (runtime, load) => {
    const result = await manyStreams(server, {
      ...load,
      runtime,
      pieces: 40,
      pieceDelayMs: 25,
      idleTimeoutMs: 1_000,
    });
    expect(result.failures).toEqual([]);
    expect(result.wrong).toEqual([]);
    expect(FATES.filter((fate) => result.fates[fate] === 0)).toEqual([]);
    // What a run publishes: its start, the part's start and end, 40 pieces, …
    expect(result.events).toBeGreaterThan(load.runs * load.readers * 40);
  },
  120_000,
);
