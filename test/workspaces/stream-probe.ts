// A job's output of so many megabytes, handed on window by window, in a process of its own (test/workspaces/memory.test.ts). Prints
// one JSON line: what came, and how much memory was held in the middle of it beyond what was held before. Arguments: URL, token,
// megabytes.

import { heapStats } from 'bun:jsc';
import { createShellctlClient } from '../../src/peers/shellctl/client.ts';
import { streamToCompletion } from '../../src/workspaces/complete.ts';

/** What the probe saw. */
export interface StreamFacts {
  readonly bytes: number;
  readonly complete: boolean;
  readonly windows: number;
  /** Most bytes of living objects, beyond those before. */
  readonly heldBytes: number;
}

/** Looking means collecting first, which takes time. */
const LOOK_EVERY = 50;

function living(): number {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return Math.max(heapSize, extraMemorySize);
}

async function probe(entrypoint: string, authToken: string, megabytes: number): Promise<StreamFacts> {
  const client = createShellctlClient({ entrypoint, authToken, maxConnections: 8 }, { userAgent: 'probe' });
  const call = { signal: new AbortController().signal, owner: 'run' };
  let windows = 0;
  let before = Number.POSITIVE_INFINITY;
  let most = 0;
  const pass = async (count: number) => {
    const script = `yes '0123456789 abcdefghijklmnopqrstuvwxyz äöü' | head -c ${count * 1_000_000}`;
    const limits = { deadlineMs: 300_000, maxBytes: Number.POSITIVE_INFINITY };
    const look = (): void => {
      windows += 1;
      if (windows % LOOK_EVERY === 0) most = Math.max(most, living());
    };
    return await streamToCompletion(client, { script, cwd: null, env: null }, limits, look, call);
  };
  await pass(1); // what is made once is not counted
  before = living();
  windows = 0;
  most = 0;
  const { bytes, complete } = await pass(megabytes);
  client.close();
  return { bytes, complete, windows, heldBytes: most - before };
}

if (import.meta.main) {
  const [url = '', token = '', megabytes = '1'] = process.argv.slice(2);
  void probe(url, token, Number(megabytes)).then((facts) => console.log(JSON.stringify(facts)));
}
