// What docs/ops tells operators to install: its files fit the executable, its settings exist, its time-outs fit each other.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { listVariables } from '../../src/config/variables.ts';
import { freePort } from '../faults/kill-loop.ts';
import { ensureBinary } from '../support/binary.ts';
import { within } from '../support/until.ts';

const OPS = join(import.meta.dir, '../../docs/ops');
const read = (name: string) => readFileSync(join(OPS, name), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'dify-agent-ops-'));
beforeAll(async () => void (await ensureBinary()), 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** After the grace: aborted runs 5 s, streams 5 s, workspaces 10 s, connections 2 s, and some (docs/ops/upgrade.md). */
const AFTER_GRACE_SECONDS = 25;
const variables = new Map(listVariables().map((variable) => [variable.name, variable]));
const grace = Number(variables.get('DIFY_AGENT_SHUTDOWN_GRACE_SECONDS')?.default);
/** Read by commands, not by the server. */
const OF_COMMANDS = ['DIFY_AGENT_URL'];

test.each(['dify-agent.service', 'dify-agent.env', 'Dockerfile', 'compose.yaml', 'kubernetes.yaml', 'nginx.conf'])(
  '%s names only variables that exist',
  (name) => {
    const named = [...read(name).matchAll(/DIFY_AGENT_[A-Z_]*[A-Z]/g)].map(([word]) => word);
    expect(named.filter((word) => !variables.has(word) && !OF_COMMANDS.includes(word))).toEqual([]);
  },
);

describe('the systemd unit', () => {
  const unit = read('dify-agent.service');

  test('gives a stop the time that it takes', () => {
    expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThanOrEqual(grace + AFTER_GRACE_SECONDS);
  });

  test('calls commands that exist', async () => {
    const binary = await ensureBinary();
    const words = [...unit.matchAll(/^Exec\w+=.*?\/usr\/local\/bin\/dify-agent (\w+)/gm)].map(([, word]) => word);
    expect(words).toEqual(['serve', 'ready']);
    const { stdout } = spawnSync(binary, ['help'], { encoding: 'utf8' });
    for (const word of words) expect(stdout).toContain(`\n  ${word}`);
  });

  /** What systemd does with the commands, where there is none: the server, then whether it counts as started. */
  async function start(state: string, settings: Readonly<Record<string, string>>) {
    const here = unit
      .replaceAll('/usr/local/bin/dify-agent', await ensureBinary())
      .replaceAll('/var/lib/dify-agent', state)
      .replaceAll('$$', '$');
    const of = (name: string) => [...here.matchAll(new RegExp(`^${name}=(.+)$`, 'gm'))].map(([, value = '']) => value);
    const env = {
      PATH: process.env.PATH ?? '',
      ...Object.fromEntries(of('Environment').map((line) => line.split(/=(.*)/s, 2))),
      ...settings,
    };
    // Their quotes are a shell's.
    const spawn = (line: string, more: Readonly<Record<string, string>> = {}) =>
      Bun.spawn(['sh', '-c', `exec ${line}`], {
        cwd: state,
        env: { ...env, ...more },
        stdout: 'ignore',
        stderr: 'ignore',
      });
    expect(of('ExecStartPre')).toEqual([]);
    const [server = '', ...rest] = of('ExecStart');
    const [post = '', ...others] = of('ExecStartPost');
    expect([...rest, ...others]).toEqual([]);
    const main = spawn(server);
    const started = await within('ExecStartPost', spawn(post, { MAINPID: String(main.pid) }).exited, 30_000);
    return { main, started };
  }

  test('starts the server, ends it and starts it again, though no plugin daemon is there: it may come up later', async () => {
    const state = mkdtempSync(join(folder, 'state-'));
    const [port, nobody] = [await freePort(), await freePort()];
    const settings = {
      DIFY_AGENT_PORT: String(port),
      DIFY_AGENT_URL: `http://127.0.0.1:${port}`,
      DIFY_AGENT_PLUGIN_DAEMON_URL: `http://127.0.0.1:${nobody}`,
    };
    for (const _ of ['once', 'again']) {
      const { main, started } = await start(state, settings);
      expect(started).toBe(0);
      main.kill(/^KillSignal=(SIG\w+)$/m.exec(unit)?.[1] as 'SIGTERM'); // what stands there is a signal's name
      expect(await within('the end', main.exited, 30_000)).toBe(0);
    }
  }, 60_000);

  test('does not wait for a server that a wrong setting keeps from starting', async () => {
    const state = mkdtempSync(join(folder, 'state-'));
    const url = `http://127.0.0.1:${await freePort()}`;
    const { main, started } = await start(state, { DIFY_AGENT_PORT: 'none', DIFY_AGENT_URL: url });
    expect([await main.exited, started]).toEqual([1, 1]);
  }, 60_000);

  test('is one that systemd accepts', async () => {
    // Where systemd is: it is not part of every machine that runs these tests.
    if (spawnSync('systemd-analyze', ['--version']).status !== 0) return;
    const path = join(folder, 'dify-agent.service');
    writeFileSync(path, unit.replaceAll('/usr/local/bin/dify-agent', await ensureBinary()));
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', path], { encoding: 'utf8' });
    expect([status, stdout + stderr]).toEqual([0, '']);
  });
});

describe('the image', () => {
  test('has what the executable is linked with: it runs where there is nothing else', async () => {
    const binary = await ensureBinary();
    const root = join(folder, 'root');
    const program = join(root, 'usr/bin/dify-agent');
    mkdirSync(dirname(program), { recursive: true });
    cpSync(binary, program);
    // As the Dockerfile collects them.
    expect(read('Dockerfile')).toContain("for library in $(ldd usr/bin/dify-agent | grep -o '/[^ ]*'); do");
    const listed = spawnSync('ldd', [program], { encoding: 'utf8' }).stdout;
    for (const [library] of listed.matchAll(/\/[^ ]*/g)) {
      mkdirSync(dirname(join(root, library)), { recursive: true });
      cpSync(library, join(root, library), { dereference: true });
    }
    // Every container has /proc, and Bun does not start without.
    mkdirSync(join(root, 'proc'));
    const script = 'mount --rbind /proc "$0/proc" && exec chroot "$0" /usr/bin/dify-agent version --json';
    const args = ['--map-root-user', '--mount', 'sh', '-c', script, root];
    const { status, stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
    expect(JSON.parse(stdout)).toMatchObject({ name: 'dify-agent' });
  }, 30_000);
});

test.each(['compose.yaml', 'README.md', '../security.md'])(
  'the token that %s tells to make fits into a URL',
  (name) => {
    const commands = [...read(name).matchAll(/openssl (rand -\w+ \d+)/g)].map(([, words = '']) => words.split(' '));
    expect(commands).not.toEqual([]);
    for (const words of commands) {
      const token = spawnSync('openssl', words, { encoding: 'utf8' }).stdout.trim();
      expect(new URL(`http://dify:${token}@agent:8000`).password).toBe(token);
      expect(token.length).toBeGreaterThanOrEqual(32);
    }
  },
);

describe('Kubernetes', () => {
  // The shape is what the file says; the assertions below fail where it does not.
  const documents = Bun.YAML.parse(read('kubernetes.yaml')) as readonly Record<string, unknown>[];
  const deployment = documents.find(({ kind }) => kind === 'Deployment') as {
    readonly spec: { readonly template: { readonly spec: Pod } };
  };
  interface Pod {
    readonly terminationGracePeriodSeconds: number;
    readonly containers: readonly [
      {
        readonly env: readonly { readonly name: string; readonly value?: string }[];
        readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
        readonly readinessProbe: { readonly httpGet: { readonly path: string } };
        readonly livenessProbe: { readonly httpGet: { readonly path: string } };
      },
    ];
  }

  test('waits for the grace, for load balancers and for the rest', () => {
    const { terminationGracePeriodSeconds, containers } = deployment.spec.template.spec;
    const own = containers[0].env.find(({ name }) => name === 'DIFY_AGENT_SHUTDOWN_GRACE_SECONDS');
    const needed = Number(own?.value ?? grace) + containers[0].lifecycle.preStop.sleep.seconds + AFTER_GRACE_SECONDS;
    expect(terminationGracePeriodSeconds).toBeGreaterThanOrEqual(needed);
  });

  test('asks /readyz whether to send, /healthz whether to kill', () => {
    const [{ readinessProbe, livenessProbe }] = deployment.spec.template.spec.containers;
    expect([readinessProbe.httpGet.path, livenessProbe.httpGet.path]).toEqual(['/readyz', '/healthz']);
  });
});

test('compose waits for the grace, and its Redis evicts nothing', () => {
  const { services } = Bun.YAML.parse(read('compose.yaml')) as {
    readonly services: Record<string, { readonly stop_grace_period?: string; readonly command?: readonly string[] }>;
  };
  expect(Number.parseInt(services['agent-1']?.stop_grace_period ?? '0', 10)).toBeGreaterThanOrEqual(
    grace + AFTER_GRACE_SECONDS,
  );
  expect(services.redis?.command).toContain('noeviction');
});
