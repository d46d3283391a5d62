// Makes the working copy runnable with Node and npm alone: installs the packages of package-lock.json when they are
// missing or older than it, and sees to it that the `bun` binary works. Quick when there is nothing to do.

import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

setUp();

function setUp() {
  if (!packagesAreCurrent()) {
    console.error('setup: installing packages');
    // Not `npm ci`: it refuses a lock file without the optional packages of other platforms, and a registry mirror need
    // not have those. Versions come from the lock file all the same, which stays untouched.
    run('npm', ['install', '--no-save', '--no-audit', '--no-fund']);
  }
  if (!bunWorks()) {
    // npm may have blocked or skipped the package's postinstall, which puts the binary in its place.
    console.error('setup: finishing the installation of bun');
    run(process.execPath, ['node_modules/bun/install.js']);
    if (!bunWorks()) fail('node_modules/.bin/bun does not run on this machine');
  }
}

function packagesAreCurrent() {
  // npm writes this file at the end of an installation.
  const installed = modifiedAt('node_modules/.package-lock.json');
  return installed !== null && installed >= (modifiedAt('package-lock.json') ?? 0);
}

function modifiedAt(path) {
  return statSync(`${root}/${path}`, { throwIfNoEntry: false })?.mtimeMs ?? null;
}

function bunWorks() {
  return spawnSync('node_modules/.bin/bun', ['--version'], { cwd: root, stdio: 'ignore' }).status === 0;
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) fail(`${command} ${args.join(' ')} failed${error === undefined ? '' : `: ${error.message}`}`);
}

function fail(message) {
  console.error(`setup: ${message}`);
  process.exit(1);
}
