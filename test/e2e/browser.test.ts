// The documentation pages of the binary in a real Chromium. The console's tests are beside (console-*.test.ts).

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
  [browser, server] = await Promise.all([startChromium(), startServer()]);
}, 120_000);

afterAll(async () => {
  await browser?.close();
  await server?.dispose();
});

test('/docs shows every operation, without errors and without asking anybody else', async () => {
  const { page, errors, foreign } = await browser.open(`${server.url}/docs`);
  const blocks = page.locator('.opblock-summary');
  await blocks.nth(OPERATIONS.length - 1).waitFor();
  const listed = await blocks.evaluateAll((summaries) =>
    summaries.map((summary) => [
      summary.querySelector('.opblock-summary-method')?.textContent,
      summary.querySelector('.opblock-summary-path')?.getAttribute('data-path'),
    ]),
  );
  expect(listed).toEqual(expect.arrayContaining(OPERATIONS.map((operation) => [...operation])));
  expect(await page.locator('.info .title').textContent()).toContain('Dify Agent Run Server');
  // An operation opens, with an example made from its schema: references resolve inside the document.
  const createRun = page.locator('#operations-runs-create_run_runs_post');
  await createRun.locator('.opblock-summary-control').click();
  await createRun.getByText('"composition"').first().waitFor();
  expect(errors).toEqual([]);
  expect(foreign()).toEqual([]);
}, 60_000);

test('"Try it out" reaches the server', async () => {
  const { page, errors } = await browser.open(`${server.url}/docs`);
  const operation = page.locator('.opblock', { has: page.locator('[data-path="/healthz"]') });
  await operation.locator('.opblock-summary-control').click();
  await operation.locator('.try-out__btn').click();
  await operation.locator('.execute').click();
  const status = operation.locator('.live-responses-table tbody .response-col_status');
  expect(await status.textContent()).toStartWith('200');
  expect(errors).toEqual([]);
}, 60_000);

test('/redoc lists every operation without script', async () => {
  const { page, errors, foreign } = await browser.open(`${server.url}/redoc`);
  const rows = await page
    .locator('tr')
    .evaluateAll((all) => all.map((row) => [...row.children].slice(0, 2).map((cell) => cell.textContent)));
  expect(rows).toEqual(expect.arrayContaining(OPERATIONS.map((operation) => [...operation])));
  expect(errors).toEqual([]);
  expect(foreign()).toEqual([]);
}, 60_000);
