// The programs in examples/, run as a user runs them, against the binary.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { followRun } from '../../examples/stream-a-run.ts';
import { type FakeShellctl, startFakeShellctl } from '../fakes/shellctl.ts';
import { ROOT } from '../support/binary.ts';
import { createRun, scripted } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

let shellctl: FakeShellctl;
let server: TestServer;

beforeAll(async () => {
  shellctl = startFakeShellctl();
  server = await startServer({
    env: { DIFY_AGENT_SHELLCTL_ENTRYPOINT: shellctl.url, DIFY_AGENT_SHELLCTL_AUTH_TOKEN: shellctl.token },
  });
}, 180_000);

afterAll(async () => {
  await server.dispose();
  shellctl.stop();
});

async function run(example: string, base: { readonly argument?: string; readonly variable?: string }): Promise<string> {
  const child = Bun.spawn(
    [process.execPath, join(ROOT, 'examples', example), ...(base.argument ? [base.argument] : [])],
    {
      env: { PATH: process.env.PATH ?? '', ...(base.variable === undefined ? {} : { BASE_URL: base.variable }) },
      stdout: 'pipe',
      stderr: 'pipe',
    },
  );
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

test('poll-a-run prints the events and the answer', async () => {
  const output = await run('poll-a-run.ts', { argument: server.url });
  expect(output).toContain('run_started');
  expect(output).toContain('pydantic_ai_event part_start');
  expect(output).toEndWith('answer: The Danube.\n');
}, 30_000);

test('stream-a-run prints the text as it comes', async () => {
  const output = await run('stream-a-run.ts', { variable: server.url });
  expect(output).toBe('one, two, three, four, five\nanswer: one, two, three, four, five\n');
}, 30_000);

test('resume-a-conversation prints two answers and the length of the history', async () => {
  const output = await run('resume-a-conversation.ts', { argument: server.url });
  expect(output).toBe('first answer: You are Ada.\nsecond answer: adA\nthe snapshot now holds 4 messages\n');
}, 30_000);

test('call-tools prints calls and results, a wrong call among them', async () => {
  expect((await run('call-tools.ts', { argument: server.url })).split('\n')).toEqual([
    '-> temperature {"city":"Oslo"}',
    `<- temperature call again: "Unknown tool name: 'temperature'. Available tools: 'weather'"`,
    '-> weather {"city":"Oslo"}',
    '-> weather {"city":"Rome"}',
    '<- weather {"celsius":21}',
    '<- weather {"celsius":4}',
    'answer: Rome is warmer by 17 degrees.',
    '',
  ]);
}, 30_000);

test('structured-output prints what was refused and what was not', async () => {
  const output = await run('structured-output.ts', { variable: server.url });
  expect(output).toContain("Output does not match JSON Schema: $.total: 'ninety' is not of type 'number'");
  expect(output).toEndWith('answer: {"total":90.5,"lines":["tea","cups"]}\n');
}, 30_000);

test('ask-a-human prints the question, goes on with the answer and ends the session', async () => {
  expect(await run('ask-a-human.ts', { argument: server.url })).toBe(
    [
      'question: May I deploy version 7 now?',
      '  Why? ____ (paragraph)',
      '  [Submit]',
      'answer: You said: Yes.',
      'session over: prompt closed, history closed, ask_human closed',
      '',
    ].join('\n'),
  );
}, 30_000);

test('work-in-a-shell builds a program, uses it in the next run and removes the workspace', async () => {
  expect(await run('work-in-a-shell.ts', { argument: server.url })).toBe(
    [
      'shell: 2 3 5 7 11 13 17 19',
      'answer: It works.',
      'shell: 2 3 5 7 11 13 17 19 23 29 31 37 41 43 47',
      'answer: See above.',
      'the shell is closed',
      '',
    ].join('\n'),
  );
  expect(readdirSync(join(shellctl.home, 'workspace'))).toEqual([]);
  await until('the jobs to be gone', () => shellctl.jobIds().length === 0);
}, 30_000);

test('an example says why a run failed, and exits 1', async () => {
  const child = Bun.spawn([process.execPath, join(ROOT, 'examples/poll-a-run.ts'), 'http://127.0.0.1:9'], {
    env: { PATH: process.env.PATH ?? '' },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  expect(await child.exited).toBe(1);
}, 30_000);

test('the resuming reader of stream-a-run survives cut connections: nothing twice, nothing lost', async () => {
  // A relay in front of the server that cuts each connection after 2,000 bytes of the answer.
  let connections = 0;
  const relay = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      connections += 1;
      const url = new URL(request.url);
      const upstream = await fetch(`${server.url}${url.pathname}${url.search}`, { proxy: false } as RequestInit);
      let left = 2_000;
      const cutting = new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          controller.enqueue(chunk.subarray(0, left));
          left -= chunk.length;
          if (left <= 0) controller.terminate();
        },
      });
      return new Response(upstream.body?.pipeThrough(cutting) ?? null, upstream);
    },
  });
  try {
    const runId = await createRun(server.url, scripted([[{ text: 'x', delay_ms: 2, repeat: 30 }]]));
    const ids: string[] = [];
    let output: unknown;
    for await (const event of followRun(`http://127.0.0.1:${relay.port}`, runId)) {
      ids.push(event.id);
      output = event.data.output;
    }
    expect(output).toBe('x'.repeat(30));
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBe(34);
    expect(connections).toBeGreaterThan(2);
  } finally {
    await relay.stop(true);
  }
}, 60_000);
