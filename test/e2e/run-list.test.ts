// Lists of runs as users get them: from the binary on a file, from several on one Redis, and from none where none is kept.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RedisProcess, startRedis } from '../support/redis-process.ts';
import { createRun, FOREVER, get, type RunBody, runToEnd, scripted } from '../support/runs.ts';
import { startServer, type TestServer, withServer } from '../support/server.ts';
import { until } from '../support/until.ts';

interface Item {
  readonly run_id: string;
  readonly status: string;
  readonly error: string | null;
  readonly tenant_id: string | null;
  readonly duration_ms: number | null;
  readonly layers: readonly { readonly name: string; readonly type: string }[] | null;
}

const SECRET = 'sk-nobody-lists-this';

/** A scripted run on behalf of a tenant. */
function ofTenant(tenant: string, body: RunBody): RunBody {
  const { layers } = body.composition as { layers: object[] }; // as `scripted` makes it
  const context = { name: 'context', type: 'dify.execution_context', config: { tenant_id: tenant, user_id: SECRET } };
  return { ...body, composition: { layers: [context, ...layers] } };
}

async function list(url: string, query: string): Promise<readonly Item[]> {
  const { status, text } = await get(`${url}/runs?${query}`);
  expect(status).toBe(200);
  expect(text).not.toContain(SECRET);
  return (JSON.parse(text) as { items: Item[] }).items; // as the document says
}
const ids = async (url: string, query: string) => (await list(url, query)).map(({ run_id }) => run_id);

describe('on a file', () => {
  let directory: string;
  let env: Record<string, string>;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'dify-agent-list-'));
    env = { DIFY_AGENT_STORE_URL: `sqlite:${join(directory, 'runs.db')}` };
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('runs are listed without any setting, as they are, also by the process that comes after a death', async () => {
    const answer = scripted([[{ text: 'done' }]], { prompt: SECRET });
    const blank = scripted([[{ text: 'never' }]], { prompt: ' ' });
    let running = '';
    let before: readonly Item[] = [];
    await withServer({ env }, async (server) => {
      const succeeded = (await runToEnd(server.url, ofTenant('acme', answer))).runId;
      const failed = (await runToEnd(server.url, blank)).runId;
      running = await createRun(server.url, ofTenant('acme', scripted([[FOREVER]])));
      before = await list(server.url, 'limit=10');
      expect(before.map(({ run_id, status, tenant_id }) => [run_id, status, tenant_id])).toEqual([
        [running, 'running', 'acme'],
        [failed, 'failed', null],
        [succeeded, 'succeeded', 'acme'],
      ]);
      expect(before[1]?.error).toBe('run.user_prompts must not be empty');
      expect(before[0]?.duration_ms).toBeNull();
      expect(before[2]?.duration_ms).toBeGreaterThanOrEqual(0);
      expect(before[2]?.layers).toEqual([
        { name: 'context', type: 'dify.execution_context' },
        { name: 'prompt', type: 'plain.prompt' },
        { name: 'llm', type: 'test.scripted_llm' },
      ]);
      expect(await ids(server.url, 'tenant=acme&status=running')).toEqual([running]);
      expect(await get(`${server.url}/runs`)).toEqual({ status: 405, text: '{"detail":"Method Not Allowed"}' });
      server.kill('SIGKILL');
      await server.exited;
    });
    await withServer({ env }, async (server) => {
      await until('the lost run to end', async () => (await ids(server.url, 'status=running')).length === 0);
      const [lost, ...others] = await list(server.url, 'limit=10');
      expect(lost).toMatchObject({ run_id: running, status: 'failed' });
      expect(lost?.duration_ms).toBeGreaterThanOrEqual(0);
      expect(others).toEqual(before.slice(1));
    });
  }, 60_000);

  test('nothing is listed where it is switched off', async () => {
    await withServer({ env: { ...env, DIFY_AGENT_RUN_INDEX_ENABLED: 'false' } }, async (server) => {
      expect(await get(`${server.url}/runs?limit=1`)).toEqual({ status: 405, text: '{"detail":"Method Not Allowed"}' });
    });
  }, 60_000);
});

describe('on Redis', () => {
  let redis: RedisProcess;
  let a: TestServer;
  let b: TestServer;
  const env = (): Record<string, string> => ({ DIFY_AGENT_STORE_URL: redis.url, DIFY_AGENT_REDIS_PREFIX: 'list' });
  const indexed = { DIFY_AGENT_RUN_INDEX_ENABLED: 'true', DIFY_AGENT_RUN_LEASE_SECONDS: '2' };
  beforeAll(async () => {
    redis = await startRedis();
    const options = { env: { ...env(), ...indexed } };
    [a, b] = await Promise.all([startServer(options), startServer(options)]);
  }, 180_000);
  afterAll(async () => {
    await a?.dispose();
    await b?.dispose();
    await redis?.dispose();
  });

  test('every process lists the runs of all that keep the index, and their ends, whoever wrote them', async () => {
    const body = ofTenant('acme', scripted([[{ text: 'x' }]]));
    const first = (await runToEnd(a.url, body)).runId;
    const second = (await runToEnd(b.url, body)).runId;
    const orphan = await createRun(b.url, ofTenant('acme', scripted([[FOREVER]])));
    for (const { url } of [a, b]) expect(await ids(url, 'tenant=acme')).toEqual([orphan, second, first]);
    expect(await ids(a.url, 'status=succeeded')).toEqual([second, first]);
    b.kill('SIGKILL');
    await until('the lost run to end', async () => (await ids(a.url, 'status=running')).length === 0, {
      timeoutMs: 30_000,
    });
    expect(await list(a.url, 'status=failed')).toMatchObject([{ run_id: orphan, status: 'failed' }]);
  }, 60_000);

  test('a process that keeps no index says which variable is missing, and its runs are in no list', async () => {
    await withServer({ env: env() }, async (server) => {
      const { runId } = await runToEnd(server.url, scripted([[{ text: 'x' }]]));
      const answer = await get(`${server.url}/runs?limit=1`);
      expect([answer.status, answer.text]).toEqual([501, expect.stringContaining('DIFY_AGENT_RUN_INDEX_ENABLED')]);
      expect(await get(`${server.url}/runs`)).toEqual({ status: 405, text: '{"detail":"Method Not Allowed"}' });
      expect(await ids(a.url, `q=${runId}`)).toEqual([]);
    });
  }, 60_000);
});
