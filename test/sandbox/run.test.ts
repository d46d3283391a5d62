// Words, exit codes and the two personalities of the executable (spec 05 §8); and what the commands say to servers of other
// vintages and to what is no server of ours.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { runCommand } from '../../src/cli/commands.ts';
import type { Io } from '../../src/cli/io.ts';
import { newFolder, type Ran, runHere, serve } from './kit.ts';

const folder = newFolder();
afterAll(folder.remove);

const MISSING = 'missing required Agent Stub environment variables: DIFY_AGENT_STUB_URL, DIFY_AGENT_STUB_AUTH_JWE\n';
const SECRET_TOKEN = 'tok..en.of.mine';

/** The whole command line, as main.ts runs it. */
async function main(
  words: readonly string[],
  {
    program = 'dify-agent',
    env = {},
  }: { readonly program?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  const io: Io = {
    program,
    args: words,
    env,
    cwd: folder.path,
    events: { on() {}, off() {} },
    colour: false,
    print: async (text) => {
      stdout += text;
    },
    complain: async (line) => {
      stderr += `${line}\n`;
    },
    progress: null,
    readInput: async () => '',
    ask: null,
  };
  return { code: await runCommand(io), stdout, stderr };
}

describe('which personality', () => {
  const stub = serve(() => Response.json({ connection_id: 'c-1', status: 'connected' }));
  const env = { DIFY_AGENT_STUB_URL: `${stub.url}/agent-stub`, DIFY_AGENT_STUB_AUTH_JWE: SECRET_TOKEN };
  afterAll(() => stub.stop());

  test('a token in the environment makes unknown words a connect', async () => {
    expect(await main(['git', 'push'], { env })).toEqual({ code: 0, stdout: 'connected c-1\n', stderr: '' });
    expect(await main(['serve'], { env })).toEqual({ code: 0, stdout: 'connected c-1\n', stderr: '' });
    expect(await main(['--json', 'run', 'x'], { env })).toEqual({
      code: 0,
      stdout: '{"connection_id":"c-1","status":"connected"}\n',
      stderr: '',
    });
  });

  test('so does the name, which alone tells what is missing', async () => {
    const program = 'dify-agent-sandbox';
    expect((await main(['git', 'push'], { program, env })).stdout).toBe('connected c-1\n');
    const { code, stdout, stderr } = await main(['git', 'push'], { program });
    expect([code, stderr]).toEqual([2, MISSING]);
    expect(stdout).toStartWith('Inside a sandbox');
    expect((await main(['--json', 'git'], { program })).code).toBe(2);
  });

  test('the stub’s URL does not: a server has it too', async () => {
    const { DIFY_AGENT_STUB_URL } = env;
    const { code, stdout, stderr } = await main(['git', 'push'], { env: { DIFY_AGENT_STUB_URL } });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toStartWith('unknown command "git"');
    const blank = await main(['git'], { env: { DIFY_AGENT_STUB_URL, DIFY_AGENT_STUB_AUTH_JWE: ' ' } });
    expect(blank.stderr).toStartWith('unknown command "git"');
  });

  test('sandbox commands are there in both, and say what is missing', async () => {
    for (const words of [
      ['connect', 'x'],
      ['file', 'upload', 'x'],
      ['drive', 'list'],
      ['config', 'manifest'],
    ]) {
      expect(await main(words)).toEqual({ code: 2, stdout: '', stderr: MISSING });
    }
    expect((await main(['connect', 'x'], { env })).stdout).toBe('connected c-1\n');
  });

  test('the executable can still be asked about itself', async () => {
    for (const word of ['version', '--version']) expect((await main([word], { env })).stdout).toContain('.');
    for (const words of [['help'], ['--help'], ['-h'], []]) {
      const { code, stdout } = await main(words, { env });
      expect([code, stdout.startsWith('Inside a sandbox')]).toEqual([0, true]);
    }
  });
});

describe('help', () => {
  test('wherever it is asked for, without a stub', async () => {
    for (const words of [
      ['file'],
      ['file', '--help'],
      ['file', 'upload', '-h'],
      ['config', 'skill', 'pull', '--help'],
      ['connect', '--help'],
      ['connect', '-h'],
    ]) {
      const { code, stdout } = await runHere({}, ...words);
      expect([code, stdout.startsWith('Inside a sandbox')]).toEqual([0, true]);
    }
  });

  test('but not behind the words of others', async () => {
    expect((await runHere({}, 'connect', 'ls', '--help')).code).toBe(2);
    expect((await runHere({}, 'connect', '--', '--help')).code).toBe(2);
    expect((await runHere({}, 'config', 'file', 'pull', '--', '--help')).code).toBe(2);
  });

  test('names every command', async () => {
    const { stdout } = await runHere({}, 'file');
    for (const words of ['connect', 'file upload', 'file download', 'config skill pull', 'config push', 'drive push']) {
      expect(stdout).toContain(`dify-agent ${words}`);
    }
  });
});

test('words that are no command of a group', async () => {
  const { code, stderr } = await runHere({}, 'drive', 'format');
  expect([code, stderr]).toEqual([2, 'unknown command "drive format"; drive has: list, pull, push\n']);
  expect((await runHere({}, 'file', 'upload', '--bogus', 'x')).stderr).toContain('Usage: dify-agent file upload PATH');
  expect((await runHere({}, 'config', 'manifest', 'x')).code).toBe(2);
});

describe('servers of other vintages, and others', () => {
  let answer: (request: Request) => Response | Promise<Response> = () => new Response();
  let bodies: unknown[] = [];
  const server = serve(async (request) => {
    if (request.method === 'POST') bodies.push(await request.clone().json());
    return await answer(request);
  });
  const env = { DIFY_AGENT_STUB_URL: `${server.url}/agent-stub`, DIFY_AGENT_STUB_AUTH_JWE: SECRET_TOKEN };
  const run = (...words: readonly string[]) => runHere({ env, cwd: folder.path }, ...words);
  afterAll(() => server.stop());

  async function answering(give: typeof answer, ...words: readonly string[]): Promise<Ran> {
    answer = give;
    bodies = [];
    const ran = await run(...words);
    // Whatever is said, the token is not.
    expect(ran.stdout + ran.stderr).not.toContain(SECRET_TOKEN);
    return ran;
  }

  test('a strict server of the first vintage is asked again without the newer member', async () => {
    const strict = (request: Request) => {
      if (request.url.endsWith('/bytes')) return new Response('hello');
      if (bodies.length === 1) {
        const detail = [
          { type: 'extra_forbidden', loc: ['body', 'for_frontend'], msg: 'Extra inputs are not permitted' },
        ];
        return Response.json({ detail }, { status: 422 });
      }
      return Response.json({ filename: 'v1.txt', mime_type: null, size: 5, download_url: `${server.url}/bytes` });
    };
    const { code, stdout } = await answering(strict, 'file', 'download', 'tool_file', 'r');
    expect([code, stdout]).toEqual([0, `${folder.path}/v1.txt\n`]);
    const plain = { file: { transfer_method: 'tool_file', reference: 'r' } };
    expect(bodies).toEqual([{ ...plain, for_frontend: false }, plain]);
  });

  test('redirects do not carry the token anywhere', async () => {
    const other = serve(() => Response.json({ connection_id: 'stolen', status: 'connected' }));
    for (const status of [301, 302, 303, 307, 308]) {
      const { code, stderr } = await answering(
        () => Response.redirect(`${other.url}/agent-stub/connections`, status),
        'connect',
      );
      expect(code).toBe(1);
      expect(stderr).toBe(
        `Agent Stub connect failed (HTTP ${status}): redirected to ${other.url}/agent-stub/connections, where the token does not go\n`,
      );
    }
    expect(other.seen).toHaveLength(0);
    await other.stop();
  });

  test('pages of a proxy', async () => {
    const page = (status: number) => () =>
      new Response('<html>oops</html>', { status, headers: { 'content-type': 'text/html' } });
    expect((await answering(page(502), 'connect')).stderr).toBe(
      'Agent Stub returned invalid JSON for connection (HTTP 502)\n',
    );
    expect((await answering(page(200), 'connect')).stderr).toBe('Agent Stub returned invalid JSON for connection\n');
    expect((await answering(page(404), 'drive', 'list')).stderr).toBe(
      'Agent Stub returned invalid JSON for drive manifest (HTTP 404)\n',
    );
    expect((await answering(() => new Response(null, { status: 204 }), 'connect')).stderr).toBe(
      'Agent Stub returned invalid JSON for connection\n',
    );
  });

  test('answers of the wrong shape', async () => {
    const of = async (value: unknown, ...words: readonly string[]) => {
      const { code, stderr } = await answering(() => Response.json(value), ...words);
      expect(code).toBe(1);
      return stderr.trim();
    };
    expect(await of([], 'connect')).toBe('invalid Agent Stub connection response');
    expect(await of({}, 'connect')).toBe('invalid Agent Stub connection response');
    expect(await of({ connection_id: 7, status: 'x' }, 'connect')).toBe('invalid Agent Stub connection response');
    const download = ['file', 'download', 'tool_file', 'r'];
    expect(await of({ filename: 'x' }, ...download)).toBe('invalid Agent Stub file download response');
    expect(await of({ filename: 'x', size: '1', download_url: 'u' }, ...download)).toBe(
      'invalid Agent Stub file download response',
    );
    expect(await of({ filename: 'x', size: 1, download_url: '' }, ...download)).toBe(
      'signed file download response is missing download_url',
    );
    expect(await of({ items: 'x' }, 'drive', 'list')).toBe('invalid Agent Stub drive manifest response');
    expect(await of({ items: [{ key: 1 }] }, 'drive', 'list')).toBe('invalid Agent Stub drive manifest response');
  });

  test('refusals in the words of the stub, whatever their shape', async () => {
    const of = async (body: unknown, status: number) =>
      (await answering(() => Response.json(body, { status }), 'connect')).stderr.trim();
    expect(await of({ detail: 'invalid or missing Agent Stub authorization' }, 401)).toBe(
      'Agent Stub connect failed (HTTP 401): invalid or missing Agent Stub authorization',
    );
    expect(await of({ detail: { code: 'x', message: 'y' } }, 400)).toBe(
      'Agent Stub connect failed (HTTP 400): {"code":"x","message":"y"}',
    );
    expect(await of({ code: 'x' }, 500)).toBe('Agent Stub connect failed (HTTP 500): {"code":"x"}');
    expect((await of({ detail: 'x'.repeat(10_000) }, 500)).length).toBeLessThan(2_100);
  });

  test('an answer that never ends, one that never comes', async () => {
    const endless = () =>
      new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new Uint8Array(1024 * 1024)),
        }),
      );
    expect((await answering(endless, 'connect')).stderr).toBe(
      'Agent Stub connect request failed: the answer is larger than 16777216 bytes\n',
    );
    answer = () => new Promise<Response>(() => {});
    const timing = { controlMs: 100 };
    expect(await runHere({ env, timing }, 'connect')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'Agent Stub connect timed out\n',
    });
    expect((await runHere({ env, timing }, 'drive', 'list')).stderr).toBe(
      'Agent Stub drive manifest request timed out\n',
    );
  });

  test('nobody there', async () => {
    const gone = { ...env, DIFY_AGENT_STUB_URL: 'http://127.0.0.1:9/agent-stub' };
    const { code, stderr } = await runHere({ env: gone }, 'connect');
    expect(code).toBe(1);
    expect(stderr).toStartWith('Agent Stub connect request failed: ');
  });

  test('what is sent: the token, JSON, the words as they are', async () => {
    await answering(
      (request) => {
        expect(request.headers.get('authorization')).toBe(`Bearer ${SECRET_TOKEN}`);
        expect(request.headers.get('content-type')).toBe('application/json');
        expect(new URL(request.url).pathname).toBe('/agent-stub/connections');
        return Response.json({ connection_id: 'c', status: 'connected' });
      },
      'connect',
      'a b',
      '--flag',
      '',
      'ü\n',
    );
    expect(bodies).toEqual([{ protocol_version: 1, argv: ['a b', '--flag', '', 'ü\n'], metadata: {} }]);
  });
});

describe('a signal', () => {
  test('ends what is under way, cleans up, and gives the exit code of a shell', async () => {
    const listeners = new Map<string, () => void>();
    const hung = serve(() => new Promise<Response>(() => {}));
    const env = { DIFY_AGENT_STUB_URL: hung.url, DIFY_AGENT_STUB_AUTH_JWE: 't' };
    for (const [name, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const) {
      const events = {
        on: (event: string, listener: () => void) => void listeners.set(event, listener),
        off: (event: string) => void listeners.delete(event),
      };
      const ran = runHere({ env, events }, 'connect');
      expect([...listeners.keys()].sort()).toEqual(['SIGHUP', 'SIGINT', 'SIGTERM']);
      listeners.get(name)?.();
      expect((await ran).code).toBe(code);
      expect(listeners.size).toBe(0);
    }
    await hung.stop();
  });
});

beforeAll(() => {
  // A proxy of the machine that runs the tests is none of theirs.
  for (const name of ['http_proxy', 'HTTP_PROXY']) expect(process.env[name]).toBeUndefined();
});
