// The fake is as strict as spec 04 says, and leaves nothing behind. What jobs do is tested with the client
// (test/peers/shellctl/jobs.test.ts).

import { afterEach, describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { until } from '../support/until.ts';
import { type FakeShellctl, type FakeShellctlOptions, startFakeShellctl } from './shellctl.ts';
import { startShellctlProcess } from './shellctl-process.ts';

const started: FakeShellctl[] = [];
afterEach(() => {
  for (const fake of started.splice(0)) fake.stop();
});

function start(options: FakeShellctlOptions = {}): FakeShellctl {
  const fake = startFakeShellctl(options);
  started.push(fake);
  return fake;
}

/** The answer's fields, and its HTTP status as `http`. */
async function ask(
  fake: FakeShellctl,
  method: string,
  path: string,
  body?: unknown,
  headers = {},
): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(fake.url + path, {
    method,
    headers: { authorization: `Bearer ${fake.token}`, ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  // Whatever it is, tests compare it.
  const answer = (await response.json()) as Record<string, unknown>;
  return { ...answer, http: response.status };
}

describe('the Python dialect', () => {
  test.each<[string, string, string, unknown, string, string]>([
    [
      'an unknown field',
      'POST',
      '/v1/jobs/run',
      { script: 'x', mode: 'pty' },
      'body.mode',
      'Extra inputs are not permitted',
    ],
    ['no script', 'POST', '/v1/jobs/run', {}, 'body.script', 'Field required'],
    [
      'timeout 0',
      'POST',
      '/v1/jobs/run',
      { script: 'x', timeout: 0 },
      'body.timeout',
      'Input should be greater than 0',
    ],
    [
      'a long timeout',
      'POST',
      '/v1/jobs/run',
      { script: 'x', timeout: 301 },
      'body.timeout',
      'Input should be less than or equal to 300',
    ],
    [
      'a large limit',
      'POST',
      '/v1/jobs/run',
      { script: 'x', output_limit: 1_048_577 },
      'body.output_limit',
      'Input should be less than or equal to 1048576',
    ],
    [
      'a long idle flush',
      'POST',
      '/v1/jobs/j/wait',
      { offset: 0, idle_flush_seconds: 31 },
      'body.idle_flush_seconds',
      'Input should be less than or equal to 30',
    ],
    ['no offset', 'POST', '/v1/jobs/j/wait', {}, 'body.offset', 'Field required'],
    ['no body', 'POST', '/v1/jobs/j/terminate', undefined, 'body', 'Field required'],
    ['no JSON', 'POST', '/v1/jobs/run', 'nope', 'body.0', 'JSON decode error'],
    [
      '= in a name',
      'POST',
      '/v1/jobs/run',
      { script: 'x', env: { 'A=B': '' } },
      'body.env',
      "Value error, env name must not contain '=': 'A=B'",
    ],
    [
      'a list limit of 0',
      'GET',
      '/v1/jobs?limit=0',
      undefined,
      'query.limit',
      'Input should be greater than or equal to 1',
    ],
  ])('refuses %s', async (_name, method, path, body, where, message) => {
    const answer = await ask(start(), method, path, body);
    expect(answer).toMatchObject({ http: 422 });
    const [problem] = answer.detail as { loc: unknown[]; msg: string }[]; // the shape of a 422
    expect([problem?.loc.join('.'), problem?.msg]).toEqual([where, message]);
  });

  test('knows no other route', async () => {
    expect(await ask(start(), 'GET', '/v1/nothing')).toEqual({ http: 404, detail: 'Not Found' });
  });
});

describe('the Go dialect', () => {
  test('ignores unknown fields, refuses wrong types and no script', async () => {
    const fake = start({ dialect: 'go' });
    expect(await ask(fake, 'POST', '/v1/jobs/run', { script: 'true', mode: 'pty', timeout: 1000 })).toMatchObject({
      http: 200,
    });
    const invalid = { http: 400, error: { code: 'invalid_request', message: 'Invalid JSON body' } };
    expect(await ask(fake, 'POST', '/v1/jobs/run', { script: 1 })).toEqual(invalid);
    expect(await ask(fake, 'POST', '/v1/jobs/run', 'nope')).toEqual(invalid);
    expect(await ask(fake, 'POST', '/v1/jobs/run', {})).toMatchObject({ error: { message: 'script is required' } });
  });

  test('writes no jobs as null', async () => {
    expect(await ask(start({ dialect: 'go' }), 'GET', '/v1/jobs')).toEqual({ http: 200, jobs: null });
    expect(await ask(start(), 'GET', '/v1/jobs')).toEqual({ http: 200, jobs: [] });
  });
});

test('the token must be exact, except for its health', async () => {
  const fake = start();
  for (const authorization of [
    '',
    `bearer ${fake.token}`,
    `Bearer ${fake.token}x`,
    `Bearer  ${fake.token}`,
    fake.token,
  ]) {
    expect(await ask(fake, 'GET', '/v1/jobs', undefined, { authorization })).toEqual({
      http: 401,
      error: { code: 'unauthorized', message: 'Missing or invalid bearer token' },
    });
  }
  expect((await fetch(`${fake.url}/healthz`)).status).toBe(200);
});

test('its home is private and its own', async () => {
  const fake = start({ env: { GREETING: 'hello' } });
  const answer = await ask(fake, 'POST', '/v1/jobs/run', { script: 'pwd; cd ~; pwd; echo "$HOME $GREETING"' });
  expect(answer.output).toBe(`${fake.home}\n${fake.home}\n${fake.home} hello\n`);
});

test('forgets finished jobs when their time is over', async () => {
  const fake = start();
  const { job_id } = await ask(fake, 'POST', '/v1/jobs/run', { script: 'true' });
  const live = await ask(fake, 'POST', '/v1/jobs/run', { script: 'sleep 60', timeout: 0.05 });
  fake.expireJobs();
  expect(fake.jobIds()).toEqual([String(live.job_id)]);
  expect(await ask(fake, 'GET', `/v1/jobs/${String(job_id)}`)).toMatchObject({ http: 404 });
});

test('kills everything when it stops, also what left its group', async () => {
  const fake = start();
  const script = 'sleep 61 & setsid sh -c "sleep 62; true" & echo $!; sleep 63';
  const { output } = await ask(fake, 'POST', '/v1/jobs/run', { script, idle_flush_seconds: 0 });
  const pid = Number(output);
  expect(isAlive(pid)).toBe(true);
  fake.stop();
  await until('its processes to be gone', () => !isAlive(pid));
  expect(existsSync(fake.home)).toBe(false);
});

test('in a process of its own it ends with whoever started it', async () => {
  const { url, token, stop } = await startShellctlProcess({ dialect: 'go', token: 'own' });
  const response = await fetch(`${url}/v1/jobs/run`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ script: 'echo $HOME; echo $$; sleep 60', idle_flush_seconds: 0.1 }),
  });
  const { output } = (await response.json()) as { output: string }; // a JobResult
  const [home = '', pid = ''] = output.split('\n');
  expect(existsSync(home)).toBe(true);
  await stop();
  await until('the job to be gone', () => !isAlive(Number(pid)));
  expect(existsSync(home)).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
