import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { createShellctlClient } from '../../../src/peers/shellctl/client.ts';
import type { ShellctlClient } from '../../../src/peers/shellctl/port.ts';
import { type FakeShellctl, startFakeShellctl } from '../../fakes/shellctl.ts';
import { clientFor, errorOf, job, quietCall } from './kit.ts';

let fake: FakeShellctl;
let client: ShellctlClient;
beforeAll(() => {
  fake = startFakeShellctl();
  client = clientFor(fake);
});
beforeEach(() => fake.forgetRequests());
afterAll(() => {
  client.close();
  fake.stop();
});

const OK = { status: 200, body: '{"job_id":"j","status":"exited"}' };

describe('requests', () => {
  test('look like those of the reference client', async () => {
    fake.fault(() => ({ reply: OK }));
    const wait = { offset: 5, timeoutSeconds: 0, outputLimit: 8192 };
    await client.run(job('true'), quietCall());
    const terminal = { cols: 4096, rows: 200 };
    const full = { cwd: '~/workspace/3f9a0c4', env: { A: '1' }, terminal, idleFlushSeconds: 2 };
    await client.run(job('true', full), quietCall());
    await client.wait('j', wait, quietCall());
    await client.input('j', { ...wait, text: '\u0003\n' }, quietCall());
    await client.tail('j', 16, quietCall());
    await client.status('j', quietCall());
    await client.terminate('j', 0.5, quietCall());
    await client.delete('j', { force: true, graceSeconds: 0 }, quietCall());
    await client.delete('j', { force: false }, quietCall());
    await client.list(3, quietCall());
    await client.health(quietCall());
    fake.fault(null);

    expect(fake.requests.map(({ method, path, query }) => `${method} ${path}${query && `?${query}`}`)).toEqual([
      'POST /v1/jobs/run',
      'POST /v1/jobs/run',
      'POST /v1/jobs/j/wait',
      'POST /v1/jobs/j/input',
      'GET /v1/jobs/j/log/tail?output_limit=16',
      'GET /v1/jobs/j',
      'POST /v1/jobs/j/terminate',
      'DELETE /v1/jobs/j?force=true&grace_seconds=0',
      'DELETE /v1/jobs/j',
      'GET /v1/jobs?limit=3',
      'GET /healthz',
    ]);
    const waiting = { timeout: 30, output_limit: 8192, idle_flush_seconds: 0.5 };
    expect(fake.requests.slice(0, 4).map(({ body }) => body)).toEqual([
      { script: 'true', ...waiting },
      { script: 'true', cwd: full.cwd, env: full.env, terminal, ...waiting, idle_flush_seconds: 2 },
      { offset: 5, ...waiting, timeout: 0 },
      { text: '\u0003\n', offset: 5, ...waiting, timeout: 0 },
    ]);
    expect(fake.requests[6]?.body).toEqual({ grace_seconds: 0.5 });
    const [first, , , , tail] = fake.requests;
    expect(first?.headers).toMatchObject({
      authorization: `Bearer ${fake.token}`,
      'content-type': 'application/json',
      'accept-encoding': 'identity',
      'user-agent': 'dify-agent/test',
    });
    expect(tail?.headers).not.toHaveProperty('content-type');
  });

  test('carry no authorization when there is no token', async () => {
    const open = startFakeShellctl({ token: '' });
    await clientFor(open, { authToken: null }).list(1, quietCall());
    await clientFor(open, { authToken: '' }).list(1, quietCall());
    expect(open.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
    open.stop();
  });

  test('go below the path of the entrypoint, with its user info', async () => {
    fake.fault(() => ({ reply: OK }));
    const entrypoint = fake.url.replace('://', '://me:p%40ss@').concat('/shell/');
    fake.setToken('');
    await clientFor(fake, { entrypoint, authToken: null }).health(quietCall());
    await clientFor(fake, { entrypoint }).health(quietCall());
    fake.setToken(fake.token);
    fake.fault(null);
    expect(fake.requests.map(({ path }) => path)).toEqual(['/shell/healthz', '/shell/healthz']);
    expect(fake.requests.map(({ headers }) => headers.authorization)).toEqual([
      `Basic ${Buffer.from('me:p@ss').toString('base64')}`,
      `Bearer ${fake.token}`,
    ]);
  });

  test.each([
    ['ftp://x', 'the shellctl entrypoint must be an http:// or https:// URL'],
    ['nonsense', 'the shellctl entrypoint must be an http:// or https:// URL'],
  ])('are not made for %s', (entrypoint, message) => {
    const address = { entrypoint, authToken: null, maxConnections: 1 };
    expect(() => createShellctlClient(address, { userAgent: 'x' })).toThrow(message);
  });

  test.each(['a\nb', 'ключ', ' x', 'a\0'])('are not made with the token %j', (authToken) => {
    expect(() => clientFor(fake, { authToken })).toThrow('the shellctl token must be printable ASCII');
  });
});

describe('what cannot travel', () => {
  test.each(['', '.', '..', '../../healthz', 'a/b', 'a\\b', 'a\nb', 'a\0', '\ud800', 'x'.repeat(129)])(
    'the job id %j is one that nobody has',
    async (id) => {
      const error = await errorOf(client.delete(id, { force: true }, quietCall()));
      expect(error).toMatchObject({ code: 'job_not_found', status: null });
      expect(error.message.length).toBeLessThan(120);
      expect(/[\0-\x1f]/.test(error.message)).toBe(false);
      expect(fake.requests).toEqual([]);
    },
  );

  test('an id of characters that no server uses is unknown, and nothing is sent', async () => {
    const error = await errorOf(client.status('a?b#c%2f ä;', quietCall()));
    expect(error.message).toBe('job_not_found: Unknown job id: a?b#c%2f ä;');
    expect(fake.requests).toEqual([]);
  });

  const wait = { offset: 0, timeoutSeconds: 1, outputLimit: 1 };
  test.each<[string, () => Promise<unknown>, string]>([
    ['a blank script', () => client.run(job(' \n'), quietCall()), 'script is required'],
    ['NUL in a script', () => client.run(job('a\0b'), quietCall()), 'script must not contain control characters'],
    ['half a character', () => client.run(job('echo \ud800'), quietCall()), 'script is not valid Unicode'],
    [
      'a directory of two lines',
      () => client.run(job('x', { cwd: '~/a\nb' }), quietCall()),
      'cwd must not contain control characters',
    ],
    [
      'a nameless variable',
      () => client.run(job('x', { env: { '': 'v' } }), quietCall()),
      'names in env must not be empty or contain "="',
    ],
    [
      '= in a name',
      () => client.run(job('x', { env: { 'A=B': 'v' } }), quietCall()),
      'names in env must not be empty or contain "="',
    ],
    [
      'a name of two lines',
      () => client.run(job('x', { env: { 'A\nB': 'v' } }), quietCall()),
      'a name in env must not contain control characters',
    ],
    [
      'ESC in a value',
      () => client.run(job('x', { env: { A: 'secret\x1b' } }), quietCall()),
      'the value of env A must not contain control characters',
    ],
    [
      'half a character in a value',
      () => client.run(job('x', { env: { A: '\udc00' } }), quietCall()),
      'the value of env A is not valid Unicode',
    ],
    [
      'half a character of input',
      () => client.input('j', { ...wait, text: '\ud800' }, quietCall()),
      'text is not valid Unicode',
    ],
    [
      'an endless wait',
      () => client.wait('j', { ...wait, timeoutSeconds: Number.NaN }, quietCall()),
      'timeout must be a number of seconds',
    ],
    ['a grace below zero', () => client.terminate('j', -1, quietCall()), 'grace_seconds must be a number of seconds'],
    [
      'an offset below zero',
      () => client.wait('j', { ...wait, offset: -1 }, quietCall()),
      'offset must be a non-negative integer',
    ],
    [
      'an offset beyond 2^53',
      () => client.wait('j', { ...wait, offset: 2 ** 60 }, quietCall()),
      'offset must be a non-negative integer',
    ],
    ['no output at all', () => client.tail('j', 0, quietCall()), 'output_limit must be a positive integer'],
  ])('%s', async (_name, ask, message) => {
    expect((await errorOf(ask())).message).toBe(`invalid_request: ${message}`);
    expect(fake.requests).toEqual([]);
  });

  test('tabs and newlines in values do travel', async () => {
    const result = await client.run(job('printf %s "$A"', { env: { A: '\ta\nb' } }), quietCall());
    expect(result.output).toBe('\ta\nb');
  });
});
