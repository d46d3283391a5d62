// The benches of issue AGENT in small: they must keep working, whatever they measure.

import { expect, test } from 'bun:test';
import { heapAfter, resume, toolRounds } from './agent-measures.ts';
import { sqliteStore } from './stores.ts';

test('tool rounds, a large snapshot and the heap measure something', async () => {
  const { runMs, daemonMs } = await toolRounds(3, sqliteStore);
  expect(runMs).toBeGreaterThan(100);
  expect(daemonMs).toBeGreaterThan(100);
  expect(await resume(100_000, 2, sqliteStore)).toBeGreaterThan(0);
  const { firstMegabytes, allMegabytes } = await heapAfter(20, 40, sqliteStore);
  expect(Math.min(firstMegabytes, allMegabytes)).toBeGreaterThan(1);
}, 180_000);
