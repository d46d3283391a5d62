// The compose screen as docs/pictures/compose-*.png, light and dark: `bun test/e2e/console-compose-pictures.ts`. Look at them
// before they are committed.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/binary.ts';
import { type Browser, startChromium } from '../support/chromium.ts';
import { startServer } from '../support/server.ts';

const FOLDER = join(ROOT, 'docs/pictures');

async function main(): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  const server = await startServer();
  const browser = await startChromium();
  try {
    for (const scheme of ['light', 'dark'] as const) await takeAll(browser, server.url, scheme);
  } finally {
    await browser.close();
    await server.dispose();
  }
}

async function takeAll(browser: Browser, url: string, colorScheme: 'light' | 'dark'): Promise<void> {
  const viewport = { width: 1280, height: 800 };
  const { page } = await browser.open(`${url}/console#/compose`, { viewport, colorScheme });
  const take = (name: string) => page.screenshot({ path: join(FOLDER, `compose-${name}-${colorScheme}.png`) });
  await page.getByRole('button', { name: 'Tool call' }).click();
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await take('forms');

  // Something wrong; then what may stand at the cursor.
  const text = page.locator('.editor textarea');
  const wrong = (await text.inputValue())
    .replace('"prefix"', '"prefx"')
    .replace('"name": "llm"', '"name": "model"')
    .replace('"description": "Says how much of something is on the shelf.",', '');
  await text.fill(wrong);
  await page.locator('.problem-place').first().click();
  await take('problems');
  const cursor = wrong.lastIndexOf('"name": "check_stock",') + '"name": "check_stock",'.length;
  await text.focus();
  await page.evaluate(`document.activeElement.setSelectionRange(${cursor}, ${cursor})`);
  await text.pressSequentially('\n"');
  await page.getByRole('listbox').waitFor();
  await take('completion');

  await page.getByRole('button', { name: 'Plugin model', exact: true }).click();
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await page.getByLabel('openai_api_key', { exact: true }).fill('sk-of-the-picture');
  await page.getByLabel('tenant_id required').fill('tenant-1');
  await page.getByRole('tab', { name: 'TypeScript' }).click();
  await page.getByLabel('plugin_id required').scrollIntoViewIfNeeded();
  await take('snippet');

  await page.setViewportSize({ width: 400, height: 800 });
  await page.getByRole('button', { name: 'Hello' }).click();
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await page.getByRole('tab', { name: 'Form' }).click();
  await page.evaluate('scrollTo(0, 0)');
  await take('narrow');
}

if (import.meta.main) await main();
