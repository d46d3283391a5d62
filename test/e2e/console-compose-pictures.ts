// The compose screen as docs/pictures/compose-*.png, light and dark: `npm run pictures:console`. Look at them
// before they are committed.

import type { Browser } from '../support/chromium.ts';
import { inBothSchemes, pictureOf, type Scheme } from './console-camera.ts';

async function takeAll(browser: Browser, url: string, colorScheme: Scheme): Promise<void> {
  const viewport = { width: 1280, height: 800 };
  const { page } = await browser.open(`${url}/console#/compose`, { viewport, colorScheme });
  const take = (name: string) => page.screenshot({ path: pictureOf(`compose-${name}`, colorScheme) });
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

if (import.meta.main) await inBothSchemes(takeAll);
