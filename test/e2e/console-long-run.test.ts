// A run of ten thousand events in the console: all of them arrive, only those in sight are built, and scrolling shows the right
// ones. The frame times themselves are measured by console-frames.ts.

import { expect, test } from 'bun:test';
import { count } from '../../src/console/format.ts';
import { createRun, finish } from '../support/runs.ts';
import { LONG_RUN, scrollThrough } from './console-frames.ts';
import { consoleWorld, expectQuiet } from './console-kit.ts';

const world = consoleWorld();

test('ten thousand events scroll', async () => {
  const runId = await createRun(world.url, LONG_RUN);
  const { frames } = await finish(world.url, runId);
  expect(frames.length).toBeGreaterThan(10_000);
  const watched = await world.open(`#/runs/${runId}`);
  const { page } = watched;
  await page.locator('.events .count').getByText(count(frames.length), { exact: true }).waitFor();
  const { mostRows, wrong } = await scrollThrough(page, 120);
  expect(mostRows).toBeLessThan(120);
  expect(wrong).toBe(0);
  // With the keyboard to both ends.
  await page.locator('.event-list').focus();
  await page.keyboard.press('End');
  await page
    .locator('.event-cursor')
    .getByText(frames.at(-1)?.id ?? '')
    .waitFor();
  await page.keyboard.press('Home');
  await page
    .locator('.event-cursor')
    .getByText(frames[0]?.id ?? '')
    .waitFor();
  expectQuiet(watched);
}, 90_000);
