// The stub's routes in the real server: which there are is known before they are built, and what the table says of them is true.

import { expect, test } from 'bun:test';
import { Elysia } from 'elysia';
import { isOpen } from '../../src/server/openapi/operation.ts';
import { lateStub, STUB_ROUTES } from '../../src/server/routes/late-stub.ts';
import { stubRoutes } from '../../src/server/routes/stub.ts';

const never = () => Promise.reject(new Error('asked'));
const deps = { operations: never, bodyTimeoutMs: 1_000, keepOpen: () => () => {} };

test('the table has exactly the routes of the plugin', () => {
  const { routes } = new Elysia().use(stubRoutes(deps));
  const built = routes.map(({ method, path, hooks }) => `${method} ${path} ${isOpen(hooks.detail)}`);
  expect(STUB_ROUTES.map(({ method, path, open }) => `${method} ${path} ${open}`).sort()).toEqual(built.sort());
});

test('the document is told what the plugin says', async () => {
  const described = await lateStub(deps, false).described();
  const ids = described.flatMap(({ detail }) => (detail?.operationId === undefined ? [] : [detail.operationId]));
  expect(ids).toEqual([
    'create_connection_agent_stub_connections_post',
    'create_file_upload_request_agent_stub_files_upload_request_post',
    'create_file_download_request_agent_stub_files_download_request_post',
  ]);
});

test('what a handler throws comes through', async () => {
  const request = new Request('http://localhost/agent-stub/connections', { method: 'POST', body: '{}' });
  await expect(lateStub(deps, false).fetch(request)).rejects.toThrow('asked');
});
