// What a hostile or unlucky job, model or caller could try against the bookkeeping of `dify.shell`.

import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../../../src/base/json.ts';
import { until, within } from '../../support/until.ts';
import { linesOf, quiet, type ShellWorld, shellWorld, snapshotOf, snapshotWithJob, stateIn } from './kit.ts';

setDefaultTimeout(60_000);

let world: ShellWorld | null = null;
function start(...args: Parameters<typeof shellWorld>): ShellWorld {
  world = shellWorld(...args);
  return world;
}
afterEach(async () => {
  await world?.stop();
  world = null;
});

const folder = ({ fake }: ShellWorld, id = ''): string => join(fake.home, 'workspace', id);
const workspaces = (shell: ShellWorld) => (existsSync(folder(shell)) ? readdirSync(folder(shell)) : []);

describe('deleting a session', () => {
  test('whose job goes on writing removes the directory all the same', async () => {
    const shell = start();
    for (let round = 0; round < 5; round++) {
      const run = await shell.enter();
      // By its whole path: the directory is made again as soon as it is gone.
      const script =
        'trap "" INT; d=$PWD/a/b; cd /; while :; do mkdir -p $d; for i in 1 2 3 4 5 6 7 8 9; do : > "$d/$i$$"; done; done';
      const writers = Array.from({ length: 4 }, () => run.ask('shell_run', { script, timeout: 0.1 }));
      for (const { done } of await Promise.all(writers)) expect(done).toBe(false);
      await run.exit('delete');
      await until('the end of the session', () => shell.background.pending === 0);
      expect({ round, left: workspaces(shell), jobs: shell.fake.jobIds() }).toEqual({ round, left: [], jobs: [] });
    }
    expect(shell.logged).toEqual([]);
  });

  test('removes what cannot be written or entered, and follows no link', async () => {
    const shell = start();
    const run = await shell.enter();
    writeFileSync(join(shell.fake.home, 'precious'), 'x');
    mkdirSync(join(shell.fake.home, 'outside'));
    writeFileSync(join(shell.fake.home, 'outside', 'precious'), 'x');
    const script = `ln -s ~/outside link; ln -s ~/precious file; mkdir -p a/b; : > a/b/c; : > ./-rf; : > "$(printf 'n\\nl')"; chmod 0 a/b; chmod 500 a`;
    expect(await run.ask('shell_run', { script })).toMatchObject({ exit_code: 0 });
    await run.exit('delete');
    expect(workspaces(shell)).toEqual([]);
    expect(readdirSync(join(shell.fake.home, 'outside'))).toEqual(['precious']);
    expect(existsSync(join(shell.fake.home, 'precious'))).toBe(true);
  });

  test('whose directory is a link removes the link alone', async () => {
    const shell = start();
    mkdirSync(join(shell.fake.home, 'outside'));
    writeFileSync(join(shell.fake.home, 'outside', 'precious'), 'x');
    mkdirSync(folder(shell));
    symlinkSync(join(shell.fake.home, 'outside'), folder(shell, 'abcdef1'));
    const run = await shell.enter({ snapshot: snapshotWithJob('01010000-aaa') });
    await run.exit('delete');
    expect(workspaces(shell)).toEqual([]);
    expect(readdirSync(join(shell.fake.home, 'outside'))).toEqual(['precious']);
  });

  test('with as many jobs as a snapshot may name takes one request each, and none is tried in vain when shellctl is away', async () => {
    const shell = start();
    const job_ids = Array.from({ length: 4096 }, (_, i) => `01010000-${i}`);
    const state = { session_id: 'abcdef1', workspace_cwd: '~/workspace/abcdef1', job_ids, job_offsets: {} };
    const run = await shell.enter({ snapshot: snapshotOf(state) });
    shell.fake.vanish();
    await run.exit('delete');
    // Not behind the run either: the first refusal counts for all.
    await until('the end', () => shell.background.pending === 0, { timeoutMs: 5000 });
    expect(shell.logged.join()).toContain('"jobs":4096');
    shell.fake.reappear();
    shell.fake.forgetRequests();
    const again = await shell.enter({ snapshot: snapshotOf(state) });
    await again.exit('delete');
    await until('the rest', () => shell.background.pending === 0);
    const deletions = linesOf(shell.fake.requests).filter((line) => line.startsWith('DELETE'));
    expect(new Set(shell.fake.requests.map(({ path }) => path)).size).toBeGreaterThanOrEqual(4096);
    expect(deletions.length).toBeLessThanOrEqual(4096 + 2);
  });
});

describe('calls at the same time', () => {
  test('of run, wait and interrupt keep the book straight', async () => {
    const shell = start();
    const run = await shell.enter();
    const { job_id } = await run.ask('shell_run', {
      script: 'i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo "line $i"; sleep 0.02; done',
      timeout: 0.1,
    });
    const id = String(job_id);
    const waits = await Promise.all(Array.from({ length: 6 }, () => run.ask('shell_wait', { job_id: id, timeout: 5 })));
    const texts: string[] = waits.map(({ output }) => String(output));
    let last: JsonObject = waits.at(-1) ?? {};
    while (last.done !== true) {
      last = await run.ask('shell_wait', { job_id: id, timeout: 5 });
      texts.push(String(last.output));
    }
    const seen = [...texts.join('').matchAll(/line (\d+)\n/g)].map(([, n]) => Number(n));
    // Nothing twice; the first call had what is missing at the beginning.
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(40);
    const { job_offsets } = stateIn(await run.exit('suspend'));
    expect(job_offsets).toEqual({ [id]: [...Array(40).keys()].reduce((sum, i) => sum + `line ${i + 1}\n`.length, 0) });
  });

  test('a hundred jobs at once are all known, none twice', async () => {
    const shell = start();
    const run = await shell.enter();
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, i) => run.ask('shell_run', { script: `echo ${i}` })),
    );
    expect(results.map(({ output }) => output)).toEqual(results.map((_, i) => `${i}\n`));
    const ids = results.map(({ job_id }) => job_id);
    expect([...(stateIn(await run.exit('suspend')).job_ids as string[])].sort()).toEqual([...ids].map(String).sort());
  });

  test('input while somebody waits gets through', async () => {
    const shell = start();
    const run = await shell.enter();
    const { job_id } = await run.ask('shell_run', { script: 'read a; echo "<$a>"; sleep 600', timeout: 0.2 });
    const waiting = run.ask('shell_wait', { job_id: String(job_id), timeout: 20 });
    await until('the wait', () => linesOf(shell.fake.requests).at(-1)?.endsWith('/wait') === true);
    const typed = await within('the input', run.ask('shell_input', { job_id: String(job_id), text: 'x\n' }));
    expect([typed.output, (await waiting).output]).toContain('<x>\n');
  });
});

describe('a shellctl that lies', () => {
  const answer = (fields: object) => ({
    reply: {
      status: 200,
      body: JSON.stringify({
        ...{ job_id: '01010000-aaa', done: false, status: 'running', exit_code: null, output_path: null },
        ...{ output: 'x', offset: 1, truncated: false },
        ...fields,
      }),
    },
  });

  test('about offsets: reading never goes back, and never leaves what a snapshot may hold', async () => {
    const shell = start();
    const run = await shell.enter();
    shell.fake.fault(() => answer({ offset: 100 }));
    await run.ask('shell_run', { script: 'true' });
    shell.fake.fault(() => answer({ offset: 3 }));
    await run.ask('shell_wait', { job_id: '01010000-aaa' });
    expect(run.state.job_offsets).toEqual({ '01010000-aaa': 100 });
    for (const offset of [-1, 1.5, 2 ** 53, 1e300, '7', null, [1]]) {
      shell.fake.fault(() => answer({ offset }));
      await run.ask('shell_wait', { job_id: '01010000-aaa' });
    }
    expect(run.state.job_offsets).toEqual({ '01010000-aaa': 100 });
    shell.fake.fault(null);
    const snapshot = await run.exit('suspend');
    await (await shell.enter({ snapshot })).exit('delete');
  });

  test('about job ids: one id for two jobs is one job; ids that are none are refused', async () => {
    const shell = start();
    const run = await shell.enter();
    shell.fake.fault(() => answer({ offset: 7 }));
    await run.ask('shell_run', { script: 'true' });
    await run.ask('shell_run', { script: 'true' });
    expect(run.state.job_ids).toEqual(['01010000-aaa']);
    for (const job_id of ['', '.', '..', 'a/b', 'a b', 'é', 'x'.repeat(129), '__proto__%', 'a?b', 'a#b', '%2e']) {
      shell.fake.fault(() => answer({ job_id }));
      expect(await run.ask('shell_run', { script: 'true' })).toMatchObject({
        error: expect.stringContaining('job_id'),
      });
    }
    expect(run.state.job_ids).toEqual(['01010000-aaa']);
    shell.fake.fault(null);
    // Whatever was remembered can be resumed.
    const snapshot = await run.exit('suspend');
    await (await shell.enter({ snapshot })).exit('delete');
  });

  test('ids that an object has by itself are ids', async () => {
    const shell = start();
    const run = await shell.enter();
    for (const job_id of ['__proto__', 'constructor', 'toString']) {
      shell.fake.fault(() => answer({ job_id, offset: 5 }));
      await run.ask('shell_run', { script: 'true' });
    }
    shell.fake.fault(null);
    const snapshot = await run.exit('suspend');
    expect(JSON.stringify(stateIn(snapshot).job_offsets)).toBe('{"__proto__":5,"constructor":5,"toString":5}');
    const again = await shell.enter({ snapshot: JSON.parse(JSON.stringify(snapshot)) });
    expect(again.state.job_ids).toEqual(['__proto__', 'constructor', 'toString']);
    await again.exit('delete');
  });

  test('about more output than was asked for: what is too much is refused', async () => {
    const shell = start();
    const run = await shell.enter();
    shell.fake.fault(() => answer({ output: 'x'.repeat(300_000), offset: 300_000 }));
    expect(await run.ask('shell_run', { script: 'true' })).toMatchObject({
      error: expect.stringContaining('longer than'),
    });
    shell.fake.fault(null);
    await run.exit('delete');
  });
});

test('tokens are masked however many other sessions were used meanwhile', async () => {
  let issued = 0;
  const token = () => `${'t'.repeat(300)}-token-${issued}`;
  const shell = start({
    stub: {
      async issue() {
        issued += 1;
        return { env: { DIFY_AGENT_STUB_AUTH_JWE: token() }, secrets: [token()], revoke: () => {} };
      },
    },
  });
  const run = await shell.enter();
  const script = 'echo "$DIFY_AGENT_STUB_AUTH_JWE"';
  expect(await run.ask('shell_run', { script })).toMatchObject({ output: '***\n' });
  for (let i = 0; i < 1100; i++) {
    const session_id = i.toString(16).padStart(7, '0');
    const state = { session_id, workspace_cwd: `~/workspace/${session_id}`, job_ids: [], job_offsets: {} };
    await (await shell.enter({ snapshot: snapshotOf(state) })).exit('suspend');
  }
  expect(await run.ask('shell_run', { script })).toMatchObject({ output: '***\n' });
  await run.exit('delete');
});

test("a session whose end takes long is nobody else's until it is over", async () => {
  const shell = start();
  const snapshot = await (await shell.enter()).exit('suspend');
  shell.fake.fault(({ body }) => (JSON.stringify(body)?.includes('rm -rf') ? { delayMs: 9_500 } : null));
  const ending = await shell.enter({ snapshot });
  await ending.exit('delete');
  expect([workspaces(shell).length, shell.background.pending > 0]).toEqual([1, true]);
  const next = await shell.enter({ snapshot });
  expect(workspaces(shell)).toEqual([]);
  await next.exit('suspend');
});

describe('a tool result', () => {
  test('has no lone surrogates and no halves, whatever a script prints', async () => {
    const shell = start();
    const run = await shell.enter();
    for (const printed of ["printf '\\355\\240\\200'", "printf '\\360\\237\\230'", 'head -c 5000 /dev/urandom']) {
      const { output } = await run.ask('shell_run', { script: printed });
      expect(String(output).isWellFormed()).toBe(true);
    }
    await run.exit('delete');
  });

  test('of a script with NUL or control characters is an answer', async () => {
    const shell = start();
    const run = await shell.enter();
    expect(await run.ask('shell_run', { script: 'a\0b' })).toMatchObject({ error: expect.stringContaining('script') });
    expect(await run.ask('shell_run', { script: "printf '\u001b[2J\r'" })).toMatchObject({ exit_code: 0 });
    expect(await run.ask('shell_run', { script: '\u00a0\n\t' })).toEqual({ error: 'script must not be blank.' });
    await run.exit('delete');
  });
});

test('an abort at any moment of a first run leaves nothing, once the background is done', async () => {
  const shell = start();
  const config = { cli_tools: [{ install_commands: ['sleep 0.05; echo x > made'] }] };
  for (let ms = 0; ms < 120; ms += 5) {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(new Error('cancelled')), ms);
    try {
      const run = shell.prepare({ config });
      await run.enter(controller.signal);
      await run.exit({ bodyFailed: true });
    } catch {
      // Cancelled: that is what this is about.
    }
    clearTimeout(timer);
  }
  await until('the background', () => shell.background.pending === 0, { timeoutMs: 20_000 });
  expect([workspaces(shell), shell.fake.jobIds(), shell.deps.locks.size]).toEqual([[], [], 0]);
});

test('a lock is given back however a run ends', async () => {
  const shell = start();
  const { exit } = await shell.enter();
  const snapshot = await exit('suspend');
  const refused = shell.prepare({ snapshot, config: { redact_patterns: ['('] } });
  expect(refused.enter(quiet())).rejects.toThrow('redact_patterns[0]');
  await refused.enter(quiet()).catch(() => {});
  const aborted = shell.prepare({ snapshot });
  await aborted.enter(AbortSignal.abort(new Error('gone'))).catch(() => {});
  const forged = snapshotOf({ session_id: String(stateIn(snapshot).session_id) });
  await shell
    .prepare({ snapshot: forged })
    .enter(quiet())
    .catch(() => {});
  expect(shell.deps.locks.size).toBe(0);
  await (await shell.enter({ snapshot })).exit('delete');
  expect(shell.deps.locks.size).toBe(0);
});
