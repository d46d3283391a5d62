// The console in a real Chromium against the compiled binary: one server and one browser per file, pages that are watched,
// and what the tests post.

import { afterAll, beforeAll, expect } from 'bun:test';
import axe from 'axe-core';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { type Browser, startChromium, type WatchedPage } from '../support/chromium.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

/** What a file's tests use; there when its hooks have run. */
export interface ConsoleWorld {
  readonly url: string;
  /** The page, at an address behind `#`. */
  open(hash?: string, options?: BrowserContextOptions): Promise<WatchedPage>;
}

/** Starts server and browser before a file's tests and ends them after. */
export function consoleWorld(env: Readonly<Record<string, string>> = {}): ConsoleWorld {
  let server: TestServer | null = null;
  let browser: Browser | null = null;
  beforeAll(async () => {
    // One after the other: the first to fail leaves nothing behind that the hook below would not know.
    server = await startServer({ env });
    browser = await startChromium();
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await server?.dispose();
  });
  const started = (): TestServer => {
    if (server === null) throw new Error('the server has not started');
    return server;
  };
  return {
    get url() {
      return started().url;
    },
    async open(hash = '', options = {}) {
      if (browser === null) throw new Error('the browser has not started');
      return browser.open(`${started().url}/console${hash}`, options);
    },
  };
}

/** Nothing went wrong in the page, and nothing was asked of another host. */
export function expectQuiet({ errors, foreign }: WatchedPage): void {
  expect(errors).toEqual([]);
  expect(foreign()).toEqual([]);
}

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly impact: string | null;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
}

/** What axe finds that is serious or critical, in short. */
export async function axeFaults(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  // The library is in the page now, and answers so.
  const result = (await page.evaluate('axe.run()')) as AxeResult;
  return result.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary ?? ''}`));
}

/** Starts a run from the open page, through its compose screen; waits for nothing of it. */
export async function runFromPage(page: Page, request: unknown): Promise<void> {
  await goTo(page, '#/compose');
  await page.locator('.compose textarea').first().fill(JSON.stringify(request));
  await page.getByRole('button', { name: 'Run', exact: true }).click();
}

/** Whether the page is wider than its window. */
export async function overflow(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
}

/** Waits until an expression is true in the page. (Playwright's own waitForFunction asks again by `eval`, which the page's policy forbids.) */
export async function untilInPage(page: Page, what: string, expression: string): Promise<void> {
  await until(what, async () => (await page.evaluate(expression)) === true);
}

/** Goes to another address of the open page. */
export async function goTo(page: Page, hash: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
}
