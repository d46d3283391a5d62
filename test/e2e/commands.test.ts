// The commands of the binary, as a user types them.

import { describe, expect, test } from 'bun:test';
import { startFakeDaemon } from '../fakes/plugin-daemon.ts';
import { type ServerOptions, startProcess } from '../support/server.ts';
import { within } from '../support/until.ts';

async function command(args: readonly string[], env: ServerOptions['env'] = {}) {
  const running = await startProcess({ args, env });
  try {
    const { code } = await within(`${args.join(' ')} to end`, running.exited, 20_000);
    return { code, stdout: running.stdoutLines.join('\n'), stderr: running.stderrLines.join('\n') };
  } finally {
    await running.dispose();
  }
}

test('version prints the version of package.json', async () => {
  const { version } = (await Bun.file(new URL('../../package.json', import.meta.url)).json()) as { version: string };
  for (const args of [['version'], ['--version']]) {
    const { code, stdout, stderr } = await command(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain(version);
  }
}, 180_000);

test('help names every command and setting, on standard output', async () => {
  for (const args of [['help'], ['--help']]) {
    const { code, stdout, stderr } = await command(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const word of ['serve', 'check', 'demo', 'version', 'help', 'DIFY_AGENT_PORT', 'DIFY_AGENT_STORE_URL']) {
      expect(stdout).toContain(word);
    }
  }
}, 60_000);

test('an unknown command is refused on one line', async () => {
  const { code, stdout, stderr } = await command(['frobnicate']);
  expect(code).not.toBe(0);
  expect(stdout).toBe('');
  expect(stderr).toContain('frobnicate');
}, 60_000);

describe('check', () => {
  test('exits 0 when store and daemon answer, with secrets masked', async () => {
    const daemon = await startFakeDaemon();
    try {
      const { code, stdout, stderr } = await command(['check'], {
        DIFY_AGENT_PLUGIN_DAEMON_URL: daemon.url,
        DIFY_AGENT_PLUGIN_DAEMON_API_KEY: 'a-very-secret-key',
      });
      expect({ code, stderr }).toMatchObject({ code: 0 });
      const said = stdout + stderr;
      expect(said).toContain('DIFY_AGENT_STORE_URL');
      expect(said).toContain(daemon.url);
      expect(said).not.toContain('a-very-secret-key');
      expect(said.toLowerCase()).toContain('scripted');
    } finally {
      await daemon.stop();
    }
  }, 60_000);

  test('exits 1 and says what is missing when the daemon does not answer', async () => {
    const { code, stdout, stderr } = await command(['check'], { DIFY_AGENT_PLUGIN_DAEMON_URL: 'http://127.0.0.1:9' });
    expect(code).toBe(1);
    expect(stdout + stderr).toContain('http://127.0.0.1:9');
  }, 60_000);

  test('exits 1 on a bad setting and names it', async () => {
    const { code, stdout, stderr } = await command(['check'], { DIFY_AGENT_PORT: 'eighty' });
    expect(code).toBe(1);
    expect(stdout + stderr).toContain('DIFY_AGENT_PORT');
  }, 60_000);
});

test('demo shows a run and its events without any set-up', async () => {
  const { code, stdout, stderr } = await command(['demo'], {
    DIFY_AGENT_PORT: undefined,
    DIFY_AGENT_STORE_URL: undefined,
    DIFY_AGENT_ENABLE_SCRIPTED_MODEL: undefined,
    DIFY_AGENT_PLUGIN_DAEMON_URL: undefined,
  });
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  for (const word of ['run_started', 'run_succeeded']) expect(stdout + stderr).toContain(word);
}, 60_000);
