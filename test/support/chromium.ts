// A real Chromium for browser tests, driven by Playwright: opens pages and remembers what went wrong in them and what they
// asked of the network. The browser is the system's; nothing is downloaded.

import { existsSync } from 'node:fs';
import { type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** Where Chromium usually is; CHROMIUM names another place. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** No network of its own: no updates, no telemetry, no QUIC. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** An open page. */
export interface WatchedPage {
  readonly page: Page;
  /** Uncaught errors, console errors and what the browser itself logged as one (a refused script, a failed load). */
  readonly errors: readonly string[];
  /** URLs of everything that was requested. */
  readonly requests: readonly string[];
  /** Those of `requests` that went elsewhere than to the page's own server. */
  foreign(): readonly string[];
}

/** A running browser. */
export interface Browser {
  /** A page in a session of its own. */
  open(url: string, options?: BrowserContextOptions): Promise<WatchedPage>;
  close(): Promise<void>;
}

/** How long Playwright waits for what a test names, ms. */
const WAIT_MS = 20_000;

/** The path of the browser. @throws with what to install when there is none. */
export function findChromium(): string {
  const given = process.env.CHROMIUM;
  const found = given === undefined ? PLACES.find((place) => existsSync(place)) : given;
  if (found !== undefined && existsSync(found)) return found;
  throw new Error('no Chromium on this machine: install the package "chromium", or set CHROMIUM to its path');
}

/** Starts a browser with a profile of its own. */
export async function startChromium(): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: findChromium(), args: FLAGS, timeout: 60_000 });
  return {
    async open(url, options = {}) {
      const context = await browser.newContext(options);
      context.setDefaultTimeout(WAIT_MS);
      const page = await context.newPage();
      const errors: string[] = [];
      const requests: string[] = [];
      page.on('pageerror', (error) => errors.push(error.stack ?? error.message));
      page.on('console', (message) => {
        if (message.type() === 'error') errors.push(`${message.text()} ${message.location().url}`);
      });
      page.on('request', (request) => requests.push(request.url()));
      await page.goto(url);
      const { origin } = new URL(url);
      const isOwn = (asked: string) => asked.startsWith(`${origin}/`) || asked.startsWith('data:');
      return { page, errors, requests, foreign: () => requests.filter((asked) => !isOwn(asked)) };
    },
    close: () => browser.close(),
  };
}
