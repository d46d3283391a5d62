import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { ShellctlClient } from '../../src/peers/shellctl/port.ts';
import { createBackgroundWork } from '../../src/workspaces/background.ts';
import { type CompletionLimits, runToCompletion, streamToCompletion } from '../../src/workspaces/complete.ts';
import { type FakeShellctl, startFakeShellctl } from '../fakes/shellctl.ts';
import { clientFor, errorOf, quietCall } from '../peers/shellctl/kit.ts';
import { until, within } from '../support/until.ts';

let fake: FakeShellctl;
let client: ShellctlClient;
beforeEach(() => start({}));
afterEach(() => {
  client.close();
  fake.stop();
});

function start(options: Parameters<typeof startFakeShellctl>[0]): void {
  fake = startFakeShellctl(options);
  client = clientFor(fake);
}

function restart(options: Parameters<typeof startFakeShellctl>[0]): void {
  fake.stop();
  start(options);
}

const LIMITS: CompletionLimits = { deadlineMs: 30_000, maxBytes: 1_048_576 };
const script = (text: string) => ({ script: text, cwd: null, env: null });
const run = (text: string, limits: Partial<CompletionLimits> = {}, call = quietCall()) =>
  runToCompletion(client, script(text), { ...LIMITS, ...limits }, call);
const calls = (part: string) => fake.requests.filter(({ path }) => path.endsWith(part)).length;

describe.each(['python', 'go'] as const)('a job that ends (%s)', (dialect) => {
  beforeEach(() => restart({ dialect }));

  test('has its output, its exit code, and is gone', async () => {
    const result = await run('echo a; echo b >&2; exit 4');
    expect(result).toEqual({
      status: 'exited',
      exitCode: 4,
      output: 'a\nb\n',
      complete: true,
      incompleteReason: null,
      bytes: 4,
    });
    expect(fake.jobIds()).toEqual([]);
    expect(fake.requests.map(({ method }) => method)).toEqual(['POST', 'DELETE']);
  });

  test('may print much: windows are put together, characters stay whole', async () => {
    const result = await run('i=0; while [ $i -lt 4000 ]; do echo "zeile-€-$i"; i=$((i+1)); done', {
      windowBytes: 8192,
    });
    const lines = Array.from({ length: 4000 }, (_, i) => `zeile-€-${i}\n`).join('');
    expect(result).toMatchObject({ complete: true, output: lines, bytes: Buffer.byteLength(lines) });
  });

  test('reads 200 KB in one job and one answer', async () => {
    await Bun.write(`${fake.home}/big.txt`, 'x'.repeat(200_000));
    const result = await run('cat ~/big.txt');
    expect(result.output).toHaveLength(200_000);
    expect(calls('/run')).toBe(1);
    expect(calls('/wait')).toBeLessThanOrEqual(2);
    expect(fake.jobIds()).toEqual([]);
  });

  test('may pause as it likes', async () => {
    const result = await run('for i in 1 2 3; do echo $i; sleep 0.02; done');
    expect(result.output).toBe('1\n2\n3\n');
    expect(fake.requests).toHaveLength(2);
  });
});

describe('limits', () => {
  test('exactly as many bytes as allowed are complete', async () => {
    const result = await run('printf 12345', { maxBytes: 5 });
    expect(result).toMatchObject({ complete: true, output: '12345', bytes: 5 });
  });

  test('more are cut, at a character, and the job is ended', async () => {
    const result = await run('printf 123€€; sleep 60', { maxBytes: 5, graceSeconds: 0.01 });
    expect(result).toMatchObject({
      complete: false,
      incompleteReason: 'output_limit',
      output: '123',
      bytes: 3,
      exitCode: null,
    });
    expect(fake.jobIds()).toEqual([]);
  });

  test('an endless output is ended soon', async () => {
    const result = await run('yes', { maxBytes: 100_000, graceSeconds: 0.01 });
    expect(result).toMatchObject({ complete: false, incompleteReason: 'output_limit', bytes: 100_000 });
    expect(fake.jobIds()).toEqual([]);
  });

  test('no output at all may be wanted', async () => {
    expect(await run('true', { maxBytes: 0 })).toMatchObject({ complete: true, exitCode: 0, output: '' });
    expect(await run('echo', { maxBytes: 0 })).toMatchObject({ complete: false, incompleteReason: 'output_limit' });
  });

  test('a job that takes too long is interrupted, killed and deleted', async () => {
    const text = 'trap "touch ~/interrupted" INT; echo started; sleep 60 & wait; sleep 60';
    const result = await run(text, { deadlineMs: 300, graceSeconds: 0.2 });
    expect(result).toMatchObject({
      complete: false,
      incompleteReason: 'timeout',
      output: 'started\n',
      status: 'running',
    });
    expect(fake.jobIds()).toEqual([]);
    expect(await Bun.file(`${fake.home}/interrupted`).exists()).toBe(true);
  });
});

describe('a log that cannot be read on', () => {
  beforeEach(() => restart({ sanitise: false }));

  test('is read around single bytes', async () => {
    const result = await run("printf 'a\\377b\\376\\377c'");
    expect(result).toMatchObject({ complete: true, output: 'a\ufffdb\ufffd\ufffdc' });
  });

  test('is given up after some', async () => {
    const result = await run('head -c 1000 /dev/zero | tr "\\0" "\\377"');
    expect(result).toMatchObject({ complete: false, incompleteReason: 'stalled', exitCode: 0 });
    expect(calls('/wait')).toBeLessThan(100);
    expect(fake.jobIds()).toEqual([]);
  });

  test('is given up when it never moves on', async () => {
    fake.stall(true);
    expect(await run('head -c 1000 /dev/zero')).toMatchObject({ complete: false, incompleteReason: 'stalled' });
  });

  test('and a server that does not wait is not asked in a circle', async () => {
    const reply = { status: 200, body: '{"job_id":"j","status":"running","done":false,"output":"","offset":0}' };
    fake.fault(({ method }) => (method === 'POST' ? { reply } : null));
    const result = await run('true', { deadlineMs: 300, graceSeconds: 0 });
    expect(result.incompleteReason).toBe('timeout');
    expect(calls('/wait')).toBeLessThan(12);
  });
});

describe('a run that is cancelled', () => {
  test('while its job runs rejects at once, and the job is ended behind its back', async () => {
    const work = createBackgroundWork();
    const controller = new AbortController();
    const call = { signal: controller.signal, owner: 'run' };
    const running = run('touch ~/up; sleep 60', { background: work.track, graceSeconds: 0.01 }, call);
    await until('the job', () => Bun.file(`${fake.home}/up`).exists());
    controller.abort(new Error('cancelled'));
    await expect(within('the abort', running, 1000)).rejects.toThrow('cancelled');
    expect(work.pending).toBe(1);
    await work.settle(10_000);
    expect([work.pending, fake.jobIds()]).toEqual([0, []]);
  });

  test('while it waits for more leaves nothing either', async () => {
    const work = createBackgroundWork();
    const controller = new AbortController();
    const call = { signal: controller.signal, owner: 'run' };
    const running = run(
      'yes | head -c 3000; sleep 60',
      { windowBytes: 1024, background: work.track, graceSeconds: 0 },
      call,
    );
    await until('a wait', () => calls('/wait') >= 2);
    controller.abort(new Error('cancelled'));
    await expect(within('the abort', running, 1000)).rejects.toThrow('cancelled');
    await work.settle(10_000);
    expect(fake.jobIds()).toEqual([]);
  });

  test('before it began asks for nothing', async () => {
    const call = { signal: AbortSignal.abort(new Error('cancelled')), owner: 'run' };
    await expect(run('true', {}, call)).rejects.toThrow('cancelled');
    expect(fake.requests).toEqual([]);
  });
});

describe('a server in trouble', () => {
  test('that does not take the job is told', async () => {
    const job = { script: 'true', cwd: '~/workspace/0000000', env: null };
    const error = await errorOf(runToCompletion(client, job, LIMITS, quietCall()));
    expect(error.code).toBe('invalid_cwd');
  });

  test('that loses the job is told', async () => {
    const body = '{"error":{"code":"job_not_found","message":"Unknown job id: j"}}';
    fake.fault(({ path }) => (path.endsWith('/wait') ? { reply: { status: 404, body } } : null));
    const error = await errorOf(run('head -c 50000 /dev/zero', { windowBytes: 8192 }));
    expect(error.code).toBe('job_not_found');
  });

  test('that vanishes is told', async () => {
    fake.fault(({ path }) => {
      if (path.endsWith('/wait')) fake.vanish();
      return null;
    });
    expect((await errorOf(run('head -c 50000 /dev/zero', { windowBytes: 8192 }))).code).toBe('request_error');
  });

  test('that hangs is left soon after the deadline', async () => {
    fake.fault(({ path }) => (path.endsWith('/wait') ? 'hang' : null));
    // Long enough that the job is taken before it is over, also on a busy machine: it is the wait that hangs.
    const limits = { deadlineMs: 1500, windowBytes: 1024, graceSeconds: 0 };
    const error = await errorOf(within('the error', run('yes', limits), 20_000));
    expect(error.message).toBe('timeout: shellctl did not answer in time');
  });

  test('that is slow to delete does not hold up the answer', async () => {
    const work = createBackgroundWork();
    fake.fault(({ method }) => (method === 'DELETE' ? 'hang' : null));
    const result = await within('the answer', run('echo x', { background: work.track }), 2000);
    expect(result.output).toBe('x\n');
    expect(work.pending).toBe(1);
  });

  test('that does not delete does no harm', async () => {
    fake.fault(({ method }) =>
      method === 'DELETE' ? { reply: { status: 500, body: 'Internal Server Error' } } : null,
    );
    expect((await run('echo x')).output).toBe('x\n');
  });
});

describe('windows handed on', () => {
  test('come in order, one at a time, and none is kept', async () => {
    let text = '';
    let inside = 0;
    const take = async (window: string): Promise<void> => {
      inside += 1;
      expect(inside).toBe(1);
      await Bun.sleep(1);
      text += window;
      inside -= 1;
    };
    const result = await streamToCompletion(
      client,
      script('seq 1 5000'),
      { ...LIMITS, windowBytes: 4096 },
      take,
      quietCall(),
    );
    expect(text).toBe(Array.from({ length: 5000 }, (_, i) => `${i + 1}\n`).join(''));
    expect(result).toMatchObject({ complete: true, bytes: text.length });
    expect(result).not.toHaveProperty('output');
  });

  test('to somebody who throws end the job', async () => {
    const work = createBackgroundWork();
    const take = (): never => {
      throw new Error('no more');
    };
    const limits = { ...LIMITS, background: work.track, graceSeconds: 0 };
    await expect(streamToCompletion(client, script('yes'), limits, take, quietCall())).rejects.toThrow('no more');
    await work.settle(10_000);
    expect(fake.jobIds()).toEqual([]);
  });
});
