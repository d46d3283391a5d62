// Debian's packages, for the steps that need programs which npm does not have (redis.mjs, chromium.mjs). Takes root.

import { spawnSync } from 'node:child_process';

/** Whether packages can be installed here at all. */
export function canInstall() {
  return process.getuid?.() === 0 && succeeds('apt-get', ['--version']);
}

/** Runs apt-get with its output on standard error; whether it succeeded. */
export function apt(args) {
  // Somebody else may hold the lock for a moment: another job, unattended upgrades.
  const { status } = spawnSync('apt-get', ['-qq', '-o', 'DPkg::Lock::Timeout=120', ...args], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  return status === 0;
}

/** Whether a command can be run and exits with 0. */
export function succeeds(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}
