// The proof of the Agent Stub: a shell job calls the compiled binary, which calls the stub of a running server, which calls the Dify
// API; files go up and come down through signed URLs. Over HTTP; over gRPC in stub-grpc.test.ts. And the file endpoints,
// the upload of which takes the same way.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { roundTrip } from './round-trip.ts';
import { type SandboxChain, startSandboxChain } from './sandbox-kit.ts';

let chain: SandboxChain;
beforeAll(async () => {
  chain = await startSandboxChain('http');
}, 180_000);
afterAll(() => chain.stop());

async function post(operation: string, body: object): Promise<{ readonly status: number; readonly json: unknown }> {
  const response = await fetch(`${chain.server.url}/sandbox/files/${operation}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, json: await response.json() };
}

test('16 MiB go up and come down unchanged', async () => {
  await roundTrip(chain);
}, 120_000);

test('a job says hello, and what it is refused is its exit code and one line', async () => {
  const { results } = await chain.run([
    'dify-agent connect --json -- ls -l',
    'dify-agent some words that are no command',
    'dify-agent file download tool_file dify-file-ref:eyJyZWNvcmRfaWQiOiJ4In0=; echo "exit $?"',
    'dify-agent file upload nothing; echo "exit $?"',
    'env -u DIFY_AGENT_STUB_AUTH_JWE dify-agent connect; echo "exit $?"',
  ]);
  expect(JSON.parse(results[0]?.output ?? '')).toEqual({ connection_id: expect.any(String), status: 'connected' });
  expect(results[1]?.output).toMatch(/^connected [0-9a-f-]{36}\n$/);
  expect(results[2]?.output).toBe('Agent Stub file download request failed (HTTP 400): file not found\nexit 1\n');
  expect(results[3]?.output).toMatch(/^file not found: .*nothing\nexit 1\n$/);
  expect(results[4]?.output).toBe(
    'missing required Agent Stub environment variables: DIFY_AGENT_STUB_AUTH_JWE\nexit 2\n',
  );
}, 60_000);

test('the token of a job is not shown, and is over with its run', async () => {
  const { results, directory } = await chain.run([
    'echo "$DIFY_AGENT_STUB_AUTH_JWE"; printf %s "$DIFY_AGENT_STUB_AUTH_JWE" >token',
  ]);
  const token = readFileSync(join(directory, 'token'), 'utf8');
  expect(token.split('.')).toHaveLength(5);
  expect(results[0]?.output).not.toContain(token.slice(-20));
  const response = await fetch(`${chain.stubUrl}/connections`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{"argv":[]}',
  });
  expect(response.status).toBe(401);
  expect([...chain.server.stderrLines, ...chain.server.stdoutLines].join('\n')).not.toContain(token.slice(-20));
}, 60_000);

describe('the file endpoints', () => {
  test('show what a run has left, and upload it through the same chain', async () => {
    const { locator } = await chain.run(['mkdir out; printf "x,y\\n1,2\\n" >out/a.csv; ln -s /etc out/link']);
    expect((await post('list', { locator, path: 'out' })).json).toMatchObject({
      path: 'out',
      entries: [
        { name: 'a.csv', type: 'file', size: 8 },
        { name: 'link', type: 'symlink' },
      ],
    });
    expect((await post('read', { locator, path: 'out/a.csv' })).json).toMatchObject({ text: 'x,y\n1,2\n' });
    expect((await post('read', { locator, path: 'out/link/passwd' })).status).toBe(400);

    const { status, json } = await post('upload', { locator, path: 'out/a.csv' });
    expect(status).toBe(200);
    const { path, file } = json as { path: string; file: Record<string, string> }; // spec 04 §3.2
    expect([path, Object.keys(file)]).toEqual(['out/a.csv', ['transfer_method', 'reference', 'download_url']]);
    expect(await (await fetch(file.download_url ?? '')).text()).toBe('x,y\n1,2\n');
    expect([...chain.api.state.files.values()].at(-1)).toMatchObject({ tenantId: 't-1', filename: 'a.csv' });
    expect(chain.api.violations).toEqual([]);
  }, 60_000);

  test('a run that goes on is looked into meanwhile', async () => {
    const first = await chain.run(['echo begun >state']);
    const snapshot = first.terminal.session_snapshot;
    const going = chain.run(['echo going >state; while [ ! -e stop ]; do sleep 0.05; done; echo over'], snapshot);
    const { locator, directory } = first;
    let seen: unknown;
    do {
      seen = (await post('read', { locator, path: 'state' })).json;
    } while (!JSON.stringify(seen).includes('going'));
    await Bun.write(join(directory, 'stop'), '');
    expect((await going).results.at(-1)?.output).toBe('over\n');
  }, 60_000);

  test('leave no jobs behind', () => {
    const jobs = join(chain.shellctl.home, '.local/state/shellctl/jobs');
    const scripts = readdirSync(jobs).map((id) => readFileSync(join(jobs, id, 'script'), 'utf8'));
    expect(scripts.filter((script) => script.includes('DIFY_FS'))).toEqual([]);
  });
});
