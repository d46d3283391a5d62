// The client of the Dify API against the fake one: keys, redirects, time-outs, bounds, cancelling, the pool.

import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import type { DifyApiLimits, DifyApiTarget } from '../../../src/peers/dify-api/client.ts';
import { createDifyApiClient, type DifyApiCall, type DifyApiClient } from '../../../src/peers/dify-api/client.ts';
import { type FakeDifyApi, htmlPage, jsonError, startFakeDifyApi } from '../../fakes/dify-api.ts';
import { until } from '../../support/until.ts';

const UPLOAD: DifyApiCall = {
  method: 'POST',
  path: '/inner/api/upload/file/request',
  body: { tenant_id: 't', user_id: 'u', filename: 'a', mimetype: 'b' },
  owner: 'o',
  totalMs: null,
};
const PULL: DifyApiCall = {
  method: 'GET',
  path: '/inner/api/agent-config/a-1/files/big/pull?tenant_id=t&config_version_id=v-1&config_version_kind=build_draft',
  owner: 'o',
  totalMs: null,
};
const NEVER = new AbortController().signal;

let api: FakeDifyApi;
const clients: DifyApiClient[] = [];

beforeEach(() => {
  api = startFakeDifyApi();
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await api.stop();
});

function client(change: Partial<DifyApiTarget> = {}, limits: Partial<DifyApiLimits> = {}): DifyApiClient {
  const made = createDifyApiClient(
    {
      baseUrl: api.url,
      innerApiKey: api.innerKey,
      connectTimeoutSeconds: 10,
      readTimeoutSeconds: 10,
      poolTimeoutSeconds: 10,
      maxConnections: 4,
      ...change,
    },
    { userAgent: 'dify-agent/test', limits },
  );
  clients.push(made);
  return made;
}

describe('a call', () => {
  test('carries the key, JSON and our name, and nothing of a proxy', async () => {
    expect(await client().json(UPLOAD, NEVER)).toMatchObject({ data: { url: expect.stringContaining(api.url) } });
    const [request] = api.requests;
    expect(request?.body).toEqual(UPLOAD.body);
    expect(request?.headers).toMatchObject({
      'x-inner-api-key': api.innerKey,
      'content-type': 'application/json',
      'user-agent': 'dify-agent/test',
      'accept-encoding': 'identity',
    });
    expect(api.violations).toEqual([]);
  });

  test('a base URL may have a path and user info', async () => {
    const base = api.url.replace('http://', 'http://me:s%40crt-pw@');
    const one = client({ baseUrl: `${base}/inner` });
    await one.json({ ...UPLOAD, path: '/api/upload/file/request' }, NEVER);
    expect(api.requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:s@crt-pw').toString('base64')}`);
    expect(one.secrets).toEqual([api.innerKey, 's@crt-pw']);
  });

  test('numbers keep their text', async () => {
    api.misbehave({ kind: 'answer', status: 200, body: '{"n":12345678901234567890,"f":1.0}' });
    const answer = await client().json(UPLOAD, NEVER);
    expect(JSON.stringify(answer)).toBe('{"n":12345678901234567890,"f":1.0}');
  });

  test('connections are reused', async () => {
    const one = client();
    for (let i = 0; i < 5; i++) await one.json(UPLOAD, NEVER);
    expect(one.load()).toEqual({ active: 0, waiting: 0 });
  });
});

describe('errors of the API', () => {
  test('JSON with a status is a rejection', async () => {
    api.misbehave(jsonError(409, { code: 'conflict', message: 'no' }));
    await expect(client().json(UPLOAD, NEVER)).rejects.toMatchObject({
      status: 409,
      body: { code: 'conflict', message: 'no' },
    });
  });

  test.each([200, 404, 500, 502])('a page instead of JSON, status %d', async (status) => {
    api.misbehave(htmlPage(status));
    await expect(client().json(UPLOAD, NEVER)).rejects.toMatchObject({ fault: 'invalid_json', status });
  });

  test('an empty answer is not JSON', async () => {
    api.misbehave({ kind: 'answer', status: 200, body: '' });
    await expect(client().json(UPLOAD, NEVER)).rejects.toMatchObject({ fault: 'invalid_json' });
  });

  test('a wrong key is our fault, whatever the body says', async () => {
    await expect(client({ innerApiKey: 'wrong' }).json(UPLOAD, NEVER)).rejects.toMatchObject({
      fault: 'key_refused',
      message: 'Server refused the request',
    });
  });
});

describe('redirects', () => {
  test('to another origin are not followed, and the key goes nowhere', async () => {
    const other = startFakeDifyApi({ innerKey: api.innerKey });
    try {
      for (const status of [301, 302, 307, 308]) {
        api.misbehave({ kind: 'redirect', status, location: `${other.url}${UPLOAD.path}` });
        await expect(client().json(UPLOAD, NEVER)).rejects.toMatchObject({ fault: 'redirected', status });
      }
      api.misbehave({ kind: 'redirect', status: 302, location: `${other.url}/inner/api/x` });
      await expect(client().json({ ...PULL }, NEVER)).rejects.toMatchObject({ fault: 'redirected' });
      await until('the calls', () => api.requests.length === 5);
      expect(other.requests).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  test('within the origin keep method and body, or are not followed', async () => {
    api.misbehave({ kind: 'redirect', status: 307, location: UPLOAD.path });
    await client().json(UPLOAD, NEVER);
    expect(api.requests.map(({ method, body }) => [method, body])).toEqual([
      ['POST', UPLOAD.body],
      ['POST', UPLOAD.body],
    ]);
    api.misbehave({ kind: 'redirect', status: 302, location: UPLOAD.path });
    await expect(client().json(UPLOAD, NEVER)).rejects.toMatchObject({ fault: 'redirected' });
  });

  test('in circles end', async () => {
    api.misbehave(
      ...Array.from({ length: 9 }, () => ({ kind: 'redirect', status: 307, location: UPLOAD.path }) as const),
    );
    await expect(client().json(UPLOAD, NEVER)).rejects.toMatchObject({ fault: 'redirected' });
    await until('the last', () => api.requests.length === 6);
  });

  test('without a place, or to a place that is none', async () => {
    for (const location of ['', 'http://[', 'javascript:1']) {
      api.misbehave({ kind: 'redirect', status: 307, location });
      // An empty one is the same address: a circle of one step.
      await client()
        .json(UPLOAD, NEVER)
        .catch((error: unknown) => expect(error).toMatchObject({ fault: 'redirected' }));
    }
  });
});

describe('an API that does not answer', () => {
  test('is given up after the silence', async () => {
    api.misbehave({ kind: 'hang' });
    await expect(client({ readTimeoutSeconds: 0.05 }).json(UPLOAD, NEVER)).rejects.toMatchObject({ fault: 'timeout' });
    await until('the socket to close', () => api.hanging() === 0 && api.requests.length === 1);
  });

  test('is given up after the total, however it dribbles', async () => {
    api.misbehave({ kind: 'endless', type: 'application/json' });
    const call = { ...UPLOAD, totalMs: 50 };
    const limits = { jsonBytes: 2 ** 40 };
    await expect(client({}, limits).json(call, NEVER)).rejects.toMatchObject({ fault: 'timeout' });
    await until('the socket to close', () => api.hanging() === 0 && api.requests.length === 1);
  });

  test('that never ends is cut at the bound', async () => {
    api.misbehave({ kind: 'endless', type: 'application/json' });
    await expect(client({}, { jsonBytes: 100_000 }).json(UPLOAD, NEVER)).rejects.toMatchObject({ fault: 'too_large' });
    await until('the socket to close', () => api.hanging() === 0 && api.requests.length === 1);
  });

  test('breaks off', async () => {
    api.misbehave({ kind: 'cut', type: 'application/json' });
    await expect(client().json(UPLOAD, NEVER)).rejects.toMatchObject({ name: 'DifyApiError' });
  });

  test('is not there', async () => {
    const { url } = api;
    await api.stop();
    await expect(client({ baseUrl: url }).json(UPLOAD, NEVER)).rejects.toMatchObject({ fault: 'connect_failed' });
    await expect(client({ baseUrl: 'http://nowhere.invalid' }).json(UPLOAD, NEVER)).rejects.toMatchObject({
      name: 'DifyApiError',
    });
    await expect(client({ baseUrl: url.replace('http:', 'https:') }).json(UPLOAD, NEVER)).rejects.toMatchObject({
      name: 'DifyApiError',
    });
  });
});

describe('a caller who leaves', () => {
  test('takes the call along, with the reason', async () => {
    api.misbehave({ kind: 'hang' });
    const leaving = new AbortController();
    const call = client().json(UPLOAD, leaving.signal);
    await until('the call', () => api.hanging() === 1);
    leaving.abort(new Error('gone'));
    await expect(call).rejects.toThrow('gone');
    await until('the socket to close', () => api.hanging() === 0);
  });

  test('before the call makes none', async () => {
    await expect(client().json(UPLOAD, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
    expect(api.requests).toEqual([]);
  });
});

describe('connections', () => {
  test('are bounded: the next caller waits, and is told when that takes too long', async () => {
    const one = client({ maxConnections: 1, poolTimeoutSeconds: 0.05 });
    api.misbehave({ kind: 'hang' });
    const leaving = new AbortController();
    const first = one.json(UPLOAD, leaving.signal);
    first.catch(() => {});
    await until('the call', () => api.hanging() === 1);
    expect(one.load()).toEqual({ active: 1, waiting: 0 });
    await expect(one.json(UPLOAD, NEVER)).rejects.toMatchObject({ fault: 'timeout' });
    await until('the second to give up', () => one.load().waiting === 0);
    leaving.abort(new Error('gone'));
    await until('the place', () => one.load().active === 0);
    expect(await one.json(UPLOAD, NEVER)).toHaveProperty('data');
  });
});

describe('a body that passes through', () => {
  test('comes whole, with its length', async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    api.state.addConfig('a-1').files.set('big', bytes);
    const one = client();
    const body = await one.bytes(PULL, NEVER);
    expect(body).toMatchObject({ length: 60_000, attachment: true, contentType: 'application/octet-stream' });
    expect(one.load().active).toBe(1);
    expect(Buffer.from(await new Response(body.stream).bytes()).equals(Buffer.from(bytes))).toBe(true);
    expect(one.load().active).toBe(0);
  });

  test('an error in its place is told before anything passes', async () => {
    await expect(client().bytes(PULL, NEVER)).rejects.toMatchObject({ status: 404 });
    api.misbehave(htmlPage(502));
    await expect(client().bytes(PULL, NEVER)).rejects.toMatchObject({ fault: 'invalid_json', status: 502 });
  });

  test('that never ends is cut at the bound, and its connection given back', async () => {
    api.misbehave({ kind: 'endless', type: 'application/zip' });
    const one = client({}, { passedBytes: 100_000 });
    const body = await one.bytes(PULL, NEVER);
    await expect(new Response(body.stream).bytes()).rejects.toMatchObject({ fault: 'too_large' });
    await until('the end', () => one.load().active === 0 && api.hanging() === 0);
  });

  test('whose announced length is too much is not begun', async () => {
    api.state.addConfig('a-1').files.set('big', new Uint8Array(2_000));
    const one = client({}, { passedBytes: 1_000 });
    await expect(one.bytes(PULL, NEVER)).rejects.toMatchObject({ fault: 'too_large' });
    await until('the end', () => one.load().active === 0);
  });

  test('that is cancelled, or that nobody takes, gives its connection back', async () => {
    const one = client({}, { stallMs: 30 });
    api.misbehave({ kind: 'endless', type: 'application/zip' }, { kind: 'endless', type: 'application/zip' });
    await (await one.bytes(PULL, NEVER)).stream.cancel();
    await until('the end', () => one.load().active === 0 && api.hanging() === 0);
    const body = await one.bytes(PULL, NEVER);
    await until('the end', () => one.load().active === 0 && api.hanging() === 0);
    await expect(new Response(body.stream).bytes()).rejects.toMatchObject({ fault: 'timeout' });
  });

  test('is only read as fast as it is taken', async () => {
    api.misbehave({ kind: 'endless', type: 'application/zip' });
    const body = await client().bytes(PULL, NEVER);
    const reader = body.stream.getReader();
    const { value } = await reader.read();
    expect(value?.length ?? 0).toBeLessThan(5_000_000);
    await reader.cancel();
  });
});
