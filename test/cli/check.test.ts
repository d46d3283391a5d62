// The report of `check`, with a real store and a real HTTP server in the place of the daemon.

import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check } from '../../src/cli/check.ts';
import { startFakeShellctl } from '../fakes/shellctl.ts';
import { fakeIo } from './support.ts';

async function withDaemon(use: (url: string, seen: Request[]) => Promise<void>): Promise<void> {
  const seen: Request[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      seen.push(request);
      return new Response('no such route', { status: 404 });
    },
  });
  try {
    await use(`http://127.0.0.1:${server.port}`, seen);
  } finally {
    await server.stop(true);
  }
}

test('everything in order: exit 0, values with their sources, secrets masked, any HTTP answer counts', async () => {
  await withDaemon(async (url, seen) => {
    const folder = mkdtempSync(join(tmpdir(), 'dify-agent-check-'));
    try {
      writeFileSync(join(folder, '.env'), `DIFY_AGENT_STORE_URL=sqlite:${folder}/runs.db\nDIFY_AGENT_PROT=1\n`);
      const env = {
        DIFY_AGENT_PLUGIN_DAEMON_URL: `${url.replace('//', '//user:hunter2@')}/`,
        DIFY_AGENT_PLUGIN_DAEMON_API_KEY: 'hunter2-key',
        DIFY_AGENT_REDIS_URL: 'redis://:hunter2@localhost/0',
        DIFY_AGENT_ENABLE_SCRIPTED_MODEL: 'yes',
      };
      const io = fakeIo([], env, folder);
      expect(await check(io)).toBe(0);
      const report = io.printed();
      expect(report).not.toContain('hunter2');
      expect(report).toMatch(/DIFY_AGENT_PLUGIN_DAEMON_API_KEY +\*{8} {2}\(environment\)/);
      expect(report).toMatch(/DIFY_AGENT_PLUGIN_DAEMON_URL +http:\/\/\*{8}@127\.0\.0\.1:\d+ {2}\(environment\)/);
      expect(report).toMatch(/DIFY_AGENT_STORE_URL +sqlite:.*runs\.db {2}\(\.env\)/);
      expect(report).toMatch(/DIFY_AGENT_PORT +8000 {2}\(default\)/);
      expect(report).toContain('DIFY_AGENT_PROT (.env): nothing reads it; did you mean DIFY_AGENT_PORT?');
      expect(report).toContain('answers (HTTP 404)');
      expect(report).toContain('scripted model: ON');
      expect(report).not.toContain('FAILED');
      expect(seen).toHaveLength(1);
      expect(seen[0]?.headers.get('authorization')).toBeNull();
      expect(seen[0]?.headers.get('x-api-key')).toBeNull();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

test('what is missing or does not answer fails the check, each on its line', async () => {
  let dead = '';
  await withDaemon(async (url) => {
    dead = url;
  });
  const env = { DIFY_AGENT_PLUGIN_DAEMON_URL: dead, DIFY_AGENT_STORE_URL: 'sqlite:/proc/nowhere/runs.db' };
  const io = fakeIo([], env);
  expect(await check(io)).toBe(1);
  const failed = io
    .printed()
    .split('\n')
    .filter((line) => line.includes('FAILED'));
  expect(failed).toHaveLength(3);
  expect(failed[0]).toContain('/proc/nowhere/runs.db');
  expect(failed[1]).toContain('DIFY_AGENT_PLUGIN_DAEMON_API_KEY is empty');
  expect(failed[2]).toContain(`${dead} does not answer: connection refused`);
});

test('bad settings are listed with the rest of the configuration, and nothing is probed', async () => {
  const io = fakeIo([], { DIFY_AGENT_PORT: 'x', DIFY_AGENT_PLUGIN_DAEMON_API_KEY: 'ü' });
  expect(await check(io)).toBe(1);
  expect(io.printed()).toMatch(/DIFY_AGENT_PORT +\(invalid\) {2}\(environment\)/);
  expect(io.printed()).toContain('  FAILED  DIFY_AGENT_PORT: "x" is not a whole number, 0 to 65535\n');
  expect(io.printed()).toContain('  FAILED  DIFY_AGENT_PLUGIN_DAEMON_API_KEY: must consist of printable ASCII');
  expect(io.printed()).not.toContain('store:');
});

test('shellctl is asked with its token: what it refuses is told, the token is not', async () => {
  const shellctl = startFakeShellctl();
  try {
    const report = async (token: string) => {
      const io = fakeIo([], {
        DIFY_AGENT_STORE_URL: 'sqlite::memory:',
        DIFY_AGENT_SHELLCTL_ENTRYPOINT: shellctl.url,
        DIFY_AGENT_SHELLCTL_AUTH_TOKEN: token,
      });
      await check(io);
      return io.printed();
    };
    expect(await report(shellctl.token)).toContain(`  ok      shellctl: ${shellctl.url} answers and takes the token\n`);
    const refused = await report('another-token');
    expect(refused).toContain(`  FAILED  shellctl: ${shellctl.url}: unauthorized (401): `);
    expect(refused).not.toContain('another-token');
  } finally {
    shellctl.stop();
  }
});
