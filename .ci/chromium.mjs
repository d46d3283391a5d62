// What the browser tests need: a Chromium. Installed with apt where there is none, which takes root; CHROMIUM names another
// browser. Starts nothing. Quick when there is nothing to do.

import { existsSync } from 'node:fs';
import { apt, canInstall } from './apt.mjs';

/** Keep in step with test/support/chromium.ts. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

setUp();

function setUp() {
  const given = process.env.CHROMIUM;
  if (given && !existsSync(given)) fail(`CHROMIUM=${given} is not there`);
  if (given || PLACES.some((place) => existsSync(place))) return;
  if (!canInstall()) {
    fail('not found, and this is not root on Debian: cannot install');
  }
  console.error('chromium: installing');
  // A new machine has no package lists, an old one lists versions that are gone: both are cured by one update.
  if (!install()) {
    apt(['update']);
    install();
  }
  if (!PLACES.some((place) => existsSync(place))) fail('apt-get did not bring it');
}

function install() {
  return apt(['install', '-y', '--no-install-recommends', 'chromium']);
}

function fail(problem) {
  console.error(
    `chromium: ${problem}. The browser tests need the Debian package "chromium", or the path of another one in CHROMIUM`,
  );
  process.exit(1);
}
