// examples/browser-page in a real Chromium, against the binary. A part of `npm run test:browser`, not of `npm test`: the name without
// `.test` keeps it out.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { servePage } from '../../examples/browser-page/serve.ts';
import { type Browser, startChromium } from '../support/chromium.ts';
import { startServer, type TestServer } from '../support/server.ts';

let served: Awaited<ReturnType<typeof servePage>>;
let server: TestServer;
let browser: Browser;

beforeAll(async () => {
  served = await servePage(0);
  server = await startServer({ env: { DIFY_AGENT_CORS_ORIGINS: served.url } });
  browser = await startChromium();
}, 180_000);
afterAll(async () => {
  await browser?.close();
  await server?.dispose();
  await served?.stop();
});

const open = () => browser.open(`${served.url}/?server=${encodeURIComponent(server.url)}`);
const ASK = { name: 'Ask' };

test('the page streams a run of another origin, without an error', async () => {
  const { page, errors } = await open();
  expect(await page.getByLabel('Server').inputValue()).toBe(server.url);
  await page.getByRole('button', ASK).click();
  await page.getByText('succeeded', { exact: true }).waitFor();
  expect(await page.locator('#answer > div').allTextContents()).toEqual([
    'length_of {"river":"Danube"} → {"km":2850}',
    'The Danube is 2,850 km long.',
  ]);
  expect(errors).toEqual([]);
}, 60_000);

test('Stop cancels the run on the server', async () => {
  const { page, requests } = await open();
  await page.getByRole('button', ASK).click();
  await page.locator('#answer > div').first().waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByText('stopped', { exact: true }).waitFor();
  const run = requests.find((url) => url.endsWith('/cancel'))?.replace(/\/cancel$/, '') ?? '';
  const answer = await fetch(run, { proxy: false } as RequestInit); // `proxy` is Bun's own
  expect(await answer.json()).toMatchObject({ status: 'cancelled' });
}, 60_000);

test('a server that is away is a line on the page', async () => {
  const { page } = await open();
  await page.getByLabel('Server').fill('http://127.0.0.1:9');
  await page.getByRole('button', ASK).click();
  await page.getByText(/^createRun request failed/).waitFor();
}, 60_000);
