// `ready`, for supervisors, and `version --json`, for inventories.

import { afterAll, describe, expect, test } from 'bun:test';
import { VERSION } from '../../src/base/version.ts';
import { runCommand } from '../../src/cli/commands.ts';
import { until } from '../support/until.ts';
import { fakeIo } from './support.ts';

let answers: (() => Response)[] = [];
const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch(request) {
    if (new URL(request.url).pathname !== '/base/readyz') return new Response('no', { status: 404 });
    const [next = () => new Response('{"status":"ready"}'), ...rest] = answers;
    if (rest.length > 0) answers = rest;
    return next();
  },
});
const url = `http://127.0.0.1:${server.port}/base/`;
afterAll(() => server.stop(true));

const refusing = () => new Response('{"detail":"shutting\u001b[2J down"}', { status: 503 });

describe('ready', () => {
  test('is 0 when the server takes runs', async () => {
    answers = [];
    const io = fakeIo(['ready', url]);
    expect([await runCommand(io), io.complaints, io.printed()]).toEqual([0, [], '']);
    expect(await runCommand(fakeIo(['ready'], { DIFY_AGENT_URL: url }))).toBe(0);
  });

  test('is 1 when it does not, with what it says, which cannot move the cursor', async () => {
    answers = [refusing];
    const io = fakeIo(['ready', url]);
    expect(await runCommand(io)).toBe(1);
    expect(io.complaints[0]).toStartWith(`not ready: ${url}readyz: 503 {"detail":"shutting`);
    expect(io.complaints[0]).not.toContain('\u001b');
  });

  test('is 1 when nobody listens', async () => {
    const io = fakeIo(['ready', 'http://127.0.0.1:1']);
    expect(await runCommand(io)).toBe(1);
    expect(io.complaints[0]).toStartWith('not ready: http://127.0.0.1:1/readyz: ');
  });

  test('waits until it does', async () => {
    let asked = 0;
    const counted = () => {
      asked += 1;
      return refusing();
    };
    answers = [counted, counted, () => new Response('{}')];
    expect(await runCommand(fakeIo(['ready', url, '--wait', '60']))).toBe(0);
    expect(asked).toBe(2);
  });

  test('and no longer than it was told', async () => {
    answers = [refusing];
    const ended = runCommand(fakeIo(['ready', url, '--wait', '0.3']));
    expect(await until('the end', () => ended.then((code) => ({ code })))).toEqual({ code: 1 });
  });

  test('takes a redirect for what it is: not ready', async () => {
    answers = [() => Response.redirect('http://127.0.0.1:1/', 302)];
    expect(await runCommand(fakeIo(['ready', url]))).toBe(1);
  });

  test.each([
    [['a', 'b'], 'expected at most 1 argument, got 2'],
    [['ftp://x'], 'URL must be an http:// or https:// URL'],
    [['--wait', '-1'], "Option '--wait' argument is ambiguous"],
    [['--wait=1e9'], '--wait must be seconds, 0 to 3600'],
    [['--wait=9999'], '--wait must be seconds, 0 to 3600'],
    [['--quick'], "Unknown option '--quick'"],
  ])('%j is not understood', async (words, problem) => {
    const io = fakeIo(['ready', ...words]);
    expect(await runCommand(io)).toBe(2);
    expect(io.complaints[0]).toContain(problem);
    expect(io.complaints[0]).toContain('Usage: dify-agent ready [URL] [--wait SECONDS]');
  });
});

describe('version --json', () => {
  test('is one object', async () => {
    const io = fakeIo(['version', '--json']);
    expect(await runCommand(io)).toBe(0);
    expect(JSON.parse(io.printed())).toEqual({
      name: 'dify-agent',
      version: VERSION,
      revision: null,
      bun: Bun.version,
      platform: process.platform,
      arch: process.arch,
    });
  });

  test('another word is not understood', async () => {
    expect(await runCommand(fakeIo(['version', 'x']))).toBe(2);
  });
});
