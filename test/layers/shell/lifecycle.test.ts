// Making, resuming and removing workspaces, against the fake shellctl with its real client.

import { afterEach, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SessionSnapshot } from '../../../src/protocol/runs.ts';
import { until } from '../../support/until.ts';
import { linesOf, quiet, runsOf, type ShellWorld, shellWorld, snapshotOf, stateIn } from './kit.ts';

let world: ShellWorld | null = null;

function start(...args: Parameters<typeof shellWorld>): ShellWorld {
  world = shellWorld(...args);
  return world;
}

afterEach(async () => {
  await world?.stop();
  world = null;
});

const workspaces = ({ fake }: ShellWorld): readonly string[] => {
  const root = join(fake.home, 'workspace');
  return existsSync(root) ? readdirSync(root) : [];
};

const sessionIn = (snapshot: SessionSnapshot): string => String(stateIn(snapshot).session_id);

async function failureOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'nothing failed';
}

describe('a first run', () => {
  test('makes a workspace with one job, which it deletes; the snapshot names no job of ours', async () => {
    const shell = start();
    const { exit } = await shell.enter();
    const snapshot = await exit('suspend');
    const id = sessionIn(snapshot);
    expect(stateIn(snapshot)).toEqual({
      session_id: expect.stringMatching(/^[0-9a-f]{7}$/),
      workspace_cwd: `~/workspace/${id}`,
      job_ids: [],
      job_offsets: {},
    });
    expect(workspaces(shell)).toEqual([id]);
    expect(linesOf(shell.fake.requests)).toEqual(['POST /v1/jobs/run', 'DELETE /v1/jobs/ID']);
    expect(shell.fake.jobIds()).toEqual([]);
    expect(runsOf(shell.fake)[0]).not.toHaveProperty('cwd');
    expect(runsOf(shell.fake)[0]).not.toHaveProperty('env');
  });

  test('tries the next id when one is taken', async () => {
    const shell = start({ clock: { nowMicros: () => 1_780_000_000_000_000 } });
    const taken = (Math.floor(1_780_000_000) % 2 ** 20).toString(16).padStart(5, '0');
    for (let byte = 0; byte < 256; byte++) {
      if (byte === 0x2a) continue;
      mkdirSync(join(shell.fake.home, 'workspace', taken + byte.toString(16).padStart(2, '0')), { recursive: true });
    }
    const { exit } = await shell.enter();
    expect(sessionIn(await exit('suspend'))).toBe(`${taken}2a`);
  }, 60_000);

  test('runs the install commands in the workspace, with the configured environment and no more', async () => {
    const shell = start();
    const config = {
      env: [{ name: 'GREETING', value: "it's\t$HOME\nnew" }],
      cli_tools: [
        {
          install_commands: ['printf %s "$GREETING" > greeting', ' ', 'pwd > where'],
          env: [{ name: 'LATER', value: 'x' }],
        },
      ],
    };
    const { exit } = await shell.enter({ config });
    const id = sessionIn(await exit('suspend'));
    const directory = join(shell.fake.home, 'workspace', id);
    expect(await Bun.file(join(directory, 'greeting')).text()).toBe("it's\t$HOME\nnew");
    expect((await Bun.file(join(directory, 'where')).text()).trim()).toBe(directory);
    expect(runsOf(shell.fake)[1]).toMatchObject({
      script: 'set -eu\nprintf %s "$GREETING" > greeting\npwd > where\n',
      cwd: `~/workspace/${id}`,
      env: { GREETING: "it's\t$HOME\nnew", LATER: 'x' },
    });
    expect(shell.fake.jobIds()).toEqual([]);
  });

  test('removes the workspace again when an install command fails', async () => {
    const shell = start();
    const config = { cli_tools: [{ install_commands: ['touch x', 'exit 3', 'touch y'] }] };
    expect(await failureOf(shell.enter({ config }))).toMatch(
      /^Failed to bootstrap shell workspace ~\/workspace\/[0-9a-f]{7}: exited exit_code=3$/,
    );
    expect(workspaces(shell)).toEqual([]);
    await shell.background.settle(5000);
    expect(shell.fake.jobIds()).toEqual([]);
    expect(shell.deps.locks.size).toBe(0);
  });

  test('removes it when the install commands take longer than they may', async () => {
    const shell = start({ bootstrapTimeoutSeconds: 0.3 });
    const config = { cli_tools: [{ install_commands: ['sleep 600'] }] };
    expect(await failureOf(shell.enter({ config }))).toMatch(/^Failed to bootstrap shell workspace .* \(timeout\)$/);
    expect(workspaces(shell)).toEqual([]);
    await shell.background.settle(5000);
    expect(shell.fake.jobIds()).toEqual([]);
  });

  test('removes it when the run is cancelled meanwhile, and does not make the cancel wait', async () => {
    const shell = start();
    const config = { cli_tools: [{ install_commands: ['touch started', 'sleep 600'] }] };
    const controller = new AbortController();
    const entering = failureOf(shell.enter({ config, signal: controller.signal }));
    await until('the bootstrap', () => {
      const [id] = workspaces(shell);
      return id !== undefined && existsSync(join(shell.fake.home, 'workspace', id, 'started'));
    });
    controller.abort(new Error('cancelled'));
    expect(await entering).toBe('cancelled');
    await shell.background.settle(10_000);
    expect(workspaces(shell)).toEqual([]);
    expect(shell.fake.jobIds()).toEqual([]);
  });

  test('fails with the text of the reference when the directory cannot be made', async () => {
    const shell = start();
    writeFileSync(join(shell.fake.home, 'workspace'), 'a file');
    expect(await failureOf(shell.enter())).toMatch(
      /^Failed to create shell workspace ~\/workspace\/[0-9a-f]{7}: exited exit_code=1$/,
    );
  });

  test('fails when shellctl refuses the token or cannot be reached', async () => {
    const shell = start();
    shell.fake.setToken('another');
    expect(await failureOf(shell.enter())).toBe('unauthorized (401): Missing or invalid bearer token');
    shell.fake.vanish();
    expect(await failureOf(shell.enter())).toStartWith('request_error: ');
  });

  test('fails for more secrets than can be masked, before anything is made', async () => {
    const shell = start();
    const env = Array.from({ length: 1_200 }, (_, i) => ({ name: `TOKEN_${i}`, value: crypto.randomUUID() }));
    expect(await failureOf(shell.enter({ config: { env } }))).toBe(
      'dify.shell has more secret values than can be kept out of the output of jobs.',
    );
    expect(shell.fake.requests).toEqual([]);
  });

  test('fails for a pattern that cannot be used, before anything is made', async () => {
    const shell = start({ redactPatterns: ['fine'] });
    expect(await failureOf(shell.enter({ config: { redact_patterns: ['ok', '(?<!x)('] } }))).toBe(
      'dify.shell redact_patterns[1] is not a regular expression that can be matched in linear time (RE2 syntax).',
    );
    expect(shell.fake.requests).toEqual([]);
  });
});

describe('deleting', () => {
  test('removes the workspace first, then all jobs at once and without grace; the identity stays in the snapshot', async () => {
    const shell = start();
    const { exit, ask } = await shell.enter();
    await Promise.all([1, 2, 3].map(() => ask('shell_run', { script: 'sleep 600', timeout: 0.2 })));
    await ask('shell_run', { script: 'mkdir -p a/b && touch a/b/c && chmod 555 a/b' });
    shell.fake.forgetRequests();
    const snapshot = await exit('delete');
    const id = sessionIn(snapshot);
    expect(snapshot.layers[1]).toEqual({
      name: 'shell',
      lifecycle_state: 'closed',
      runtime_state: { session_id: id, workspace_cwd: `~/workspace/${id}`, job_ids: [], job_offsets: {} },
    });
    expect(workspaces(shell)).toEqual([]);
    await shell.background.settle(5000);
    expect(shell.fake.jobIds()).toEqual([]);
    const [first, ...rest] = shell.fake.requests;
    expect(first).toMatchObject({
      path: '/v1/jobs/run',
      body: { script: expect.stringContaining(`"$HOME/workspace/${id}"`) },
    });
    const deletions = rest.filter(({ method }) => method === 'DELETE');
    expect(new Set(deletions.map(({ path }) => path)).size).toBe(6);
    for (const { query } of deletions) expect(query).toMatch(/force=true&grace_seconds=0/);
    // Once more after jobs that ran: they may have written until their end.
    expect(linesOf(rest).filter((line) => line === 'POST /v1/jobs/run')).toHaveLength(1);
  });

  test('takes one job when all of the session are known to be over', async () => {
    const shell = start();
    const { exit, ask } = await shell.enter();
    await ask('shell_run', { script: 'echo x' });
    const { job_id } = await ask('shell_run', { script: 'sleep 0.3; echo y', timeout: 0.1 });
    expect(await ask('shell_wait', { job_id: String(job_id) })).toMatchObject({ done: true });
    shell.fake.forgetRequests();
    await exit('delete');
    await shell.background.settle(5000);
    expect(linesOf(shell.fake.requests)).toEqual(['POST /v1/jobs/run', ...Array(3).fill('DELETE /v1/jobs/ID')]);
  });

  test('works in a run that only cleans up, also when workspace and jobs are gone', async () => {
    const shell = start();
    const { exit, ask } = await shell.enter();
    await ask('shell_run', { script: 'true' });
    const snapshot = await exit('suspend');
    shell.fake.loseWorkspaces();
    shell.fake.expireJobs();
    const again = await shell.enter({ snapshot });
    expect((await again.exit('delete')).layers[1]?.lifecycle_state).toBe('closed');
    expect(shell.logged).toEqual([]);
  });

  test('succeeds when shellctl is away; the log says what is left', async () => {
    const shell = start();
    const { exit, ask } = await shell.enter();
    await ask('shell_run', { script: 'true' });
    shell.fake.vanish();
    expect((await exit('delete')).layers[1]?.lifecycle_state).toBe('closed');
    expect(shell.logged.join('\n')).toContain('a workspace could not be removed');
    expect(shell.logged.join('\n')).toContain('shell jobs could not be deleted');
  });

  test('takes no path from the snapshot: only its own directory goes', async () => {
    const shell = start();
    mkdirSync(join(shell.fake.home, 'workspace/0000000/x'), { recursive: true });
    const { exit } = await shell.enter({
      snapshot: snapshotOf({
        session_id: 'aaaaaaa',
        workspace_cwd: '~/workspace/aaaaaaa',
        job_ids: [],
        job_offsets: {},
      }),
    });
    await exit('delete');
    expect(workspaces(shell)).toEqual(['0000000']);
  });

  test('a rollback of a first run leaves nothing', async () => {
    const shell = start();
    const run = shell.prepare();
    await run.enter(quiet());
    expect(workspaces(shell)).toHaveLength(1);
    // No exit policy was applied: the intent is still `delete`, as when a later layer does not enter.
    await run.exit({ bodyFailed: true });
    expect(workspaces(shell)).toEqual([]);
  });
});

describe('two runs of one snapshot', () => {
  test('take turns', async () => {
    const shell = start();
    const first = await (await shell.enter()).exit('suspend');
    const one = await shell.enter({ snapshot: first });
    let entered = false;
    const second = shell.enter({ snapshot: first }).then((run) => {
      entered = true;
      return run;
    });
    await one.ask('shell_run', { script: 'echo one >> log; sleep 0.1; echo one >> log' });
    expect(entered).toBe(false);
    await one.exit('suspend');
    const two = await second;
    expect(await two.ask('shell_run', { script: 'echo two >> log; cat log' })).toMatchObject({
      output: 'one\none\ntwo\n',
    });
    await two.exit('suspend');
    expect(shell.deps.locks.size).toBe(0);
  });

  test('the second gives up after a while, with a clear text', async () => {
    const shell = start();
    const first = await (await shell.enter()).exit('suspend');
    const one = await shell.enter({ snapshot: first });
    // The layer's own patience is a minute: a lock with none shows the text.
    const impatient = { ...shell.deps.locks, acquire: (id: never) => shell.deps.locks.acquire(id, 1, quiet()) };
    const other = shellWorld({ ...shell.deps, locks: impatient });
    expect(await failureOf(other.enter({ snapshot: first }))).toBe(
      `The shell workspace ~/workspace/${sessionIn(first)} is in use by another run.`,
    );
    await other.stop();
    await one.exit('suspend');
  });

  test('the second can be cancelled while it waits', async () => {
    const shell = start();
    const first = await (await shell.enter()).exit('suspend');
    const one = await shell.enter({ snapshot: first });
    const controller = new AbortController();
    const waiting = failureOf(shell.enter({ snapshot: first, signal: controller.signal }));
    await Promise.resolve();
    controller.abort(new Error('cancelled'));
    expect(await waiting).toBe('cancelled');
    await one.exit('suspend');
    expect(shell.deps.locks.size).toBe(0);
  });
});
