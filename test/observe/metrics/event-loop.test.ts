// The delay of the event loop is seen when it happens, and does not keep the process alive.

import { expect, test } from 'bun:test';
import { measureLoopDelay } from '../../../src/observe/metrics/event-loop.ts';
import { until } from '../../support/until.ts';

test('a loop that stands still is told, in the sums and as the longest of the last minute', async () => {
  const loop = measureLoopDelay();
  try {
    await until('the first measure', () => loop.seconds.count > 0);
    const before = loop.seconds.count;
    const end = performance.now() + 350;
    while (performance.now() < end);
    await until('the next measure', () => loop.seconds.count > before);
    expect(loop.recentMax).toBeGreaterThan(0.2);
    expect(loop.seconds.sum).toBeGreaterThan(0.2);
  } finally {
    loop.stop();
  }
});

test('nothing waits for it', async () => {
  const path = new URL('../../../src/observe/metrics/event-loop.ts', import.meta.url).pathname;
  const code = `import { measureLoopDelay } from ${JSON.stringify(path)}; measureLoopDelay();`;
  const child = Bun.spawn([process.execPath, '-e', code], { stdin: 'ignore', stdout: 'ignore', stderr: 'inherit' });
  expect(await child.exited).toBe(0);
});
