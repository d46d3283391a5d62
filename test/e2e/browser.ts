// `npm run test:browser`: the pages of the binary in a real Chromium. Not a part of `npm test`, which must not depend on a
// browser; the name without `.test` keeps it out.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { type Browser, startChromium } from '../support/chromium.ts';
import { startServer, type TestServer } from '../support/server.ts';

const OPERATIONS = [
  ['POST', '/runs'],
  ['GET', '/runs/{run_id}'],
  ['POST', '/runs/{run_id}/cancel'],
  ['GET', '/runs/{run_id}/events'],
  ['GET', '/runs/{run_id}/events/sse'],
  ['GET', '/healthz'],
  ['GET', '/readyz'],
] as const;

let server: TestServer;
let browser: Browser;

beforeAll(async () => {
  browser = await startChromium();
  server = await startServer();
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await server?.dispose();
});

/** Everything that a page loads comes from this server. */
const foreign = (requests: readonly string[]) =>
  requests.filter((url) => !url.startsWith(`${server.url}/`) && !url.startsWith('data:') && url !== 'about:blank');

test('/docs shows every operation, without errors and without asking anybody else', async () => {
  const page = await browser.open(`${server.url}/docs`);
  await page.waitFor(`document.querySelectorAll('.opblock').length >= ${OPERATIONS.length}`);
  const listed = await page.evaluate(`[...document.querySelectorAll('.opblock-summary')].map((summary) => [
    summary.querySelector('.opblock-summary-method').textContent,
    summary.querySelector('.opblock-summary-path').dataset.path,
  ])`);
  expect(listed).toEqual(expect.arrayContaining(OPERATIONS.map((operation) => [...operation])));
  expect(await page.evaluate(`document.querySelector('.info .title').textContent`)).toContain('Dify Agent Run Server');
  // An operation opens, with an example made from its schema: references resolve inside the document.
  const createRun = `document.querySelector('#operations-runs-create_run_runs_post')`;
  await page.evaluate(`${createRun}.querySelector('.opblock-summary-control').click()`);
  await page.waitFor(`${createRun}.innerText.includes('"composition"')`);
  expect(page.errors).toEqual([]);
  expect(foreign(page.requests)).toEqual([]);
}, 60_000);

test('"Try it out" reaches the server', async () => {
  const page = await browser.open(`${server.url}/docs`);
  const operation = `[...document.querySelectorAll('.opblock')].find((block) => block.querySelector('[data-path="/healthz"]'))`;
  await page.waitFor(`${operation} !== undefined`);
  await page.evaluate(`${operation}.querySelector('.opblock-summary-control').click()`);
  await page.waitFor(`${operation}.querySelector('.try-out__btn') !== null`);
  await page.evaluate(`${operation}.querySelector('.try-out__btn').click()`);
  await page.waitFor(`${operation}.querySelector('.execute') !== null`);
  await page.evaluate(`${operation}.querySelector('.execute').click()`);
  await page.waitFor(`${operation}.querySelector('.live-responses-table .response-col_status') !== null`);
  const status = await page.evaluate(
    `${operation}.querySelector('.live-responses-table tbody .response-col_status').textContent`,
  );
  expect(String(status)).toStartWith('200');
  expect(page.errors).toEqual([]);
}, 60_000);

test('/redoc lists every operation without script', async () => {
  const page = await browser.open(`${server.url}/redoc`);
  await page.waitFor(`document.readyState === 'complete'`);
  const rows = await page.evaluate(
    `[...document.querySelectorAll('tr')].map((row) => [...row.cells].slice(0, 2).map((cell) => cell.textContent))`,
  );
  expect(rows).toEqual(expect.arrayContaining(OPERATIONS.map((operation) => [...operation])));
  expect(page.errors).toEqual([]);
  expect(foreign(page.requests)).toEqual([]);
}, 60_000);
