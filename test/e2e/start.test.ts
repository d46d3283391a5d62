// How the binary starts, and how it refuses to: one line that says what to change, exit 1, nothing half done.

import { describe, expect, test } from 'bun:test';
import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { get, runToEnd, scripted } from '../support/runs.ts';
import { type Exit, type ServerOptions, startProcess, withFolder, withServer } from '../support/server.ts';
import { within } from '../support/until.ts';

interface Ended extends Exit {
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

/** Starts what must end by itself. */
async function runToExit(options: ServerOptions): Promise<Ended> {
  const running = await startProcess(options);
  try {
    const exit = await within('the process to end', running.exited, 15_000);
    return { ...exit, stdout: running.stdoutLines, stderr: running.stderrLines.filter((line) => line.trim() !== '') };
  } finally {
    await running.dispose();
  }
}

async function refuses(options: ServerOptions, ...mentions: readonly (string | RegExp)[]): Promise<string> {
  const { code, stdout, stderr } = await runToExit(options);
  expect({ code, lines: stderr.length, stdout }).toEqual({ code: 1, lines: 1, stdout: [] });
  for (const mention of mentions) expect(stderr[0]).toMatch(mention);
  return stderr[0] ?? '';
}

describe('a server that cannot start says so on one line and exits 1', () => {
  test('the port is taken', async () => {
    await withServer({}, async (server) => {
      await refuses({ env: { DIFY_AGENT_PORT: String(server.port) } }, 'DIFY_AGENT_PORT', String(server.port));
      expect((await get(`${server.url}/readyz`)).status).toBe(200);
    });
  }, 180_000);

  test('the store belongs to another process', async () => {
    await withFolder(async (folder) => {
      const env = { DIFY_AGENT_STORE_URL: `sqlite:${join(folder, 'runs.db')}` };
      await withServer({ env }, async (server) => {
        await refuses({ env }, 'runs.db');
        expect((await runToEnd(server.url, scripted([[{ text: 'still here' }]]))).types.at(-1)).toBe('run_succeeded');
      });
    });
  }, 60_000);

  test('the store cannot be opened', async () => {
    await refuses({ env: { DIFY_AGENT_STORE_URL: 'sqlite:/proc/nowhere/runs.db' } }, /runs\.db|DIFY_AGENT_STORE_URL/);
    await withFolder(async (folder) => {
      const path = join(folder, 'runs.db');
      writeFileSync(path, 'this is no database, whatever its name says'.repeat(100));
      await refuses({ env: { DIFY_AGENT_STORE_URL: `sqlite:${path}` } }, 'runs.db');
    });
  }, 60_000);

  test('nothing answers at the default store', async () => {
    const env = { DIFY_AGENT_STORE_URL: undefined, DIFY_AGENT_REDIS_URL: 'redis://127.0.0.1:9/0' };
    await refuses({ env }, 'DIFY_AGENT_STORE_URL=sqlite:./dify-agent.db');
  }, 60_000);

  const bad: readonly (readonly [string, string])[] = [
    ['DIFY_AGENT_PORT', 'eighty'],
    ['DIFY_AGENT_PORT', '70000'],
    ['DIFY_AGENT_RUN_RETENTION_SECONDS', '0'],
    ['DIFY_AGENT_RUN_RETENTION_SECONDS', ''],
    ['DIFY_AGENT_SHUTDOWN_GRACE_SECONDS', 'soon'],
    ['DIFY_AGENT_PLUGIN_DAEMON_READ_TIMEOUT', '-1'],
    ['DIFY_AGENT_PLUGIN_DAEMON_MAX_CONNECTIONS', '0'],
    ['DIFY_AGENT_STORE_URL', 'mysql://x'],
    ['DIFY_AGENT_LOG_LEVEL', 'loud'],
    ['DIFY_AGENT_WIRE_VINTAGE', '2020-01'],
    ['DIFY_AGENT_SERVER_SECRET_KEY', 'short'],
    ['DIFY_AGENT_MAX_REQUEST_BYTES', 'many'],
  ];
  for (const [name, value] of bad) {
    test(`${name}=${JSON.stringify(value)}`, async () => {
      await refuses({ env: { [name]: value } }, name);
    }, 60_000);
  }

  test('a secret that is wrong is not printed', async () => {
    const secret = 'c2VjcmV0LXRoYXQtaXMtdG9vLXNob3J0';
    expect(await refuses({ env: { DIFY_AGENT_SERVER_SECRET_KEY: secret } })).not.toContain(secret);
  }, 60_000);
});

describe('the working directory', () => {
  test('a hostile bunfig.toml, package.json and tsconfig.json are not loaded', async () => {
    await withFolder(async (cwd) => {
      const marker = join(cwd, 'executed');
      writeFileSync(join(cwd, 'evil.ts'), `require('node:fs').writeFileSync(${JSON.stringify(marker)}, 'x');`);
      writeFileSync(join(cwd, 'bunfig.toml'), 'preload = ["./evil.ts"]\n[run]\npreload = ["./evil.ts"]\n');
      writeFileSync(join(cwd, 'package.json'), '{"name": "evil", "type": "commonjs", "exports": 5, "imports": 7');
      writeFileSync(join(cwd, 'tsconfig.json'), '{"compilerOptions": {"paths": {"elysia": ["./evil.ts"]}}, ');
      await withServer({ cwd }, async (server) => {
        expect((await runToEnd(server.url, scripted([[{ text: 'fine' }]]))).terminal.output).toBe('fine');
      });
      expect(existsSync(marker)).toBe(false);
    });
  }, 60_000);

  test('.env configures the server and nothing else; dify-agent/.env and the real environment win', async () => {
    await withFolder(async (cwd) => {
      const marker = join(cwd, 'executed');
      writeFileSync(join(cwd, 'evil.ts'), `require('node:fs').writeFileSync(${JSON.stringify(marker)}, 'x');`);
      writeFileSync(
        join(cwd, '.env'),
        [
          'BUN_OPTIONS=--preload=./evil.ts',
          'HTTP_PROXY=http://127.0.0.1:9',
          'NODE_TLS_REJECT_UNAUTHORIZED=0',
          'DIFY_AGENT_RUN_RETENTION_SECONDS=1111',
          'DIFY_AGENT_REDIS_PREFIX=from-env',
          'DIFY_AGENT_LOG_LEVEL=loud',
        ].join('\n'),
      );
      mkdirSync(join(cwd, 'dify-agent'));
      writeFileSync(join(cwd, 'dify-agent/.env'), 'DIFY_AGENT_REDIS_PREFIX=from-second\n');
      const { stdout, stderr } = await runToExit({ cwd, args: ['check'], env: { DIFY_AGENT_LOG_LEVEL: 'warn' } });
      const said = [...stdout, ...stderr].join('\n');
      expect(said).toContain('1111');
      expect(said).toContain('from-second');
      expect(said).not.toContain('from-env');
      expect(said).not.toContain('loud');
      expect(existsSync(marker)).toBe(false);
    });
  }, 60_000);
});

test('the store file and its companions are readable by their owner alone', async () => {
  await withFolder(async (folder) => {
    chmodSync(folder, 0o755);
    const env = { DIFY_AGENT_STORE_URL: `sqlite:${join(folder, 'runs.db')}` };
    await withServer({ env }, async (server) => {
      await runToEnd(server.url, scripted([[{ text: 'x' }]]));
      const files = readdirSync(folder);
      expect(files).toContain('runs.db');
      for (const file of files) {
        expect([file, (statSync(join(folder, file)).mode & 0o777).toString(8)]).toEqual([file, '600']);
      }
    });
  });
}, 60_000);

test('a clean log: json lines with a level and a message, no request bodies, no keys', async () => {
  await withServer({ env: { DIFY_AGENT_LOG_LEVEL: 'debug' } }, async (server) => {
    const run = await runToEnd(
      server.url,
      scripted([[{ text: 'out-of-the-model' }]], { prompt: 'a-private-question' }),
    );
    await server.stop();
    const lines = server.stderrLines.filter((line) => line !== '');
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expect(Object.keys(JSON.parse(line))).toContain('level');
    const all = lines.join('\n');
    expect(all).toContain(run.runId);
    for (const secret of ['a-private-question', 'out-of-the-model', 'golden-daemon-key']) {
      expect(all).not.toContain(secret);
    }
  });
}, 60_000);
