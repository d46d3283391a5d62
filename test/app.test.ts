// The whole server in one process: what a long life leaves behind.

import { expect, test } from 'bun:test';
import { join } from 'node:path';
import type { Remains } from './support/leak-probe.ts';

test('runs, failed runs and broken streams leave no objects, descriptors or timers behind', async () => {
  const probe = Bun.spawn([process.execPath, join(import.meta.dir, 'support/leak-probe.ts')], {
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const output = await new Response(probe.stdout).text();
  // It ends by itself: no timer and no socket is left after the stop.
  expect(await probe.exited).toBe(0);
  const rounds = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Remains);
  const [, second, , fourth] = rounds;
  if (second === undefined || fourth === undefined) throw new Error(`too few rounds: ${output}`);
  // Two rounds between: 1,200 runs and 1,200 streams. One object left by each would be 2,400.
  expect(fourth.objects - second.objects).toBeLessThan(300);
  expect(fourth.descriptors - second.descriptors).toBeLessThan(20);
}, 60_000);
