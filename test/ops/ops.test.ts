// What docs/ops tells operators to install: its files fit the executable, its settings exist, its time-outs fit each other.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { listVariables } from '../../src/config/variables.ts';
import { ensureBinary } from '../support/binary.ts';

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
    const words = [...unit.matchAll(/^Exec\w+=\/usr\/local\/bin\/dify-agent (\w+)/gm)].map(([, word]) => word);
    expect(words).toEqual(['check', 'serve', 'ready']);
    const { stdout } = spawnSync(binary, ['help'], { encoding: 'utf8' });
    for (const word of words) expect(stdout).toContain(`\n  ${word}`);
  });

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
