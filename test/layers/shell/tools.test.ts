// The four tools, against the fake shellctl with its real client.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FunctionTool } from '../../../src/agent/tools.ts';
import type { JsonObject } from '../../../src/base/json.ts';
import { stringifyJson } from '../../../src/wiretext/json.ts';
import { until } from '../../support/until.ts';
import {
  quiet,
  runsOf,
  type ShellRun,
  type ShellWorld,
  shellWorld,
  snapshotOf,
  snapshotWithJob,
  stateIn,
} from './kit.ts';

let world: ShellWorld;
let shell: ShellRun;

beforeAll(async () => {
  world = shellWorld();
  shell = await world.enter();
});

beforeEach(() => {
  world.fake.fault(null);
  world.fake.forgetRequests();
});

afterAll(async () => {
  await shell.exit('delete');
  await world.stop();
});

const tools = (of: ShellWorld): readonly FunctionTool[] => of.prepare().get('shell').tools?.() ?? [];

describe('definitions', () => {
  test('have the names, schemas and defaults of the wire, floats with their point', () => {
    expect(stringifyJson(tools(world).map(({ definition }) => [definition.name, definition.parameters]))).toBe(
      stringifyJson([
        ['shell_run', schema('"script":{"type":"string"},"timeout":{"default":30.0,"type":"number"}', ['script'])],
        ['shell_wait', schema('"job_id":{"type":"string"},"timeout":{"default":30.0,"type":"number"}', ['job_id'])],
        [
          'shell_input',
          schema('"job_id":{"type":"string"},"text":{"type":"string"},"timeout":{"default":30.0,"type":"number"}', [
            'job_id',
            'text',
          ]),
        ],
        [
          'shell_interrupt',
          schema('"job_id":{"type":"string"},"grace_seconds":{"default":5.0,"type":"number"}', ['job_id']),
        ],
      ]),
    );
    for (const { definition, sequential } of tools(world)) {
      expect(definition.description).toMatch(/^[^.]+\.$/);
      expect(sequential).toBe(false);
    }
  });

  test('newer vintages grant ten seconds to an interrupted job', async () => {
    const newer = shellWorld({ newerResults: true });
    expect(stringifyJson(tools(newer)[3]?.definition.parameters)).toContain('"grace_seconds":{"default":10.0,');
    await newer.stop();
  });

  test('the arguments are checked: missing, unknown and wrong ones are told', () => {
    const run = tools(world)[0];
    expect(run?.validate('{"timeout":"x","more":1}')).toEqual({
      ok: false,
      retry: [
        { type: 'missing', loc: ['script'], msg: 'Field required', input: { timeout: 'x', more: 1 } },
        { type: 'float_parsing', loc: ['timeout'], msg: expect.stringContaining('valid number'), input: 'x' },
        { type: 'extra_forbidden', loc: ['more'], msg: 'Extra inputs are not permitted', input: 1 },
      ],
    });
    expect(run?.validate('[]')).toMatchObject({ ok: false });
    expect(run?.validate(JSON.stringify({ script: 'x'.repeat(1_048_577) }))).toEqual({
      ok: false,
      retry: 'script must have at most 1048576 characters.',
    });
    expect(run?.validate({ script: 'x' })).toEqual({ ok: true, value: { script: 'x', timeout: 30 } });
  });
});

function schema(properties: string, required: readonly string[]): JsonObject {
  const numbers = properties.replace(/\d+\.0/g, (text) => `"${text}"`);
  const parsed = JSON.parse(`{${numbers}}`, (_, value) =>
    typeof value === 'string' && /^\d+\.0$/.test(value) ? JSON.rawJSON(value) : value,
  ) as JsonObject; // written above
  return { additionalProperties: false, properties: parsed, required: [...required], type: 'object' };
}

describe('shell_run', () => {
  test('runs a script in the workspace and shows everything of the job, in the order of the wire', async () => {
    const result = await shell.ask('shell_run', { script: 'echo ok; pwd; exit 3' });
    const id = String(shell.state.session_id);
    const output = `ok\n${join(world.fake.home, 'workspace', id)}\n`;
    expect(result).toEqual({
      job_id: expect.any(String),
      status: 'exited',
      done: true,
      exit_code: 3,
      output,
      offset: output.length,
      truncated: false,
      output_path: expect.stringContaining('output.log'),
    });
    expect(Object.keys(result).join()).toBe('job_id,status,done,exit_code,output,offset,truncated,output_path');
    expect(shell.state.job_ids).toContain(result.job_id ?? '');
    expect(shell.state.job_offsets).toMatchObject({ [String(result.job_id)]: output.length });
  });

  test('leaves a shebang in the first line and sends values beside the script', async () => {
    const own = await world.enter({
      config: { env: [{ name: 'WHO', value: 'me\n$(id)' }], secret_refs: [{ name: 'PATH' }] },
    });
    world.fake.forgetRequests();
    const script = '#!/bin/cat\nhello';
    expect(await own.ask('shell_run', { script })).toMatchObject({ output: script, exit_code: 0 });
    expect(runsOf(world.fake)[0]).toMatchObject({ script, env: { WHO: 'me\n$(id)' } });
    expect(await own.ask('shell_run', { script: 'printf %s "$WHO"' })).toMatchObject({ output: 'me\n$(id)' });
    await own.exit('delete');
  });

  test('sends no environment when there is none', async () => {
    await shell.ask('shell_run', { script: 'true' });
    expect(runsOf(world.fake)[0]).not.toHaveProperty('env');
  });

  test.each([
    [0, 0.1],
    [-5, 0.1],
    [0.05, 0.1],
    [0.5, 0.5],
    [30, 2],
  ])('starts a job with a timeout of %p by a call of %p seconds', async (timeout, sent) => {
    await shell.ask('shell_run', { script: 'true', timeout });
    expect(runsOf(world.fake)[0]?.timeout).toBe(sent);
  });

  test('waits on when nothing was printed meanwhile: a cancel must not wait for the whole timeout', async () => {
    expect(await shell.ask('shell_run', { script: 'sleep 2.3; echo late' })).toMatchObject({
      output: 'late\n',
      done: true,
    });
    const [, wait] = world.fake.requests;
    expect(wait).toMatchObject({ path: expect.stringMatching(/wait$/), body: { offset: 0 } });
    const { timeout } = (wait ?? { body: {} }).body as { readonly timeout: number }; // what our client sends
    expect(timeout).toBeGreaterThan(20);
    expect(timeout).toBeLessThan(28.1);
  });

  test.each(['', '  \n\t'])('refuses the script %j without asking shellctl', async (script) => {
    expect(await shell.ask('shell_run', { script })).toEqual({ error: 'script must not be blank.' });
    expect(world.fake.requests).toEqual([]);
  });

  test('answers early when the output pauses; the rest comes with shell_wait', async () => {
    const started = await shell.ask('shell_run', {
      script: 'echo one; while [ ! -e go ]; do sleep 0.02; done; echo two; rm go',
    });
    expect(started).toMatchObject({ status: 'running', done: false, exit_code: null, output: 'one\n', offset: 4 });
    await shell.ask('shell_run', { script: 'touch go' });
    expect(await shell.ask('shell_wait', { job_id: String(started.job_id) })).toMatchObject({
      done: true,
      output: 'two\n',
      offset: 8,
    });
  });

  test('several at once are several jobs', async () => {
    const results = await Promise.all([1, 2, 3].map((n) => shell.ask('shell_run', { script: `echo ${n}` })));
    expect(results.map(({ output }) => output)).toEqual(['1\n', '2\n', '3\n']);
  });

  test('binary output is shown as far as it is text', async () => {
    expect(await shell.ask('shell_run', { script: "printf 'a\\377\\376b\\000c'" })).toMatchObject({
      output: 'a\ufffd\ufffdb\0c',
      done: true,
    });
  });

  test.each([
    ['before its id is known', false],
    ['while it is waited for', true],
  ])('a job that is lost by a cancel %s is ended and forgotten', async (_, late) => {
    const controller = new AbortController();
    const before = world.fake.jobIds().length;
    const { job_ids } = shell.state;
    const running = shell.call('shell_run', { script: 'echo > begun; sleep 600' }, controller.signal);
    await until('the job', () =>
      late
        ? world.fake.requests.some(({ path }) => path.endsWith('/wait'))
        : existsSync(join(world.fake.home, 'workspace', String(shell.state.session_id), 'begun')),
    );
    controller.abort(new Error('cancelled'));
    expect(running).rejects.toThrow('cancelled');
    await running.catch(() => {});
    await until('its end', () => world.background.pending === 0);
    expect(world.fake.jobIds()).toHaveLength(before);
    expect(shell.state.job_ids).toEqual(job_ids);
  });
});

describe('shell_wait', () => {
  test.each([
    [0, 0.1],
    [-5, 0.1],
    [2, 2],
    [1e9, 300],
    ['Infinity', 300],
    ['nan', 30],
  ])('waits for a timeout of %p as %p seconds', async (timeout, sent) => {
    const { job_id } = await shell.ask('shell_run', { script: 'true' });
    await shell.ask('shell_wait', { job_id: String(job_id), timeout });
    expect(world.fake.requests.at(-1)?.body).toMatchObject({ timeout: sent, output_limit: 8192 });
  });
});

describe('shell_input and shell_interrupt', () => {
  test('text reaches the job as it is', async () => {
    const { job_id } = await shell.ask('shell_run', {
      script: 'read -r line; printf "got %s\\n" "$line"',
      timeout: 0.3,
    });
    expect(await shell.ask('shell_input', { job_id: String(job_id), text: 'hé \\ llo\n' })).toMatchObject({
      output: 'got hé \\ llo\n',
      done: true,
    });
    expect(await shell.ask('shell_input', { job_id: String(job_id), text: 'x' })).toEqual({
      error: `job_not_running (409): Job ${job_id} is already terminal`,
      job_id: String(job_id),
    });
  });

  test('an interrupt ends the job, skips what was not read, and keeps the record', async () => {
    const script = 'trap "echo bye; exit 7" INT; echo begun; while :; do sleep 0.05; done';
    const { job_id } = await shell.ask('shell_run', { script, timeout: 0.3 });
    const result = await shell.ask('shell_interrupt', { job_id: String(job_id), grace_seconds: 0.3 });
    expect(result).toMatchObject({ job_id, status: 'terminated', done: true });
    expect(Object.keys(result).join()).toBe('job_id,status,done,exit_code,offset');
    expect(shell.state.job_offsets).toMatchObject({ [String(job_id)]: result.offset ?? 0 });
    expect(shell.state.job_ids).toContain(job_id ?? '');
  });
});

describe('calls for one job at once', () => {
  test('an interrupt and an input do not queue behind a wait', async () => {
    const asked = await shell.ask('shell_run', { script: 'read -r x; echo "got $x"; sleep 600', timeout: 0.2 });
    const job_id = String(asked.job_id);
    const waiting = shell.ask('shell_wait', { job_id, timeout: 300 });
    await until('the wait', () => world.fake.requests.some(({ path }) => path.endsWith('/wait')));
    expect(await shell.ask('shell_input', { job_id, text: 'it\n' })).toMatchObject({ output: 'got it\n' });
    const again = shell.ask('shell_wait', { job_id, timeout: 300 });
    expect(await shell.ask('shell_interrupt', { job_id, grace_seconds: 0 })).toMatchObject({ done: true });
    expect(await waiting).toMatchObject({ output: 'got it\n' });
    expect(await again).toMatchObject({ done: true, output: '' });
    expect(shell.state.job_offsets).toMatchObject({ [job_id]: 7 });
  });
});

describe('the model is told', () => {
  test.each(['shell_wait', 'shell_interrupt'])('that a job is not of this session by %s', async (name) => {
    expect(await shell.ask(name, { job_id: '0610-x' })).toEqual({
      error: 'Unknown shell job id for this session: 0610-x.',
      job_id: '0610-x',
    });
    expect(world.fake.requests).toEqual([]);
  });

  test('that shellctl has forgotten a job, which is forgotten here as well', async () => {
    const { job_id } = await shell.ask('shell_run', { script: 'true' });
    world.fake.expireJobs();
    expect(await shell.ask('shell_wait', { job_id: String(job_id) })).toEqual({
      error: `job_not_found (404): Unknown job id: ${job_id}`,
      job_id: String(job_id),
    });
    expect(await shell.ask('shell_wait', { job_id: String(job_id) })).toMatchObject({
      error: `Unknown shell job id for this session: ${job_id}.`,
    });
    expect(shell.state.job_ids).not.toContain(job_id ?? '');
  });

  test('that shellctl cannot be reached, and goes on when it is back', async () => {
    const { job_id } = await shell.ask('shell_run', { script: 'true' });
    world.fake.vanish();
    expect(await shell.ask('shell_run', { script: 'true' })).toEqual({
      error: expect.stringMatching(/^request_error: /),
    });
    expect(await shell.ask('shell_wait', { job_id: String(job_id) })).toEqual({
      error: expect.stringMatching(/^request_error: /),
      job_id: String(job_id),
    });
    world.fake.reappear();
    expect(await shell.ask('shell_run', { script: 'echo back' })).toMatchObject({ output: 'back\n' });
  });

  test.each([
    [{ status: 500, body: 'Internal Server Error' }, /^(invalid_json|request_failed) \(500\): /],
    [{ status: 200, body: '[1]' }, /^invalid_payload \(200\): /],
    [{ status: 502, body: '<html>' }, /^(invalid_json|request_failed) \(502\): /],
  ])('that an answer makes no sense: %j', async (reply, text) => {
    world.fake.fault(() => ({ reply }));
    expect(await shell.ask('shell_run', { script: 'true' })).toEqual({ error: expect.stringMatching(text) });
  });

  test('nothing when the run is cancelled: that is no observation', async () => {
    world.fake.fault(() => 'hang');
    const controller = new AbortController();
    const waiting = shell.call('shell_run', { script: 'true' }, controller.signal);
    await until('the request', () => world.fake.requests.length > 0);
    controller.abort(new Error('cancelled'));
    expect(waiting).rejects.toThrow('cancelled');
    await waiting.catch(() => {});
    world.fake.fault(null);
    expect(shell.call('shell_wait', { job_id: 'x' }, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
  });
});

describe('long output', () => {
  const printing = (numbers: number) => `awk 'BEGIN{for(i=0;i<${numbers};i++)printf "%03d,",i%1000}'`;
  const text = (numbers: number) =>
    Array.from({ length: numbers }, (_, i) => `${String(i % 1000).padStart(3, '0')},`).join('');

  test('comes in windows of 8192 bytes, without a gap', async () => {
    const job_id = await world.finishedJob(printing(5000));
    const run = await world.enter({ snapshot: snapshotWithJob(job_id) });
    const results: JsonObject[] = [];
    for (let i = 0; i < 3; i++) results.push(await run.ask('shell_wait', { job_id }));
    expect(results.map(({ offset, truncated }) => [offset, truncated])).toEqual([
      [8192, true],
      [16384, true],
      [20000, false],
    ]);
    expect(results.map(({ output }) => output).join('')).toBe(text(5000));
    await run.exit('suspend');
  });

  test('is shown once by waits at the same time', async () => {
    const job_id = await world.finishedJob(printing(7000));
    const run = await world.enter({ snapshot: snapshotWithJob(job_id) });
    const results = await Promise.all([1, 2, 3, 4].map(() => run.ask('shell_wait', { job_id })));
    expect(results.map(({ output }) => output).join('')).toBe(text(7000));
    await run.exit('suspend');
  });
});

describe('a workspace that has vanished', () => {
  test('is made anew and the model is told once; then it goes on', async () => {
    const config = { cli_tools: [{ install_commands: ['echo x > installed'] }] };
    const first = await (await world.enter({ config })).exit('suspend');
    world.fake.loseWorkspaces(String(stateIn(first).session_id));
    const again = await world.enter({ config, snapshot: first });
    const path = stateIn(first).workspace_cwd;
    const results = await Promise.all([
      again.ask('shell_run', { script: 'ls' }),
      again.ask('shell_run', { script: 'ls' }),
    ]);
    for (const result of results) {
      expect(result).toEqual({
        error: `The shell workspace ${path} has vanished, with all files in it; the script was not run. A new and empty workspace is in its place now: restore what you need, then run the script again.`,
      });
    }
    expect(await again.ask('shell_run', { script: 'ls' })).toMatchObject({ output: 'installed\n' });
    await again.exit('delete');
  });

  test('is not made when something else is in its place', async () => {
    const first = await (await world.enter()).exit('suspend');
    const id = String(stateIn(first).session_id);
    world.fake.loseWorkspaces(id);
    writeFileSync(join(world.fake.home, 'workspace', id), '');
    const again = await world.enter({ snapshot: first });
    expect(await again.ask('shell_run', { script: 'ls' })).toEqual({
      error: expect.stringContaining('A new one cannot be made: what is at its place is no directory.'),
    });
    await again.exit('delete');
  });

  test('whose tools cannot be installed again says so', async () => {
    const first = await (await world.enter()).exit('suspend');
    world.fake.loseWorkspaces(String(stateIn(first).session_id));
    const again = await world.enter({ snapshot: first, config: { cli_tools: [{ install_commands: ['exit 9'] }] } });
    expect(await again.ask('shell_run', { script: 'ls' })).toEqual({
      error: expect.stringContaining('A new one could not be set up: Failed to bootstrap shell workspace'),
    });
    await again.exit('delete');
  });
});

describe('the number of jobs', () => {
  const manyJobs = (ids: readonly string[]) =>
    snapshotOf({
      session_id: 'abcdef0',
      workspace_cwd: '~/workspace/abcdef0',
      job_ids: ids,
      job_offsets: Object.fromEntries(ids.map((id) => [id, 0])),
    });

  test('is bounded: old ones that are over make room', async () => {
    const ids = Array.from({ length: 128 }, (_, i) => `gone-${i}`);
    const run = await world.enter({ snapshot: manyJobs(ids) });
    await run.ask('shell_run', { script: 'the workspace of this snapshot is made' });
    for (let i = 0; i < 3; i++) expect(await run.ask('shell_run', { script: 'true' })).toMatchObject({ done: true });
    expect(run.state.job_ids).toHaveLength(128);
    expect(run.state.job_ids).not.toContain('gone-2');
    expect(run.state.job_ids).toContain('gone-3');
    await run.exit('delete');
  });

  test('live ones are not given up', async () => {
    const live = await shell.ask('shell_run', { script: 'sleep 600', timeout: 0.1 });
    const ids = [String(live.job_id), ...Array.from({ length: 15 }, (_, i) => `x-${i}`)];
    const run = await world.enter({ snapshot: manyJobs([...ids, ...Array.from({ length: 120 }, (_, i) => `y-${i}`)]) });
    world.fake.fault(({ path, method }) =>
      method === 'DELETE' && path.includes('x-')
        ? { reply: { status: 409, body: '{"error":{"code":"job_running","message":"Job is still running"}}' } }
        : null,
    );
    expect(await run.ask('shell_run', { script: 'true' })).toEqual({
      error: 'This session has 136 shell jobs that are not over. Interrupt some of them first.',
    });
    expect(world.fake.jobIds()).toContain(String(live.job_id));
    world.fake.fault(null);
    await run.exit('suspend');
    await shell.ask('shell_interrupt', { job_id: String(live.job_id), grace_seconds: 0 });
  });
});

test('prompts: one prefix; newer vintages warn of secrets at the end', async () => {
  const newer = shellWorld({ newerResults: true });
  const [old, young] = [world, newer].map((each) => each.prepare().get('shell').prompts);
  expect([old?.prefix.length, old?.user, old?.suffix]).toEqual([1, [], []]);
  for (const word of [
    'shell_run',
    'shell_wait',
    'shell_input',
    'shell_interrupt',
    'script',
    'job_id',
    'timeout',
    'text',
    'grace_seconds',
    'truncated',
    'shebang',
    'uv run --script',
    'newline',
  ]) {
    expect(old?.prefix[0]).toContain(word);
  }
  expect(young?.prefix[0]).toContain('dify-agent config manifest');
  expect(young?.suffix).toEqual([expect.stringContaining('never reveal')]);
  await newer.stop();
});

test('a tool of a run that is over does nothing', async () => {
  const run = world.prepare();
  await run.enter(quiet());
  const tool = run.get('shell').tools?.()[0];
  await run.exit();
  expect(await tool?.call({ script: 'true', timeout: 1 }, quiet()).catch(String)).toContain(
    'DifyShellLayer is not active.',
  );
});
