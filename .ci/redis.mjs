// What the tests and benchmarks of the Redis store need beside npm's packages: a redis-server binary, a Python 3 with the
// `redis` package (interoperability) and openssl (TLS). Installed with apt where they are missing, which takes root.
// Starts nothing: tests run servers of their own on loopback. Quick when there is nothing to do.

import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { apt, canInstall, succeeds } from './apt.mjs';

/** The oldest Redis that the store accepts. */
const FLOOR = [6, 2];
/** While this file says 101, installing a package does not start its service. */
const POLICY = '/usr/sbin/policy-rc.d';

/** What is needed: the Debian package and how to see that it is there. */
const NEEDS = [
  { package: 'redis-server', works: redisWorks },
  { package: 'python3-redis', works: () => succeeds(python(), ['-c', 'import redis']) },
  { package: 'openssl', works: () => succeeds('openssl', ['version']) },
];

setUp();

function setUp() {
  const missing = missingPackages();
  if (missing.length === 0) return;
  if (process.env.REDIS_SERVER && missing.includes('redis-server'))
    fail(`REDIS_SERVER=${process.env.REDIS_SERVER} does not run`);
  if (!canInstall()) {
    fail(`${missing.join(', ')} not found, and this is not root on Debian: cannot install`);
  }
  console.error(`redis: installing ${missing.join(', ')}`);
  // A new machine has no package lists, an old one lists versions that are gone: both are cured by one update.
  if (!isKnown(missing) || !install(missing)) {
    apt(['update']);
    install(missing);
  }
  const stillMissing = missingPackages();
  if (stillMissing.length > 0) fail(`apt-get did not bring ${stillMissing.join(', ')}`);
}

function missingPackages() {
  return NEEDS.filter(({ works }) => !works()).map((need) => need.package);
}

/** Keep in step with test/support/redis-process.ts: REDIS_SERVER, else the path. */
function redisWorks() {
  const { status, stdout } = spawnSync(process.env.REDIS_SERVER || 'redis-server', ['--version'], { encoding: 'utf8' });
  const [, major, minor] = /v=(\d+)\.(\d+)/.exec(stdout ?? '') ?? [];
  const isCurrent = Number(major) > FLOOR[0] || (Number(major) === FLOOR[0] && Number(minor) >= FLOOR[1]);
  if (status === 0 && !isCurrent) console.error(`redis: ${stdout.trim()} is older than ${FLOOR.join('.')}`);
  return status === 0 && isCurrent;
}

/** Keep in step with test/interop/python.ts: Debian's interpreter, not one of pyenv's that comes first on the path. */
function python() {
  return process.env.DIFY_AGENT_TEST_PYTHON || '/usr/bin/python3';
}

function isKnown(packages) {
  const { status, stdout } = spawnSync('apt-cache', ['policy', ...packages], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  return status === 0 && packages.every((name) => stdout.includes(`${name}:`)) && !stdout.includes('Candidate: (none)');
}

function install(packages) {
  const denied = !existsSync(POLICY);
  if (denied) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return apt(['install', '-y', '--no-install-recommends', ...packages]);
  } finally {
    if (denied) rmSync(POLICY, { force: true });
  }
}

function fail(problem) {
  console.error(
    `redis: ${problem}. The tests need redis-server ${FLOOR.join('.')} or newer (on the path, or named by REDIS_SERVER), ` +
      'openssl, and a Python 3 with the redis package (/usr/bin/python3, or named by DIFY_AGENT_TEST_PYTHON); ' +
      'on Debian: apt-get install redis-server python3-redis openssl',
  );
  process.exit(1);
}
