import { afterEach, beforeEach, expect, test } from 'bun:test';
import type { ShellctlClient } from '../../src/peers/shellctl/port.ts';
import { createBackgroundWork } from '../../src/workspaces/background.ts';
import { endJob, startJob } from '../../src/workspaces/start.ts';
import { type FakeShellctl, startFakeShellctl } from '../fakes/shellctl.ts';
import { clientFor, errorOf, job, quietCall } from '../peers/shellctl/kit.ts';
import { until } from '../support/until.ts';

let fake: FakeShellctl;
let client: ShellctlClient;
beforeEach(() => {
  fake = startFakeShellctl();
  client = clientFor(fake);
});
afterEach(() => {
  client.close();
  fake.stop();
});

test('a job whose caller goes away before its id is known is deleted when it is', async () => {
  const work = createBackgroundWork();
  const controller = new AbortController();
  const call = { signal: controller.signal, owner: 'run' };
  const starting = startJob(client, job('touch ~/up; sleep 60', { timeoutSeconds: 0.5 }), call, work.track);
  await until('the job', () => Bun.file(`${fake.home}/up`).exists());
  controller.abort(new Error('cancelled'));
  await expect(starting).rejects.toThrow('cancelled');
  expect(fake.jobIds()).toHaveLength(1);
  await work.settle(10_000);
  expect(fake.jobIds()).toEqual([]);
});

test('a caller that goes away later changes nothing', async () => {
  const work = createBackgroundWork();
  const controller = new AbortController();
  const started = await startJob(client, job('echo x'), { signal: controller.signal, owner: 'run' }, work.track);
  controller.abort(new Error('cancelled'));
  expect([started.output, work.pending, fake.jobIds().length]).toEqual(['x\n', 0, 1]);
});

test('a start that fails is told, also when the caller has gone', async () => {
  const work = createBackgroundWork();
  fake.vanish();
  expect((await errorOf(startJob(client, job('true'), quietCall(), work.track))).code).toBe('request_error');
  const controller = new AbortController();
  fake.reappear();
  fake.fault(() => 'lose-answer');
  const starting = startJob(client, job('sleep 0.1'), { signal: controller.signal, owner: 'run' }, work.track);
  await until('the request', () => fake.requests.length === 1);
  controller.abort(new Error('cancelled'));
  await expect(starting).rejects.toThrow('cancelled');
  await work.settle(10_000);
  expect(work.pending).toBe(0);
});

test('ending a job that is gone, or whose server is, is no error', async () => {
  await endJob(client, { job_id: 'gone', done: false }, { owner: 'run', graceSeconds: 0.01 });
  fake.vanish();
  await endJob(client, { job_id: 'gone', done: true }, { owner: 'run' });
});

test('work in the background is waited for, but not for ever', async () => {
  const work = createBackgroundWork();
  await work.settle(10_000);
  const { promise, resolve } = Promise.withResolvers<void>();
  work.track(promise);
  await work.settle(5);
  expect(work.pending).toBe(1);
  const settled = work.settle(10_000);
  work.track(promise.then(() => Bun.sleep(1)));
  resolve();
  await settled;
  expect(work.pending).toBe(0);
});
