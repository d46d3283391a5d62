// The fake Dify API is strict, moves real bytes, and misbehaves when told to.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type FakeDifyApi, referenceOf, startFakeDifyApi } from './dify-api.ts';
import { startDifyApiProcess } from './dify-api-process.ts';

let api: FakeDifyApi;
beforeAll(() => {
  api = startFakeDifyApi();
});
afterAll(() => api.stop());

const inner = (method: string, path: string, body?: unknown, key = api.innerKey): Promise<Response> =>
  fetch(`${api.url}/inner/api${path}`, {
    method,
    headers: { 'X-Inner-Api-Key': key, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const UPLOAD = { tenant_id: 't', user_id: 'u', filename: 'a', mimetype: 'b' };

describe('it refuses', () => {
  test('other keys, methods and paths', async () => {
    expect((await inner('POST', '/upload/file/request', UPLOAD, 'x')).status).toBe(401);
    expect((await inner('GET', '/upload/file/request')).status).toBe(405);
    expect((await inner('POST', '/nothing', {})).status).toBe(404);
    expect((await inner('GET', '/drive/agent-1/manifest?tenant_id=t')).status).toBe(400);
  });

  test.each<[string, unknown]>([
    ['a member too many', { ...UPLOAD, x: 1 }],
    ['a member too few', { tenant_id: 't', user_id: 'u', filename: 'a' }],
    ['an empty user', { ...UPLOAD, user_id: '' }],
    ['no object', [UPLOAD]],
  ])('%s', async (_, body) => {
    const before = api.violations.length;
    expect((await inner('POST', '/upload/file/request', body)).status).toBe(400);
    expect(api.violations.length).toBe(before + 1);
  });

  test('a download without a known origin', async () => {
    const file = { transfer_method: 'tool_file', reference: referenceOf('x') };
    const body = { tenant_id: 't', user_id: 'u', user_from: null, invoke_from: 'service-api', file };
    expect((await inner('POST', '/download/file/request', body)).status).toBe(400);
  });
});

test('its signed URLs take and give bytes, unsigned ones do not', async () => {
  const { data } = (await (await inner('POST', '/upload/file/request', UPLOAD)).json()) as { data: { url: string } };
  const bytes = crypto.getRandomValues(new Uint8Array(1_000_000));
  const form = (name: string): FormData => {
    const made = new FormData();
    made.append(name, new File([bytes], 'x.tar.gz', { type: 'application/gzip' }));
    return made;
  };
  expect((await fetch(data.url, { method: 'POST', body: form('other') })).status).toBe(400);
  expect((await fetch(`${data.url}x`, { method: 'POST', body: form('file') })).status).toBe(403);
  expect((await fetch(data.url)).status).toBe(405);
  const stored = await (await fetch(data.url, { method: 'POST', body: form('file') })).json();
  expect(stored).toMatchObject({ name: 'x.tar.gz', size: 1_000_000, mime_type: 'application/gzip' });
  const { reference } = stored as { reference: string };
  const asked = {
    tenant_id: 't',
    user_id: 'u',
    user_from: 'end-user',
    invoke_from: 'web-app',
    file: { transfer_method: 'tool_file', reference },
  };
  const answer = (await (await inner('POST', '/download/file/request', asked)).json()) as {
    data: { download_url: string };
  };
  expect(Buffer.from(await (await fetch(answer.data.download_url)).bytes()).equals(Buffer.from(bytes))).toBe(true);
});

test('it runs as a process', async () => {
  const other = await startDifyApiProcess('a-1');
  try {
    const path =
      '/inner/api/agent-config/a-1/manifest?tenant_id=t&config_version_id=v-1&config_version_kind=build_draft';
    const answer = await fetch(other.url + path, { headers: { 'X-Inner-Api-Key': other.innerKey } });
    expect(await answer.json()).toMatchObject({ agent_id: 'a-1', skills: { items: [{ name: 'greeter' }] } });
  } finally {
    other.stop();
  }
});
