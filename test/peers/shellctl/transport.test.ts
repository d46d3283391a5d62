import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { ShellctlClient } from '../../../src/peers/shellctl/port.ts';
import { type FakeShellctl, startFakeShellctl } from '../../fakes/shellctl.ts';
import { until, within } from '../../support/until.ts';
import { collect, clientFor as daemonFor, llmCall } from '../plugin-daemon/kit.ts';
import { clientFor, errorOf, job, quietCall } from './kit.ts';

let fake: FakeShellctl;
beforeEach(() => {
  fake = startFakeShellctl();
});
afterEach(() => fake.stop());

const WAIT = { offset: 0, timeoutSeconds: 0.05, outputLimit: 100 };
const short = { plain: 0.1, slack: 0.1, pool: 0.1 };

describe('a server that does not answer', () => {
  test('is given as long as was agreed, and its socket is closed', async () => {
    fake.fault(() => 'hang');
    const client = clientFor(fake, { timing: short });
    const cases: [() => Promise<unknown>, string][] = [
      [() => client.status('j', quietCall()), '0.1'],
      [() => client.wait('j', WAIT, quietCall()), '0.15'],
      [() => client.run(job('true', { timeoutSeconds: 0.3 }), quietCall()), '0.4'],
      [() => client.terminate('j', 0.2, quietCall()), '0.3'],
      [() => client.delete('j', { force: true, graceSeconds: 0.25 }, quietCall()), '0.35'],
      [() => client.delete('j', { force: false }, quietCall()), '0.1'],
    ];
    for (const [ask, seconds] of cases) {
      const error = await errorOf(ask());
      expect(error.message).toMatch(new RegExp(`^timeout: shellctl did not answer within ${seconds}\\d* s$`));
      expect(error.status).toBeNull();
    }
    await until('the sockets to be closed', () => fake.openSockets() === 0);
  });

  test('in the middle of its answer is no better', async () => {
    const half = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data(socket) {
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"job_id"');
        },
      },
    });
    const client = clientFor({ url: `http://127.0.0.1:${half.port}`, token: '' }, { timing: short });
    expect((await errorOf(client.status('j', quietCall()))).code).toBe('timeout');
    half.stop(true);
  });

  test('is left at once when the call is aborted', async () => {
    fake.fault(() => 'hang');
    const client = clientFor(fake);
    const controller = new AbortController();
    const waiting = client.wait('j', WAIT, { signal: controller.signal, owner: 'run' });
    await until('the request', () => fake.requests.length === 1);
    controller.abort(new Error('cancelled'));
    await expect(within('the abort', waiting)).rejects.toThrow('cancelled');
    await until('the socket to be closed', () => fake.openSockets() === 0);
    await expect(client.status('j', { signal: controller.signal, owner: 'run' })).rejects.toThrow('cancelled');
    expect(fake.requests).toHaveLength(1);
  });
});

describe('a server that goes away', () => {
  test('before it was reached, while it answers, and comes back', async () => {
    const client = clientFor(fake);
    fake.fault(() => 'lose-answer');
    expect((await errorOf(client.run(job('true'), quietCall()))).message).toBe(
      'request_error: the connection to shellctl was lost',
    );
    fake.fault(null);
    fake.vanish();
    expect((await errorOf(client.health(quietCall()))).message).toBe('request_error: shellctl cannot be reached');
    fake.reappear();
    await client.health(quietCall());
  });

  test('does not run a script twice', async () => {
    const client = clientFor(fake);
    await client.health(quietCall());
    fake.fault(() => 'lose-answer');
    await errorOf(client.run(job('echo x >> ~/ran'), quietCall()));
    fake.fault(null);
    await until('the script', async () => (await Bun.file(`${fake.home}/ran`).text()) === 'x\n');
    expect(fake.requests.filter(({ path }) => path === '/v1/jobs/run')).toHaveLength(1);
  });

  test.each([
    ['no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n\r\n', 'request_error'],
    ['a body that is cut', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"job', 'request_error'],
    ['a chunk that is none', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 'request_error'],
  ])('or says %s', async (_name, raw, code) => {
    fake.fault(() => ({ reply: { raw } }));
    const error = await errorOf(clientFor(fake, { timing: { plain: 5 } }).status('j', quietCall()));
    expect(error).toMatchObject({ code, status: null });
    expect(error.message).not.toContain(fake.token);
    expect(error.message).not.toContain('127.0.0.1');
  });

  test('and has a name that nobody knows', async () => {
    const client = clientFor({ url: 'http://user:hidden-word@shellctl.invalid:1', token: '' });
    const error = await errorOf(client.health(quietCall()));
    expect(error.code).toBe('request_error');
    expect(`${error.message} ${String(error.cause)}`).not.toContain('hidden-word');
  });
});

describe('redirects', () => {
  const redirect = (location: string, status = 307) =>
    fake.fault(({ path }) => (path.startsWith('/old') ? { reply: { status, headers: { location }, body: '' } } : null));
  const old = (changes = {}): ShellctlClient => clientFor(fake, { entrypoint: `${fake.url}/old`, ...changes });

  test('are followed on the same server, with the token and the body', async () => {
    redirect('/v1/jobs/run');
    expect(await old().run(job('echo here'), quietCall())).toMatchObject({ output: 'here\n' });
    redirect('/healthz', 302);
    await old().health(quietCall());
  });

  test('are not followed to another server: it would get the token', async () => {
    const other = startFakeShellctl();
    redirect(`${other.url}/v1/jobs/run`);
    const error = await errorOf(old().run(job('true'), quietCall()));
    expect(error.message).toBe('request_failed (307): shellctl redirects to another address, which is not followed');
    expect(other.requests).toEqual([]);
    other.stop();
  });

  test.each([
    ['http://[', 307],
    ['', 308],
  ])('are not followed to %j in a circle', async (location, status) => {
    redirect(location, status);
    expect((await errorOf(old().list(1, quietCall()))).code).toBe('request_failed');
    expect(fake.requests.length).toBeLessThan(8);
  });

  test('do not turn a script into a page', async () => {
    redirect('/healthz', 302);
    const error = await errorOf(old().run(job('true'), quietCall()));
    expect(error.message).toBe(
      'request_failed (302): shellctl redirects that would change the request, which is not followed',
    );
  });
});

describe('connections', () => {
  test('are reused', async () => {
    const client = clientFor(fake);
    for (let i = 0; i < 10; i++) await client.health(quietCall());
    expect(fake.acceptedSockets()).toBe(1);
    client.close();
    await until('the idle connection to be closed', () => fake.openSockets() === 0);
  });

  test('are never more than the settings say, and waiting for one is bounded', async () => {
    fake.fault(() => 'hang');
    const client = clientFor(fake, { maxConnections: 4, timing: { pool: 0.1 } });
    const controller = new AbortController();
    const held = ['a', 'b', 'c'].map((owner) =>
      client.wait('j', WAIT, { signal: controller.signal, owner }).catch(() => 'left'),
    );
    await until('three requests', () => fake.requests.length === 3);
    const error = await errorOf(client.wait('j', WAIT, quietCall()));
    expect(error.message).toBe('pool_timeout: no connection to shellctl became free within 0.1 s');
    expect(fake.openSockets()).toBe(3);
    controller.abort(new Error('enough'));
    expect(await Promise.all(held)).toEqual(['left', 'left', 'left']);
  });

  test('one is kept for ending jobs while all others wait for some', async () => {
    fake.fault(({ path }) => (path.endsWith('/wait') ? 'hang' : null));
    const client = clientFor(fake, { maxConnections: 2 });
    const controller = new AbortController();
    const waiting = ['a', 'b', 'c'].map((owner) =>
      client.wait('j', WAIT, { signal: controller.signal, owner }).catch(() => 'left'),
    );
    await until('the first', () => fake.requests.length === 1);
    expect((await errorOf(client.delete('j', { force: true }, quietCall()))).code).toBe('job_not_found');
    controller.abort(new Error('enough'));
    await Promise.all(waiting);
  });

  test('are not all taken by one run, however many waits it has', async () => {
    fake.fault(({ path }) => (path.endsWith('/wait') ? 'hang' : null));
    const client = clientFor(fake, { maxConnections: 8 });
    const controller = new AbortController();
    const greedy = { signal: controller.signal, owner: 'greedy' };
    const waiting = Array.from({ length: 100 }, () => client.wait('j', WAIT, greedy).catch(() => 'left'));
    await until('the first', () => fake.requests.length > 0);
    const { output } = await client.run(job('echo x'), quietCall('modest'));
    expect(output).toBe('x\n');
    expect(fake.requests.filter(({ path }) => path.endsWith('/wait'))).toHaveLength(4);
    expect(client.load()).toEqual({ active: 4, waiting: 96 });
    controller.abort(new Error('enough'));
    await Promise.all(waiting);
    expect(client.load()).toEqual({ active: 0, waiting: 0 });
  });

  test('are kept for ending jobs while others end theirs with a long grace', async () => {
    fake.fault(({ path }) => (path.endsWith('/terminate') ? 'hang' : null));
    const client = clientFor(fake, { maxConnections: 2 });
    const controller = new AbortController();
    const call = { signal: controller.signal, owner: 'patient' };
    const ending = client.terminate('j', 300, call).catch(() => 'left');
    await until('the first', () => fake.requests.length === 1);
    expect((await errorOf(client.delete('j', { force: true }, quietCall()))).code).toBe('job_not_found');
    controller.abort(new Error('enough'));
    expect(await ending).toBe('left');
  });

  test('are not taken by another peer that hangs', async () => {
    let reached = 0;
    const socket = {
      data: () => {
        reached += 1;
      },
    };
    const hanging = Bun.listen({ hostname: '127.0.0.1', port: 0, socket });
    const daemon = daemonFor(`http://127.0.0.1:${hanging.port}`, { maxConnections: 100 });
    const controller = new AbortController();
    const calls = Array.from({ length: 150 }, (_, i) =>
      collect(daemon.streamItems({ ...llmCall(), owner: i }, controller.signal)),
    );
    await until('a hundred calls', () => reached >= 100);
    const client = clientFor(fake);
    const jobs = await Promise.all(Array.from({ length: 20 }, () => client.run(job('echo x'), quietCall())));
    expect(jobs.map(({ output }) => output)).toEqual(jobs.map(() => 'x\n'));
    controller.abort(new Error('enough'));
    await Promise.all(calls);
    hanging.stop(true);
  });

  test('go round between runs', async () => {
    fake.fault(() => ({ delayMs: 5 }));
    const client = clientFor(fake, { maxConnections: 1 });
    const calls = ['a', 'a', 'a', 'b'].map((owner) => client.status(owner, quietCall(owner)).catch(() => null));
    await Promise.all(calls);
    expect(fake.requests.map(({ path }) => path.at(-1))).toEqual(['a', 'a', 'b', 'a']);
  });
});

test('proxy variables are ignored', async () => {
  let visits = 0;
  const proxy = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        visits += 1;
        socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n');
      },
      data() {},
    },
  });
  const address = `http://127.0.0.1:${proxy.port}`;
  const names = ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy'];
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/run-once.ts`, fake.url, fake.token], {
    env: { PATH: process.env.PATH ?? '', NO_PROXY: '', ...Object.fromEntries(names.map((name) => [name, address])) },
    stdout: 'pipe',
  });
  expect(await child.stdout.text()).toBe('hi\n');
  expect(visits).toBe(0);
  proxy.stop(true);
});
