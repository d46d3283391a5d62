// What taking pictures of the console needs: a server, a browser, and each picture in both schemes, for docs/pictures.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../support/binary.ts';
import { type Browser, startChromium } from '../support/chromium.ts';
import { startServer } from '../support/server.ts';

export type Scheme = 'light' | 'dark';

const FOLDER = join(ROOT, 'docs/pictures');

/** The file of a picture. */
export function pictureOf(name: string, scheme: Scheme): string {
  return join(FOLDER, `${name}-${scheme}.png`);
}

/** Calls `takeAll` for light and for dark, with a server of its own. */
export async function inBothSchemes(
  takeAll: (browser: Browser, url: string, scheme: Scheme) => Promise<void>,
): Promise<void> {
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
