// A server that takes no `env` (shell-session-manager 2.1.1): the environment travels in the script, and the script runs as it would
// have with it.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { chmodSync } from 'node:fs';
import { withEnvironment } from '../../../src/peers/shellctl/carried-env.ts';
import type { JobResult, ShellctlClient } from '../../../src/peers/shellctl/port.ts';
import { type FakeShellctl, startFakeShellctl } from '../../fakes/shellctl.ts';
import { clientFor, errorOf, job, quietCall } from './kit.ts';

let fake: FakeShellctl;
let client: ShellctlClient;
beforeEach(() => {
  fake = startFakeShellctl({ takesEnv: false });
  client = clientFor(fake);
});
afterEach(() => {
  client.close();
  fake.stop();
});

const run = (script: string, env: Readonly<Record<string, string>> | null): Promise<JobResult> =>
  client.run(job(script, { env, idleFlushSeconds: 30 }), quietCall());
const scripts = () => fake.requests.map(({ body }) => (body as { script: string }).script); // what the client sends

describe('values arrive as they are', () => {
  const values = [
    ...["it's", "'", "''", "a'b'c'", '$HOME', '`id`', '$(id)', '\\', "\\'", '\\n', '"', '!', '#x', '', ' a  b ', '*'],
    ...['a\nb', '\n', 'end\n', '\t', 'EOF', '-n', '%s', 'é€𝄞‘’“”…', 'x'.repeat(100_000), "'; touch ~/owned; '"],
  ];

  test.each([
    ['plain', ''],
    ['shebang', '#!/bin/sh\n'],
  ])('in a %s script', async (_, first) => {
    const env = Object.fromEntries(values.map((value, i) => [`V${i}`, value]));
    const script = `${first}${values.map((_, i) => `printf '%s|' "$V${i}"`).join('\n')}`;
    const { output, exit_code } = await client.run(
      job(script, { env, idleFlushSeconds: 30, outputLimit: 1_000_000 }),
      quietCall(),
    );
    expect({ output, exit_code }).toEqual({ output: `${values.join('|')}|`, exit_code: 0 });
    expect((await run('test ! -e ~/owned', null)).exit_code).toBe(0);
  });
});

describe('a script that begins with a shebang', () => {
  test('is run by its interpreter, byte for byte, from a private file', async () => {
    const script = `#!/usr/bin/env -S sed -n p\nit's $HOME \`x\` \\n %s é‘\n\nDIFY\n  last line without end`;
    const { output } = await run(script, { A: '1' });
    expect(output).toBe(script);
    const look = '#!/bin/sh\nstat -c "%a %n" "$0" | sed "s:/.*/::"; stat -c "%a" "$(dirname "$0")"';
    expect((await run(look, { A: '1' })).output).toMatch(/^700 script\.exec\n7\d\d\n$/);
  });

  test('is what reads from the terminal, gets signals, and gives the exit code', async () => {
    const reading = '#!/bin/sh\nread line; echo "got $line $A"; exit 7';
    const asking = await client.run(job(reading, { env: { A: '1' }, timeoutSeconds: 0.3 }), quietCall());
    const input = { text: 'x\n', offset: 0, timeoutSeconds: 30, outputLimit: 100, idleFlushSeconds: 30 };
    expect(await client.input(asking.job_id, input, quietCall())).toMatchObject({ output: 'got x 1\n', exit_code: 7 });
    expect(await run('#!/bin/sh\nkill -9 $$', { A: '1' })).toMatchObject({ status: 'exited', exit_code: 137 });
    expect((await run('#!/no/such\n', { A: '1' })).exit_code).toBe(127);
  });

  test('is written before its environment counts', async () => {
    const { output } = await run('#!/bin/sh\n/bin/echo "$PATH $IFS"', { PATH: '/nowhere', IFS: 'x' });
    expect(output).toStartWith('/nowhere ');
  });

  test('is gone with its job', async () => {
    const { job_id, output } = await run('#!/bin/sh\necho "$0"', { A: '1' });
    expect(await Bun.file(output.trim()).exists()).toBe(true);
    await client.delete(job_id, { force: true }, quietCall());
    expect(await Bun.file(output.trim()).exists()).toBe(false);
  });

  test('that cannot be written says so', async () => {
    const carried = withEnvironment('#!/bin/sh\necho hi', { A: '1' });
    const file = `${fake.home}/script`;
    await Bun.write(file, carried);
    await Bun.$`mkdir ${file}.exec`.quiet();
    chmodSync(`${file}.exec`, 0o500);
    const ran = Bun.spawnSync(['/bin/sh', file]);
    expect({ code: ran.exitCode, out: ran.stdout.toString() }).toEqual({ code: 126, out: '' });
    expect(ran.stderr.toString()).toContain('script.exec');
  });
});

test('a job without environment is sent as it is, to any server', async () => {
  await run('echo $0', null);
  await run('#!/bin/sh\necho $0', {});
  expect(scripts()).toEqual(['echo $0', '#!/bin/sh\necho $0']);
});

test('the server is asked once; afterwards nothing is sent in vain', async () => {
  await run('echo $A', { A: '1' });
  await run('echo $A', { A: '2' });
  expect(fake.requests.map(({ body }) => Object.hasOwn(body as object, 'env'))).toEqual([true, false, false]);
  // Another process asks anew.
  const other = clientFor(fake);
  expect((await other.run(job('echo $A', { env: { A: '3' } }), quietCall())).output).toBe('3\n');
  other.close();
  expect(fake.requests).toHaveLength(5);
});

test('several first jobs at once all run, once', async () => {
  const results = await Promise.all(['1', '2', '3', '4'].map((A) => run('echo $A >> ~/ran; echo $A', { A })));
  expect(results.map(({ output }) => output)).toEqual(['1\n', '2\n', '3\n', '4\n']);
  expect((await run('wc -l < ~/ran', null)).output.trim()).toBe('4');
});

test('a server that takes it is sent it, whatever else it refuses', async () => {
  const newer = startFakeShellctl();
  const itsClient = clientFor(newer);
  const refused = { ...job('echo $A', { env: { A: '1' }, timeoutSeconds: 9999 }) };
  expect((await errorOf(itsClient.run(refused, quietCall()))).status).toBe(422);
  expect((await itsClient.run(job('echo $A', { env: { A: '1' } }), quietCall())).output).toBe('1\n');
  expect(newer.requests.every(({ body }) => Object.hasOwn(body as object, 'env'))).toBe(true);
  itsClient.close();
  newer.stop();
});

test('both refused: the other problem is told, and the value is not', async () => {
  const error = await errorOf(
    client.run(job('true', { env: { TOKEN: 'very-secret-value' }, timeoutSeconds: 9999 }), quietCall()),
  );
  expect(error.message).toBe('request_failed (422): body.timeout: Input should be less than or equal to 300');
});

test.each(['a b', 'a-b', '1a', 'é', 'a;id'])('a name that no shell has, %p, is refused by us', async (name) => {
  const error = await errorOf(run('true', { [name]: 'secret' }));
  expect(error.message).toBe(
    `invalid_request: this shellctl takes no env, and a script cannot export every name in it`,
  );
  expect(fake.jobIds()).toEqual([]);
});

test('an aborted job is not sent a second time', async () => {
  const controller = new AbortController();
  fake.fault(() => {
    controller.abort(new Error('gone'));
    return null;
  });
  const running = client.run(job('true', { env: { A: '1' } }), { signal: controller.signal, owner: 1 });
  expect(running).rejects.toThrow('gone');
  await running.catch(() => {});
  expect(fake.requests).toHaveLength(1);
});
