// What the browser tests need: a Chromium. Installed with apt where there is none, which takes root; CHROMIUM names another
// browser. Starts nothing. Quick when there is nothing to do.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Keep in step with test/support/chromium.ts. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

setUp();

function setUp() {
  const given = process.env.CHROMIUM;
  if (given && !existsSync(given)) fail(`CHROMIUM=${given} is not there`);
  if (given || PLACES.some((place) => existsSync(place))) return;
  if (process.getuid?.() !== 0 || !succeeds('apt-get', ['--version'])) {
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

function apt(args) {
  // Somebody else may hold the lock for a moment: another job, unattended upgrades.
  const { status } = spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...args], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  return status === 0;
}

function succeeds(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function fail(problem) {
  console.error(
    `chromium: ${problem}. The browser tests need the Debian package "chromium", or the path of another one in CHROMIUM`,
  );
  process.exit(1);
}
