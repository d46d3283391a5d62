// What goes wrong between the server and shellctl: cancelled and stopped runs whose jobs must not live on, a shellctl that hangs,
// vanishes, refuses the token or loses a workspace, and a plugin daemon that hangs beside it.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSse } from '../support/sse.ts';
import { until, within } from '../support/until.ts';
import { DONE, runs, type ShellServer, shellServer, turn, withShellServer } from './shell-kit.ts';

// The waits inside have bounds of their own; and a test that times out takes the server with it.
setDefaultTimeout(120_000);

let world: ShellServer;

beforeAll(async () => {
  world = await shellServer({ env: { DIFY_AGENT_SHELL_BOOTSTRAP_TIMEOUT_SECONDS: '1' } });
});
afterAll(() => world.stop());

/** A script that says its process id in the home, then goes on for long. */
const endless = (name: string, first = '') => `echo $$ > ~/${name}; ${first} exec sleep 600`;

/** The process of `endless`, once it runs. */
const pidOf = (own: ShellServer, name: string) =>
  until(`the process ${name}`, () => {
    const file = join(own.shellctl.home, name);
    return existsSync(file) && Number(readFileSync(file, 'utf8'));
  });
const isGone = (pid: number) => until(`the end of ${pid}`, () => !existsSync(`/proc/${pid}`), { timeoutMs: 15_000 });

async function cancel({ server }: ShellServer, runId: string): Promise<void> {
  const response = await fetch(`${server.url}/runs/${runId}/cancel`, {
    method: 'POST',
    proxy: false,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'user', message: 'enough' }),
  });
  expect(response.status).toBe(200);
}

/** Resolves when the server waits for a job that has been started: the second request about it is under way. */
const waitsForJob = (own: ShellServer) =>
  until('a wait for the job', () => own.shellctl.requests.some(({ path }) => path.endsWith('/wait')));

describe('a cancel during a long shell_run', () => {
  test.each([
    ['at its start', false],
    ['in its wait', true],
  ])('%s ends the job, and the workspace of a first run', async (_, late) => {
    world.shellctl.forgetRequests();
    const name = late ? 'late' : 'early';
    world.play(runs(endless(name), 60));
    const runId = await world.start();
    const pid = await pidOf(world, name);
    if (late) await waitsForJob(world);
    await cancel(world, runId);
    const run = await within('the end of the run', world.follow(runId), 5_000);
    expect([run.types.at(-1), run.terminal]).toEqual(['run_cancelled', { reason: 'user', message: 'enough' }]);
    await isGone(pid);
    await until('the jobs to be gone', () => world.shellctl.jobIds().length === 0);
    await until('the workspace to be gone', () => world.workspaces().length === 0);
  });

  test.each([
    ['at its start', false],
    ['in its wait', true],
  ])('%s of a resumed session ends the job and keeps the workspace', async (_, late) => {
    world.play(runs('echo kept > file'));
    const first = await world.run();
    world.shellctl.forgetRequests();
    const name = late ? 'resumed-late' : 'resumed-early';
    world.play(runs(endless(name), 60));
    const runId = await world.start({ snapshot: first.snapshot });
    const pid = await pidOf(world, name);
    if (late) await waitsForJob(world);
    await cancel(world, runId);
    expect((await within('the end of the run', world.follow(runId), 5_000)).types.at(-1)).toBe('run_cancelled');
    await isGone(pid);
    await until('the job to be gone', () => world.shellctl.jobIds().length === first.state.job_ids.length);
    world.play(runs('cat file'));
    const again = await world.run({ snapshot: first.snapshot, onExit: { default: 'delete' } });
    expect(again.results).toMatchObject([{ output: 'kept\n' }]);
  });

  test('leaves jobs alone that the session had before', async () => {
    world.play(runs(endless('before'), 0.2));
    const first = await world.run();
    const pid = await pidOf(world, 'before');
    const [job_id = ''] = first.state.job_ids;
    world.shellctl.forgetRequests();
    world.play(turn('shell_wait', { job_id, timeout: 60 }));
    const runId = await world.start({ snapshot: first.snapshot });
    await waitsForJob(world);
    await cancel(world, runId);
    expect((await within('the end of the run', world.follow(runId), 5_000)).types.at(-1)).toBe('run_cancelled');
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    world.play();
    await world.run({ snapshot: first.snapshot, onExit: { default: 'delete' } });
    await isGone(pid);
  });

  test('while another run waits for the workspace: that one goes on', async () => {
    world.play();
    const first = await world.run();
    world.daemon.play({ llm: [runs(endless('holds'), 60), DONE] }, 'holds');
    world.daemon.play({ llm: [runs('echo mine'), DONE] }, 'waits');
    const holding = await world.start({ snapshot: first.snapshot, key: 'holds' });
    const pid = await pidOf(world, 'holds');
    const waiting = await world.start({ snapshot: first.snapshot, key: 'waits', onExit: { default: 'delete' } });
    const cancelled = await world.start({ snapshot: first.snapshot, key: 'waits' });
    await cancel(world, cancelled);
    expect((await within('the cancelled one', world.follow(cancelled), 5_000)).types.at(-1)).toBe('run_cancelled');
    await cancel(world, holding);
    expect((await within('the other one', world.follow(waiting))).results).toMatchObject([{ output: 'mine\n' }]);
    await isGone(pid);
  });
});

describe('making a workspace', () => {
  test('that takes longer than its deadline fails in time and leaves nothing', async () => {
    world.play();
    const config = { cli_tools: [{ install_commands: [endless('install')] }] };
    const run = await within('the run', world.run({ config }), 10_000);
    expect(run.error).toMatch(
      /^Failed to bootstrap shell workspace ~\/workspace\/\w{7}: \w+ exit_code=\w+ \(timeout\)$/,
    );
    await isGone(await pidOf(world, 'install'));
    await world.isLeft();
    expect(world.daemon.llmRequests).toEqual([]);
  });

  test('in a shellctl that never answers ends with a cancel at once, and otherwise by a time-out of its own', async () => {
    world.shellctl.fault(() => 'hang');
    const runId = await world.start();
    await until('the request', () => world.shellctl.openSockets() > 0);
    await cancel(world, runId);
    expect((await within('the end', world.follow(runId), 5_000)).types.at(-1)).toBe('run_cancelled');
    const hanging = await within('the end', world.run(), 40_000);
    expect(hanging.error).toMatch(/^timeout: shellctl did not answer within 11 s$/);
    world.shellctl.fault(null);
  });

  test('cancelled while tools are installed: nothing is left', async () => {
    await withShellServer({}, async (own) => {
      const config = { cli_tools: [{ install_commands: [endless('install')] }] };
      const runId = await own.start({ config });
      const pid = await pidOf(own, 'install');
      await cancel(own, runId);
      expect((await within('the end', own.follow(runId), 5_000)).types.at(-1)).toBe('run_cancelled');
      await isGone(pid);
      await until('nothing to be left', () => own.workspaces().length + own.shellctl.jobIds().length === 0);
    });
  });
});

describe('a shellctl', () => {
  test('that refuses the token: the run says so, and the token is in nothing that it says', async () => {
    const { shellctl, server } = world;
    shellctl.setToken('another-token');
    const run = await world.run();
    expect(run.error).toBe('unauthorized (401): Missing or invalid bearer token');
    shellctl.setToken(shellctl.token);
    expect(`${run.text}${server.stderrLines.join('\n')}`).not.toContain(shellctl.token);
  });

  test('that is not there', async () => {
    world.shellctl.vanish();
    expect((await world.run()).error).toBe('request_error: shellctl cannot be reached');
    world.shellctl.reappear();
    world.play(runs('echo back'));
    expect((await world.run({ onExit: { default: 'delete' } })).results).toMatchObject([{ output: 'back\n' }]);
  });

  test('that vanishes in the middle: the model is told, and the run ends as the model wants', async () => {
    world.play(
      turn('shell_run', () => ({ script: 'sleep 0.3; echo x' })),
      turn('shell_run', () => {
        world.shellctl.vanish();
        return { script: 'echo never' };
      }),
    );
    const run = await within('the run', world.run());
    expect(run.results).toMatchObject([{ output: 'x\n' }, { error: 'request_error: shellctl cannot be reached' }]);
    expect(run.terminal.output).toBe('done');
    world.shellctl.reappear();
    // The session goes on where it was, and can be deleted.
    world.play(runs('pwd'));
    const again = await world.run({ snapshot: run.snapshot, onExit: { default: 'delete' } });
    expect(again.results).toMatchObject([{ exit_code: 0 }]);
    await world.isLeft();
  });

  test('that vanishes before a session is deleted: the run succeeds, soon, and says in the log what is left', async () => {
    world.play(runs('echo x'));
    const first = await world.run();
    world.play(
      turn('shell_wait', () => {
        world.shellctl.vanish();
        return { job_id: 'none' };
      }),
    );
    const run = await within('the run', world.run({ snapshot: first.snapshot, onExit: { default: 'delete' } }));
    expect(run.types.at(-1)).toBe('run_succeeded');
    const said = world.server.stderrLines.filter((line) => line.includes(first.state.session_id));
    expect(said.join('\n')).toContain('a workspace could not be removed');
    world.shellctl.reappear();
    world.play();
    await world.run({ snapshot: first.snapshot, onExit: { default: 'delete' } });
    expect(world.workspaces()).toEqual([]);
  });

  test('that hangs while a session is deleted does not hold the run for longer than its exit may take', async () => {
    world.play();
    const first = await world.run();
    world.shellctl.fault(() => 'hang');
    world.play();
    const run = await within('the run', world.run({ snapshot: first.snapshot, onExit: { default: 'delete' } }), 12_000);
    expect(run.types.at(-1)).toBe('run_succeeded');
    world.shellctl.fault(null);
  });

  test('that lost the workspace: the model is told once, and goes on in an empty one', async () => {
    world.play(runs('echo x > file'));
    const first = await world.run();
    world.shellctl.loseWorkspaces(first.state.session_id);
    world.play(runs('cat file'), runs('ls; pwd'));
    const run = await world.run({ snapshot: first.snapshot, onExit: { default: 'delete' } });
    expect(run.results).toMatchObject([
      { error: expect.stringContaining('has vanished, with all files in it; the script was not run.') },
      { exit_code: 0, output: `${world.shellctl.home}/workspace/${first.state.session_id}\n` },
    ]);
  });

  test('that answers nonsense', async () => {
    world.play();
    const first = await world.run();
    const nonsense: readonly [{ status: number; body: string }, string][] = [
      [{ status: 200, body: '<html>' }, 'invalid_json (200): <html>'],
      [{ status: 200, body: '[]' }, 'invalid_payload (200): the answer is not a JSON object'],
      [{ status: 200, body: '{"job_id":"../x"}' }, 'invalid_payload (200): the answer has no usable job_id'],
      [{ status: 502, body: 'Bad gateway' }, 'invalid_json (502): Bad gateway'],
    ];
    for (const [reply, error] of nonsense) {
      world.shellctl.fault(() => ({ reply }));
      world.play(runs('echo x'));
      expect((await world.run({ snapshot: first.snapshot })).results).toEqual([{ error }]);
    }
    world.shellctl.fault(null);
  });
});

describe('SIGTERM during a job', () => {
  test('ends the run visibly, the job and a workspace that only this run knew, and exits 0 in time', async () => {
    await withShellServer({ env: { DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0.2' } }, async (own) => {
      own.play(runs(endless('job'), 60));
      const runId = await own.start();
      const pid = await pidOf(own, 'job');
      const following = openSse(own.server.url, runId).then(({ frames }) => Array.fromAsync(frames));
      own.server.kill('SIGTERM');
      const last = (await within('the end of the stream', following, 15_000)).at(-1);
      expect([last?.event, JSON.parse(last?.data ?? '').data]).toEqual([
        'run_failed',
        { error: 'run cancelled during server shutdown', reason: 'shutdown' },
      ]);
      expect(await within('the exit', own.server.exited, 15_000)).toEqual({ code: 0, signal: null });
      await isGone(pid);
      await own.isLeft();
    });
  });

  test('lets a run finish within the grace', async () => {
    await withShellServer({ env: { DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '20' } }, async (own) => {
      own.play(runs('echo $$ > ~/job; sleep 1; echo finished > ~/finished'));
      const runId = await own.start();
      await pidOf(own, 'job');
      const following = own.follow(runId).catch(() => null);
      own.server.kill('SIGTERM');
      expect(await within('the exit', own.server.exited, 15_000)).toEqual({ code: 0, signal: null });
      await following;
      expect(existsSync(join(own.shellctl.home, 'finished'))).toBe(true);
      expect(own.workspaces()).toHaveLength(1);
    });
  });
});

test('a plugin daemon that hangs keeps no run from its shell', async () => {
  const env = { DIFY_AGENT_PLUGIN_DAEMON_MAX_CONNECTIONS: '300' };
  await withShellServer({ env }, async (own) => {
    const hanging = 290;
    own.daemon.play({ llm: Array.from({ length: hanging }, () => [{ hang: true }]) }, 'hangs');
    own.daemon.play({ llm: [runs('echo alive'), DONE] }, 'lives');
    // Their workspaces are made first: every one of them talks to shellctl, too.
    const stuck = await Promise.all(Array.from({ length: hanging }, () => own.start({ key: 'hangs' })));
    await until('all models to hang', () => own.daemon.llmRequests.length === hanging, { timeoutMs: 40_000 });
    const run = await within('the run that lives', own.run({ key: 'lives', onExit: { default: 'delete' } }), 10_000);
    expect(run.results).toMatchObject([{ output: 'alive\n' }]);
    await Promise.all(stuck.map((runId) => cancel(own, runId)));
    await Promise.all(stuck.map((runId) => within('the end of a stuck run', own.follow(runId), 30_000)));
    await until('all workspaces to be gone', () => own.workspaces().length === 0, { timeoutMs: 30_000 });
  });
});
