// The benches in small: they must keep working, whatever they measure. No figure is asserted here.

import { expect, test } from 'bun:test';
import { activeRuns, chunkCost, idleMemory, idleStreams, startUp } from './measures.ts';
import { firstAndSteady, onServer } from './steady.ts';
import { sqliteStore } from './stores.ts';
import { runSuite } from './suite.ts';

test('start, idle memory and small runs measure something', async () => {
  expect(await startUp()).toBeGreaterThan(1);
  expect(await idleMemory()).toBeGreaterThan(10);
  const { first, steady } = await onServer(sqliteStore, 'scripted', (block) =>
    firstAndSteady(block, { runs: 60, concurrency: 10 }, 2, 20),
  );
  expect(first).toMatchObject({ runs: 30, frames: 5 });
  expect(steady).toHaveLength(2);
  for (const { perSecond, p50, p95, cpuMsPerRun } of steady) {
    expect(perSecond).toBeGreaterThan(1);
    expect(p95).toBeGreaterThanOrEqual(p50);
    expect(cpuMsPerRun).toBeGreaterThanOrEqual(0);
  }
}, 180_000);

test('the cost of a chunk, of streams and of runs measure something', async () => {
  expect((await chunkCost(20, 4)).runMs).toBeGreaterThan(0);
  expect(Number.isFinite(await idleStreams(20))).toBe(true);
  expect(Number.isFinite((await activeRuns(20)).more)).toBe(true);
}, 60_000);

test('the sections that no other test runs measure something', async () => {
  const only = ['http', 'failing', 'live', 'subscribers', 'growth', 'bytes', 'kill', 'profile'];
  const said: string[] = [];
  const options = { only, stores: ['redis'], blocks: 1, short: true } as const;
  const { figures, failures } = await runSuite(options, (line) => said.push(line));
  expect(failures).toEqual([]);
  for (const { id, median } of figures) expect([id, Number.isFinite(median)]).toEqual([id, true]);
  expect(new Set(figures.map(({ id, store }) => `${id}.${store}`)).size).toBe(figures.length);
  expect(said.filter((line) => line.startsWith('-- '))).toHaveLength(only.length);
  await expect(runSuite({ ...options, only: ['nothing'] }, () => {})).rejects.toThrow('no section nothing');
}, 180_000);
