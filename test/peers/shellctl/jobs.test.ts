// Jobs from start to deletion, with the vectors of spec 04 §6: against the fake in both dialects and as the Python server was
// before it took an environment, or against a real shellctl when DIFY_AGENT_TEST_SHELLCTL_URL (and DIFY_AGENT_TEST_SHELLCTL_TOKEN)
// say where one is.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import type { JobResult, ShellctlClient } from '../../../src/peers/shellctl/port.ts';
import { removeJobs } from '../../../src/workspaces/remove.ts';
import { type FakeShellctl, startFakeShellctl } from '../../fakes/shellctl.ts';
import { until } from '../../support/until.ts';
import { clientFor, errorOf, job, quietCall } from './kit.ts';

const realUrl = process.env.DIFY_AGENT_TEST_SHELLCTL_URL;
const realToken = process.env.DIFY_AGENT_TEST_SHELLCTL_TOKEN ?? '';

describe.each(realUrl === undefined ? (['python', 'go', 'python 2.1'] as const) : (['real'] as const))(
  'shellctl (%s)',
  (kind) => {
    let fake: FakeShellctl | null = null;
    let client: ShellctlClient;
    const started: string[] = [];

    beforeAll(() => {
      if (kind !== 'real')
        fake = startFakeShellctl({ dialect: kind === 'go' ? 'go' : 'python', takesEnv: kind !== 'python 2.1' });
      client = clientFor(fake ?? { url: realUrl ?? '', token: realToken });
    });
    afterEach(async () => {
      expect(await removeJobs(client, started.splice(0), quietCall())).toEqual([]);
    });
    afterAll(() => {
      client.close();
      fake?.stop();
    });

    async function run(script: string, changes: Parameters<typeof job>[1] = {}): Promise<JobResult> {
      const result = await client.run(job(script, changes), quietCall());
      started.push(result.job_id);
      return result;
    }
    const wait = (at: JobResult, changes: { offset?: number; timeoutSeconds?: number; outputLimit?: number } = {}) =>
      client.wait(at.job_id, { offset: at.offset, timeoutSeconds: 30, outputLimit: 8192, ...changes }, quietCall());
    /** Until the job is done, from its beginning. */
    async function finish(first: JobResult): Promise<JobResult> {
      let at = first;
      let output = first.output;
      while (!at.done || at.truncated) {
        at = await wait(at);
        output += at.output;
      }
      return { ...at, output };
    }

    test('is well', async () => {
      await client.health(quietCall());
    });

    test('runs a script and says how it ended', async () => {
      const result = await finish(await run('echo out; echo err >&2; exit 3'));
      expect(result).toMatchObject({ done: true, status: 'exited', exit_code: 3, offset: 8, truncated: false });
      expect(result.output).toBe('out\nerr\n');
      expect(result.output_path).toEndWith(`/${result.job_id}/output.log`);
      expect(await client.status(result.job_id, quietCall())).toEqual({
        job_id: result.job_id,
        status: 'exited',
        done: true,
        exit_code: 3,
        offset: 8,
      });
    });

    // The filter of the Python server keeps output back until its block is full (seen with 2.4.1).
    if (kind !== 'real') {
      test('(a) returns early when the output pauses', async () => {
        const result = await run('echo one; sleep 60');
        expect(result).toMatchObject({ done: false, status: 'running', exit_code: null, output: 'one\n', offset: 4 });
      });
    }

    test('(b) cuts 20000 bytes into windows', async () => {
      const first = await run("head -c 20000 /dev/zero | tr '\\0' a");
      const windows = [first];
      for (let at = first; !at.done || at.truncated; ) {
        at = await wait(at);
        if (at.output !== '') windows.push(at);
      }
      expect(windows.map(({ offset }) => offset)).toEqual([8192, 16_384, 20_000]);
      expect(windows.map(({ truncated }) => truncated)).toEqual([true, true, false]);
      expect(windows.map(({ output }) => output).join('')).toBe('a'.repeat(20_000));
    });

    test.each([
      [8190, 8190],
      [8191, 8191],
      [8189, 8192],
    ])('(c) leaves a character of 3 bytes after %d whole', async (before, offset) => {
      const first = await run(`head -c ${before} /dev/zero | tr '\\0' a; printf '€€€'`);
      expect(first.offset).toBe(offset);
      const all = await finish(first);
      expect(all.output).toBe(`${'a'.repeat(before)}€€€`);
      expect(all.offset).toBe(before + 9);
    });

    test('(d) refuses an offset beyond the log', async () => {
      const result = await finish(await run('echo x'));
      const error = await errorOf(wait(result, { offset: 999 }));
      expect(error.message).toBe('invalid_offset (400): offset 999 exceeds current file size 2');
    });

    test('(e) refuses input for a job that is over', async () => {
      const { job_id } = await finish(await run('true'));
      const input = { text: 'x\n', offset: 0, timeoutSeconds: 1, outputLimit: 100 };
      const error = await errorOf(client.input(job_id, input, quietCall()));
      expect(error.message).toBe(`job_not_running (409): Job ${job_id} is already terminal`);
    });

    test('(f) does not know a job that it never had, and deleting one is fine for us', async () => {
      const error = await errorOf(client.delete('01010000-zzz', { force: true }, quietCall()));
      expect(error.message).toBe('job_not_found (404): Unknown job id: 01010000-zzz');
      expect(await removeJobs(client, ['01010000-zzz', '01010000-yyy'], quietCall())).toEqual([]);
    });

    test('types into a job that reads', async () => {
      const asking = await run('read line; echo "got $line"', { timeoutSeconds: 0.3 });
      expect(asking).toMatchObject({ done: false, output: '' });
      const input = { text: 'hello\n', offset: 0, timeoutSeconds: 30, outputLimit: 8192 };
      const answered = await finish(await client.input(asking.job_id, input, quietCall()));
      // A terminal echoes what is typed; the fake has none.
      expect(answered.output.replace(/^hello\n/, '')).toBe('got hello\n');
    });

    test('shows the end of a log', async () => {
      const { job_id } = await finish(await run('printf "1234567€"'));
      expect(await client.tail(job_id, 4, quietCall())).toMatchObject({ output: '7€', offset: 10, truncated: false });
      expect(await client.tail(job_id, 2, quietCall())).toMatchObject({ output: '', offset: 10 });
      expect(await client.tail(job_id, 99, quietCall())).toMatchObject({ output: '1234567€', offset: 10 });
    });

    test('ends a job and keeps its record', async () => {
      const { job_id } = await run('sleep 60', { timeoutSeconds: 0.3 });
      const view = await client.terminate(job_id, 0.2, quietCall());
      expect(view).toMatchObject({ job_id, status: 'terminated', done: true });
      expect([130, null]).toContain(view.exit_code);
      expect(await client.terminate(job_id, 0.2, quietCall())).toMatchObject({ status: 'terminated' });
    });

    test('deletes a live job only by force', async () => {
      const { job_id } = await run('sleep 60', { timeoutSeconds: 0.3 });
      const error = await errorOf(client.delete(job_id, { force: false }, quietCall()));
      expect(error.message).toBe(`job_running (409): Job ${job_id} is still running`);
      await client.delete(job_id, { force: true, graceSeconds: 0 }, quietCall());
      expect((await errorOf(client.status(job_id, quietCall()))).code).toBe('job_not_found');
    });

    test('kills what a deleted job runs', async () => {
      const { job_id } = await run('echo $$ > ~/kit-pid; exec sleep 60', { timeoutSeconds: 0.5 });
      const lives = async () => (await finish(await run('kill -0 "$(cat ~/kit-pid)" 2>/dev/null'))).exit_code === 0;
      expect(await lives()).toBe(true);
      await client.delete(job_id, { force: true, graceSeconds: 0 }, quietCall());
      await until('the process to be gone', async () => !(await lives()));
    });

    test('runs a script by its shebang, with its environment, in its directory', async () => {
      const made = await finish(await run('mkdir -p ~/workspace/kit && cd ~/workspace/kit && pwd'));
      const script = '#!/usr/bin/env -S sh -eu\necho "$0" | sed "s:.*/::; s:[.]exec$::"; echo "$A"; pwd';
      const env = { A: "it's\t$HOME\nsecond" };
      const result = await finish(await run(script, { cwd: '~/workspace/kit', env }));
      expect(result.output.replaceAll(/\t| +/g, ' ')).toBe(`script\nit's $HOME\nsecond\n${made.output}`);
      expect(result.exit_code).toBe(0);
    });

    test.each([
      ['no-such-command', 127],
      ['#!/no/such/interpreter\n', 127],
      ['kill -9 $$', 137],
    ])('reports %p as exit code %d', async (script, code) => {
      expect(await finish(await run(script))).toMatchObject({ status: 'exited', exit_code: code });
    });

    test('refuses a directory that is not there', async () => {
      const error = await errorOf(client.run(job('true', { cwd: '~/workspace/abcdef0' }), quietCall()));
      expect(error).toMatchObject({ code: 'invalid_cwd', status: 400 });
      expect(error.message).toMatch(/^invalid_cwd \(400\): cwd is not a directory: \/.*\/workspace\/abcdef0$/);
    });

    test('replaces bytes that are no UTF-8', async () => {
      expect(await finish(await run("printf 'a\\377b\\n'"))).toMatchObject({ output: 'a\ufffdb\n', offset: 6 });
    });

    test('lists the newest jobs', async () => {
      const { job_id } = await finish(await run('true'));
      const jobs = await client.list(1, quietCall());
      expect(jobs).toEqual([{ job_id, status: 'exited' }]);
    });

    test('refuses a wrong token', async () => {
      const stranger = clientFor(fake ?? { url: realUrl ?? '', token: '' }, { authToken: 'wrong' });
      const error = await errorOf(stranger.list(1, quietCall()));
      expect(error.message).toBe('unauthorized (401): Missing or invalid bearer token');
      await stranger.health(quietCall());
    });
  },
);
