// A server and its load in one process, run by test/app.test.ts as a process of its own: prints what is left after each
// round as one JSON line, stops the server, and must then end by itself, because no timer or socket is left.

import { heapStats } from 'bun:jsc';
import { readdirSync } from 'node:fs';
import { createApp } from '../../src/app.ts';
import { loadSettings } from '../../src/config/load.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import { createRun, FOREVER, finish, scripted } from './runs.ts';
import { openSse } from './sse.ts';

/** What is left after a round. */
export interface Remains {
  readonly objects: number;
  readonly descriptors: number;
}

/** Runs, failed runs and broken streams of one round, each. */
const PER_ROUND = 300;
const ROUNDS = 4;

async function round(url: string, endless: string): Promise<void> {
  let left = PER_ROUND;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const run = await finish(url, await createRun(url, scripted([[{ text: 'a' }, { text: 'b', repeat: 5 }]])));
      await finish(url, await createRun(url, scripted([[{ text: 'a' }]], { prompt: ' ' })));
      for (const runId of [endless, run.runId]) {
        const { frames } = await openSse(url, runId);
        for await (const _ of frames) break;
      }
    }
  };
  await Promise.all(Array.from({ length: 10 }, worker));
}

async function remains(): Promise<Remains> {
  // What sockets hold is given back some turns after they closed; runs that just ended are remembered for a second (store/live.ts).
  for (let i = 0; i < 220; i += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  Bun.gc(true);
  return { objects: heapStats().objectCount, descriptors: readdirSync('/proc/self/fd').length };
}

async function main(): Promise<void> {
  const loaded = loadSettings(
    {
      DIFY_AGENT_PORT: '0',
      DIFY_AGENT_STORE_URL: 'sqlite::memory:',
      DIFY_AGENT_ENABLE_SCRIPTED_MODEL: 'true',
      DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0',
    },
    null,
  );
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  const app = createApp(loaded.settings, { logger: noopLogger });
  const { url } = await app.start();
  const endless = await createRun(url, scripted([[{ text: 'a' }, FOREVER]]));
  for (let i = 0; i < ROUNDS; i += 1) {
    await round(url, endless);
    console.log(JSON.stringify(await remains()));
  }
  await app.stop();
}

if (import.meta.main) void main();
