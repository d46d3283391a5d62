// The OpenAPI document is valid by somebody else's judgement, and what it promises holds under random input. A short run with
// fixed seeds; `npm run fuzz -- --kind documented` goes on.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { scripted } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { type ApiDocument, playOperations } from './documented.ts';
import { seeded } from './random.ts';

const TOKEN = 'a-token-for-the-fuzzer';
const SECRET = Buffer.alloc(32, 7).toString('base64url');

let server: TestServer;
let document: ApiDocument;

async function documentOf({ url }: TestServer): Promise<ApiDocument> {
  return (await (await fetch(`${url}/openapi.json`)).json()) as ApiDocument; // validated below
}

beforeAll(async () => {
  server = await startServer({
    env: {
      DIFY_AGENT_API_TOKEN: TOKEN,
      DIFY_AGENT_SERVER_SECRET_KEY: SECRET,
      DIFY_AGENT_STUB_API_BASE_URL: 'http://127.0.0.1:8000',
      // Runs that wait for a peer that is not there end at once.
      DIFY_AGENT_SHELLCTL_ENTRYPOINT: 'http://127.0.0.1:9',
    },
  });
  document = await documentOf(server);
}, 120_000);

afterAll(() => server?.dispose());

describe('the OpenAPI document', () => {
  test('is valid', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document) as object as never); // its own type of JSON
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
  });

  test('is valid for the newer vintage, and without access control', async () => {
    const other = await startServer({ env: { DIFY_AGENT_WIRE_VINTAGE: '2026-08' } });
    try {
      const { valid, errors } = await new Validator().validate((await documentOf(other)) as object as never); // likewise
      expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
    } finally {
      await other.dispose();
    }
  }, 30_000);
});

test('every documented operation keeps to it under random input', async () => {
  const headers = { authorization: `Bearer ${TOKEN}` };
  const known = await fetch(`${server.url}/runs`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(scripted([[{ text: 'x' }]])),
  });
  const { run_id: runId } = (await known.json()) as { readonly run_id: string }; // spec 01 §1.5
  const ids = [runId];
  const tally = await playOperations(server.url, document, seeded(1), 30, { headers, ids });
  const operations = Object.values(document.paths).reduce((sum, methods) => sum + Object.keys(methods).length, 0);
  expect(new Set([...tally.keys()].map((key) => key.split(' ').slice(0, 2).join(' '))).size).toBe(operations);
  expect([...tally.keys()].filter((key) => key.endsWith(' 500'))).toEqual([]);
  // The process is still there, and takes runs.
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
}, 60_000);
