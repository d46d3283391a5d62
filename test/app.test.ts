// The whole server in one process: what a long life leaves behind.

import { expect, test } from 'bun:test';
import { join } from 'node:path';
import type { Remains } from './support/leak-probe.ts';
import { withRedis } from './support/redis-process.ts';

/** Runs a probe of test/support to its end: what was left after its second and its last round. */
async function probe(...words: readonly [script: string, ...args: string[]]): Promise<readonly [Remains, Remains]> {
  const [script, ...args] = words;
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'support', script), ...args], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const output = await new Response(child.stdout).text();
  // It ends by itself: no timer and no socket is left after the stop.
  expect(await child.exited).toBe(0);
  const rounds = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Remains); // what the probe prints
  const [, second, , fourth] = rounds;
  if (second === undefined || fourth === undefined) throw new Error(`too few rounds: ${output}`);
  return [second, fourth];
}

test('runs, failed runs and broken streams leave no objects, descriptors or timers behind', async () => {
  const [second, fourth] = await probe('leak-probe.ts');
  // Two rounds between: 1,200 runs and 1,200 streams. One object left by each would be 2,400.
  expect(fourth.objects - second.objects).toBeLessThan(300);
  expect(fourth.descriptors - second.descriptors).toBeLessThan(20);
}, 60_000);

test.each(['sqlite', 'redis'])(
  'nor do cancelled, timed out, repeated, refused, trimmed and rebased ones in %s',
  async (kind) => {
    const url = 'sqlite::memory:';
    const run = (storeUrl: string) => probe('lifecycle-leak-probe.ts', storeUrl);
    const [second, fourth] = kind === 'sqlite' ? await run(url) : await withRedis({}, (redis) => run(redis.url));
    // Two rounds between, 300 runs of each of seven kinds. One object left by each of one kind would be 300.
    expect(fourth.objects - second.objects).toBeLessThan(290);
    // What the client of the same process keeps open comes and goes.
    expect(fourth.descriptors - second.descriptors).toBeLessThan(60);
  },
  120_000,
);
