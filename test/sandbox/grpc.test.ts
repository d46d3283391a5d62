// The commands over gRPC, against the real service: the three calls that it has, and what has none (spec 05 §6, §7).

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type FakeDifyApi, jsonError, startFakeDifyApi } from '../fakes/dify-api.ts';
import { startGrpc, type TestGrpc } from '../stub/grpc/kit.ts';
import { SECRET } from '../stub/kit.ts';
import { newFolder, runHere } from './kit.ts';

const folder = newFolder();
let api: FakeDifyApi;
let grpc: TestGrpc;
let env: Readonly<Record<string, string>>;
beforeAll(async () => {
  api = startFakeDifyApi();
  grpc = await startGrpc({
    SERVER_SECRET_KEY: SECRET,
    STUB_URL: 'grpc://agent.example.com:9091',
    DIFY_API_BASE_URL: api.url,
    DIFY_API_INNER_API_KEY: api.innerKey,
  });
  env = { DIFY_AGENT_STUB_URL: `grpc://127.0.0.1:${grpc.port}`, DIFY_AGENT_STUB_AUTH_JWE: await grpc.token() };
});
afterAll(async () => {
  await grpc.stop();
  await api.stop();
  folder.remove();
});
const run = (...words: readonly string[]) => runHere({ env, cwd: folder.path }, ...words);

test('connect', async () => {
  const { code, stdout } = await run('connect', '--json', 'ls');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ connection_id: expect.stringMatching(/^[0-9a-f-]{36}$/), status: 'connected' });
});

test('a file goes up and comes down', async () => {
  writeFileSync(join(folder.path, 'ü.txt'), 'hello');
  const up = await run('file', 'upload', 'ü.txt');
  expect([up.code, up.stderr]).toEqual([0, '']);
  const { reference, download_url: url } = JSON.parse(up.stdout);
  expect(await (await fetch(url)).text()).toBe('hello');
  const down = await run('file', 'download', 'tool_file', reference, 'back');
  expect(down).toEqual({ code: 0, stdout: `${folder.path}/back/ü.txt\n`, stderr: '' });
  expect(readFileSync(join(folder.path, 'back/ü.txt'), 'utf8')).toBe('hello');
  // The link is for a browser, the download for the sandbox.
  expect(api.requests.slice(-2).map(({ body }) => (body as { for_external?: boolean }).for_external)).toEqual([
    undefined,
    false,
  ]); // JSON of ours
  expect(api.violations).toEqual([]);
});

test('refusals in the words of the stub', async () => {
  api.misbehave(jsonError(404, { detail: 'gone' }));
  expect((await run('file', 'download', 'remote_url', 'https://x/y')).stderr).toBe(
    'Agent Stub gRPC CreateFileDownloadRequest request failed: NOT_FOUND: gone\n',
  );
  const stranger = { ...env, DIFY_AGENT_STUB_AUTH_JWE: 'a..b.c.d' };
  expect(await runHere({ env: stranger }, 'connect')).toEqual({
    code: 1,
    stdout: '',
    stderr: 'Agent Stub gRPC Connect request failed: UNAUTHENTICATED: invalid or missing Agent Stub authorization\n',
  });
});

test('what has no call there', async () => {
  const text = 'invalid Agent Stub base URL: HTTP Agent Stub URLs must use http or https\n';
  for (const words of [
    ['drive', 'list'],
    ['drive', 'pull'],
    ['config', 'manifest'],
    ['config', 'file', 'pull', 'x'],
  ]) {
    expect(await run(...words)).toEqual({ code: 1, stdout: '', stderr: text });
  }
});

test('a stub that does not answer, is not there, or is something else', async () => {
  const deaf = createServer((socket) => socket.on('error', () => {}).resume());
  const web = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  const portOf = async (server: typeof deaf): Promise<number> => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    return typeof address === 'object' ? (address?.port ?? 0) : 0;
  };
  const of = (port: number) =>
    runHere(
      { env: { ...env, DIFY_AGENT_STUB_URL: `grpc://127.0.0.1:${port}` }, timing: { controlMs: 300 } },
      'connect',
    );
  expect((await of(await portOf(deaf))).stderr).toBe('Agent Stub connect timed out\n');
  expect((await of(await portOf(web))).stderr).toStartWith('Agent Stub ');
  expect((await of(9)).stderr).toStartWith('Agent Stub gRPC Connect request failed: UNAVAILABLE');
  deaf.close();
  web.close();
});
