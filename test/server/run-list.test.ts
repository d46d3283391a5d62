// `GET /runs?…`: what is listed and how it looks, what is refused, and that nothing changes for who does not ask.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { newRunId } from '../../src/base/ids.ts';
import type { RunComposition } from '../../src/protocol/runs.ts';
import { StoreUnavailableError } from '../../src/runs/errors.ts';
import type { ListedRun, RunLister, RunListQuery } from '../../src/runs/ports.ts';
import { openSqlite } from '../store/helpers.ts';
import { GUARDED, startWithDoors } from './doors.ts';
import { ask, startServer, type TestServer } from './support.ts';

interface Item {
  readonly run_id: string;
}
interface Page {
  readonly items: readonly Item[];
  readonly next_after: string | null;
}

const NOT_ALLOWED = '{"detail":"Method Not Allowed"}';
const composition: RunComposition = {
  schema_version: 1,
  layers: [
    { name: 'prompt', type: 'plain.prompt', deps: {}, metadata: {}, config: { user: 'secret' } },
    { name: 'context', type: 'dify.execution_context', deps: {}, metadata: {}, config: { tenant_id: 'acme' } },
    { name: 'llm', type: 'dify.plugin.llm', deps: { execution_context: 'context' }, metadata: {}, config: null },
  ],
};

const store = openSqlite(':memory:');
const [failed, running] = [newRunId(), newRunId()];
let server: TestServer;
let unlisted: TestServer;
let silent: TestServer;
beforeAll(async () => {
  for (const [run_id, second] of [
    [failed, '10'],
    [running, '11'],
  ] as const) {
    const at = `2026-06-02T08:15:${second}.250000Z`;
    const record = { run_id, status: 'running', created_at: at, updated_at: at, error: null } as const;
    await store.create(record, null, run_id === failed ? composition : null);
  }
  await store.finalise(failed, {
    status: 'failed',
    updatedAt: '2026-06-02T08:15:12Z',
    error: 'too long',
    payload: '{}',
    facts: {
      reason: 'x',
      errorType: 'agent_run_limit_exceeded',
      usage: { promptTokens: 13, completionTokens: 8 },
    },
  });
  server = await startServer({ lister: store });
  unlisted = await startServer({ lister: null });
  silent = await startServer();
});
afterAll(async () => {
  await Promise.all([server.stop(), unlisted.stop(), silent.stop()]);
  await store.close();
});

const list = (query: string) => ask(`${server.url}/runs?${query}`);
async function page(query: string): Promise<Page> {
  const { status, headers, text } = await list(query);
  expect([status, headers.get('content-type')]).toEqual([200, 'application/json']);
  return JSON.parse(text) as Page; // as the operation describes it
}
const ids = async (query: string) => (await page(query)).items.map(({ run_id }) => run_id);

describe('a page', () => {
  test('has runs from new to old, every key always there, in this order', async () => {
    const { text } = await list('limit=5');
    expect(text).toBe(
      JSON.stringify({
        items: [
          {
            run_id: running,
            status: 'running',
            created_at: '2026-06-02T08:15:11.250000Z',
            updated_at: '2026-06-02T08:15:11.250000Z',
            error: null,
            error_type: null,
            reason: null,
            tenant_id: null,
            duration_ms: null,
            usage: null,
            layers: null,
            layers_omitted: 0,
          },
          {
            run_id: failed,
            status: 'failed',
            created_at: '2026-06-02T08:15:10.250000Z',
            updated_at: '2026-06-02T08:15:12Z',
            error: 'too long',
            error_type: 'agent_run_limit_exceeded',
            reason: 'x',
            tenant_id: 'acme',
            duration_ms: 1_750,
            usage: { prompt_tokens: 13, completion_tokens: 8, total_tokens: 21 },
            layers: [
              { name: 'prompt', type: 'plain.prompt' },
              { name: 'context', type: 'dify.execution_context' },
              { name: 'llm', type: 'dify.plugin.llm', deps: { execution_context: 'context' } },
            ],
            layers_omitted: 0,
          },
        ],
        next_after: null,
      }),
    );
  });

  test('holds what was asked for', async () => {
    expect(await ids('status=failed')).toEqual([failed]);
    expect(await ids('status=failed&status=running&status=failed')).toEqual([running, failed]);
    expect(await ids('tenant=acme')).toEqual([failed]);
    expect(await ids('tenant=acme&status=running')).toEqual([]);
    expect(await ids(`q=${running.slice(0, 9)}`)).toEqual([running]);
    expect(await ids('tenant=%00%F0%9F%98%80&q=%25')).toEqual([]);
  });

  test('leads to the next one', async () => {
    const first = await page('limit=1');
    expect(first.items.map(({ run_id }) => run_id)).toEqual([running]);
    const second = await page(`limit=1&after=${encodeURIComponent(first.next_after ?? '')}`);
    expect([second.items.map(({ run_id }) => run_id), second.next_after]).toEqual([[failed], null]);
  });

  test('takes empty parameters for absent ones, and ignores unknown ones', async () => {
    expect(await ids('status=&tenant=&q=&after=')).toEqual([running, failed]);
    expect(await ids('limit=50&page=7')).toEqual([running, failed]);
  });
});

describe('what is refused', () => {
  test.each([
    [
      'status=paused&status=failed',
      {
        type: 'literal_error',
        loc: ['query', 'status', 0],
        msg: "Input should be 'running', 'succeeded', 'failed' or 'cancelled'",
        input: 'paused',
        ctx: { expected: "'running', 'succeeded', 'failed' or 'cancelled'" },
      },
    ],
    [
      'limit=0',
      {
        type: 'greater_than_equal',
        loc: ['query', 'limit'],
        msg: 'Input should be greater than or equal to 1',
        input: '0',
        ctx: { ge: 1 },
      },
    ],
    [
      'limit=501',
      {
        type: 'less_than_equal',
        loc: ['query', 'limit'],
        msg: 'Input should be less than or equal to 500',
        input: '501',
        ctx: { le: 500 },
      },
    ],
    [
      'after=1780388130204-0',
      {
        type: 'value_error',
        loc: ['query', 'after'],
        msg: 'Value error, invalid cursor: expected next_after of an earlier page',
        input: '1780388130204-0',
        ctx: { error: {} },
      },
    ],
  ])('%s is 422', async (query, issue) => {
    const { status, text } = await list(query);
    expect([status, JSON.parse(text)]).toEqual([422, { detail: [issue] }]);
  });

  test('a limit that is no number, and everything that is wrong at once', async () => {
    expect((await list('limit=')).status).toBe(422);
    const { text } = await list('limit=x&status=a&status=b');
    expect((JSON.parse(text) as { detail: { loc: unknown }[] }).detail.map(({ loc }) => loc)).toEqual([
      ['query', 'limit'],
      ['query', 'status', 0],
      ['query', 'status', 1],
    ]);
  });

  test('a store that does not answer is 503', async () => {
    const away: RunLister = { listRuns: () => Promise.reject(new StoreUnavailableError(new Error('away'))) };
    const other = await startServer({ lister: away });
    const answer = await ask(`${other.url}/runs?limit=1`);
    await other.stop();
    expect([answer.status, answer.text]).toEqual([503, '{"detail":"store unavailable"}']);
  });

  test('without a token nothing is listed', async () => {
    const asked: RunListQuery[] = [];
    const lister: RunLister = {
      async listRuns(query) {
        asked.push(query);
        return { runs: [] as readonly ListedRun[], nextAfter: null };
      },
    };
    const guarded = await startWithDoors({ access: GUARDED }, { lister });
    const answer = await ask(`${guarded.url}/runs?limit=1`);
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect(asked).toEqual([]);
    await guarded.stop();
  });
});

describe('for who does not ask', () => {
  test.each([
    ['GET', '/runs'],
    ['GET', '/runs?'],
    ['GET', '/runs?page=1'],
    ['HEAD', '/runs?limit=1'],
    ['PUT', '/runs?limit=1'],
    ['OPTIONS', '/runs?limit=1'],
  ])('%s %s is 405 as it was, with a list and without', async (method, path) => {
    for (const { url } of [server, unlisted, silent]) {
      const answer = await ask(url + path, { method });
      expect([answer.status, answer.headers.get('allow'), answer.text]).toEqual([
        405,
        'POST',
        method === 'HEAD' ? '' : NOT_ALLOWED,
      ]);
    }
  });

  test('a path with a slash, or another path, is what it was', async () => {
    const slash = await ask(`${server.url}/runs/?limit=1`);
    expect([slash.status, slash.headers.get('location')]).toEqual([307, `${server.url}/runs?limit=1`]);
    expect((await ask(`${server.url}/runs/x?limit=1`)).status).toBe(404);
    expect((await ask(`${server.url}/runs%2F?limit=1`)).status).toBe(404);
  });
});

describe('where there is no list', () => {
  test('who asks is told which variable to set', async () => {
    const answer = await ask(`${unlisted.url}/runs?limit=1`);
    expect(answer.status).toBe(501);
    expect(answer.text).toContain('DIFY_AGENT_RUN_INDEX_ENABLED=true');
    expect((await ask(`${unlisted.url}/runs?limit=x`)).status).toBe(422);
  });

  test('and it was switched off, the route is not there', async () => {
    const answer = await ask(`${silent.url}/runs?limit=1`);
    expect([answer.status, answer.headers.get('allow'), answer.text]).toEqual([405, 'POST', NOT_ALLOWED]);
    expect((await ask(`${silent.url}/openapi.json`)).text).not.toContain('list_runs_runs_get');
  });
});

test('the OpenAPI document has the operation, with examples that fit their schemas', async () => {
  const { Ajv2020 } = await import('ajv/dist/2020.js');
  const document = JSON.parse((await ask(`${server.url}/openapi.json`)).text);
  const operation = document.paths['/runs'].get;
  expect(operation.operationId).toBe('list_runs_runs_get');
  expect(operation.parameters.map(({ name }: { name: string }) => name)).toEqual([
    'status',
    'tenant',
    'q',
    'after',
    'limit',
  ]);
  const ajv = new Ajv2020({ strict: false });
  ajv.addSchema(document, 'doc');
  const check = ajv.compile({ $ref: 'doc#/components/schemas/RunListResponse' });
  const { examples } = document.components.schemas.RunListResponse;
  expect(examples).toHaveLength(1);
  for (const example of [...examples, JSON.parse((await list('limit=5')).text)]) expect(check(example)).toBe(true);
  expect(document.paths['/runs'].post.operationId).toBe('create_run_runs_post');
});
