// The benches of issue SHELL in small: they must keep working, whatever they measure.

import { expect, test } from 'bun:test';
import { largeOutput, readFile, shellRun } from './shell-measures.ts';
import { sqliteStore } from './stores.ts';

test('a call, a large output and a file measure something', async () => {
  const { throughUsMs, directMs } = await shellRun(5, sqliteStore);
  expect(Math.min(throughUsMs, directMs)).toBeGreaterThan(0);
  expect((await largeOutput(8)).complete).toBe(true);
  expect(await readFile(200_000, 2, sqliteStore)).toMatchObject({ jobs: 1 });
}, 180_000);
