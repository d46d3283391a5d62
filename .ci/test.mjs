// `npm test`: set-up, formatting, lint, types, build, then every test. Goes on after a failed step, so that one run shows
// everything, and ends with the line `N passed, N failed`: each step before the tests counts as one.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** What one test may take unless it says otherwise. The binary is built before. */
const TEST_TIMEOUT_MS = 30_000;

const STEPS = [
  ['setup', 'node', ['.ci/setup.mjs']],
  ['redis', 'node', ['.ci/redis.mjs']],
  ['chromium', 'node', ['.ci/chromium.mjs']],
  ['format', 'npm', ['run', '--silent', 'format:check']],
  ['lint', 'npm', ['run', '--silent', 'lint']],
  ['types', 'npm', ['run', '--silent', 'types']],
  ['build', 'npm', ['run', '--silent', 'build']],
];

await main();

async function main() {
  let passed = 0;
  let failed = 0;
  for (const [name, command, args] of STEPS) {
    const started = performance.now();
    console.log(`\n== ${name}`);
    const ok = (await run(command, args)) === 0;
    console.log(`== ${name} ${ok ? 'passed' : 'FAILED'} (${((performance.now() - started) / 1000).toFixed(1)} s)`);
    if (ok) passed += 1;
    else failed += 1;
    // Without packages nothing else can be tried.
    if (!ok && name === 'setup') return finish(passed, failed);
  }
  const tests = await runTests();
  return finish(passed + tests.passed, failed + tests.failed);
}

async function runTests() {
  console.log('\n== tests');
  const folder = mkdtempSync(join(tmpdir(), 'dify-agent-test-'));
  const report = join(folder, 'junit.xml');
  try {
    const code = await run('node_modules/.bin/bun', [
      'test',
      `--timeout=${TEST_TIMEOUT_MS}`,
      // Most tests wait for processes and time-outs, so two at a time take half as long. The files were written to share globals.
      '--parallel=2',
      '--no-isolate',
      '--reporter=junit',
      `--reporter-outfile=${report}`,
    ]);
    return count(report, code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Reads the totals of the report. A run that ended badly without a failed test (a crash, a broken file) is one failure. */
function count(report, code) {
  const totals = /<testsuites\b[^>]*>/.exec(readOrEmpty(report))?.[0] ?? '';
  const number = (name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(totals)?.[1] ?? 0);
  const bad = number('failures') + number('errors');
  const failed = bad === 0 && (code !== 0 || number('tests') === 0) ? 1 : bad;
  return { passed: Math.max(0, number('tests') - bad - number('skipped')), failed };
}

function readOrEmpty(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Runs a command with our output; resolves with its exit code. */
function run(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(1);
    });
    child.on('close', (code) => resolve(code ?? 1));
  });
}

function finish(passed, failed) {
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
