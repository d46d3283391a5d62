// The examples of the OpenAPI document are bodies that the server takes: none is refused for what it says.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { BODY_EXAMPLES } from '../../src/server/openapi/examples.ts';
import { createRun, finish, scripted } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}
interface Operation {
  readonly operationId: string;
  readonly requestBody?: { readonly content: { readonly 'application/json': { readonly examples?: object } } };
}

let server: TestServer;
let operations: readonly (Operation & { readonly path: string })[];

beforeAll(async () => {
  server = await startServer({
    env: {
      DIFY_AGENT_SERVER_SECRET_KEY: Buffer.alloc(32, 7).toString('base64url'),
      DIFY_AGENT_STUB_API_BASE_URL: 'http://127.0.0.1:8000',
    },
  });
  const document = (await (await fetch(`${server.url}/openapi.json`)).json()) as Document; // its shape has tests of its own
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.values(methods).map((operation) => ({ path, ...operation })),
  );
}, 120_000);
afterAll(() => server?.dispose());

test('every operation that takes a body has one, and all of them are in the document', () => {
  const taking = operations.filter(({ requestBody }) => requestBody !== undefined);
  expect(taking.map(({ operationId }) => operationId).sort()).toEqual(Object.keys(BODY_EXAMPLES).sort());
  for (const { operationId, requestBody } of taking) {
    expect(requestBody?.content['application/json'].examples).toEqual(BODY_EXAMPLES[operationId] ?? {});
  }
});

describe('a body is taken', () => {
  const all = Object.entries(BODY_EXAMPLES).flatMap(([id, examples]) =>
    Object.entries(examples).map(([name, { value }]) => [id, name, value] as const),
  );
  test.each(all)('%s: %s', async (id, _name, value) => {
    const path = operations.find(({ operationId }) => operationId === id)?.path ?? '';
    const runId = await createRun(server.url, scripted([[{ delay_ms: 600_000 }]]));
    const response = await fetch(server.url + path.replace('{run_id}', runId).replace('{key}', 'conversation-7'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(value),
    });
    // Without a token, a session, a sandbox: said of those, never of the body.
    expect([200, 202, 401, 404, 503]).toContain(response.status);
  });
});

test.each(['hello', 'structured'])('the run of %s succeeds', async (name) => {
  const runId = await createRun(
    server.url,
    BODY_EXAMPLES.create_run_runs_post?.[name]?.value as Record<string, unknown>,
  ); // an object, as declared
  expect((await finish(server.url, runId)).status.status).toBe('succeeded');
});
