// The Agent Stub over gRPC (spec 05 §6, §11), asked by a client of another library: who may ask, what is refused and how.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCodecs, PATHS } from '../../../src/stub/grpc/schema.ts';
import type { StubGrpcOptions } from '../../../src/stub/grpc/server.ts';
import { type FakeDifyApi, htmlPage, jsonError, startFakeDifyApi } from '../../fakes/dify-api.ts';
import { until, within } from '../../support/until.ts';
import { OTHER_SECRET, SECRET } from '../kit.ts';
import { bareCall, bearer, clientOf, framed, refusalOf, type StubClient, startGrpc, type TestGrpc } from './kit.ts';

const REFERENCE = 'dify-file-ref:eyJyZWNvcmRfaWQiOiJ0b29sLWZpbGUtMSJ9';
const UNAUTHORIZED = 'Unauthenticated: invalid or missing Agent Stub authorization';
const CONNECT = { protocolVersion: 1, argv: ['connect', '--', 'ls'], metadataJson: '{}' };
const FILE = { file: { transferMethod: 'tool_file', reference: REFERENCE } };

let api: FakeDifyApi;
let grpc: TestGrpc;
let client: StubClient;
let token: string;

beforeAll(async () => {
  api = startFakeDifyApi();
  grpc = await startGrpc({
    SERVER_SECRET_KEY: SECRET,
    STUB_URL: 'grpc://agent.example.com:9091',
    DIFY_API_BASE_URL: api.url,
    DIFY_API_INNER_API_KEY: api.innerKey,
    STUB_RATE_LIMIT: '0',
  });
  client = grpc.client;
  token = await grpc.token();
});
afterAll(async () => {
  await grpc.stop();
  await api.stop();
});

/** A stub for the length of `use`. */
async function withGrpc(
  variables: Readonly<Record<string, string>>,
  use: (stub: TestGrpc) => Promise<void>,
  options: Partial<StubGrpcOptions> = {},
): Promise<void> {
  const one = await startGrpc(variables, options);
  try {
    await use(one);
  } finally {
    await one.stop();
  }
}

describe('Connect', () => {
  test('a valid token gives a fresh id each time', async () => {
    const first = await client.connect(CONNECT, bearer(token));
    const second = await client.connect({ protocolVersion: 1 }, bearer(token));
    expect(first).toMatchObject({ connectionId: expect.stringMatching(/^[0-9a-f-]{36}$/), status: 'connected' });
    expect(first.connectionId).not.toBe(second.connectionId);
  });

  test('field validation: version, metadata', async () => {
    const invalid = 'InvalidArgument: invalid Agent Stub connect request';
    const of = (change: object) => refusalOf(client.connect({ ...CONNECT, ...change }, bearer(token)));
    expect(await of({ protocolVersion: 0 })).toBe(invalid);
    expect(await of({ protocolVersion: 2 })).toBe(invalid);
    expect(await of({ metadataJson: '[]' })).toBe(invalid);
    expect(await of({ metadataJson: '"x"' })).toBe(invalid);
    expect(await of({ metadataJson: '{' })).toBe(invalid);
    expect(await of({ metadataJson: `${'['.repeat(100_000)}` })).toBe(invalid);
    expect(await of({ metadataJson: '' })).toBe('accepted');
    expect(await of({ metadataJson: '{"a":{"b":[1,null]}}' })).toBe('accepted');
  });
});

describe('tokens', () => {
  test('none, another scheme, garbage, one of another server, one that is over', async () => {
    const of = (authorization?: string) =>
      refusalOf(client.connect(CONNECT, { headers: authorization === undefined ? {} : { authorization } }));
    const foreign = await startGrpc({ SERVER_SECRET_KEY: OTHER_SECRET });
    const foreignToken = await grpc.token();
    await foreign.stop();
    expect(await of()).toBe(UNAUTHORIZED);
    expect(await of('')).toBe(UNAUTHORIZED);
    expect(await of(`bearer ${token}`)).toBe(UNAUTHORIZED);
    expect(await of(token)).toBe(UNAUTHORIZED);
    expect(await of('Basic dTpw')).toBe(UNAUTHORIZED);
    expect(await of('Bearer a.b.c.d.e')).toBe(UNAUTHORIZED);
    expect(await of(`Bearer ${foreignToken.slice(0, -4)}AAAA`)).toBe(UNAUTHORIZED);
    grpc.clock.now += 86_400;
    try {
      expect(await of(`Bearer ${token}`)).toBe(UNAUTHORIZED);
    } finally {
      grpc.clock.now -= 86_400;
    }
  });

  test('one that is far too long does not bring the server down', async () => {
    const of = (size: number) => refusalOf(client.connect(CONNECT, bearer('x'.repeat(size))));
    expect(await of(9_000)).toBe(UNAUTHORIZED);
    await of(200_000).catch(() => {}); // the connection may be gone
    expect(await refusalOf(clientOf(`http://127.0.0.1:${grpc.port}`).connect(CONNECT, bearer(token)))).toBe('accepted');
  });

  test('of two, the first counts', async () => {
    const headers = new Headers({ authorization: 'Bearer nonsense' });
    headers.append('authorization', `Bearer ${token}`);
    expect(await refusalOf(client.connect(CONNECT, { headers }))).toBe(UNAUTHORIZED);
  });

  test('whoever has none has nothing parsed: a bad message is still Unauthenticated', async () => {
    expect(await refusalOf(client.connect({ protocolVersion: 7 }))).toBe(UNAUTHORIZED);
  });

  test('without a secret nobody can have one', async () => {
    await withGrpc({}, async (bare) => {
      expect(await refusalOf(bare.client.connect(CONNECT, bearer(token)))).toBe(
        'Unavailable: Agent Stub is not configured',
      );
    });
  });

  test('a token that asks too often', async () => {
    await withGrpc({ SERVER_SECRET_KEY: SECRET, STUB_RATE_LIMIT: '1' }, async (strict) => {
      const mine = bearer(await strict.token());
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => refusalOf(strict.client.connect(CONNECT, mine))),
      );
      expect(answers).toContain('ResourceExhausted: Agent Stub rate limit exceeded');
      expect(answers).toContain('accepted');
    });
  });
});

describe('files', () => {
  beforeEach(() => {
    api.state.files.clear();
  });

  test('upload: the identity is the token’s', async () => {
    const before = api.requests.length;
    const { uploadUrl } = await client.createFileUploadRequest(
      { filename: 'é.txt', mimetype: 'text/plain' },
      bearer(token),
    );
    expect(uploadUrl).toStartWith(`${api.url}/files/upload/for-plugin?`);
    expect(api.requests.slice(before).map(({ body }) => body)).toEqual([
      { tenant_id: 't-1', user_id: 'u-1', filename: 'é.txt', mimetype: 'text/plain' },
    ]);
    expect(api.violations).toEqual([]);
  });

  test('download: the four members; the flag arrives as it was sent', async () => {
    const stored = api.state.addFile({
      tenantId: 't-1',
      filename: 'a.pdf',
      mimetype: 'application/pdf',
      bytes: new Uint8Array(7),
    });
    const reference = `dify-file-ref:${Buffer.from(JSON.stringify({ record_id: stored.id })).toString('base64')}`;
    const file = { transferMethod: 'tool_file', reference };
    const answer = await client.createFileDownloadRequest({ file }, bearer(token));
    expect(answer).toMatchObject({ filename: 'a.pdf', mimeType: 'application/pdf', size: 7n });
    await client.createFileDownloadRequest({ file, forFrontend: false }, bearer(token));
    await client.createFileDownloadRequest({ file, forFrontend: true }, bearer(token));
    const flags = api.requests.slice(-3).map(({ body }) => (body as { for_external?: boolean }).for_external); // JSON of ours
    expect(flags).toEqual([undefined, false, undefined]);
    expect(api.violations).toEqual([]);
  });

  test('a type that is unknown and a size beyond 32 bits', async () => {
    const data = { filename: 'x', mime_type: null, size: 5 * 2 ** 40, download_url: 'https://f/x' };
    api.misbehave(jsonError(200, { data, error: '' }));
    const answer = await client.createFileDownloadRequest(FILE, bearer(token));
    expect([answer.size, 'mimeType' in answer && answer.mimeType !== undefined]).toEqual([5n * 2n ** 40n, false]);
  });

  test('mappings that are none', async () => {
    const invalid = 'InvalidArgument: invalid Agent Stub file download request';
    const of = (file?: object) =>
      refusalOf(client.createFileDownloadRequest(file === undefined ? {} : { file }, bearer(token)));
    expect(await of()).toBe(invalid);
    expect(await of({})).toBe(invalid);
    expect(await of({ transferMethod: 'tool_file' })).toBe(invalid);
    expect(await of({ transferMethod: 'tool_file', reference: '' })).toBe(invalid);
    expect(await of({ transferMethod: 'tool_file', reference: 'c0ffee' })).toBe(invalid);
    expect(await of({ transferMethod: 'remote_url', url: '' })).toBe(invalid);
    // Present and empty counts as given.
    expect(await of({ transferMethod: 'tool_file', reference: REFERENCE, url: '' })).toBe(invalid);
    expect(await of({ transferMethod: 'remote_url', url: 'https://x/y', reference: '' })).toBe(invalid);
    expect(await of({ transferMethod: 'carrier_pigeon', reference: REFERENCE })).toBe(invalid);
    const array = `dify-file-ref:${Buffer.from('[1]').toString('base64')}`;
    expect(await of({ transferMethod: 'tool_file', reference: array })).toBe(invalid);
    expect(await of({ transferMethod: 'remote_url', url: 'https://x/y' })).toBe('accepted');
  });

  test('a message of the wrong types', async () => {
    const { grpcStatus, message } = await bareCall(
      grpc.port,
      { ':path': PATHS.upload, authorization: `Bearer ${token}` },
      framed(Buffer.from('0801', 'hex')), // a number where the name is
    );
    expect([grpcStatus, message]).toEqual(['3', 'invalid Agent Stub file upload request']);
  });

  test('without a Dify API, validation comes first', async () => {
    await withGrpc({ SERVER_SECRET_KEY: SECRET }, async (bare) => {
      const mine = bearer(await bare.token());
      const missing = 'Unavailable: Agent Stub file API is not configured';
      const upload = { filename: 'x', mimetype: 'y' };
      expect(await refusalOf(bare.client.createFileUploadRequest(upload, mine))).toBe(missing);
      expect(await refusalOf(bare.client.createFileDownloadRequest(FILE, mine))).toBe(missing);
      const bad = { file: { transferMethod: 'tool_file' } };
      expect(await refusalOf(bare.client.createFileDownloadRequest(bad, mine))).toStartWith('InvalidArgument');
    });
  });

  test('a token that does not say who asks', async () => {
    const mine = bearer(await grpc.token({ user_id: null }));
    expect(await refusalOf(client.createFileUploadRequest({ filename: 'x', mimetype: 'y' }, mine))).toBe(
      'FailedPrecondition: execution context user_id is required for file operations',
    );
  });
});

describe('what the Dify API says becomes a status', () => {
  test.each([
    [400, 'FailedPrecondition'],
    [403, 'PermissionDenied'],
    [404, 'NotFound'],
    [408, 'DeadlineExceeded'],
    [409, 'FailedPrecondition'],
    [413, 'FailedPrecondition'],
    [422, 'FailedPrecondition'],
    [429, 'ResourceExhausted'],
    [500, 'Unavailable'],
    [502, 'Unavailable'],
    [503, 'Unavailable'],
    [504, 'DeadlineExceeded'],
  ])('%d', async (status, code) => {
    api.misbehave(jsonError(status, { detail: `said ${status}` }));
    expect(await refusalOf(client.createFileDownloadRequest(FILE, bearer(token)))).toBe(`${code}: said ${status}`);
  });

  test('structured details are told with message and code', async () => {
    api.misbehave(jsonError(400, { code: 'file_gone', message: 'it went away — für immer 😀' }));
    const told = await refusalOf(client.createFileDownloadRequest(FILE, bearer(token)));
    expect(told).toStartWith('FailedPrecondition: ');
    expect(told).toContain('file_gone');
    expect(told).toContain('it went away — für immer 😀');
  });

  test('its 401 is the server’s trouble, not the caller’s, even in the stub’s own words', async () => {
    api.misbehave(jsonError(401, { detail: 'invalid or missing Agent Stub authorization' }));
    expect(await refusalOf(client.createFileDownloadRequest(FILE, bearer(token)))).toStartWith(
      'Unavailable: Dify API file request failed',
    );
  });

  test('long and odd details do not break the call', async () => {
    for (const detail of ['é'.repeat(8_000), '\u0000\r\n\t', '%zz%', '\ud800 alone', '']) {
      api.misbehave(jsonError(404, { detail }));
      expect(await refusalOf(client.createFileDownloadRequest(FILE, bearer(token)))).toStartWith('NotFound');
    }
  });

  test('HTML and envelopes with errors', async () => {
    api.misbehave(htmlPage(502), jsonError(200, { data: null, error: 'file not found' }));
    const of = () => refusalOf(client.createFileDownloadRequest(FILE, bearer(token)));
    expect(await of()).toBe('Unavailable: Dify API file request returned invalid JSON');
    expect(await of()).toBe('FailedPrecondition: file not found');
  });

  test('what nobody expected is told as little as possible, and logged', async () => {
    const broken = await startGrpc(
      { SERVER_SECRET_KEY: SECRET },
      {
        operations: () => Promise.reject(new Error('secret of the house')),
      },
    );
    try {
      expect(await refusalOf(broken.client.connect(CONNECT, bearer(token)))).toBe(
        'Internal: internal Agent Stub error',
      );
      expect(broken.log.filter(({ level }) => level === 'error')).toHaveLength(1);
    } finally {
      await broken.stop();
    }
  });
});

describe('calls that end early', () => {
  test('a cancelled call cancels the one to the Dify API, and nobody is alarmed', async () => {
    api.misbehave({ kind: 'hang' });
    const caller = new AbortController();
    const call = refusalOf(client.createFileDownloadRequest(FILE, { ...bearer(token), signal: caller.signal }));
    await until('the call to arrive', () => api.hanging() === 1);
    const before = grpc.log.length;
    caller.abort();
    expect(await call).toStartWith('Canceled');
    await until('the call to be cancelled', () => api.hanging() === 0);
    expect(grpc.log.slice(before).filter(({ level }) => level !== 'debug')).toEqual([]);
  });

  test('a deadline of the caller does, too', async () => {
    api.misbehave({ kind: 'hang' });
    const call = refusalOf(client.createFileDownloadRequest(FILE, { ...bearer(token), timeoutMs: 150 }));
    expect(await call).toStartWith('DeadlineExceeded');
    await until('the call to be cancelled', () => api.hanging() === 0);
  });

  test('a connection that breaks does, too', async () => {
    api.misbehave({ kind: 'hang' });
    const { promise, resolve } = Promise.withResolvers<void>();
    const message = createCodecs().downloadRequest.encode({
      file: { transfer_method: 'tool_file', reference: REFERENCE },
    });
    const call = bareCall(
      grpc.port,
      { ':path': PATHS.download, authorization: `Bearer ${token}` },
      framed(message),
      true,
      promise,
    );
    await until('the call to arrive', () => api.hanging() === 1);
    resolve();
    await call.catch(() => {});
    await until('the call to be cancelled', () => api.hanging() === 0);
  });
});

describe('what is no call of ours', () => {
  const authorized = () => ({ authorization: `Bearer ${token}` });

  test('an unknown method, an unknown service', async () => {
    for (const path of ['/dify.agent.stub.v1.AgentStubService/Disconnect', '/grpc.health.v1.Health/Check', '/x', '/']) {
      expect((await bareCall(grpc.port, { ':path': path, ...authorized() }, framed(Buffer.alloc(0)))).grpcStatus).toBe(
        '12',
      );
    }
  });

  test('another content type, another HTTP method', async () => {
    const json = await bareCall(
      grpc.port,
      { ':path': PATHS.connect, 'content-type': 'application/json', ...authorized() },
      Buffer.from('{}'),
    );
    expect(json.status).toBe(415);
    const get = await bareCall(
      grpc.port,
      { ':method': 'GET', ':path': PATHS.connect, ...authorized() },
      Buffer.alloc(0),
    );
    expect(get.grpcStatus === '0').toBe(false);
  });

  test('a message that does not come is not waited for', async () => {
    const impatient = await startGrpc({ SERVER_SECRET_KEY: SECRET }, { timings: { messageMs: 100 } });
    try {
      const headers = { ':path': PATHS.connect, authorization: `Bearer ${await impatient.token()}` };
      const begun = Buffer.from([0, 0, 0, 0, 9, 1]);
      expect((await bareCall(impatient.port, headers, begun, false)).grpcStatus).toBe('4');
    } finally {
      await impatient.stop();
    }
  });

  test('whoever has no token is refused before its message has come', async () => {
    const announced = Buffer.from([0, 0, 0x30, 0, 0]);
    const { grpcStatus } = await bareCall(grpc.port, { ':path': PATHS.upload }, announced, false);
    expect(grpcStatus).toBe('16');
  });

  test('no message at all, a broken one, one that is compressed by nobody knows what', async () => {
    const of = async (body: Buffer, headers: Readonly<Record<string, string>> = {}) =>
      (await bareCall(grpc.port, { ':path': PATHS.connect, ...authorized(), ...headers }, body)).grpcStatus;
    expect(await of(Buffer.alloc(0))).toBe('3');
    expect(await of(Buffer.from([0, 0, 0, 0, 9, 1]))).not.toBe('0');
    expect(await of(Buffer.concat([Buffer.from([1]), framed(Buffer.alloc(3)).subarray(1)]))).not.toBe('0');
    expect(await of(framed(Buffer.from('ffff', 'hex')))).toBe('3');
    expect(await refusalOf(client.connect(CONNECT, bearer(token)))).toBe('accepted');
  });

  test('a message over 4 MiB is not taken, also when it is only announced', async () => {
    // Its client keeps the refused stream open: the stop cuts it.
    const one = await startGrpc({ SERVER_SECRET_KEY: SECRET }, { timings: { drainMs: 50 } });
    try {
      const big = { filename: 'x'.repeat(4 * 1024 * 1024), mimetype: '' };
      expect(await refusalOf(one.client.createFileUploadRequest(big, bearer(token)))).toStartWith('ResourceExhausted');
      const announced = Buffer.from([0, 0xff, 0xff, 0xff, 0xff]);
      const { grpcStatus } = await bareCall(one.port, { ':path': PATHS.upload, ...authorized() }, announced, false);
      expect(grpcStatus).toBe('8');
      expect(await refusalOf(one.client.connect(CONNECT, bearer(token)))).toBe('accepted');
    } finally {
      await one.stop();
    }
  });

  test('connections on which nothing happens are closed, those with calls are not', async () => {
    const options = { timings: { idleMs: 300, pingMs: 50 } };
    await withGrpc(
      { SERVER_SECRET_KEY: SECRET, INNER_API_URL: api.url, INNER_API_KEY: api.innerKey },
      async (one) => {
        const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
        const closings = [Buffer.alloc(0), Buffer.from('PRI * HT'), preface].map(async (said) => {
          const closed = Promise.withResolvers<void>();
          const socket = createConnection(one.port, '127.0.0.1');
          socket.on('close', () => closed.resolve());
          socket.on('error', () => {});
          socket.on('data', () => {});
          socket.write(said);
          await closed.promise;
        });
        api.misbehave({ kind: 'hang' });
        const abort = new AbortController();
        const mine = { ...bearer(await one.token()), signal: abort.signal };
        const call = refusalOf(one.client.createFileUploadRequest({ filename: 'x', mimetype: 'y' }, mine));
        await until('the call to arrive', () => api.hanging() === 1);
        await within('the silent connections to be closed', Promise.all(closings));
        expect(api.hanging()).toBe(1);
        abort.abort();
        expect(await call).toStartWith('Canceled');
        await until('the call to be cancelled', () => api.hanging() === 0);
      },
      options,
    );
  });

  test('HTTP/1.1 and nonsense on the port', async () => {
    for (const text of [
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0garbage that is none',
      '\0'.repeat(64),
    ]) {
      const socket = createConnection(grpc.port, '127.0.0.1');
      const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
      socket.on('error', () => {});
      socket.end(text);
      socket.resume();
      await within('the connection to be closed', closed);
    }
    expect(await refusalOf(client.connect(CONNECT, bearer(token)))).toBe('accepted');
  });
});

describe('start and stop', () => {
  test('a second one on the same port says which variable to change', async () => {
    const second = startGrpc({ SERVER_SECRET_KEY: SECRET }, { bind: `127.0.0.1:${grpc.port}` });
    await expect(second).rejects.toThrow(`DIFY_AGENT_STUB_GRPC_BIND_ADDRESS: cannot listen on 127.0.0.1:${grpc.port}`);
  });

  test('IPv6', async () => {
    const six = await startGrpc({ SERVER_SECRET_KEY: SECRET }, { bind: '[::1]:0' });
    try {
      const mine = bearer(await six.token());
      expect(await refusalOf(clientOf(`http://[::1]:${six.port}`).connect(CONNECT, mine))).toBe('accepted');
    } finally {
      await six.stop();
    }
  });

  test('a stop takes no new calls and waits for those under way', async () => {
    const one = await startGrpc({
      SERVER_SECRET_KEY: SECRET,
      DIFY_API_BASE_URL: api.url,
      DIFY_API_INNER_API_KEY: api.innerKey,
    });
    const slow = slowApi();
    const two = await startGrpc({
      SERVER_SECRET_KEY: SECRET,
      DIFY_API_BASE_URL: slow.url,
      DIFY_API_INNER_API_KEY: 'k',
    });
    const mine = bearer(await two.token());
    const call = two.client.createFileUploadRequest({ filename: 'x', mimetype: 'y' }, mine);
    await slow.arrived;
    const stopping = two.stop();
    await until('new connections to be refused', async () => {
      const refusal = await refusalOf(clientOf(`http://127.0.0.1:${two.port}`).connect(CONNECT, mine));
      return refusal.startsWith('Unavailable') || refusal.startsWith('Internal') || refusal.startsWith('Aborted');
    });
    slow.answer();
    expect((await call).uploadUrl).toBe('https://u/1');
    await within('the stop', stopping, 4_000);
    await slow.stop();
    await one.stop();
  });

  test('a stop waits for a while only', async () => {
    const one = await startGrpc(
      { SERVER_SECRET_KEY: SECRET, DIFY_API_BASE_URL: api.url, DIFY_API_INNER_API_KEY: api.innerKey },
      { timings: { drainMs: 50 } },
    );
    api.misbehave({ kind: 'hang' });
    const call = refusalOf(
      one.client.createFileUploadRequest({ filename: 'x', mimetype: 'y' }, bearer(await one.token())),
    );
    await until('the call to arrive', () => api.hanging() === 1);
    await one.stop();
    expect(await call).not.toBe('accepted');
    await until('the call to be cancelled', () => api.hanging() === 0);
  });

  test('stopping twice, and one that never started', async () => {
    const one = await startGrpc({ SERVER_SECRET_KEY: SECRET });
    await Promise.all([one.stop(), one.stop()]);
    await one.stop();
  });
});

/** A Dify API that answers an upload request when it is told to. */
function slowApi() {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  const { promise: told, resolve: answer } = Promise.withResolvers<void>();
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch() {
      arrive();
      await told;
      return Response.json({ data: { url: 'https://u/1' }, error: '' });
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, arrived, answer, stop: () => server.stop(true) };
}

describe('TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'grpc-tls-'));
  const certFile = join(folder, 'cert.pem');
  const keyFile = join(folder, 'key.pem');
  beforeAll(() => {
    const made = Bun.spawnSync(
      [
        'openssl',
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ].concat([
        '-subj',
        '/CN=localhost',
        '-addext',
        'subjectAltName=DNS:localhost,IP:127.0.0.1',
        '-keyout',
        keyFile,
        '-out',
        certFile,
      ]),
    );
    if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('is spoken with the files that are given', async () => {
    const secure = await startGrpc({ SERVER_SECRET_KEY: SECRET }, { tls: { certFile, keyFile } });
    try {
      const mine = bearer(await secure.token());
      const trusting = clientOf(`https://127.0.0.1:${secure.port}`, { ca: readFileSync(certFile) });
      expect(await refusalOf(trusting.connect(CONNECT, mine))).toBe('accepted');
      const doubting = clientOf(`https://127.0.0.1:${secure.port}`);
      expect(await refusalOf(doubting.connect(CONNECT, mine))).not.toBe('accepted');
    } finally {
      await secure.stop();
    }
  });

  test('files that are missing or none name their variable', async () => {
    const start = (cert: string, key: string) =>
      startGrpc({ SERVER_SECRET_KEY: SECRET }, { tls: { certFile: cert, keyFile: key } });
    await expect(start('/nowhere/cert.pem', keyFile)).rejects.toThrow('DIFY_AGENT_STUB_GRPC_TLS_CERT: ');
    await expect(start(certFile, '/nowhere/key.pem')).rejects.toThrow('DIFY_AGENT_STUB_GRPC_TLS_KEY: ');
    const garbage = join(folder, 'garbage.pem');
    writeFileSync(garbage, '-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n');
    await expect(start(garbage, keyFile)).rejects.toThrow('DIFY_AGENT_STUB_GRPC_TLS_CERT');
    await expect(start(certFile, certFile)).rejects.toThrow('DIFY_AGENT_STUB_GRPC_TLS_');
  });
});
