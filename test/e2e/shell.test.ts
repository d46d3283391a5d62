// An agent with a shell through the binary: workspaces that live from run to run, end when they should, and are nobody else's;
// output of any size and kind; every server that shellctl may be.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isJsonObject, type JsonValue } from '../../src/base/json.ts';
import { get, runStatus } from '../support/runs.ts';
import { until } from '../support/until.ts';
import {
  DONE,
  runs,
  runsAll,
  type ShellServer,
  shellServer,
  snapshotWith,
  turn,
  withShellServer,
} from './shell-kit.ts';

setDefaultTimeout(120_000);

let world: ShellServer;

beforeAll(async () => {
  world = await shellServer();
});
afterAll(() => world.stop());

const DELETE = { default: 'delete' };
const stays = (id: string) => existsSync(join(world.shellctl.home, 'workspace', id));

describe('two runs with one snapshot', () => {
  test('work in one workspace, and a job of the first is read on in the second', async () => {
    world.play(runs('echo made > file; pwd'), runs('echo early; sleep 0.7; echo late; echo later'));
    const first = await world.run();
    const { session_id: id, workspace_cwd, job_ids, job_offsets } = first.state;
    expect(first.results).toMatchObject([
      { done: true, exit_code: 0, output: `${world.shellctl.home}/workspace/${id}\n` },
      { done: false, exit_code: null, output: 'early\n', offset: 6 },
    ]);
    expect(first.terminal.output).toBe('done');
    expect(workspace_cwd).toBe(`~/workspace/${id}`);
    expect(job_ids).toHaveLength(2);
    expect(Object.values(job_offsets)).toContain(6);

    const running = job_ids[1] ?? '';
    world.play(turn('shell_wait', { job_id: running }), runs('cat file'));
    const second = await world.run({ snapshot: first.snapshot });
    expect(second.results).toMatchObject([
      { job_id: running, done: true, exit_code: 0, output: 'late\nlater\n', offset: 17 },
      { output: 'made\n' },
    ]);
    expect(second.state).toMatchObject({ session_id: id, job_ids: [...job_ids, second.results[1]?.job_id] });
    expect(await Bun.file(join(world.shellctl.home, 'workspace', id, 'file')).text()).toBe('made\n');
  });

  test('that begin together take turns, and both finish', async () => {
    world.play(runs('echo 0 > count'));
    const { snapshot, state } = await world.run();
    const add = runs('n=$(cat count); sleep 0.3; echo $((n + 1)) > count; echo "$n"');
    for (const key of ['a', 'b', 'c']) world.daemon.play({ llm: [add, DONE] }, key);
    const both = await Promise.all(['a', 'b', 'c'].map((key) => world.run({ snapshot, key })));
    expect(both.map(({ error, results }) => error ?? results[0]?.output).sort()).toEqual(['0\n', '1\n', '2\n']);
    expect(await Bun.file(join(world.shellctl.home, 'workspace', state.session_id, 'count')).text()).toBe('3\n');
  });

  test('in one run, calls at the same time work at the same time', async () => {
    const meet = (mine: string, other: string) => `: > ${mine}; while [ ! -e ${other} ]; do sleep 0.02; done; echo met`;
    world.play(runsAll(meet('a', 'b'), meet('b', 'a')));
    expect((await world.run({ onExit: DELETE })).results.map(({ output }) => output)).toEqual(['met\n', 'met\n']);
  });
});

describe('the end of a session', () => {
  test('with `delete` takes workspace and jobs, also those that run', async () => {
    world.play(runs('echo $$ > pid; cp pid ~/last-pid; exec sleep 600', 0.2));
    const run = await world.run({ onExit: DELETE });
    expect(run.results).toMatchObject([{ done: false }]);
    expect(stays(run.state.session_id)).toBe(false);
    const { job_id } = run.results[0] ?? {};
    expect(world.shellctl.jobIds()).not.toContain(String(job_id));
    const pid = Number(await Bun.file(join(world.shellctl.home, 'last-pid')).text());
    expect(pid).toBeGreaterThan(1);
    await until('the process to be gone', () => !existsSync(`/proc/${pid}`));
    // A closed layer is not entered again.
    const again = await world.run({ snapshot: run.snapshot });
    expect(again.error).toContain('closed');
  });

  test('in a run that only cleans up; what is gone already is removed, too', async () => {
    world.play(runs('echo x > file'), runs('exec sleep 600', 0.2));
    const { state } = await world.run();
    const cleanup = { snapshot: snapshotWith(state, { model: false }), model: false, onExit: DELETE };
    for (const round of ['first', 'again']) {
      const run = await world.run(cleanup);
      expect({ round, types: run.types }).toEqual({ round, types: ['run_started', 'run_succeeded'] });
      expect(run.state).toEqual({ ...state, job_ids: [], job_offsets: {} });
      expect(stays(state.session_id)).toBe(false);
      for (const id of state.job_ids) expect(world.shellctl.jobIds()).not.toContain(id);
    }
    world.shellctl.expireJobs();
  });

  test('with `suspend` a run that only enters and exits asks nothing of shellctl', async () => {
    world.play();
    const { state } = await world.run();
    world.shellctl.forgetRequests();
    const run = await world.run({ snapshot: snapshotWith(state, { model: false }), model: false });
    expect([run.error, run.state]).toEqual([undefined, state]);
    expect(world.shellctl.requests).toEqual([]);
    expect(stays(state.session_id)).toBe(true);
  });
});

describe('a run that fails', () => {
  test('takes the workspace that it made with it', async () => {
    const before = world.workspaces();
    world.daemon.play({ llm: [runs('echo x > file; pwd; sleep 0.1'), [{ http: 500, text: 'no more' }]] });
    const run = await world.run();
    expect(run.types.at(-1)).toBe('run_failed');
    expect(run.results).toMatchObject([{ exit_code: 0 }]);
    expect(world.workspaces()).toEqual(before);
    expect(world.shellctl.jobIds()).not.toContain(String(run.results[0]?.job_id));
  });

  test('leaves the workspace that it resumed', async () => {
    world.play(runs('echo kept > file'));
    const first = await world.run();
    world.daemon.play({ llm: [runs('echo more >> file'), [{ http: 500, text: 'no more' }]] });
    const failed = await world.run({ snapshot: first.snapshot });
    expect(failed.types.at(-1)).toBe('run_failed');
    world.play(runs('cat file'));
    expect((await world.run({ snapshot: first.snapshot })).results).toMatchObject([{ output: 'kept\nmore\n' }]);
  });

  test('at its first install command leaves nothing', async () => {
    const before = { workspaces: world.workspaces(), jobs: world.shellctl.jobIds() };
    world.play();
    const config = { cli_tools: [{ install_commands: ['echo fine > tool', 'echo never >&2; exit 3'] }] };
    const run = await world.run({ config });
    expect(run.error).toMatch(/^Failed to bootstrap shell workspace ~\/workspace\/[0-9a-f]{7}: exited exit_code=3$/);
    await world.isLeft(before);
    expect(world.daemon.llmRequests).toEqual([]);
  });

  test('because a layer behind the shell cannot be entered leaves nothing', async () => {
    const before = world.workspaces();
    const config = { cli_tools: [{ install_commands: ['exit 4'] }] };
    const names = ['prompt', 'execution_context', 'first', 'shell'];
    const snapshot = { layers: names.map((name) => ({ name, lifecycle_state: 'new', runtime_state: {} })) };
    world.shellctl.forgetRequests();
    const run = await world.run({ model: false, snapshot, config, more: [{ name: 'first', type: 'dify.shell' }] });
    expect(run.error).toEndWith('exited exit_code=4');
    const made = world.shellctl.requests.filter(({ body }) => JSON.stringify(body)?.includes('mkdir -- '));
    expect(made.length).toBeGreaterThanOrEqual(2); // more when an id was taken
    expect(world.workspaces()).toEqual(before);
  });

  test('of the newer vintage leaves its workspace: its last event has the snapshot', async () => {
    await withShellServer({ env: { DIFY_AGENT_WIRE_VINTAGE: '2026-08' } }, async (own) => {
      own.daemon.play({ llm: [runs('echo kept > file'), [{ http: 500, text: 'no more' }]] });
      const failed = await newerEnd(own, await own.start());
      expect(failed.type).toBe('run_failed');
      own.play(runs('cat file'));
      const again = await newerEnd(own, await own.start({ snapshot: failed.data.session_snapshot, onExit: DELETE }));
      expect(again.type).toBe('run_succeeded');
      const result = again.events.find(({ data }) => data.event_kind === 'function_tool_result')?.data.part;
      expect(result?.content).toEndWith('<output>\nkept\n\n</output>');
      await own.isLeft();
    });
  });
});

describe('output', () => {
  test('of 100 MB is read window by window, and the server stays small', async () => {
    world.play(
      runs("yes '0123456789 abcdefghijklmnopqrstuvwxyz' | head -c 100000000", 60),
      ...Array.from({ length: 4 }, () => turn('shell_wait', () => ({ job_id: world.shellctl.jobIds().at(-1) }))),
    );
    const before = await rssOf(world.server.pid);
    const run = await world.run({ onExit: DELETE });
    expect(run.results).toHaveLength(5);
    for (const [i, result] of run.results.entries()) {
      expect(result).toMatchObject({ truncated: true, offset: 8192 * (i + 1) });
      expect(Buffer.byteLength(String(result.output))).toBe(8192);
    }
    expect(run.results.map(({ output }) => output).join('')).toBe(
      '0123456789 abcdefghijklmnopqrstuvwxyz\n'.repeat(2000).slice(0, 5 * 8192),
    );
    expect((await rssOf(world.server.pid)) - before).toBeLessThan(50_000_000);
  });

  test('that is no text arrives as text', async () => {
    world.play(runs("head -c 20000 /dev/urandom; printf '\\000\\001\\377\\376 end'"));
    const { results, error } = await world.run({ onExit: DELETE });
    expect(error).toBeUndefined();
    expect(results).toMatchObject([{ truncated: true }]);
    expect(isJsonObject(results[0] as JsonValue)).toBe(true);
  });

  test('that stalls, because the log is no UTF-8, is read to its end', async () => {
    await withShellServer({ fake: { sanitise: false } }, async (own) => {
      own.play(
        runs("printf 'a\\377\\377b\\n'"),
        ...Array.from({ length: 3 }, () => turn('shell_wait', () => ({ job_id: own.shellctl.jobIds().at(-1) }))),
      );
      const { results } = await own.run();
      expect(
        results
          .map(({ output }) => output)
          .join('')
          .replaceAll('\ufffd', ''),
      ).toBe('ab\n');
      expect(results.at(-1)).toMatchObject({ truncated: false, done: true });
    });
  });
});

test('nothing but workspaces is left in the home', () => {
  mkdirSync(join(world.shellctl.home, 'workspace'), { recursive: true });
  expect(readdirSync(world.shellctl.home).sort()).toEqual(['.local', 'last-pid', 'workspace']);
});

interface NewerEvent {
  readonly type: string;
  readonly data: {
    readonly session_snapshot?: unknown;
    readonly event_kind?: string;
    readonly part?: { readonly content: string };
  };
}

/** The last event of a run, and all of them; the strict reader knows the older vintage only. */
async function newerEnd({ server }: ShellServer, runId: string) {
  await until('the run to end', async () => (await runStatus(server.url, runId)).status !== 'running');
  const { text } = await get(`${server.url}/runs/${runId}/events?limit=500`);
  const { events } = JSON.parse(text) as { readonly events: readonly NewerEvent[] }; // spec 01 §1.6
  const last = events.at(-1);
  if (last === undefined) throw new Error(text);
  return { ...last, events };
}

async function rssOf(pid: number): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text();
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}
