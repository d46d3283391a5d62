// What jobs are given and nobody may see: the token of the Agent Stub, configured values and whatever a pattern matches, in events,
// in snapshots, in the log and in what the model is sent.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { refusal } from '../support/exit.ts';
import { until } from '../support/until.ts';
import { runs, runsAll, type ShellRun, type ShellServer, shellServer, turn } from './shell-kit.ts';

setDefaultTimeout(120_000);

/** Bytes 00…1f (spec 05 §2.4). */
const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8';

let world: ShellServer;
beforeAll(async () => {
  world = await shellServer({
    env: {
      DIFY_AGENT_STUB_URL: 'http://agent.test:5050/agent-stub',
      DIFY_AGENT_SERVER_SECRET_KEY: KEY,
      DIFY_AGENT_SHELL_REDACT_PATTERNS: '["AKIA[A-Z0-9]{8}"]',
      DIFY_AGENT_LOG_LEVEL: 'debug',
    },
    fake: { env: { FROM_HOST: 'host-value-1' } },
  });
});
afterAll(() => world.stop());

const inHome = (name: string) => readFileSync(join(world.shellctl.home, name), 'utf8');

/** Everything that leaves the server, but for shellctl. */
function told(run: ShellRun): string {
  const asked = world.daemon.llmRequests.map(({ bodyText }) => bodyText);
  return [run.text, ...world.server.stderrLines, ...world.server.stdoutLines, ...asked].join('\n');
}

describe('the token of the Agent Stub', () => {
  test('is in the environment of jobs, fresh for each, and masked wherever they print it', async () => {
    const keep = (name: string) => `printf %s "$DIFY_AGENT_STUB_AUTH_JWE" > ~/${name}`;
    world.play(
      runs(`${keep('one')}; env | grep ^DIFY_AGENT_STUB_ | sort`),
      runs(`${keep('two')}; cat ~/one; echo; echo "{\\"Authorization\\": \\"Bearer $DIFY_AGENT_STUB_AUTH_JWE\\"}"`),
      runs(`#!/bin/sh\n${keep('three')}; cat ~/one ~/two; i=0; while [ $i -lt 400 ]; do i=$((i+1)); cat ~/three; done`),
      ...Array.from({ length: 12 }, () => turn('shell_wait', () => ({ job_id: world.shellctl.jobIds().at(-1) }))),
    );
    const run = await world.run({ config: { agent_stub_drive_ref: 'a/b' } });
    const tokens = ['one', 'two', 'three'].map(inHome);
    expect(new Set(tokens).size).toBe(3);
    for (const token of tokens) expect(token).toMatch(/^[\w-]+(\.[\w-]*){4}$/);
    expect(run.results[0]).toMatchObject({
      exit_code: 0,
      output: `DIFY_AGENT_STUB_API_BASE_URL=http://agent.test:5050/agent-stub
DIFY_AGENT_STUB_AUTH_JWE=***
DIFY_AGENT_STUB_DRIVE_BASE=/mnt/drive/a/b
DIFY_AGENT_STUB_URL=http://agent.test:5050/agent-stub
`,
    });
    expect(run.results[1]).toMatchObject({ output: '***\n{"Authorization": "Bearer ***"}\n' });
    expect(run.results[2]?.truncated).toBe(true);
    for (const { output } of run.results.slice(2)) expect(String(output)).toMatch(/^(\*\*\*)*$/);
    const all = told(run);
    for (const token of tokens) {
      expect(all).not.toContain(token);
      // Nor a part of it that is worth anything.
      for (let at = 0; at + 40 < token.length; at += 20) expect(all).not.toContain(token.slice(at, at + 40));
    }

    // The next run masks what jobs of this one left behind, and the token is worth nothing by then.
    world.play(runs('cat ~/one ~/three'));
    const next = await world.run({ snapshot: run.snapshot, onExit: { default: 'delete' } });
    expect(next.results).toMatchObject([{ output: '***' }]);
    expect(told(next)).not.toContain(tokens[0]);
    const response = await fetch(`${world.server.url}/agent-stub/connections`, {
      method: 'POST',
      proxy: false,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${tokens[0]}` },
      body: JSON.stringify({ protocol_version: 1, argv: ['x'] }),
    });
    expect(response.status).toBe(401);
  });

  test('is not given to install commands, nor where the configuration names its variables', async () => {
    const config = {
      env: [
        { name: 'DIFY_AGENT_STUB_AUTH_JWE', value: 'mine' },
        { name: 'DIFY_AGENT_STUB_OTHER', value: 'mine' },
      ],
      cli_tools: [{ install_commands: ['env | grep ^DIFY_AGENT_STUB_ | sort > seen'] }],
    };
    world.play(
      runs('cat seen; env | grep -c ^DIFY_AGENT_STUB_; case $DIFY_AGENT_STUB_AUTH_JWE in eyJ*) echo real; esac'),
    );
    const run = await world.run({ config, onExit: { default: 'delete' } });
    expect(run.results[0]?.output).toBe('DIFY_AGENT_STUB_AUTH_JWE=mine\nDIFY_AGENT_STUB_OTHER=mine\n4\nreal\n');
  });

  test('of a drive that is none is refused, and the model is told', async () => {
    world.play(runs('echo never'));
    const run = await world.run({ config: { agent_stub_drive_ref: '../x' }, onExit: { default: 'delete' } });
    expect(run.results).toEqual([{ error: 'Agent Stub drive_ref must be a safe relative path' }]);
  });
});

describe('configured values', () => {
  const config = {
    env: [
      { name: 'API_TOKEN', value: 'tök-"s3cret"\nsecond line of it' },
      { name: 'REGION', value: 'eu-west-17' },
    ],
    sandbox: { provider: 'p', config: { password: 'sandbox-pass-1' } },
  };

  test('under secret names are masked in every spelling, others are shown', async () => {
    world.play(
      runs('echo "$API_TOKEN"; echo "$REGION"; echo "$FROM_HOST"'),
      runs('printf %s "$API_TOKEN" | base64 -w0; echo; printf "user:%s" "$API_TOKEN" | base64 -w0'),
      runs('echo "$DIFY_SANDBOX_CONFIG_JSON $DIFY_SANDBOX_PROVIDER"'),
    );
    const run = await world.run({ config, onExit: { default: 'delete' } });
    expect(run.results[0]?.output).toBe('***\neu-west-17\nhost-value-1\n');
    expect(run.results[1]?.output).not.toContain(Buffer.from('s3cret').toString('base64').slice(1, 7));
    expect(run.results[2]?.output).toBe('{"password": "***"} p\n');
    for (const secret of ['s3cret', 'second line of it', 'sandbox-pass-1']) expect(told(run)).not.toContain(secret);
    // They are not in a script that shellctl writes to its disk either.
    const sent = world.shellctl.requests.map(({ body }) => String((body as { script?: string } | undefined)?.script));
    expect(sent.join('\n')).not.toContain('s3cret');
  });

  test('are in no error of a server that says everything again', async () => {
    world.play(runs('echo x'));
    const { snapshot } = await world.run({ config });
    world.shellctl.fault(({ body, path }) => {
      if (!path.endsWith('/run')) return null;
      const message = `cannot start ${JSON.stringify(body)} with ${world.shellctl.token}`;
      return { reply: { status: 500, body: JSON.stringify({ error: { code: 'internal_error', message } }) } };
    });
    world.play(runs('echo x'));
    const run = await world.run({ config, snapshot });
    world.shellctl.fault(null);
    expect(String(run.results[0]?.error)).toStartWith('internal_error (500): cannot start {"script":"echo x"');
    for (const secret of ['s3cret', 'sandbox-pass-1', world.shellctl.token]) expect(told(run)).not.toContain(secret);
  });

  test('are not in the error of a run whose install commands fail', async () => {
    const run = await world.run({
      config: { ...config, cli_tools: [{ install_commands: ['echo "$API_TOKEN" >&2; exit 9'] }] },
    });
    expect(run.error).toEndWith('exited exit_code=9');
    expect(told(run)).not.toContain('s3cret');
  });
});

describe('patterns', () => {
  test('of the server and of the composition mask what they match, also where windows cut', async () => {
    const config = { redact_patterns: ['card [0-9 ]+', '(?i)pin=\\d+'] };
    const filler = (bytes: number) => `head -c ${bytes} /dev/zero | tr '\\0' .`;
    world.play(
      runs('echo "AKIA12345678 card 4111 1111 PIN=1234 pin=x"'),
      runs(`${filler(8187)}; echo AKIA12345678; ${filler(8170)}; echo AKIA87654321`),
      ...Array.from({ length: 3 }, () => turn('shell_wait', () => ({ job_id: world.shellctl.jobIds().at(-1) }))),
    );
    const run = await world.run({ config, onExit: { default: 'delete' } });
    expect(run.results[0]?.output).toBe('*** *** pin=x\n');
    const rest = run.results.slice(1).map(({ output }) => output);
    expect(rest.join('')).toBe(`${'.'.repeat(8187)}***\n${'.'.repeat(8170)}***\n`);
  });

  test('that cannot be used keep the server from starting, and are not repeated', async () => {
    const env = {
      DIFY_AGENT_SHELLCTL_ENTRYPOINT: world.shellctl.url,
      DIFY_AGENT_SHELL_REDACT_PATTERNS: '["ok","(my-secret"]',
    };
    const said = await refusal({ env }, /DIFY_AGENT_SHELL_REDACT_PATTERNS\[1\] is not a regular expression/);
    expect(said).not.toContain('my-secret');
  });
});

test('several jobs at once do not see each other in the log either', async () => {
  world.play(runsAll(...Array.from({ length: 8 }, (_, i) => `printf %s "$DIFY_AGENT_STUB_AUTH_JWE" > ~/job${i}; env`)));
  const run = await world.run({ onExit: { default: 'delete' } });
  await until('all of them', () => existsSync(join(world.shellctl.home, 'job7')));
  const all = told(run);
  for (let i = 0; i < 8; i++) expect(all).not.toContain(inHome(`job${i}`));
  for (const { output } of run.results) expect(output).toContain('DIFY_AGENT_STUB_AUTH_JWE=***\n');
});
