// How smoothly the list of raw events scrolls: frame times while a page scrolls through all of it. Used by the test, which asks
// for the right rows, and by the script (`bun test/e2e/console-frames.ts`), which asks for 60 frames per second.

import type { Page } from 'playwright-core';
import { count as printed } from '../../src/console/format.ts';
import { startChromium } from '../support/chromium.ts';
import { createRun, finish, scripted } from '../support/runs.ts';
import { startServer } from '../support/server.ts';

/** A run of that many events, more or less: each is a chunk. */
export const LONG_RUN = scripted([[{ text: 'word ', repeat: 10_000 }]]);

export interface Frames {
  /** Rows that were in the document at most. */
  readonly mostRows: number;
  /** Frames whose rows were not those at the scrolled place. */
  readonly wrong: number;
  readonly count: number;
  /** Between two frames, ms. */
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

/** Evaluated in the page: scrolls from the top to the bottom in as many frames, and answers with Frames. */
const scrolling = (steps: number): string => `(async () => {
  const list = document.querySelector('.event-list');
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const times = [];
  let mostRows = 0;
  let wrong = 0;
  list.scrollTop = 0;
  await frame();
  await frame();
  let last = await frame();
  for (let step = 1; step <= ${steps}; step += 1) {
    list.scrollTop = ((list.scrollHeight - list.clientHeight) * step) / ${steps};
    const now = await frame();
    times.push(now - last);
    last = now;
    mostRows = Math.max(mostRows, list.querySelectorAll('.event-row').length);
    if (step % 20 !== 0) continue;
    // The scroll event of that frame has been handled by the next one.
    last = await frame();
    const box = list.getBoundingClientRect();
    const middle = document.elementFromPoint(box.left + 20, box.top + box.height / 2)?.closest('.event-row');
    const place = Math.floor((list.scrollTop + box.height / 2) / 24);
    if (!(Math.abs(Number(middle?.dataset.row ?? NaN) - place) <= 1)) wrong += 1;
  }
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
  return { mostRows, wrong, count: times.length, p50: at(0.5), p95: at(0.95), max: at(1) };
})()`;

/** Scrolls through all events of an open run. */
export function scrollThrough(page: Page, steps: number): Promise<Frames> {
  return page.evaluate(scrolling(steps));
}

async function main(): Promise<void> {
  const server = await startServer();
  const browser = await startChromium();
  try {
    const runId = await createRun(server.url, LONG_RUN);
    const { frames } = await finish(server.url, runId);
    const { page } = await browser.open(`${server.url}/console#/runs/${runId}`);
    await page.locator('.events .count').getByText(printed(frames.length), { exact: true }).waitFor();
    const { p50, p95, max, mostRows, count } = await scrollThrough(page, 600);
    const good = p50 < 17.5 && p95 < 34;
    console.log(
      `${frames.length} events, ${count} frames: p50 ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms, max ${max.toFixed(1)} ms; ` +
        `at most ${mostRows} rows built: ${good ? 'pass' : 'MISS'} (60 fps class: p50 < 17.5, p95 < 34)`,
    );
    process.exitCode = good ? 0 : 1;
  } finally {
    await browser.close();
    await server.dispose();
  }
}

if (import.meta.main) await main();
