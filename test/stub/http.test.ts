// The stub's routes by node:http: who may ask, what is refused and how, in which order (spec 05 §4, §11, §12.1).

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createConnection } from 'node:net';
import { type FakeDifyApi, startFakeDifyApi } from '../fakes/dify-api.ts';
import { until } from '../support/until.ts';
import { type Answer, ask, codec, contextOf, OTHER_SECRET, SECRET, startStub, type TestStub } from './kit.ts';

const UNAUTHORIZED = { detail: 'invalid or missing Agent Stub authorization' };
const CONNECT = { protocol_version: 1, argv: ['connect', '--', 'ls', '-l'], metadata: { source: 'cli' } };
const REFERENCE = 'dify-file-ref:eyJyZWNvcmRfaWQiOiJ0b29sLWZpbGUtMSJ9';

let api: FakeDifyApi;
let stub: TestStub;
let bare: TestStub;
let token: string;

beforeAll(async () => {
  api = startFakeDifyApi();
  stub = startStub({
    SERVER_SECRET_KEY: SECRET,
    SERVER_SECRET_KEY_PREVIOUS: OTHER_SECRET,
    STUB_URL: 'https://agent.example.com/agent-stub',
    DIFY_API_BASE_URL: api.url,
    DIFY_API_INNER_API_KEY: api.innerKey,
    STUB_RATE_LIMIT: '0',
  });
  // A secret without a Dify API.
  bare = startStub({ SERVER_SECRET_KEY: SECRET });
  token = await stub.token();
});
afterAll(async () => {
  await stub.stop();
  await bare.stop();
  await api.stop();
});

const connect = (body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  stub.ask('POST', '/connections', { token, body, headers });

/** Types and locations of a 422. */
function issues({ status, json }: Answer): readonly string[] {
  expect(status).toBe(422);
  const { detail } = json as { detail: { type: string; loc: (string | number)[] }[] }; // FastAPI's shape, which status 422 has
  return detail.map(({ type, loc }) => `${type} ${loc.join('.')}`);
}

describe('connections', () => {
  test('a valid token and body give 200, status connected, a string id', async () => {
    const { status, json, headers } = await connect(CONNECT);
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/json');
    expect(json).toEqual({ connection_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4/), status: 'connected' });
  });

  test('the Go CLI sends no protocol_version', async () => {
    expect((await connect({ argv: [] })).status).toBe(200);
  });

  test('protocol_version 2 and non-list argv are 422', async () => {
    const answer = await connect({ protocol_version: 2, argv: 'x', zzz: 1 });
    expect(answer.json).toEqual({
      detail: [
        {
          type: 'literal_error',
          loc: ['body', 'protocol_version'],
          msg: 'Input should be 1',
          input: 2,
          ctx: { expected: '1' },
        },
        { type: 'list_type', loc: ['body', 'argv'], msg: 'Input should be a valid list', input: 'x' },
        { type: 'extra_forbidden', loc: ['body', 'zzz'], msg: 'Extra inputs are not permitted', input: 1 },
      ],
    });
    expect(answer.status).toBe(422);
  });

  test('bodies that are not one', async () => {
    expect(issues(await connect('{"argv":'))[0]).toStartWith('json_invalid body.');
    expect(issues(await connect('{"argv":[]} x'))[0]).toStartWith('json_invalid body.');
    expect(issues(await connect(''))).toEqual(['missing body']);
    expect(issues(await connect('null'))).toEqual(['missing body']);
    expect(issues(await connect([]))).toEqual(['model_attributes_type body']);
    expect((await connect({ argv: [], metadata: JSON.parse(`${'['.repeat(300)}${']'.repeat(300)}`) })).status).toBe(
      422,
    );
    expect((await connect(`{"argv":[],"metadata":{"x":${'['.repeat(5000)}${']'.repeat(5000)}}}`)).status).toBe(400);
    expect((await connect(Buffer.from([0x22, 0xff, 0xfe]))).status).toBe(400);
  });

  test('media types: JSON in any dress, also none; nothing else', async () => {
    for (const type of ['application/json; charset=utf-8', 'application/problem+json', 'APPLICATION/JSON']) {
      expect([type, (await connect(CONNECT, { 'content-type': type })).status]).toEqual([type, 200]);
    }
    expect(issues(await connect(CONNECT, { 'content-type': 'text/plain' }))).toEqual(['model_attributes_type body']);
    const text = JSON.stringify(CONNECT);
    const raw = await rawExchange(
      `POST /agent-stub/connections HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
    );
    expect(raw).toStartWith('HTTP/1.1 200');
  });
});

describe('authorization', () => {
  test.each([
    ['no header', undefined],
    ['garbage', 'Bearer garbage'],
    ['another scheme', 'Basic dTpw'],
    ['nothing behind the scheme', 'Bearer '],
    ['a very long one', `Bearer ${'a'.repeat(12_000)}`],
  ])('%s is 401 with the exact detail and no challenge', async (_, authorization) => {
    const headers = authorization === undefined ? {} : { authorization };
    const answer = await stub.ask('POST', '/connections', { body: CONNECT, headers });
    expect([answer.status, answer.json]).toEqual([401, UNAUTHORIZED]);
    expect(answer.headers['www-authenticate']).toBeUndefined();
  });

  test('comes before everything in a request: unauthenticated callers cost no parsing', async () => {
    for (const body of ['{"argv":', { argv: 'x' }, Buffer.alloc(900_000, 0x5b)]) {
      const answer = await stub.ask('POST', '/connections', { body });
      expect([answer.status, answer.json]).toEqual([401, UNAUTHORIZED]);
    }
    for (const path of ['/drive/manifest?include_download_url=maybe', '/config/files/..%00/pull']) {
      expect((await stub.ask('GET', path)).status).toBe(401);
    }
  });

  test('an unauthenticated body is not waited for', async () => {
    const head = 'POST /agent-stub/connections HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{';
    expect(await rawExchange(head, (seen) => seen.includes('invalid or missing'))).toStartWith('HTTP/1.1 401');
  });

  test('a token of a previous secret is accepted, of another one not', async () => {
    const { token: previous } = await codec(stub.clock, OTHER_SECRET).issue(contextOf(), null);
    const { token: foreign } = await codec(stub.clock, 'B'.repeat(43)).issue(contextOf(), null);
    expect((await stub.ask('POST', '/connections', { token: previous, body: CONNECT })).status).toBe(200);
    expect((await stub.ask('POST', '/connections', { token: foreign, body: CONNECT })).status).toBe(401);
  });

  test('the log knows the cause, the caller and the answer do not, and no token is logged', async () => {
    await stub.ask('POST', '/connections', { token: `${token.slice(0, -1)}_`, body: CONNECT });
    expect(stub.log.some(({ level, fields }) => level === 'debug' && 'problem' in fields)).toBe(true);
    expect(JSON.stringify(stub.log)).not.toContain(token.slice(60, 200));
  });

  test('no codec is 503 with the exact detail, even with a token', async () => {
    const none = startStub({});
    try {
      for (const options of [{ token, body: CONNECT }, { body: CONNECT }, { body: '{' }]) {
        const answer = await none.ask('POST', '/connections', options);
        expect([answer.status, answer.json]).toEqual([503, { detail: 'Agent Stub is not configured' }]);
      }
      expect((await none.ask('GET', '/config/downloads/x')).status).toBe(503);
    } finally {
      await none.stop();
    }
  });
});

describe('without a Dify API', () => {
  const file = { transfer_method: 'tool_file', reference: REFERENCE };
  test.each([
    ['POST', '/files/upload-request', { filename: 'a', mimetype: 'b' }, 'file'],
    ['POST', '/files/download-request', { file }, 'file'],
    ['POST', '/files/download-request', { config: { kind: 'file', name: 'a' }, for_frontend: false }, 'config'],
    ['GET', '/drive/manifest', undefined, 'drive'],
    ['POST', '/drive/commit', { items: [] }, 'drive'],
    ['GET', '/config/manifest', undefined, 'config'],
    ['GET', '/config/skills/x/pull', undefined, 'config'],
    ['GET', '/config/files/x/pull', undefined, 'config'],
    ['GET', '/config/skills/x/inspect', undefined, 'config'],
    ['POST', '/config/push', {}, 'config'],
    ['PATCH', '/config/env', { env_text: '' }, 'config'],
    ['PUT', '/config/note', { note: '' }, 'config'],
  ])('%s %s is 503, also for a context that lacks everything', async (method, path, body, area) => {
    const empty = { user_id: null, agent_id: null, user_from: null };
    const answer = await bare.ask(method, path, { token: await bare.token(empty), body });
    expect([answer.status, answer.json]).toEqual([503, { detail: `Agent Stub ${area} API is not configured` }]);
  });

  test('connections work, and a bad body is told first', async () => {
    expect((await bare.ask('POST', '/connections', { token, body: CONNECT })).status).toBe(200);
    const answer = await bare.ask('POST', '/files/download-request', {
      token,
      body: { file: { ...file, reference: 'x' } },
    });
    expect(issues(answer)).toEqual(['value_error body.file']);
  });
});

describe('bodies and names that are refused', () => {
  const download = (file: unknown) => ({ file });
  const said = async (body: unknown): Promise<string> => {
    const { status, json } = await stub.ask('POST', '/files/download-request', { token, body });
    expect(status).toBe(422);
    return (json as { detail: { msg: string }[] }).detail[0]?.msg ?? ''; // FastAPI's shape
  };

  test.each<[Record<string, unknown>, string]>([
    [{ transfer_method: 'remote_url' }, 'url is required when transfer_method is remote_url'],
    [{ transfer_method: 'remote_url', url: '' }, 'url is required when transfer_method is remote_url'],
    [
      { transfer_method: 'remote_url', url: 'https://e.x/a', reference: '' },
      'reference is not allowed when transfer_method is remote_url',
    ],
    [{ transfer_method: 'tool_file' }, 'reference is required for non-remote file mappings'],
    [{ transfer_method: 'tool_file', reference: '' }, 'reference is required for non-remote file mappings'],
    [{ transfer_method: 'local_file', reference: 'file-1' }, 'reference must be a canonical Dify file reference'],
    [
      { transfer_method: 'tool_file', reference: '7a1f0f5e-3b0a-4a55-9a52-0d6f3f7d2c11' },
      'reference must be a canonical Dify file reference',
    ],
    [
      { transfer_method: 'tool_file', reference: `dify-file-ref:${btoa('[1]')}` },
      'reference must be a canonical Dify file reference',
    ],
    [
      { transfer_method: 'tool_file', reference: REFERENCE, url: '' },
      'url is not allowed for non-remote file mappings',
    ],
    [
      { transfer_method: 'local_file', reference: REFERENCE, url: 'x' },
      'url is not allowed for non-remote file mappings',
    ],
    [
      { transfer_method: 'datasource_file', reference: REFERENCE, url: 'x' },
      'url is not allowed for non-remote file mappings',
    ],
  ])('file mapping %j', async (file, text) => {
    expect(await said(download(file))).toBe(`Value error, ${text}`);
  });

  test('a value error has the shape of FastAPI', async () => {
    const { json } = await stub.ask('POST', '/files/download-request', {
      token,
      body: download({ transfer_method: 'tool_file' }),
    });
    expect(json).toEqual({
      detail: [
        {
          type: 'value_error',
          loc: ['body', 'file'],
          msg: 'Value error, reference is required for non-remote file mappings',
          input: { transfer_method: 'tool_file' },
          ctx: { error: {} },
        },
      ],
    });
  });

  test('a download of nothing, of two things, of a config asset for a browser', async () => {
    const config = { kind: 'file', name: 'a' };
    const file = { transfer_method: 'tool_file', reference: REFERENCE };
    expect(await said({})).toBe('Value error, exactly one of file or config is required');
    expect(await said({ file, config })).toBe('Value error, exactly one of file or config is required');
    expect(await said({ config })).toBe('Value error, config downloads are available only to the Sandbox data plane');
    expect(await said({ config: { kind: 'file', name: '../x' }, for_frontend: false })).toBe(
      'Value error, config asset name must be a safe path segment',
    );
    expect(await said({ config: { kind: 'skill', name: 'Big' }, for_frontend: false })).toBe(
      'Value error, config skill name is invalid',
    );
  });

  test.each<[string, string, unknown, string]>([
    ['POST', '/files/upload-request', { filename: 1, mimetype: 'x' }, 'string_type body.filename'],
    ['POST', '/files/upload-request', { filename: 'x' }, 'missing body.mimetype'],
    ['POST', '/files/upload-request', { filename: 'x', mimetype: 'y', z: 1 }, 'extra_forbidden body.z'],
    ['POST', '/files/download-request', { file: { transfer_method: 'x' } }, 'literal_error body.file.transfer_method'],
    [
      'POST',
      '/drive/commit',
      { items: [{ key: 'k', file_ref: { kind: 'x', id: '1' } }] },
      'literal_error body.items.0.file_ref.kind',
    ],
    ['POST', '/drive/commit', { items: [{ file_ref: null }] }, 'missing body.items.0.key'],
    [
      'POST',
      '/drive/commit',
      { items: [{ key: 'k', skill_metadata: { a: 1 } }] },
      'string_type body.items.0.skill_metadata.a',
    ],
    ['GET', '/drive/manifest?include_download_url=maybe', undefined, 'bool_parsing query.include_download_url'],
    ['GET', '/drive/manifest?include_download_url=', undefined, 'bool_parsing query.include_download_url'],
    ['POST', '/config/push', { files: [{ file_ref: null }] }, 'missing body.files.0.name'],
    ['PATCH', '/config/env', {}, 'missing body.env_text'],
    ['PUT', '/config/note', { note: null }, 'string_type body.note'],
  ])('%s %s %j', async (method, path, body, issue) => {
    expect(issues(await stub.ask(method, path, { token, body }))).toContain(issue);
  });

  test.each(['..', '%2e%2e', '.', '%00', 'a%0Ab', 'a%5Cb', '%20', 'x'.repeat(300)])(
    'the name %s in a path never reaches the API',
    async (name) => {
      const before = api.requests.length;
      const raw = await rawExchange(
        `GET /agent-stub/config/files/${name}/pull HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      );
      expect(raw).toMatch(/^HTTP\/1.1 (?:422|404)/);
      expect(api.requests.length).toBe(before);
    },
  );

  test('a body beyond 1 MiB is 413, announced or not', async () => {
    const body = Buffer.from(JSON.stringify({ argv: ['x'.repeat(1_100_000)] }));
    const answer = await connect(body);
    expect([answer.status, answer.json]).toEqual([413, { detail: 'request body too large: limit is 1048576 bytes' }]);
    const fits = await connect(Buffer.from(JSON.stringify({ argv: ['x'.repeat(1_000_000)] })));
    expect(fits.status).toBe(200);
  });
});

describe('paths', () => {
  test.each([
    ['GET', '/agent-stub/connections', 405, 'POST'],
    ['PUT', '/agent-stub/files/upload-request', 405, 'POST'],
    ['POST', '/agent-stub/config/note', 405, 'PUT'],
    ['POST', '/agent-stub/config/files/x/pull', 405, 'GET'],
    ['GET', '/agent-stub', 404, undefined],
    ['GET', '/agent-stub/nothing', 404, undefined],
    ['GET', '/agent-stub/config/files/a%2Fb/pull', 404, undefined],
    ['GET', '/agent-stub/config/files/a/b/pull', 404, undefined],
    ['GET', '/back-proxy/connections', 404, undefined],
  ])('%s %s is %d', async (method, path, status, allow) => {
    const answer = await ask(stub.port, method, path, { token });
    expect([answer.status, answer.headers.allow?.split(', ')[0]]).toEqual([status, allow]);
    expect(answer.json).toEqual({ detail: status === 404 ? 'Not Found' : 'Method Not Allowed' });
  });

  test('a trailing slash is 307 to the path without', async () => {
    const answer = await ask(stub.port, 'POST', '/agent-stub/connections/', { token, body: CONNECT });
    expect(answer.status).toBe(307);
    expect(answer.headers.location).toEndWith('/agent-stub/connections');
  });
});

describe('limits of one token', () => {
  test('too many requests are 429 with Retry-After; other tokens go on', async () => {
    const limited = startStub({ SERVER_SECRET_KEY: SECRET, STUB_RATE_LIMIT: '0.2' });
    try {
      const [mine, other] = [await limited.token(), await limited.token()];
      const statuses = [];
      for (let i = 0; i < 3; i++) {
        statuses.push((await limited.ask('POST', '/connections', { token: mine, body: CONNECT })).status);
      }
      expect(statuses).toEqual([200, 200, 429]);
      // Refused before the body is read.
      const refused = await limited.ask('POST', '/connections', { token: mine, body: '{' });
      expect([refused.json, refused.headers['retry-after']]).toEqual([
        { detail: 'Agent Stub rate limit exceeded' },
        '5',
      ]);
      expect((await limited.ask('POST', '/connections', { token: other, body: CONNECT })).status).toBe(200);
      limited.clock.now += 5;
      expect((await limited.ask('POST', '/connections', { token: mine, body: CONNECT })).status).toBe(200);
    } finally {
      await limited.stop();
    }
  });

  test('a token of a run that is over is refused, others of the same context are not', async () => {
    const request = { context: contextOf(), sessionId: 's', driveRef: null };
    const [one, two] = [await stub.stub.environments?.issue(request), await stub.stub.environments?.issue(request)];
    const status = async (env: typeof one): Promise<number> => {
      const own = env?.env.DIFY_AGENT_STUB_AUTH_JWE ?? '';
      return (await stub.ask('POST', '/connections', { token: own, body: CONNECT })).status;
    };
    expect([await status(one), await status(two)]).toEqual([200, 200]);
    one?.revoke();
    one?.revoke();
    expect([await status(one), await status(two)]).toEqual([401, 200]);
  });
});

test('a stub that nobody asks has opened and derived nothing', async () => {
  const idle = startStub({ SERVER_SECRET_KEY: SECRET, STUB_URL: 'http://h/agent-stub' });
  expect(idle.stub.environments).not.toBeNull();
  await idle.stop();
});

/** Sends bytes and resolves with what came back: until the end, or until `enough`. */
async function rawExchange(text: string, enough: (seen: string) => boolean = () => false): Promise<string> {
  let seen = '';
  let ended = false;
  const socket = createConnection(stub.port, '127.0.0.1', () => socket.write(text));
  socket.on('data', (chunk) => {
    seen += chunk.toString('latin1');
  });
  socket.on('close', () => {
    ended = true;
  });
  socket.on('error', () => {});
  await until('an answer', () => ended || enough(seen));
  socket.destroy();
  return seen;
}
