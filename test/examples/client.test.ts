// The examples that use the client library, run as a user runs them, against the binary. Those with nothing but fetch:
// test/e2e/examples.test.ts.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from '../../src/client/index.ts';
import { ROOT } from '../support/binary.ts';
import { startServer, type TestServer, withFolder } from '../support/server.ts';
import { within } from '../support/until.ts';

const EXAMPLES = join(ROOT, 'examples');
let server: TestServer;

beforeAll(async () => {
  server = await startServer();
}, 180_000);
afterAll(() => server?.dispose());

function start(words: readonly string[], input?: string) {
  const [example = '', ...rest] = words;
  return Bun.spawn([process.execPath, join(EXAMPLES, example), ...rest], {
    env: { PATH: process.env.PATH ?? '' },
    stdin: input === undefined ? 'ignore' : new Blob([input]),
    stdout: 'pipe',
    stderr: 'pipe',
  });
}

/** What an example prints; it must end well. */
async function run(words: readonly string[], input?: string): Promise<readonly string[]> {
  const child = start(words, input);
  const texts = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  const [stdout, stderr, code] = await within(words.join(' '), texts, 30_000);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout.trimEnd().split('\n');
}

test('client-poll prints each event and the answer', async () => {
  const lines = await run(['client-poll.ts', server.url]);
  expect(lines[0]).toBe('run_started');
  expect(lines).toContain('pydantic_ai_event part_delta');
  expect(lines.slice(-2)).toEqual(['run_succeeded', 'answer: The Danube.']);
});

test('client-stream prints calls, results and text as it comes', async () => {
  expect(await run(['client-stream.ts', server.url])).toEqual([
    '-> weather {"city":"Rome"}',
    '<- {"celsius":21}',
    'It is warm: 21 degrees.',
    'run_succeeded after 1 tool call',
  ]);
});

test('client-stream: Ctrl-C cancels the run on the server', async () => {
  const runs: string[] = [];
  const relay = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const answer = await fetch(`${server.url}${pathname}${search}`, {
        method: request.method,
        headers: { 'content-type': 'application/json' },
        ...(request.method === 'POST' ? { body: await request.text() } : {}),
        proxy: false,
      } as RequestInit); // `proxy` is Bun's own
      if (pathname === '/runs') runs.push(((await answer.clone().json()) as { run_id: string }).run_id);
      return answer;
    },
  });
  const child = start(['client-stream.ts', `http://127.0.0.1:${relay.port}`]);
  try {
    const reader = child.stdout.getReader();
    // The first thing that it prints.
    expect(new TextDecoder().decode((await reader.read()).value)).toStartWith('-> weather');
    child.kill('SIGINT');
    expect(await within('the end', child.exited, 20_000)).toBe(1);
    const client = new Client({ baseUrl: server.url });
    expect(await client.waitRun(runs[0] ?? '', { pollIntervalMs: 20, timeoutMs: 10_000 })).toMatchObject({
      status: 'cancelled',
    });
  } finally {
    child.kill('SIGKILL');
    await relay.stop(true);
  }
});

test('chat remembers within a session and cleans it up at the end', async () => {
  expect(await run(['chat.ts', server.url], 'one\n\ntwo\nthree\n')).toEqual([
    'agent: Hello! You said: one',
    'agent: You said 1 things before, and now: two',
    'agent: You said 2 things before, and now: three',
    'cleaned up: 1',
  ]);
});

test('chat with a file goes on where another process left', () =>
  withFolder(async (folder) => {
    const file = join(folder, 'chat.db');
    expect(await run(['chat.ts', server.url, file], 'one\n')).toEqual(['agent: Hello! You said: one']);
    expect(await run(['chat.ts', server.url, file], 'two\n')).toEqual([
      'agent: You said 1 things before, and now: two',
    ]);
  }));

test.each([
  ['approve', 'agent: Version 7 is live.'],
  ['reject', 'agent: Then not.'],
])('approval: %s', async (decision, last) => {
  expect(await run(['approval.ts', server.url, decision])).toEqual([
    'form-for-call_1: May I deploy version 7 now? [Approve] [Reject]',
    'still open: call_1',
    last,
  ]);
});

test('workflow: two agents, the second twice, and both cleaned up', async () => {
  expect(await run(['workflow.ts', server.url])).toEqual([
    'research: {"river":"Danube","km":2850}',
    'writer: The Danube is long.',
    'writer: The Danube is 2850 km long.',
    'cleaned up 2, still owed 0',
  ]);
});

test.each(['client-poll.ts', 'client-stream.ts', 'workflow.ts', 'approval.ts'])(
  '%s without a server fails and says why',
  async (example) => {
    const child = start([example, 'http://127.0.0.1:9']);
    const [stderr, code] = await Promise.all([new Response(child.stderr).text(), child.exited]);
    expect(code).toBe(1);
    expect(stderr).toContain('createRun request failed');
  },
);

test('the list of examples has every one of them, and nothing else', () => {
  const readme = readFileSync(join(EXAMPLES, 'README.md'), 'utf8');
  const listed = [...readme.matchAll(/^\| \[.+?\]\((.+?)\)/gm)].map(([, path]) => path ?? '');
  const there = readdirSync(EXAMPLES, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? [`${entry.name}/`] : entry.name.endsWith('.ts') ? [entry.name] : [],
  );
  expect([...listed].sort()).toEqual(there.sort());
  for (const [, target = ''] of readme.matchAll(/\]\(([^)#:]+)[^)]*\)/g)) {
    expect({ target, exists: existsSync(join(EXAMPLES, target)) }).toEqual({ target, exists: true });
  }
});
