// What the stub makes of the Dify API: exact calls, exact answers, its errors in the words of spec 05 §4.3, and what of them a
// sandbox does not see (§12.9). The API is test/fakes/dify-api.ts, which refuses what the contract does not name.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { request as httpRequest } from 'node:http';
import { type FakeDifyApi, htmlPage, jsonError, type Mood, referenceOf, startFakeDifyApi } from '../fakes/dify-api.ts';
import { until } from '../support/until.ts';
import { type Answer, ask, SECRET, startStub, type TestStub } from './kit.ts';

let api: FakeDifyApi;
let stub: TestStub;
let token: string;

beforeAll(async () => {
  api = startFakeDifyApi();
  stub = startStub({
    SERVER_SECRET_KEY: SECRET,
    STUB_URL: 'https://agent.example.com/agent-stub',
    INNER_API_URL: `${api.url}/`,
    INNER_API_KEY: api.innerKey,
    DIFY_API_FILE_TIMEOUT: '0.3',
    DIFY_API_READ_TIMEOUT: '0.3',
    STUB_RATE_LIMIT: '0',
  });
  token = await stub.token();
});
beforeEach(() => {
  expect(api.violations).toEqual([]);
  api.state.configs.clear();
  api.state.drives.clear();
});
afterAll(async () => {
  await stub.stop();
  await api.stop();
});

const call = (method: string, path: string, body?: unknown): Promise<Answer> => stub.ask(method, path, { token, body });
const last = () => api.requests.at(-1);
const UPLOAD = { filename: 'report.pdf', mimetype: 'application/pdf' };
const downloadOf = (reference: string, more: object = {}) => ({
  file: { transfer_method: 'tool_file', reference },
  ...more,
});
const addFile = (tenantId = 't-1') =>
  api.state.addFile({
    tenantId,
    filename: 'report.pdf',
    mimetype: 'application/pdf',
    bytes: new TextEncoder().encode('%PDF'),
  });

describe('upload requests', () => {
  test('forward identity of the token: exact URL, exact body, the inner key; answer exactly upload_url', async () => {
    const { status, json } = await call('POST', '/files/upload-request', UPLOAD);
    expect([status, json]).toEqual([
      200,
      { upload_url: expect.stringContaining(`${api.url}/files/upload/for-plugin?`) },
    ]);
    expect(last()).toMatchObject({
      method: 'POST',
      path: '/inner/api/upload/file/request',
      query: {},
      body: { tenant_id: 't-1', user_id: 'u-1', ...UPLOAD },
    });
    expect(Object.keys(last()?.body as object)).toEqual(['tenant_id', 'user_id', 'filename', 'mimetype']);
    expect(last()?.headers['x-inner-api-key']).toBe(api.innerKey);
  });

  test('empty texts are allowed', async () => {
    expect((await call('POST', '/files/upload-request', { filename: '', mimetype: '' })).status).toBe(200);
  });

  test('the URL takes a file, and the reference it answers with can be downloaded', async () => {
    const { json } = await call('POST', '/files/upload-request', UPLOAD);
    const form = new FormData();
    const bytes = crypto.getRandomValues(new Uint8Array(100_000));
    form.append('file', new File([bytes], 'ü.bin', { type: 'application/x-thing' }));
    const { upload_url } = json as { upload_url: string }; // asserted above
    const stored = (await (await fetch(upload_url, { method: 'POST', body: form })).json()) as { reference: string };
    const answer = await call('POST', '/files/download-request', downloadOf(stored.reference));
    expect(answer.json).toMatchObject({ filename: 'ü.bin', mime_type: 'application/x-thing', size: 100_000 });
    const { download_url } = answer.json as { download_url: string };
    expect(Buffer.from(await (await fetch(download_url)).bytes()).equals(Buffer.from(bytes))).toBe(true);
    expect((await fetch(`${download_url}x`)).status).toBe(403);
  });
});

describe('download requests', () => {
  test('forward identity and the mapping without nulls, and nothing else; answer exactly four members', async () => {
    const file = addFile();
    const body = { file: { transfer_method: 'tool_file', reference: referenceOf(file.id), url: null } };
    const answer = await call('POST', '/files/download-request', body);
    expect(answer.bytes.toString()).toMatch(
      /^\{"filename":"report.pdf","mime_type":"application\/pdf","size":4,"download_url":"[^"]+"\}$/,
    );
    expect(JSON.stringify(last()?.body)).toBe(
      `{"tenant_id":"t-1","user_id":"u-1","user_from":"account","invoke_from":"service-api","file":{"transfer_method":"tool_file","reference":"${referenceOf(file.id)}"}}`,
    );
  });

  test('mime_type is there as null when unknown', async () => {
    const body = { file: { transfer_method: 'remote_url', url: 'https://e.x/a.bin' } };
    expect((await call('POST', '/files/download-request', body)).json).toEqual({
      filename: 'a.bin',
      mime_type: null,
      size: -1,
      download_url: 'https://e.x/a.bin',
    });
    api.misbehave(jsonError(200, { data: { filename: 'f', size: 1, download_url: 'u', extra: 1 }, error: null }));
    expect((await call('POST', '/files/download-request', body)).json).toEqual({
      filename: 'f',
      mime_type: null,
      size: 1,
      download_url: 'u',
    });
  });

  test('for_frontend and for_external are understood; only a false one is passed on', async () => {
    const reference = referenceOf(addFile().id);
    for (const more of [{ for_frontend: true }, { for_external: true }]) {
      expect((await call('POST', '/files/download-request', downloadOf(reference, more))).status).toBe(200);
      expect(last()?.body).not.toHaveProperty('for_external');
    }
    for (const more of [{ for_frontend: false }, { for_external: false }]) {
      expect((await call('POST', '/files/download-request', downloadOf(reference, more))).status).toBe(200);
      expect(last()?.body).toHaveProperty('for_external', false);
    }
  });

  test('the error of an envelope is 400 with its text', async () => {
    const answer = await call('POST', '/files/download-request', downloadOf(referenceOf('gone')));
    expect([answer.status, answer.json]).toEqual([400, { detail: 'file not found' }]);
  });

  test('a file of another tenant stays where it is', async () => {
    const answer = await call('POST', '/files/download-request', downloadOf(referenceOf(addFile('t-2').id)));
    expect([answer.status, answer.json]).toEqual([
      403,
      { detail: { code: 'forbidden', message: 'file of another tenant', status: 403 } },
    ]);
  });
});

describe('a token that does not say enough is 400, and the API is not asked', () => {
  const NEED_AGENT = 'execution context agent_id is required for config operations';
  test.each<[string, string, unknown, Record<string, unknown>, string]>([
    [
      'POST',
      '/files/upload-request',
      UPLOAD,
      { user_id: null },
      'execution context user_id is required for file operations',
    ],
    [
      'POST',
      '/files/download-request',
      downloadOf(referenceOf('x')),
      { user_id: '' },
      'execution context user_id is required for file operations',
    ],
    [
      'POST',
      '/files/download-request',
      downloadOf(referenceOf('x')),
      { user_from: null },
      'execution context user_from is required for file operations',
    ],
    [
      'POST',
      '/files/download-request',
      downloadOf(referenceOf('x')),
      { invoke_from: null },
      'execution context invoke_from is required for file operations',
    ],
    [
      'GET',
      '/drive/manifest',
      undefined,
      { agent_id: null },
      'execution context agent_id is required for drive operations',
    ],
    [
      'POST',
      '/drive/commit',
      { items: [] },
      { agent_id: null, user_id: null },
      'execution context agent_id is required for drive operations',
    ],
    [
      'POST',
      '/drive/commit',
      { items: [] },
      { user_id: null },
      'execution context user_id is required for drive commit',
    ],
    ['GET', '/drive/manifest', undefined, { agent_id: '../x' }, 'execution context agent_id is not a safe name'],
    ['GET', '/config/manifest', undefined, { agent_id: null, agent_config_version_id: null }, NEED_AGENT],
    ['GET', '/config/manifest', undefined, { agent_id: '..' }, 'execution context agent_id is not a safe name'],
    [
      'GET',
      '/config/manifest',
      undefined,
      { agent_config_version_id: null, agent_config_version_kind: null },
      'execution context agent_config_version_id is required',
    ],
    [
      'GET',
      '/config/files/x/pull',
      undefined,
      { agent_config_version_kind: null },
      'execution context agent_config_version_kind is required',
    ],
    [
      'POST',
      '/config/push',
      {},
      { user_id: null },
      'execution context user_id is required for config write operations',
    ],
    [
      'PUT',
      '/config/note',
      { note: 'x' },
      { user_id: null, agent_config_version_kind: null },
      'execution context agent_config_version_kind is required',
    ],
  ])('%s %s %j %j', async (method, path, body, context, detail) => {
    const before = api.requests.length;
    const answer = await stub.ask(method, path, { token: await stub.token(context), body });
    expect([answer.status, answer.json]).toEqual([400, { detail }]);
    expect(api.requests.length).toBe(before);
  });
});

describe('the drive', () => {
  test('commit returns items; manifest passes prefix and the flag; every member is there', async () => {
    const file = addFile();
    const items = [
      { key: 'files/report.pdf', file_ref: { kind: 'tool_file', id: file.id } },
      {
        key: 'greeter/SKILL.md',
        file_ref: { kind: 'tool_file', id: file.id },
        is_skill: true,
        skill_metadata: { a: 'b' },
      },
      { key: 'files/old' },
    ];
    const committed = await call('POST', '/drive/commit', { items });
    expect(committed.status).toBe(200);
    expect(last()?.path).toBe('/inner/api/drive/agent-a-1/commit');
    expect(last()?.body).toEqual({
      tenant_id: 't-1',
      user_id: 'u-1',
      items: [
        {
          key: 'files/report.pdf',
          file_ref: { kind: 'tool_file', id: file.id },
          value_owned_by_drive: true,
          is_skill: false,
        },
        {
          key: 'greeter/SKILL.md',
          file_ref: { kind: 'tool_file', id: file.id },
          value_owned_by_drive: true,
          is_skill: true,
          skill_metadata: { a: 'b' },
        },
        { key: 'files/old', value_owned_by_drive: true, is_skill: false },
      ],
    });
    const { json } = await call(
      'GET',
      '/drive/manifest?prefix=files/&include_download_url=YES&prefix=greeter/&other=1',
    );
    expect(last()?.query).toEqual({ tenant_id: 't-1', prefix: 'greeter/', include_download_url: 'true' });
    expect(json).toEqual({
      items: [
        {
          key: 'greeter/SKILL.md',
          size: 4,
          hash: expect.any(String),
          mime_type: 'application/pdf',
          file_kind: 'tool_file',
          file_id: file.id,
          created_at: 1_780_000_000,
          download_url: expect.stringContaining(api.url),
          value_owned_by_drive: null,
          removed: false,
          is_skill: true,
          skill_metadata: null,
        },
      ],
    });
    await call('GET', '/drive/manifest');
    expect(last()?.query).toEqual({ tenant_id: 't-1', prefix: '', include_download_url: 'false' });
  });

  test('members that we do not know pass through, large numbers as they are', async () => {
    api.misbehave({ kind: 'answer', status: 200, body: '{"items":[{"key":"k","zz":12345678901234567890}],"x":1}' });
    const { bytes } = await call('GET', '/drive/manifest');
    expect(bytes.toString()).toEndWith('"skill_metadata":null,"zz":12345678901234567890}]}');
  });

  test('an agent id is one segment', async () => {
    await stub.ask('GET', '/drive/manifest', { token: await stub.token({ agent_id: 'a?b#c d' }) });
    expect(last()?.path).toBe('/inner/api/drive/agent-a%3Fb%23c%20d/manifest');
  });

  test.each([[{}], [{ items: {} }], [{ items: ['x'] }], [{ items: [{ size: 'many' }] }], [[]]])(
    'an answer like %j is 502',
    async (body) => {
      api.misbehave(jsonError(200, body), jsonError(200, body));
      expect(await outcome('GET', '/drive/manifest')).toEqual([502, 'Dify API drive manifest response is invalid']);
      expect(await outcome('POST', '/drive/commit', { items: [] })).toEqual([
        502,
        'Dify API drive commit response is invalid',
      ]);
    },
  );
});

describe('the configuration', () => {
  const VERSION = { tenant_id: 't-1', config_version_id: 'v-1', config_version_kind: 'build_draft' };

  test('manifest: its members and no others', async () => {
    const config = api.state.addConfig('a-1');
    config.skills.set('greeter', new Uint8Array(3));
    config.files.set('n.txt', new Uint8Array(5));
    config.envText = 'A=1\nB=2';
    const { json } = await call('GET', '/config/manifest');
    expect(last()?.query).toEqual({ ...VERSION, user_id: 'u-1' });
    expect(json).toEqual({
      agent_id: 'a-1',
      config_version: { id: 'v-1', kind: 'build_draft', writable: true },
      skills: {
        items: [{ name: 'greeter', description: 'skill greeter', size: 3, hash: 'h', mime_type: 'text/plain' }],
      },
      files: { items: [{ name: 'n.txt', size: 5, hash: 'h', mime_type: 'text/plain' }] },
      env_keys: ['A', 'B'],
      note: '',
    });
    await stub.ask('GET', '/config/manifest', { token: await stub.token({ user_id: null }) });
    expect(last()?.query).toEqual(VERSION);
  });

  test('pull: bytes as they are, for names that need care', async () => {
    const config = api.state.addConfig('a-1');
    const bytes = crypto.getRandomValues(new Uint8Array(300_000));
    const name = 'a ü?#%2e..txt';
    config.files.set(name, bytes);
    config.skills.set('greeter', bytes);
    const file = await call('GET', `/config/files/${encodeURIComponent(name)}/pull`);
    expect([file.status, file.headers['content-type']]).toEqual([200, 'application/octet-stream']);
    expect(file.bytes.equals(Buffer.from(bytes))).toBe(true);
    expect(last()?.path).toBe(`/inner/api/agent-config/a-1/files/${encodeURIComponent(name)}/pull`);
    const skill = await call('GET', '/config/skills/greeter/pull');
    expect([skill.headers['content-type'], skill.bytes.length]).toEqual(['application/zip', 300_000]);
  });

  test('inspect, env and note pass an object through', async () => {
    api.state.addConfig('a-1').skills.set('greeter', new Uint8Array(3));
    expect((await call('GET', '/config/skills/greeter/inspect')).json).toEqual({
      name: 'greeter',
      entries: ['SKILL.md'],
    });
    expect((await call('PATCH', '/config/env', { env_text: 'X=1' })).json).toEqual({ env_keys: ['X'] });
    expect(last()).toMatchObject({ method: 'PATCH', body: { ...VERSION, user_id: 'u-1', env_text: 'X=1' } });
    expect((await call('PUT', '/config/note', { note: 'n' })).json).toEqual({ note: 'n' });
    expect(last()).toMatchObject({ method: 'PUT', path: '/inner/api/agent-config/a-1/note' });
  });

  test('push drops nulls', async () => {
    const config = api.state.addConfig('a-1');
    config.files.set('old', new Uint8Array(1));
    const ref = { kind: 'tool_file', id: addFile().id };
    const body = {
      files: [
        { name: 'new', file_ref: ref },
        { name: 'old', file_ref: null },
      ],
      note: 'n',
      env_text: null,
    };
    const { status, json } = await call('POST', '/config/push', body);
    expect([status, json]).toMatchObject([200, { files: { items: [{ name: 'new', size: 4 }] }, note: 'n' }]);
    expect(last()?.body).toEqual({
      ...VERSION,
      user_id: 'u-1',
      files: [{ name: 'new', file_ref: ref }, { name: 'old' }],
      skills: [],
      note: 'n',
    });
  });

  test.each([
    ['GET', '/config/manifest', undefined, 'config manifest'],
    ['POST', '/config/push', {}, 'config push'],
    ['PATCH', '/config/env', { env_text: '' }, 'config env'],
    ['PUT', '/config/note', { note: '' }, 'config note'],
    ['GET', '/config/skills/x/inspect', undefined, 'config skill inspect'],
  ])('%s %s: an answer that is no object is 502', async (method, path, body, what) => {
    api.misbehave(jsonError(200, [1]));
    expect(await outcome(method, path, body)).toEqual([502, `Dify API ${what} response is invalid`]);
  });

  test('a page in the place of a file is 502', async () => {
    api.misbehave(htmlPage(200));
    expect(await outcome('GET', '/config/files/x/pull')).toEqual([502, 'Dify API config request response is invalid']);
  });

  test('a pull that breaks off is seen to break off', async () => {
    api.misbehave({ kind: 'cut', type: 'application/zip' });
    const answer = await call('GET', '/config/skills/greeter/pull').catch((error: unknown) => error);
    expect(answer).toBeInstanceOf(Error);
  });

  test('a newer sandbox gets a URL of ours, and the bytes without a header', async () => {
    const config = api.state.addConfig('a-1');
    config.skills.set('greeter', new TextEncoder().encode('PK-greeter'));
    config.files.set('n ü.txt', new TextEncoder().encode('hello'));
    const request = (kind: string, name: string) =>
      call('POST', '/files/download-request', { config: { kind, name }, for_frontend: false });
    const skill = await request('skill', ' greeter ');
    expect(skill.json).toEqual({
      filename: 'greeter.zip',
      mime_type: 'application/zip',
      size: 10,
      download_url: expect.stringMatching(/^https:\/\/agent\.example\.com\/agent-stub\/config\/downloads\/ey/),
    });
    const file = await request('file', 'n ü.txt');
    expect(file.json).toMatchObject({ filename: 'n ü.txt', mime_type: 'text/plain', size: 5 });
    const fetched = async ({ json }: Answer): Promise<Answer> => {
      const { download_url } = json as { download_url: string }; // asserted above
      return ask(stub.port, 'GET', new URL(download_url).pathname);
    };
    expect((await fetched(skill)).bytes.toString()).toBe('PK-greeter');
    expect((await fetched(file)).bytes.toString()).toBe('hello');
    expect((await request('file', 'other')).json).toEqual({ detail: 'config file not found' });
    // Not with a token in the ticket's place, nor a ticket in the token's, nor two minutes later.
    expect((await ask(stub.port, 'GET', `/agent-stub/config/downloads/${token}`)).status).toBe(404);
    const ticket = (skill.json as { download_url: string }).download_url.split('/').at(-1) ?? '';
    expect((await stub.ask('GET', '/config/manifest', { token: ticket })).status).toBe(401);
    stub.clock.now += 120;
    expect((await fetched(skill)).status).toBe(404);
    stub.clock.now -= 120;
  });
});

/** Status and detail. */
async function outcome(method: string, path: string, body?: unknown): Promise<readonly unknown[]> {
  const { status, json } = await call(method, path, body);
  return [status, (json as { detail: unknown }).detail]; // every error has one
}

describe('an API that does not do what is asked', () => {
  const AREAS: readonly (readonly [string, string, string, unknown])[] = [
    ['file', 'POST', '/files/upload-request', UPLOAD],
    ['drive', 'GET', '/drive/manifest', undefined],
    ['config', 'GET', '/config/manifest', undefined],
    ['config', 'GET', '/config/files/x/pull', undefined],
  ];
  const each = async (mood: Mood, expected: (area: string) => readonly unknown[]): Promise<void> => {
    for (const [area, method, path, body] of AREAS) {
      api.misbehave(mood);
      expect([area, ...(await outcome(method, path, body))]).toEqual([area, ...expected(area)]);
    }
  };

  test('time-outs are 504', async () => {
    await each({ kind: 'hang' }, (area) => [504, `Dify API ${area} request timed out`]);
    await until('the sockets to close', () => api.hanging() === 0);
  });

  test('pages of proxies are 502, whatever their status, and the log knows the status', async () => {
    for (const status of [404, 500, 503]) {
      await each(htmlPage(status), (area) => [502, `Dify API ${area} request returned invalid JSON`]);
      expect(stub.log.at(-1)).toMatchObject({ level: 'warn', fields: { upstream_status: status } });
    }
  });

  test('redirects to elsewhere are 502 without the address', async () => {
    await each({ kind: 'redirect', status: 307, location: 'http://10.0.0.7/secret' }, (area) => [
      502,
      `Dify API ${area} request failed: Server redirects, which is not followed`,
    ]);
  });

  test('a refused key is 502: the sandbox is not told about it', async () => {
    const body = { code: 'unauthorized', message: `key ${api.innerKey} unknown` };
    await each(jsonError(401, body), (area) => [502, `Dify API ${area} request failed: Server refused the request`]);
  });

  test('errors in JSON keep their status; detail when there is one, else the whole', async () => {
    await each(jsonError(422, { detail: 'why' }), () => [422, 'why']);
    await each(jsonError(409, { detail: { code: 'x', detail: 'y' }, other: 1 }), () => [
      409,
      { code: 'x', detail: 'y' },
    ]);
    await each(jsonError(400, { code: 'invalid_request', message: 'm' }), () => [
      400,
      { code: 'invalid_request', message: 'm' },
    ]);
    await each(jsonError(500, 'boom'), () => [500, 'boom']);
    await each(jsonError(404, { detail: null }), () => [404, null]);
  });

  test('what the API says of its inside is taken out, our key wherever it stands', async () => {
    const body = {
      code: 'x',
      message: `sent ${api.innerKey}`,
      traceback: 'File "/app/api.py"',
      at: [{ stack: 's', k: 1 }],
    };
    await each(jsonError(500, body), () => [500, { code: 'x', message: 'sent ***', at: [{ k: 1 }] }]);
    await each(jsonError(400, { [`${api.innerKey}!`]: 1 }), () => [400, { '***!': 1 }]);
    await each(jsonError(500, { detail: 'x'.repeat(9_000) }), (area) => [500, `Dify API ${area} request failed`]);
    api.misbehave(jsonError(200, { data: null, error: `bad ${api.innerKey}` }));
    expect(await outcome('POST', '/files/upload-request', UPLOAD)).toEqual([400, 'bad ***']);
  });

  test.each<[unknown, string, string]>([
    [
      { data: null },
      'Dify API file request response is missing data',
      'Dify API file request response is missing data',
    ],
    [{ data: [] }, 'Dify API file request response is missing data', 'Dify API file request response is missing data'],
    [{}, 'Dify API file request response is missing data', 'Dify API file request response is missing data'],
    [{ data: {} }, 'Dify API upload request response is missing url', 'Dify API download request response is invalid'],
    [
      { data: { url: '', size: 'x' } },
      'Dify API upload request response is missing url',
      'Dify API download request response is invalid',
    ],
    [{ data: {}, error: 7 }, 'Dify API file request response is invalid', 'Dify API file request response is invalid'],
    [[], 'Dify API file request response is invalid', 'Dify API file request response is invalid'],
  ])('an envelope like %j is 502', async (body, upload, download) => {
    api.misbehave(jsonError(200, body), jsonError(200, body));
    expect(await outcome('POST', '/files/upload-request', UPLOAD)).toEqual([502, upload]);
    expect(await outcome('POST', '/files/download-request', downloadOf(referenceOf('x')))).toEqual([502, download]);
  });

  test('nobody there is 502 without an address', async () => {
    const gone = startStub({
      SERVER_SECRET_KEY: SECRET,
      INNER_API_URL: 'http://127.0.0.1:9',
      INNER_API_KEY: 'k-of-tests',
    });
    try {
      const answer = await gone.ask('POST', '/files/upload-request', { token, body: UPLOAD });
      expect([answer.status, answer.json]).toEqual([
        502,
        { detail: 'Dify API file request failed: All connection attempts failed' },
      ]);
    } finally {
      await gone.stop();
    }
  });

  test('a caller who leaves takes the inner call along', async () => {
    const slow = startStub({ SERVER_SECRET_KEY: SECRET, INNER_API_URL: api.url, INNER_API_KEY: api.innerKey });
    try {
      api.misbehave({ kind: 'hang' });
      const text = JSON.stringify(UPLOAD);
      const request = httpRequest({
        host: '127.0.0.1',
        port: slow.port,
        method: 'POST',
        path: '/agent-stub/files/upload-request',
        headers: { Authorization: `Bearer ${token}`, 'Content-Length': text.length },
      });
      request.on('error', () => {});
      request.end(text);
      await until('the inner call', () => api.hanging() === 1);
      request.destroy();
      await until('its end', () => api.hanging() === 0);
      expect(slow.log.filter(({ level }) => level === 'error')).toEqual([]);
    } finally {
      await slow.stop();
    }
  });

  test('a caller who leaves in the midst of a pull takes the inner call along', async () => {
    api.misbehave({ kind: 'endless', type: 'application/zip' });
    const request = httpRequest({
      host: '127.0.0.1',
      port: stub.port,
      path: '/agent-stub/config/skills/greeter/pull',
      headers: { Authorization: `Bearer ${token}` },
    });
    request.on('error', () => {});
    let bytes = 0;
    request.on('response', (response) => response.on('data', (chunk: Buffer) => (bytes += chunk.length)));
    request.end();
    await until('some bytes', () => bytes > 1_000_000);
    expect(api.hanging()).toBe(1);
    request.destroy();
    await until('its end', () => api.hanging() === 0);
  });
});
