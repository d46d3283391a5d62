// The compiled binary as a sandbox image has it: by which name and in which environment it is the sandbox's tool, large files in
// constant memory, progress on a terminal, and what a kill leaves behind. The stub it asks is made of cardboard here; the
// real one is in sandbox-files.test.ts.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBinary } from '../support/binary.ts';
import { until } from '../support/until.ts';

const MEGABYTE = 1_000_000;
const LARGE = 300 * MEGABYTE;
/** What one of these processes may take beyond what a small transfer takes: buffers of the sockets, not the file. */
const SLACK_BYTES = 64 * 1024 * 1024;

let folder: string;
let work: string;
let dify: string;
let stub: ReturnType<typeof startStub>;
let round = 0;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sandbox-cli-'));
  symlinkSync(await ensureBinary(), join(folder, 'dify-agent'));
  symlinkSync(await ensureBinary(), join(folder, 'dify-agent-sandbox'));
  dify = join(folder, 'dify-agent');
  stub = startStub();
}, 180_000);
afterAll(async () => {
  await stub.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  round += 1;
  work = join(folder, String(round));
  Bun.spawnSync(['mkdir', work]);
});

/** Answers every request of the stub's, takes uploads and counts them, gives downloads of any size. */
function startStub() {
  const state = { uploaded: 0, size: 0, held: false };
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    maxRequestBodySize: 2 ** 40,
    development: false,
    async fetch(request): Promise<Response> {
      const { pathname, origin } = new URL(request.url);
      switch (pathname) {
        case '/agent-stub/connections':
          return Response.json({ connection_id: 'c-1', status: 'connected' });
        case '/agent-stub/files/upload-request':
          return Response.json({ upload_url: `${origin}/up` });
        case '/agent-stub/files/download-request':
          return Response.json({
            filename: 'big.bin',
            mime_type: null,
            size: state.size,
            download_url: `${origin}/down`,
          });
        case '/up': {
          state.uploaded = 0;
          for await (const chunk of request.body ?? []) state.uploaded += chunk.byteLength;
          return Response.json({ id: 'x', reference: 'dify-file-ref:eyJyZWNvcmRfaWQiOiJ4In0=' }, { status: 201 });
        }
        default:
          return new Response(bytesOf(state), { headers: { 'content-length': String(state.size) } });
      }
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/agent-stub`,
    state,
    stop: () => server.stop(true),
  };
}

/** So many zeros; the last one never comes while they are held. */
function bytesOf(state: { readonly size: number; readonly held: boolean }): ReadableStream<Uint8Array> {
  let left = state.size;
  return new ReadableStream(
    {
      async pull(controller) {
        const chunk = new Uint8Array(Math.min(left, MEGABYTE));
        left -= chunk.length;
        if (left === 0 && state.held) await new Promise<void>(() => {});
        controller.enqueue(chunk);
        if (left === 0) controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

const inSandbox = () => ({ DIFY_AGENT_STUB_URL: stub.url, DIFY_AGENT_STUB_AUTH_JWE: 'a..b.c.d' });

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly maxRssBytes: number;
}

async function run(
  words: readonly string[],
  env: Readonly<Record<string, string>> = inSandbox(),
  program = dify,
): Promise<Outcome> {
  const child = Bun.spawn([program, ...words], {
    cwd: work,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  return { code: child.exitCode, stdout, stderr, maxRssBytes: child.resourceUsage()?.maxRSS ?? 0 };
}

describe('which personality', () => {
  const named = () => join(folder, 'dify-agent-sandbox');

  test('the token makes unknown words a connect', async () => {
    expect(await run(['git', 'status'])).toMatchObject({ code: 0, stdout: 'connected c-1\n', stderr: '' });
    expect(await run(['--json', 'git'])).toMatchObject({ stdout: '{"connection_id":"c-1","status":"connected"}\n' });
  });

  test('the name alone does, too, and tells what is missing', async () => {
    expect(await run(['git', 'status'], inSandbox(), named())).toMatchObject({ code: 0, stdout: 'connected c-1\n' });
    const { code, stdout, stderr } = await run(['git', 'status'], {}, named());
    expect([code, stderr]).toEqual([
      2,
      'missing required Agent Stub environment variables: DIFY_AGENT_STUB_URL, DIFY_AGENT_STUB_AUTH_JWE\n',
    ]);
    expect(stdout).toStartWith('Inside a sandbox');
    expect((await run([], {}, named())).stdout).toStartWith('Inside a sandbox');
  });

  test('the URL alone does not', async () => {
    const { code, stdout, stderr } = await run(['git', 'status'], { DIFY_AGENT_STUB_URL: stub.url });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toStartWith('unknown command "git"');
  });

  test('a file of settings in the directory changes nothing', async () => {
    writeFileSync(join(work, '.env'), 'DIFY_AGENT_STUB_AUTH_JWE=evil\nDIFY_AGENT_STUB_URL=http://127.0.0.1:9\n');
    expect((await run(['git'], {})).stderr).toStartWith('unknown command');
    expect((await run(['connect'])).code).toBe(0);
  });
});

describe('large files', () => {
  test('go up in constant memory', async () => {
    const path = join(work, 'big.bin');
    writeFileSync(path, '');
    truncateSync(path, 20 * MEGABYTE);
    const small = await run(['file', 'upload', path]);
    truncateSync(path, LARGE);
    const large = await run(['file', 'upload', path]);
    expect([small.code, large.code, large.stderr]).toEqual([0, 0, '']);
    expect(stub.state.uploaded).toBeGreaterThan(LARGE);
    expect(large.maxRssBytes - small.maxRssBytes).toBeLessThan(SLACK_BYTES);
  }, 120_000);

  test('come down in constant memory', async () => {
    stub.state.size = 20 * MEGABYTE;
    const small = await run(['file', 'download', 'tool_file', 'x']);
    stub.state.size = LARGE;
    const large = await run(['file', 'download', 'tool_file', 'x']);
    expect([small.code, large]).toMatchObject([0, { code: 0, stdout: `${work}/big (1).bin\n`, stderr: '' }]);
    expect(statSync(join(work, 'big (1).bin')).size).toBe(LARGE);
    expect(large.maxRssBytes - small.maxRssBytes).toBeLessThan(SLACK_BYTES);
  }, 120_000);
});

describe('a download that is ended', () => {
  async function underWay() {
    stub.state.size = 20 * MEGABYTE;
    stub.state.held = true;
    const env = { PATH: process.env.PATH ?? '', ...inSandbox() };
    const child = Bun.spawn([dify, 'file', 'download', 'tool_file', 'x'], {
      cwd: work,
      env,
      stdout: 'ignore',
      stderr: 'pipe',
    });
    await until('bytes to have come', () => {
      const [part] = readdirSync(work);
      return part !== undefined && statSync(join(work, part)).size > 10 * MEGABYTE;
    });
    return child;
  }

  test('by kill -9 leaves no file under the name that counts', async () => {
    const child = await underWay();
    child.kill('SIGKILL');
    await child.exited;
    expect(readdirSync(work)).toEqual([expect.stringMatching(/^\.[0-9a-f-]{36}\.part$/)]);
    stub.state.held = false;
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('by %s leaves nothing, and exits as a shell expects', async (signal, code) => {
    const child = await underWay();
    child.kill(signal);
    expect(await child.exited).toBe(code);
    expect(await child.stderr.text()).toBe('');
    expect(readdirSync(work)).toEqual([]);
    stub.state.held = false;
  });
});

describe.if(Bun.which('script') !== null)('on a terminal', () => {
  async function atTerminal(size: number): Promise<string> {
    stub.state.size = size;
    const command = `'${dify}' file download tool_file x`;
    const words = ['script', '-qec', command, '/dev/null'];
    const env = { PATH: process.env.PATH ?? '', TERM: 'xterm', ...inSandbox() };
    const child = Bun.spawn(words, { cwd: work, env, stdin: 'ignore', stdout: 'pipe', stderr: 'ignore' });
    const text = await child.stdout.text();
    expect(await child.exited).toBe(0);
    return text;
  }

  test('a large transfer shows how far it is, on a line that goes away', async () => {
    const text = await atTerminal(50 * MEGABYTE);
    expect(text).toMatch(/\r\x1b\[Kdownloading big\.bin \d+ % of 50\.0 MB/);
    expect(text.split('\r\x1b[K').at(-1)).toBe(`${work}/big.bin\r\n`);
  });

  test('a small one does not', async () => {
    expect(await atTerminal(MEGABYTE)).toBe(`${work}/big.bin\r\n`);
  });
});
