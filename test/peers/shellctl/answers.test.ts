import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { CallOptions, ShellctlClient } from '../../../src/peers/shellctl/port.ts';
import { type FakeShellctl, type HttpReply, startFakeShellctl } from '../../fakes/shellctl.ts';
import { clientFor, errorOf, job, quietCall } from './kit.ts';

let fake: FakeShellctl;
let client: ShellctlClient;
beforeAll(() => {
  fake = startFakeShellctl();
  client = clientFor(fake);
});
afterAll(() => {
  client.close();
  fake.stop();
});

/** Every call is answered with this. */
function answering(status: number, body: string | Uint8Array | object, headers: Record<string, string> = {}): void {
  const raw = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  const reply: HttpReply = { status, body: raw, headers };
  fake.fault(() => ({ reply }));
}

const RESULT = {
  job_id: '06101432-k7m',
  done: false,
  status: 'running',
  exit_code: null,
  output_path: '/x/output.log',
  output: 'hi\n',
  offset: 3,
  truncated: false,
};
const wait = (offset = 0): Parameters<ShellctlClient['wait']>[1] => ({ offset, timeoutSeconds: 1, outputLimit: 100 });

describe('a good answer', () => {
  test('is taken as it is, without unknown keys', async () => {
    answering(200, { ...RESULT, session_id: 'x', future: { deep: true } });
    expect(await client.run(job('true'), quietCall())).toEqual(RESULT);
  });

  test('may leave out what is empty', async () => {
    answering(200, { job_id: '06101432-k7m', status: 'exited' });
    const empty = { exit_code: null, output_path: null, output: '', truncated: false };
    expect(await client.run(job('true'), quietCall())).toEqual({
      ...empty,
      job_id: '06101432-k7m',
      status: 'exited',
      done: true,
      offset: 0,
    });
    expect(await client.wait('j', wait(7), quietCall())).toMatchObject({ job_id: 'j', offset: 7 });
    expect(await client.status('j', quietCall())).toMatchObject({
      job_id: 'j',
      done: true,
      exit_code: null,
      offset: 0,
    });
  });

  test('names the job that was asked for, whatever it says', async () => {
    answering(200, { ...RESULT, job_id: '../other' });
    expect((await client.wait('06101432-k7m', wait(), quietCall())).job_id).toBe('06101432-k7m');
    expect((await client.tail('06101432-k7m', 10, quietCall())).job_id).toBe('06101432-k7m');
  });

  test('may carry a status word of the future', async () => {
    answering(200, { ...RESULT, status: 'frozen', done: true });
    expect(await client.run(job('true'), quietCall())).toMatchObject({ status: 'frozen', done: true });
  });

  test('has no broken characters', async () => {
    answering(200, `{"job_id":"j","status":"running","output":"a\\ud800b"}`);
    expect((await client.run(job('true'), quietCall())).output).toBe('a\ufffdb');
    answering(200, Buffer.concat([Buffer.from('{"job_id":"j","output":"a'), Buffer.of(0xff), Buffer.from('b"}')]));
    expect((await client.run(job('true'), quietCall())).output).toBe('a\ufffdb');
  });

  test('with no list of jobs is an empty list', async () => {
    answering(200, { jobs: null });
    expect(await client.list(10, quietCall())).toEqual([]);
    answering(200, {});
    expect(await client.list(10, quietCall())).toEqual([]);
    answering(200, { jobs: [{ job_id: 'a', status: 'lost', ended_at: null }] });
    expect(await client.list(10, quietCall())).toEqual([{ job_id: 'a', status: 'lost' }]);
  });
});

describe('an answer that cannot be used', () => {
  const asRun = (call: CallOptions) => client.run(job('true'), call);
  const asStatus = (call: CallOptions) => client.status('j', call);

  test.each<[string, number, string | object, string, (call: CallOptions) => Promise<unknown>]>([
    ['text', 200, 'hello', 'invalid_json (200): hello', asRun],
    ['nothing', 200, '', 'invalid_json (200): the answer is empty', asRun],
    ['a bare text of a crash', 500, 'Internal Server Error', 'invalid_json (500): Internal Server Error', asRun],
    ['a list', 200, '[]', 'invalid_payload (200): the answer is not a JSON object', asRun],
    ['null', 200, 'null', 'invalid_payload (200): the answer is not a JSON object', asStatus],
    ['no job', 200, { done: true }, 'invalid_payload (200): the answer has no usable job_id', asRun],
    [
      'a job that is a path',
      200,
      { ...RESULT, job_id: '../x' },
      'invalid_payload (200): the answer has no usable job_id',
      asRun,
    ],
    [
      'a job of two lines',
      200,
      { ...RESULT, job_id: 'a\nb' },
      'invalid_payload (200): the answer has no usable job_id',
      asRun,
    ],
    [
      'an offset below zero',
      200,
      { ...RESULT, offset: -1 },
      'invalid_payload (200): the answer has no usable offset',
      asRun,
    ],
    [
      'a fraction of an offset',
      200,
      { ...RESULT, offset: 0.5 },
      'invalid_payload (200): the answer has no usable offset',
      asRun,
    ],
    [
      'an endless offset',
      200,
      '{"job_id":"j","offset":1e400}',
      'invalid_payload (200): the answer has no usable offset',
      asRun,
    ],
    [
      'a list as output',
      200,
      { ...RESULT, output: [] },
      'invalid_payload (200): the answer has no usable output',
      asRun,
    ],
    [
      'a text as exit code',
      200,
      { ...RESULT, exit_code: '0' },
      'invalid_payload (200): the answer has no usable exit_code',
      asStatus,
    ],
    ['done as a number', 200, { ...RESULT, done: 1 }, 'invalid_payload (200): the answer has no usable done', asStatus],
    [
      'a declared error',
      409,
      { error: { code: 'job_running', message: 'Job j is still running' } },
      'job_running (409): Job j is still running',
      asStatus,
    ],
    ['an error without a message', 500, { error: { code: 'tmux_error' } }, 'tmux_error (500): ', asStatus],
    [
      'an error with a strange code',
      500,
      { error: { code: 'a b', message: 'x' } },
      'request_failed (500): {"error":{"code":"a b","message":"x"}}',
      asStatus,
    ],
    ['an unknown route', 404, { detail: 'Not Found' }, 'request_failed (404): {"detail":"Not Found"}', asStatus],
    ['an error that is no object', 503, '"busy"', 'request_failed (503): "busy"', asStatus],
  ])('%s', async (_name, status, body, message, ask) => {
    answering(status, body);
    expect((await errorOf(ask(quietCall()))).message).toBe(message);
  });

  test('a 422 tells the problems but not what was sent', async () => {
    const detail = [
      { type: 'extra_forbidden', loc: ['body', 'mode'], msg: 'Extra inputs are not permitted', input: 'pty' },
      {
        type: 'missing',
        loc: ['body', 'script'],
        msg: 'Field required',
        input: { env: { TOKEN: 'very-secret-value' } },
      },
    ];
    answering(422, { detail });
    const error = await errorOf(asRun(quietCall()));
    expect(error.message).toBe(
      'request_failed (422): body.mode: Extra inputs are not permitted; body.script: Field required',
    );
  });

  test('a 422 of any shape stays short', async () => {
    answering(422, { detail: Array.from({ length: 500 }, () => ({ msg: 'x'.repeat(50) })) });
    const error = await errorOf(asRun(quietCall()));
    expect(error.message).toEndWith('; and 492 more');
    answering(422, { detail: [null, 7, { loc: 'body' }] });
    expect((await errorOf(asRun(quietCall()))).detail).toBe('request: invalid; request: invalid; request: invalid');
  });

  test('secrets that come back in an error are masked', async () => {
    const env = { DIFY_AGENT_STUB_AUTH_JWE: 'eyJhbGciOi.secret.token', REGION: 'europe' };
    const echo = `denied: Bearer ${fake.token} with ${env.DIFY_AGENT_STUB_AUTH_JWE} in europe`;
    answering(403, { error: { code: 'forbidden', message: echo } });
    const error = await errorOf(client.run(job('true', { env }), quietCall()));
    expect(error.message).toBe('forbidden (403): denied: Bearer *** with *** in europe');
  });

  test('a long error is cut', async () => {
    answering(502, `<html>${'x'.repeat(100_000)}`);
    const error = await errorOf(asStatus(quietCall()));
    expect(error.code).toBe('invalid_json');
    expect(error.detail).toHaveLength(2001);
  });

  test('more output than was asked for is refused, wherever the answer grows', async () => {
    answering(200, { ...RESULT, output: 'x'.repeat(70_000) });
    const small = await errorOf(client.wait('j', wait(), quietCall()));
    expect(small.message).toBe('invalid_payload (200): the answer is longer than 66136 bytes');
    answering(200, { status: 'ok', padding: 'x'.repeat(70_000) });
    expect((await errorOf(client.health(quietCall()))).code).toBe('invalid_payload');
  });

  test('also when it is packed, or its length is not told', async () => {
    const body = JSON.stringify({ ...RESULT, output: 'x'.repeat(10_000_000) });
    answering(200, Bun.gzipSync(body), { 'content-encoding': 'gzip' });
    expect((await errorOf(client.wait('j', wait(), quietCall()))).code).toBe('invalid_payload');
    const small = JSON.stringify(RESULT);
    answering(200, Bun.gzipSync(small), { 'content-encoding': 'gzip' });
    expect(await client.run(job('true'), quietCall())).toEqual(RESULT);
    const head = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n';
    const chunked = (text: string) => `${head}${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
    fake.fault(() => ({ reply: { raw: chunked(body) } }));
    expect((await errorOf(client.wait('j', wait(), quietCall()))).code).toBe('invalid_payload');
    fake.fault(() => ({ reply: { raw: chunked(small) } }));
    expect(await client.run(job('true'), quietCall())).toEqual(RESULT);
  });

  test('as much output as was asked for is taken, however it is escaped', async () => {
    const output = '\u0001'.repeat(200_000);
    answering(200, { ...RESULT, output, offset: 200_000 });
    const result = await client.run(job('true', { outputLimit: 200_000 }), quietCall());
    expect(result.output).toBe(output);
  });
});
