// A whole session on every kind of shellctl: the fake in its dialects, and a real one when DIFY_AGENT_TEST_SHELLCTL_URL (and
// DIFY_AGENT_TEST_SHELLCTL_TOKEN) say where one is.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import type { FakeShellctlOptions } from '../fakes/shellctl.ts';
import { lastJob, runs, type ShellServer, shellServer, turn } from './shell-kit.ts';

setDefaultTimeout(180_000);

const realUrl = process.env.DIFY_AGENT_TEST_SHELLCTL_URL;
const real = {
  DIFY_AGENT_SHELLCTL_ENTRYPOINT: realUrl,
  DIFY_AGENT_SHELLCTL_AUTH_TOKEN: process.env.DIFY_AGENT_TEST_SHELLCTL_TOKEN,
};
const FAKES: readonly [name: string, FakeShellctlOptions][] = [
  ['the Python server', {}],
  ['the Go server', { dialect: 'go' }],
  ['the Python server that takes no env', { takesEnv: false }],
];

describe.each(realUrl === undefined ? FAKES : [['a real server', {}] as const])('%s', (_, fake) => {
  let world: ShellServer;
  beforeAll(async () => {
    world = await shellServer({ fake, env: realUrl === undefined ? {} : real });
  });
  afterAll(() => world.stop());

  const typing = (more: object) => turn('shell_input', () => ({ job_id: lastJob(world), ...more }));
  const waiting = () => turn('shell_wait', () => ({ job_id: lastJob(world) }));
  const config = {
    env: [{ name: 'REGION', value: "it's\n$eu" }],
    cli_tools: [{ install_commands: ['echo "$REGION" > made'] }],
  };

  test('serves a session in two runs', async () => {
    world.play(
      runs('cat made'),
      runs('#!/usr/bin/env -S sh -eu\necho "$REGION"; exit 3'),
      runs('read line; echo "got $line"', 1),
      typing({ text: 'hello\n' }),
      waiting(),
      runs('sleep 600', 0.3),
      turn('shell_interrupt', () => ({ job_id: lastJob(world), grace_seconds: 0.1 })),
      turn('shell_wait', { job_id: 'invented' }),
      runs("head -c 20000 /dev/zero | tr '\\0' a"),
      ...[waiting(), waiting(), waiting()],
    );
    const first = await world.run({ config });
    const [cat, shebang, , typed, waited, , interrupted, invented, ...windows] = first.results;
    expect([cat, shebang]).toMatchObject([
      { output: "it's\n$eu\n", exit_code: 0 },
      { output: "it's\n$eu\n", exit_code: 3 },
    ]);
    // A terminal echoes what is typed.
    expect(`${typed?.output}${waited?.output}`.replace(/^hello\n/, '')).toBe('got hello\n');
    expect(interrupted).toMatchObject({ status: 'terminated', done: true });
    expect(invented).toEqual({ error: 'Unknown shell job id for this session: invented.', job_id: 'invented' });
    expect(windows.map(({ output }) => output).join('')).toBe('a'.repeat(20_000));
    expect(windows.at(-1)).toMatchObject({ done: true, truncated: false, offset: 20_000 });

    // The Go server forgets after five minutes.
    if (realUrl === undefined) world.shellctl.expireJobs();
    const [job_id = ''] = first.state.job_ids;
    world.play(turn('shell_wait', { job_id }), runs('cat made; pwd'));
    const second = await world.run({ config, snapshot: first.snapshot, onExit: { default: 'delete' } });
    expect(second.results).toMatchObject([
      realUrl === undefined
        ? { error: `job_not_found (404): Unknown job id: ${job_id}`, job_id }
        : { job_id, output: '', done: true },
      { output: expect.stringMatching(/^it's\n\$eu\n\/.*\/workspace\/[0-9a-f]{7}\n$/) },
    ]);
    if (realUrl === undefined) await world.isLeft();
    // The workspace is gone, the model is told, and there is a new one.
    world.play(runs('ls'), runs('cat made'));
    const third = await world.run({
      config,
      snapshot: reopened(second.snapshot),
      onExit: { default: 'delete' },
    });
    expect(third.results).toMatchObject([
      { error: expect.stringContaining('has vanished') },
      { output: "it's\n$eu\n", exit_code: 0 },
    ]);
  });

  test('is looked into', async () => {
    world.play(runs('mkdir sub; printf "text é" > sub/file; printf "\\377" > binary; ln -s / out'));
    const { snapshot } = await world.run();
    const session = (snapshot as Snapshot).layers.find(({ name }) => name === 'shell');
    const ask = async (operation: string, path: string): Promise<readonly [number, unknown]> => {
      const layer = { name: 'shell', type: 'dify.shell', config: {} };
      const locator = { composition: { layers: [layer] }, session_snapshot: { layers: [session] } };
      const response = await fetch(`${world.server.url}/sandbox/files/${operation}`, {
        method: 'POST',
        proxy: false,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ locator, path }),
      });
      return [response.status, await response.json()];
    };
    expect(await ask('list', '.')).toMatchObject([
      200,
      { entries: [{ name: 'binary' }, { name: 'out', type: 'symlink' }, { name: 'sub', type: 'dir' }] },
    ]);
    expect(await ask('read', 'sub/file')).toMatchObject([200, { text: 'text é', size: 7, binary: false }]);
    expect(await ask('read', 'binary')).toMatchObject([200, { text: null, binary: true }]);
    expect(await ask('read', 'none')).toMatchObject([404, { detail: { code: 'sandbox_path_not_found' } }]);
    expect(await ask('list', 'out')).toMatchObject([400, { detail: { code: 'invalid_sandbox_path' } }]);
    world.play();
    expect((await world.run({ snapshot, onExit: { default: 'delete' } })).error).toBeUndefined();
  });
});

interface Snapshot {
  readonly layers: readonly { readonly name: string; readonly runtime_state: object }[];
}

/** A closed session as somebody would send it again who does not know that it is closed. */
function reopened(snapshot: unknown): object {
  const { layers } = snapshot as Snapshot; // a succeeded run's
  return { layers: layers.map((layer) => ({ ...layer, lifecycle_state: 'suspended' })) };
}
