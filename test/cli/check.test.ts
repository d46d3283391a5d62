// The report of `check`, with a real store and a real HTTP server in the place of the daemon.

import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check } from '../../src/cli/check.ts';
import { startFakeShellctl } from '../fakes/shellctl.ts';
import { fakeIo } from './support.ts';

/** What was asked: Bun forgets it when the request is over. */
interface Seen {
  readonly path: string;
  readonly headers: Headers;
}

async function withDaemon(use: (url: string, seen: readonly Seen[]) => Promise<void>): Promise<void> {
  const seen: Seen[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      seen.push({ path: new URL(request.url).pathname, headers: new Headers(request.headers) });
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

test('a variable that is set by two of its names: which one wins is told, also beside problems, and no value', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dify-agent-check-'));
  try {
    writeFileSync(join(folder, '.env'), 'DIFY_AGENT_API_TOKEN=\n');
    const env = { DIFY_AGENT_RUN_API_TOKEN: 'hunter2', DIFY_AGENT_STORE_URL: 'sqlite::memory:' };
    const line =
      '  ok      warning: DIFY_AGENT_RUN_API_TOKEN (environment) is ignored: DIFY_AGENT_API_TOKEN (.env) is set to another value\n';
    for (const more of [{}, { DIFY_AGENT_PORT: 'x' }]) {
      const io = fakeIo([], { ...env, ...more }, folder);
      await check(io);
      expect(io.printed()).toContain(line);
      expect(io.printed()).not.toContain('hunter2');
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
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

describe('the Agent Stub', () => {
  const STUB = {
    DIFY_AGENT_STORE_URL: 'sqlite::memory:',
    DIFY_AGENT_SERVER_SECRET_KEY: 'A'.repeat(43),
    DIFY_AGENT_DIFY_API_INNER_API_KEY: 'hunter2-inner',
  };
  const linesOf = async (env: Readonly<Record<string, string>>) => {
    const io = fakeIo([], { ...STUB, ...env });
    const code = await check(io);
    expect(io.printed()).not.toContain('hunter2');
    return { code, lines: io.printed().split('\n') };
  };

  test('the Dify API is asked without its key, and any answer counts', async () => {
    await withDaemon(async (url, seen) => {
      const { lines } = await linesOf({ DIFY_AGENT_DIFY_API_BASE_URL: `${url.replace('//', '//u:hunter2@')}/console` });
      expect(lines).toContain(`  ok      Dify API: ${url.replace('//', '//********@')}/console answers (HTTP 404)`);
      expect(seen.map(({ path }) => path)).toEqual(['/console']);
      const sent = seen.flatMap(({ headers }) => [...headers]);
      expect(sent.length).toBeGreaterThan(0);
      expect(sent.join()).not.toContain('hunter2');
      expect(sent.map(([name]) => name)).not.toContain('authorization');
    });
  });

  test('an API that does not answer fails the check; none is not asked', async () => {
    let dead = '';
    await withDaemon(async (url) => {
      dead = url;
    });
    const { code, lines } = await linesOf({ DIFY_AGENT_DIFY_API_BASE_URL: dead });
    expect(code).toBe(1);
    expect(lines).toContain(`  FAILED  Dify API: ${dead} does not answer: connection refused`);
    const io = fakeIo([], { DIFY_AGENT_STORE_URL: 'sqlite::memory:' });
    await check(io);
    expect(io.printed()).not.toContain('Dify API:');
    expect(io.printed()).not.toContain('gRPC');
  });

  test('where gRPC is to listen is tried, and left again', async () => {
    await withDaemon(async (url) => {
      const taken = new URL(url).port;
      const grpc = (DIFY_AGENT_STUB_GRPC_BIND_ADDRESS: string) =>
        linesOf({
          DIFY_AGENT_DIFY_API_BASE_URL: url,
          DIFY_AGENT_STUB_URL: 'grpc://agent.example.com:9091',
          DIFY_AGENT_STUB_GRPC_BIND_ADDRESS,
        });
      expect((await grpc(`127.0.0.1:${taken}`)).lines).toContain(
        `  FAILED  agent stub: gRPC cannot listen on 127.0.0.1:${taken}: another process listens there (a running server?)`,
      );
      expect((await grpc('192.0.2.1:9091')).lines).toContain(
        '  FAILED  agent stub: gRPC cannot listen on 192.0.2.1:9091: this machine has no such address',
      );
      const free = createServer();
      const port = await new Promise((resolve) =>
        free.listen(0, '127.0.0.1', () => resolve((free.address() as AddressInfo).port)),
      ); // a TCP server has one
      await new Promise((closed) => free.close(closed));
      for (let round = 0; round < 2; round += 1) {
        expect((await grpc(`127.0.0.1:${port}`)).lines).toContain(
          `  ok      agent stub: gRPC can listen on 127.0.0.1:${port}`,
        );
      }
    });
  });
});
