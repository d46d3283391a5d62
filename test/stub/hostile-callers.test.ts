// Callers who mean harm, or know no better: requests by raw sockets, headers and JSON at their edges, tokens and tickets at the
// end of their time, bodies and answers that are not taken.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createConnection, type Socket } from 'node:net';
import { type FakeDifyApi, startFakeDifyApi } from '../fakes/dify-api.ts';
import { until } from '../support/until.ts';
import { ask, codec, contextOf, OTHER_SECRET, SECRET, startStub, type TestStub } from './kit.ts';

const UNAUTHORIZED = { detail: 'invalid or missing Agent Stub authorization' };
const BODY = '{"argv":[]}';

let api: FakeDifyApi;
let stub: TestStub;
let token: string;

beforeAll(async () => {
  api = startFakeDifyApi();
  stub = startStub({
    SERVER_SECRET_KEY: SECRET,
    STUB_URL: 'https://agent.example.com/agent-stub',
    DIFY_API_BASE_URL: api.url,
    DIFY_API_INNER_API_KEY: api.innerKey,
    STUB_RATE_LIMIT: '0',
  });
  token = await stub.token();
});
afterAll(async () => {
  await stub.stop();
  await api.stop();
});

/** A connection and what came back on it. */
interface Raw {
  readonly socket: Socket;
  readonly seen: string;
  readonly ended: boolean;
}

function raw(text: string | Buffer): Raw {
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
  return {
    socket,
    get seen() {
      return seen;
    },
    get ended() {
      return ended;
    },
  };
}

/** The head of a POST to `connections`, up to the headers that are under test. */
const post = (...headers: readonly string[]): string =>
  ['POST /agent-stub/connections HTTP/1.1', 'Host: localhost', 'Connection: close', ...headers, '', ''].join('\r\n');

/** Status line and body of an answer that ends its connection. */
async function exchange(text: string | Buffer): Promise<string> {
  const connection = raw(text);
  await until('the end of the answer', () => connection.ended);
  return connection.seen;
}

describe('headers', () => {
  const length = `Content-Length: ${BODY.length}`;

  test.each<[string, (good: string) => readonly string[], number]>([
    ['one good token', (good) => [`Authorization: Bearer ${good}`], 200],
    ['any case of the name', (good) => [`aUTHORIZATION: Bearer ${good}`], 200],
    ['blanks around it', (good) => [`Authorization:   Bearer   ${good}  `], 200],
    ['the scheme in lower case', (good) => [`Authorization: bearer ${good}`], 401],
    ['the scheme in upper case', (good) => [`Authorization: BEARER ${good}`], 401],
    ['no scheme', (good) => [`Authorization: ${good}`], 401],
    ['a tab behind the scheme', (good) => [`Authorization: Bearer\t${good}`], 401],
    ['two tokens', (good) => [`Authorization: Bearer ${good} ${good}`], 401],
    ['quotes', (good) => [`Authorization: Bearer "${good}"`], 401],
    ['a parameter', (good) => [`Authorization: Bearer token=${good}`], 401],
    ['the header twice', (good) => [`Authorization: Bearer ${good}`, `Authorization: Bearer ${good}`], 401],
    ['another one before it', (good) => ['Authorization: Basic dTpw', `Authorization: Bearer ${good}`], 401],
    ['another one behind it', (good) => [`Authorization: Bearer ${good}`, 'Authorization: Basic dTpw'], 401],
    ['another header', (good) => [`Proxy-Authorization: Bearer ${good}`, `X-Authorization: Bearer ${good}`], 401],
    ['a cookie', (good) => [`Cookie: authorization=Bearer ${good}`], 401],
    ['a token in a query', () => [], 401],
  ])('%s', async (_, headers, status) => {
    const answer = await exchange(post(...headers(token), length) + BODY);
    expect(answer).toStartWith(`HTTP/1.1 ${status} `);
    if (status === 401) expect(answer).toEndWith(JSON.stringify(UNAUTHORIZED));
  });

  test('a giant one ends at the door', async () => {
    const connection = raw(post(`Authorization: Bearer ${'a'.repeat(1_000_000)}`, length));
    await until('an answer', () => connection.seen !== '');
    expect(connection.seen).toMatch(/^HTTP\/1.1 431 /);
    connection.socket.destroy();
  });

  test('two framings at once are no request', async () => {
    const both = [`Authorization: Bearer ${token}`, length, 'Transfer-Encoding: chunked'];
    expect(await exchange(`${post(...both)}b\r\n${BODY}\r\n0\r\n\r\n`)).toStartWith('HTTP/1.1 400 ');
    const twice = [`Authorization: Bearer ${token}`, length, 'Content-Length: 0'];
    expect(await exchange(post(...twice) + BODY)).toStartWith('HTTP/1.1 400 ');
  });

  test('the body of a GET is not the next request', async () => {
    const inside = `POST /agent-stub/connections HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n${length}\r\n\r\n${BODY}`;
    const head = [
      'GET /agent-stub/drive/manifest HTTP/1.1',
      'Host: localhost',
      'Connection: close',
      `Authorization: Bearer ${token}`,
      `Content-Length: ${inside.length}`,
    ];
    const answer = await exchange(`${head.join('\r\n')}\r\n\r\n${inside}`);
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(answer).toEndWith('{"items":[]}');
  });
});

describe('bodies', () => {
  const sent = async (body: string | Buffer): Promise<number> =>
    (await stub.ask('POST', '/connections', { token, body })).status;

  test('in chunks count like others, and end at the bound', async () => {
    const head = post(`Authorization: Bearer ${token}`, 'Transfer-Encoding: chunked');
    const small = await exchange(`${head}1\r\n{\r\na\r\n"argv":[]}\r\n0\r\n\r\n`);
    expect(small).toStartWith('HTTP/1.1 200 ');
    const piece = `10000\r\n${' '.repeat(65_536)}\r\n`;
    const large = await exchange(`${head}${piece.repeat(17)}0\r\n\r\n`);
    expect(large).toStartWith('HTTP/1.1 413 ');
  });

  test.each<[string, number]>([
    ['{"argv":[],"metadata":{"x":NaN,"y":-Infinity}}', 200],
    ['{"argv":[],"metadata":{"x":1e999999}}', 200],
    ['{"argv":[],"metadata":{"x":12345678901234567890123}}', 200],
    ['{"argv":[],"metadata":{"__proto__":{"tenant_id":"t-2"},"constructor":1}}', 200],
    ['{"argv":"x","argv":[]}', 200],
    ['{"argv":[],"argv":"x"}', 422],
    ['{"argv":[],"__proto__":{}}', 422],
    ['{"argv":[],"protocol_version":NaN}', 422],
    ['{"argv":[],"protocol_version":"1"}', 422],
    ['{"argv":[],"protocol_version":2}', 422],
    ['{"argv":[null]}', 422],
    ['{"argv":{"0":"x"}}', 422],
    ['{"argv":[],"metadata":[]}', 422],
    ["{'argv':[]}", 422],
    ['{"argv":[],}', 422],
    ['{"argv":[]}\0', 422],
    ['true', 422],
    ['"x"', 422],
    [`{"argv":[],"protocol_version":${'1'.repeat(5_000)}}`, 400],
  ])('%s is %d', async (body, status) => {
    expect(await sent(body)).toBe(status);
  });

  test('half a million brackets are refused, not followed', async () => {
    expect(await sent('['.repeat(524_288) + ']'.repeat(524_288))).toBe(400);
    expect(await sent('{"metadata":'.repeat(80_000))).toBe(400);
  });

  test('a mistake for every byte is answered in bounds', async () => {
    for (const body of [
      `{"argv":[${'1,'.repeat(500_000)}1]}`,
      `{"argv":[],${Array.from({ length: 80_000 }, (_, i) => `"k${i}":1`).join(',')}}`,
    ]) {
      const { status, bytes } = await stub.ask('POST', '/connections', { token, body });
      expect(status).toBe(422);
      expect(bytes.length).toBeLessThan(2_000_000);
    }
  });

  test('texts that are no Unicode reach the API as they came', async () => {
    const body = '{"filename":"a\\ud800","mimetype":"\\u0000"}';
    const { status } = await stub.ask('POST', '/files/upload-request', { token, body });
    expect(status).toBe(200);
    expect(api.requests.at(-1)?.body).toMatchObject({ filename: 'a\ud800', mimetype: '\0' });
  });
});

describe('names in paths', () => {
  test.each([
    '..%2f..%2fsecrets',
    '%2e%2e%2f',
    '..%5c..%5c',
    '%2e',
    '%2E%2e',
    '%00',
    'a%00.txt',
    'a%0d%0aX-Inner:1',
    '%7f',
    '%c2%85',
    '%c2%9f',
    'x'.repeat(10_240),
    '%f0%9f%98%80'.repeat(800),
  ])('%s is nobody, and the API is not asked', async (name) => {
    const before = api.requests.length;
    const answer = await ask(stub.port, 'GET', `/agent-stub/config/files/${name}/pull`, { token });
    expect([404, 422]).toContain(answer.status);
    expect(api.requests.length).toBe(before);
  });

  test.each([
    ['a?b', 'a%3Fb'],
    ['a#b', 'a%23b'],
    ['a%2eb', 'a%252eb'],
    ['%2e%2e', '%252e%252e'],
    ['．．', '%EF%BC%8E%EF%BC%8E'],
    ['‥', '%E2%80%A5'],
    ['a;b=c&d', 'a%3Bb%3Dc%26d'],
    [' a ', 'a'],
    ['é', '%C3%A9'],
  ])('%j is one segment of the path that the API is asked for', async (name, segment) => {
    await ask(stub.port, 'GET', `/agent-stub/config/files/${encodeURIComponent(name)}/pull`, { token });
    expect(api.requests.at(-1)?.path).toBe(`/inner/api/agent-config/a-1/files/${segment}/pull`);
  });

  test('escapes that are none stay as they are', async () => {
    await ask(stub.port, 'GET', '/agent-stub/config/files/a%ffb%/pull', { token });
    expect(api.requests.at(-1)?.path).toBe('/inner/api/agent-config/a-1/files/a%25ffb%25/pull');
  });

  test('HEAD asks nobody: it is no method of theirs', async () => {
    const before = api.requests.length;
    for (const path of ['/drive/manifest', '/config/manifest', '/config/files/x/pull']) {
      const answer = await stub.ask('HEAD', path, { token });
      expect([path, answer.status, answer.headers.allow]).toEqual([path, 405, 'GET']);
    }
    expect(api.requests.length).toBe(before);
  });
});

describe('a token whose run ends', () => {
  const issue = async () => {
    const issued = await stub.stub.environments?.issue({ context: contextOf(), sessionId: 's', driveRef: null });
    if (issued === undefined) throw new Error('no environments');
    return { own: issued.env.DIFY_AGENT_STUB_AUTH_JWE ?? '', revoke: issued.revoke };
  };

  test.each([
    ['/connections', '{"argv":[]}'],
    ['/files/upload-request', '{"filename":"a","mimetype":"b"}'],
  ])('while its request is still being sent to %s is refused', async (path, body) => {
    const { own, revoke } = await issue();
    const before = api.requests.length;
    const head = [
      `POST /agent-stub${path} HTTP/1.1`,
      'Host: localhost',
      'Connection: close',
      `Authorization: Bearer ${own}`,
    ];
    const connection = raw(`${head.join('\r\n')}\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`);
    // The server asks for the body when it has seen the head; the token is checked at once.
    await until('the server to want the body', () => connection.seen.includes('100 Continue'));
    expect(await (await stub.ask('POST', '/connections', { token: own, body: BODY })).status).toBe(200);
    revoke();
    connection.socket.write(body);
    await until('the answer', () => connection.ended);
    expect(connection.seen).toContain('HTTP/1.1 401 ');
    expect(api.requests.length).toBe(before);
  });

  test('takes its tickets along, also those that were made before', async () => {
    api.state.addConfig('a-1').files.set('n.txt', new TextEncoder().encode('hello'));
    const { own, revoke } = await issue();
    const body = { config: { kind: 'file', name: 'n.txt' }, for_frontend: false };
    const { json } = await stub.ask('POST', '/files/download-request', { token: own, body });
    const path = new URL((json as { download_url: string }).download_url).pathname; // a 200 has one
    expect((await ask(stub.port, 'GET', path)).bytes.toString()).toBe('hello');
    revoke();
    expect((await ask(stub.port, 'GET', path)).status).toBe(404);
  });

  test('is refused before anything else is looked at', async () => {
    const { own, revoke } = await issue();
    revoke();
    for (const [method, path, body] of [
      ['POST', '/connections', '{'],
      ['POST', '/drive/commit', '{"items":1}'],
      ['GET', '/config/files/%00/pull', undefined],
    ] as const) {
      expect((await stub.ask(method, path, { token: own, body })).json).toEqual(UNAUTHORIZED);
    }
  });

  test('expired and revoked look the same from outside', async () => {
    const { own, revoke } = await issue();
    const refusal = async () => {
      const { status, json, headers } = await stub.ask('POST', '/connections', { token: own, body: BODY });
      return { status, json, headers: { ...headers, date: '' } };
    };
    stub.clock.now += 86_400;
    const expired = await refusal();
    stub.clock.now -= 86_400;
    revoke();
    expect(await refusal()).toEqual(expired);
    expect(expired).toMatchObject({ status: 401, json: UNAUTHORIZED });
  });

  test('is accepted again after a clock that was ahead is set back, and revoked for good', async () => {
    const { own, revoke } = await issue();
    const status = async () => (await stub.ask('POST', '/connections', { token: own, body: BODY })).status;
    expect(await status()).toBe(200);
    stub.clock.now += 90_000;
    expect(await status()).toBe(401);
    revoke();
    stub.clock.now -= 90_000;
    expect(await status()).toBe(401);
    stub.clock.now -= 3_600;
    expect(await status()).toBe(401);
    stub.clock.now += 3_600;
  });
});

test('a ticket counts against its token', async () => {
  const limited = startStub({
    SERVER_SECRET_KEY: SECRET,
    STUB_URL: 'https://agent.example.com/agent-stub',
    DIFY_API_BASE_URL: api.url,
    DIFY_API_INNER_API_KEY: api.innerKey,
    STUB_RATE_LIMIT: '0.3',
  });
  try {
    api.state.addConfig('a-1').files.set('n.txt', new TextEncoder().encode('hello'));
    const own = await limited.token();
    const body = { config: { kind: 'file', name: 'n.txt' }, for_frontend: false };
    const { json } = await limited.ask('POST', '/files/download-request', { token: own, body });
    const path = new URL((json as { download_url: string }).download_url).pathname; // a 200 has one
    const statuses = [];
    for (let i = 0; i < 3; i++) statuses.push((await ask(limited.port, 'GET', path)).status);
    expect(statuses).toEqual([200, 200, 429]);
  } finally {
    await limited.stop();
  }
});

test('a context that leaves no room for a ticket is told', async () => {
  api.state.addConfig('a-1').files.set('n'.repeat(250), new Uint8Array(1));
  const own = await stub.token({ trace_id: 'x'.repeat(5_500) });
  const body = { config: { kind: 'file', name: 'n'.repeat(250) }, for_frontend: false };
  const answer = await stub.ask('POST', '/files/download-request', { token: own, body });
  expect([answer.status, answer.json]).toEqual([
    400,
    { detail: 'the execution context is too large for a config download' },
  ]);
});

describe('secrets in all directions', () => {
  const accepts = async (current: string, previous: readonly string[], made: string): Promise<boolean> => {
    const { token: own } = await codec(stub.clock, made).issue(contextOf(), null);
    return (await codec(stub.clock, current, previous).check(`Bearer ${own}`)).ok;
  };
  const third = Buffer.alloc(32, 9).toString('base64url');

  test.each<[string, string, readonly string[], string, boolean]>([
    ['the current one', SECRET, [], SECRET, true],
    ['a previous one', SECRET, [OTHER_SECRET], OTHER_SECRET, true],
    ['the last of several', SECRET, [third, OTHER_SECRET], OTHER_SECRET, true],
    ['a server that is ahead: the next one is already among the previous', SECRET, [OTHER_SECRET], OTHER_SECRET, true],
    ['a server that is behind', OTHER_SECRET, [], SECRET, false],
    ['one that was taken away', SECRET, [third], OTHER_SECRET, false],
    ['the current one also among the previous', SECRET, [SECRET], SECRET, true],
  ])('%s', async (_, current, previous, made, expected) => {
    expect(await accepts(current, previous, made)).toBe(expected);
  });
});

describe('connections', () => {
  test('are patient while the API is asked, and impatient again with the answer', async () => {
    const config = api.state.addConfig('a-1');
    config.files.set('n.txt', new Uint8Array(100_000));
    const calls: readonly [string, string, unknown?][] = [
      ['POST', '/connections', { argv: [] }],
      ['GET', '/drive/manifest'],
      ['POST', '/files/upload-request', { filename: 'a', mimetype: 'b' }],
      ['POST', '/files/upload-request', { filename: 1 }],
      ['GET', '/config/files/n.txt/pull'],
      ['GET', '/config/files/other/pull'],
      ['GET', '/config/files/%00/pull'],
      ['GET', '/config/downloads/x'],
    ];
    for (const [method, path, body] of calls) {
      await stub.ask(method, path, { token, body });
      await until(`the end of ${method} ${path}`, () => stub.patient() === 0);
    }
    api.misbehave({ kind: 'hang' });
    const leaving = raw(
      `GET /agent-stub/drive/manifest HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    );
    await until('the inner call', () => api.hanging() === 1);
    expect(stub.patient()).toBe(1);
    leaving.socket.destroy();
    await until('the end', () => stub.patient() === 0 && api.hanging() === 0);
  });

  test('of somebody who takes nothing hold the API back, and let it go when they close', async () => {
    api.misbehave({ kind: 'endless', type: 'application/zip' });
    const idle = createConnection(stub.port, '127.0.0.1', () =>
      idle.write(
        `GET /agent-stub/config/files/n.txt/pull HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      ),
    );
    idle.on('error', () => {});
    idle.pause();
    await until('the inner call', () => api.hanging() === 1);
    // The fake's stream is pulled as long as somebody takes: it stands still when all buffers are full.
    let last = -1;
    await until(
      'the flow to stop',
      () => {
        const now = api.endlessBytes();
        const still = now === last;
        last = now;
        return still && now > 0;
      },
      { everyMs: 200 },
    );
    expect(last).toBeLessThan(64_000_000);
    idle.destroy();
    await until('the end', () => api.hanging() === 0 && stub.patient() === 0);
  });
});
