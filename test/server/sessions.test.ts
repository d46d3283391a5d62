// Managed sessions over HTTP: the whole server in this process, on a store in memory, with the scripted model and a fake shellctl.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type App, createApp } from '../../src/app.ts';
import { loadSettings } from '../../src/config/load.ts';
import { noopLogger } from '../../src/observe/logger.ts';
import { type FakeShellctl, startFakeShellctl } from '../fakes/shellctl.ts';
import { agent, call } from '../support/agent-runs.ts';
import { FOREVER, finish, type RunBody, scripted } from '../support/runs.ts';
import { defaultEnv } from '../support/server.ts';
import { until } from '../support/until.ts';

let shellctl: FakeShellctl;
let app: App;
let url: string;
beforeAll(async () => {
  shellctl = startFakeShellctl();
  const loaded = loadSettings(
    {
      ...defaultEnv(),
      DIFY_AGENT_SHELLCTL_ENTRYPOINT: shellctl.url,
      DIFY_AGENT_SHELLCTL_AUTH_TOKEN: shellctl.token,
      DIFY_AGENT_SHUTDOWN_GRACE_SECONDS: '0',
      DIFY_AGENT_CORS_ORIGINS: 'https://page.example',
    },
    null,
  );
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  app = createApp(loaded.settings, { logger: noopLogger });
  ({ url } = await app.start());
});
afterAll(async () => {
  await app?.stop();
  shellctl?.stop();
});

let counter = 0;
let key: string;
beforeEach(() => {
  counter += 1;
  key = `tenant:conversation:${counter}`;
});

/** What a test looks at in answers; which of it is there it knows from what it asked. */
interface Body {
  readonly run_id: string;
  readonly status: string;
  readonly key: string;
  readonly items: readonly { readonly key: string }[];
  readonly next_after: string | null;
  readonly ending: { readonly failed_attempts: number };
  readonly last_error: { readonly code: string };
  readonly detail: { readonly code: string } & readonly { readonly loc: readonly string[] }[];
  readonly session_snapshot: { readonly layers: readonly { readonly name: string; readonly runtime_state: State }[] };
}

interface State {
  readonly messages: readonly { readonly parts: readonly { readonly part_kind: string; readonly content: string }[] }[];
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    proxy: false,
  } as RequestInit);
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: JSON.parse(text) as Body };
}

const run = (body: RunBody, headers: Readonly<Record<string, string>> = {}) =>
  ask('POST', '/runs', body, { 'X-Agent-Session': key, ...headers });

/** Posts, follows, and waits until the session has it. */
async function play(body: RunBody, headers: Readonly<Record<string, string>> = {}) {
  const { status, body: answer } = await run(body, headers);
  if (status !== 202) throw new Error(`${status} ${JSON.stringify(answer)}`);
  return finish(url, answer.run_id);
}

const talk = (text: string) => scripted([[{ text }]], { history: true });

/** Texts of the stored history. */
async function history(of = key): Promise<readonly string[]> {
  const { body } = await ask('GET', `/sessions/${of}?include=snapshot`);
  const messages = body.session_snapshot.layers.find(({ name }) => name === 'history')?.runtime_state.messages ?? [];
  return messages.flatMap(({ parts }) =>
    parts.filter((part) => part.part_kind === 'text').map(({ content }) => content),
  );
}

describe('a run with a session', () => {
  test('goes on from the one before, and says from which revision', async () => {
    const first = await run(talk('one'));
    expect([first.status, first.headers.get('x-agent-session-rev')]).toEqual([202, '0']);
    expect(Object.keys(first.body)).toEqual(['run_id', 'status']);
    await finish(url, first.body.run_id);
    const second = await run(talk('two'));
    expect(second.headers.get('x-agent-session-rev')).toBe('1');
    await finish(url, second.body.run_id);
    expect(await history()).toEqual(['one', 'two']);
  });

  test('may be named in the query', async () => {
    const { status, body } = await ask('POST', `/runs?session=${encodeURIComponent(key)}`, talk('one'));
    expect(status).toBe(202);
    await finish(url, body.run_id);
    expect(await history()).toEqual(['one']);
    const both = await ask('POST', `/runs?session=other`, talk('x'), { 'X-Agent-Session': key });
    expect(both.status).toBe(422);
  });

  test('whose layers are others fails as ever, or is rebased', async () => {
    await play(talk('one'));
    const other = await play(agent([[{ text: 'two' }]], { history: true }));
    expect(other.terminal.error).toContain('layer names must match');
    expect(await history()).toEqual(['one']);
    await play(agent([[{ text: 'two' }]], { history: true }), { 'X-Agent-Snapshot-Policy': 'rebase' });
    expect(await history()).toEqual(['one', 'two']);
  });

  test('without a session nothing is different, whatever the other headers say', async () => {
    const plain = await ask('POST', '/runs', talk('x'), { 'X-Agent-Session-Conflict': 'nonsense' });
    expect(plain.status).toBe(202);
    expect(plain.headers.get('x-agent-session-rev')).toBeNull();
  });

  test.each([
    ['X-Agent-Session', ''],
    ['X-Agent-Session', 'a b'],
    ['X-Agent-Session', 'a/b'],
    ['X-Agent-Session', '..'],
    ['X-Agent-Session', 'x'.repeat(257)],
    ['X-Agent-Session', 'é'],
    ['X-Agent-Session-Conflict', 'sometimes'],
    ['X-Agent-Session-Snapshot', 'both'],
  ])('is refused when %s is %j', async (name, value) => {
    const { status, body } = await run(talk('x'), { [name]: value });
    expect(status).toBe(422);
    expect(body.detail[0]?.loc).toEqual(['header', name]);
  });

  test('all characters that a key may have are understood in a path, escaped or not', async () => {
    key = `${counter}-._~!$&'()*+,;=:@${'x'.repeat(200)}`;
    await play(talk('one'));
    for (const path of [key, encodeURIComponent(key)]) {
      expect((await ask('GET', `/sessions/${path}`)).body.key).toBe(key);
    }
  });
});

describe('runs of one session at once', () => {
  test('wait, are refused, or interrupt', async () => {
    const active = await run(scripted([[FOREVER]], { history: true }));
    const busy = await run(talk('x'), { 'X-Agent-Session-Conflict': 'reject' });
    expect([busy.status, busy.body.detail.code]).toEqual([409, 'session_busy']);
    const waiting = await run(talk('waited'));
    const { body } = await ask('GET', `/sessions/${key}`);
    expect(body).toMatchObject({
      status: 'running',
      active_run_id: active.body.run_id,
      waiting_run_ids: [waiting.body.run_id],
    });
    expect((await ask('GET', `/runs/${waiting.body.run_id}`)).body.status).toBe('running');
    const last = await play(talk('last'), { 'X-Agent-Session-Conflict': 'Interrupt' });
    expect(last.terminal.output).toBe('last');
    for (const { body } of [active, waiting]) {
      const run = await finish(url, body.run_id);
      expect(run.terminal).toMatchObject({ reason: 'superseded' });
    }
    expect(await history()).toEqual(['last']);
  });

  test('a cancel of one that waits ends it at once', async () => {
    const active = await run(scripted([[FOREVER]], { history: true }));
    const waiting = await run(talk('waited'));
    const id = waiting.body.run_id;
    expect((await ask('POST', `/runs/${id}/cancel`, { reason: 'enough' })).status).toBe(200);
    expect((await finish(url, id)).types).toEqual(['run_cancelled']);
    await ask('POST', `/runs/${active.body.run_id}/cancel`, {});
    expect((await finish(url, active.body.run_id)).status.status).toBe('cancelled');
  });
});

describe('a session by itself', () => {
  test('is told without its snapshot, unless it is asked for', async () => {
    const { runId } = await play(talk('one'));
    const { status, headers, body } = await ask('GET', `/sessions/${key}`);
    expect([status, headers.get('x-agent-session-rev')]).toEqual([200, '1']);
    expect<unknown>(body).toEqual({
      key,
      status: 'idle',
      rev: 1,
      tenant_id: null,
      active_run_id: null,
      waiting_run_ids: [],
      last_run_id: runId,
      last_run_status: 'succeeded',
      last_error: null,
      ending: null,
      created_at: expect.any(String),
      used_at: expect.any(String),
      expires_at: expect.any(String),
      layer_names: ['prompt', 'llm', 'history'],
      deferred_tool_call: null,
    });
    expect((await ask('GET', `/sessions/${key}?include=all`)).status).toBe(422);
    const unknown = await ask('GET', '/sessions/unknown');
    expect<unknown[]>([unknown.status, unknown.body]).toEqual([
      404,
      { detail: { code: 'session_not_found', message: 'session not found' } },
    ]);
  });

  test('is answered by resume, with the result that it waits for', async () => {
    const question = () =>
      agent([[call('c1', 'ask_human', { question: 'Which?', fields: [] })]], { ask: {}, history: true });
    const asked = await play(question());
    expect(asked.terminal.deferred_tool_call).toMatchObject({ tool_call_id: 'c1' });
    const { body } = await ask('GET', `/sessions/${key}`);
    expect(body).toMatchObject({
      status: 'awaiting',
      deferred_tool_call: { tool_call_id: 'c1', tool_name: 'ask_human' },
    });
    const resume = (results?: Readonly<Record<string, unknown>>) =>
      ask('POST', `/sessions/${key}/resume`, {
        ...agent([[{ text: 'thanks' }]], { ask: {}, history: true }),
        ...(results === undefined ? {} : { deferred_tool_results: { calls: results } }),
      });
    expect((await resume()).status).toBe(422);
    const other = await resume({ c2: 'x' });
    expect([other.status, other.body.detail.code]).toEqual([409, 'session_not_awaiting']);
    const answered = await resume({
      c1: { status: 'submitted', action: { id: 'ok' }, values: {}, rendered_content: 'Blue.' },
    });
    expect([answered.status, answered.headers.get('x-agent-session-rev')]).toEqual([202, '1']);
    expect((await finish(url, answered.body.run_id)).terminal.output).toBe('thanks');
    expect((await ask('GET', `/sessions/${key}`)).body).toMatchObject({ status: 'idle', deferred_tool_call: null });
    expect((await resume({ c1: 'again' })).body.detail.code).toBe('session_not_awaiting');
  });

  test('is forked, and each goes its own way', async () => {
    await play(talk('one'));
    const fork = `${key}:fork`;
    const made = await ask('POST', `/sessions/${key}/fork`, { key: fork });
    expect([made.status, made.headers.get('x-agent-session-rev'), made.body.key]).toEqual([201, '1', fork]);
    expect((await ask('POST', `/sessions/${key}/fork`, { key: fork })).body.detail.code).toBe('session_exists');
    expect((await ask('POST', `/sessions/${key}/fork`, { key: 'a/b' })).status).toBe(422);
    await play(talk('two'), { 'X-Agent-Session': fork });
    expect([await history(), await history(fork)]).toEqual([['one'], ['one', 'two']]);
  });

  test('is ended, and unknown then', async () => {
    await play(talk('one'));
    const ended = await ask('DELETE', `/sessions/${key}`);
    expect<unknown[]>([ended.status, ended.body]).toEqual([200, { key, status: 'ended', run_id: null }]);
    expect((await ask('DELETE', `/sessions/${key}`)).status).toBe(404);
    expect((await run(talk('new'))).headers.get('x-agent-session-rev')).toBe('0');
  });
});

describe('many sessions', () => {
  test('are listed by prefix and tenant, page by page, and ended by prefix', async () => {
    const base = `list-${counter}:`;
    const context = { name: 'c', type: 'dify.execution_context', config: { tenant_id: 'tenant-7', user_id: 'u' } };
    const body = talk('x') as { composition: { layers: unknown[] } };
    for (const name of ['a', 'b', 'c']) await play(body as unknown as RunBody, { 'X-Agent-Session': base + name });
    await play({ composition: { layers: [context, ...body.composition.layers] } }, { 'X-Agent-Session': `${base}d` });
    const list = async (query: string) => (await ask('GET', `/sessions?${query}`)).body;
    const first = await list(`prefix=${base}&limit=3`);
    expect(first.items.map((item) => item.key)).toEqual([`${base}a`, `${base}b`, `${base}c`]);
    const second = await list(`prefix=${base}&limit=3&after=${first.next_after}`);
    expect(second).toMatchObject({ items: [{ key: `${base}d`, tenant_id: 'tenant-7' }], next_after: null });
    expect((await list('tenant=tenant-7')).items).toHaveLength(1);
    for (const query of ['limit=0', 'limit=501', 'prefix=a%20b', 'after=%00']) {
      expect([query, (await ask('GET', `/sessions?${query}`)).status]).toEqual([query, 422]);
    }
    expect((await ask('DELETE', '/sessions')).status).toBe(422);
    const ended = await ask('DELETE', `/sessions?prefix=${base}`);
    expect<unknown[]>([ended.status, ended.body.items.length, ended.body.next_after]).toEqual([202, 4, null]);
    expect((await list(`prefix=${base}`)).items).toEqual([]);
  });

  test('methods and encoded slashes are answered as everywhere', async () => {
    expect((await ask('PUT', '/sessions')).status).toBe(405);
    expect((await ask('PUT', `/sessions/${key}`)).headers.get('allow')).toBe('GET, DELETE');
    expect((await ask('GET', '/sessions/a%2Fb')).status).toBe(404);
    expect((await ask('GET', '/sessions/%00')).body.detail.code).toBe('session_not_found');
    const { headers } = await ask('GET', `/sessions/${key}`, undefined, { origin: 'https://page.example' });
    expect(headers.get('access-control-allow-origin')).toBe('https://page.example');
  });
});

test('the OpenAPI document has the operations, and every component that they name', async () => {
  const response = await fetch(`${url}/openapi.json`, { proxy: false } as RequestInit);
  const text = await response.text();
  const { paths, components } = JSON.parse(text) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly tags: readonly string[] }>>>>;
    readonly components: { readonly schemas: object };
  };
  const own = Object.entries(paths).filter(([path]) => path.startsWith('/sessions'));
  const operations = own.flatMap(([path, all]) => Object.keys(all).map((method) => `${method} ${path}`));
  expect(operations.sort()).toEqual([
    'delete /sessions',
    'delete /sessions/{key}',
    'get /sessions',
    'get /sessions/{key}',
    'post /sessions/{key}/fork',
    'post /sessions/{key}/resume',
  ]);
  for (const [, all] of own) for (const { tags } of Object.values(all)) expect(tags).toEqual(['sessions']);
  for (const [, name] of text.matchAll(/#\/components\/schemas\/(\w+)/g))
    expect(components.schemas).toHaveProperty(name ?? '');
});

describe('a session with a workspace', () => {
  const workspaces = (): readonly string[] => {
    const folder = join(shellctl.home, 'workspace');
    return existsSync(folder) ? readdirSync(folder) : [];
  };
  const secret = 'hunter2-is-a-secret';
  const work = (): RunBody => ({
    composition: {
      layers: [
        { name: 'prompt', type: 'plain.prompt', config: { prefix: 'p', user: 'u' } },
        { name: 'llm', type: 'test.scripted_llm', config: { turns: [{ items: [{ text: 'x' }] }] } },
        { name: 'shell', type: 'dify.shell', config: { env: [{ name: 'A_TOKEN', value: secret }] } },
      ],
    },
  });

  test('keeps it from run to run, and its end deletes it with a run of its own', async () => {
    await play(work());
    const [workspace] = workspaces();
    await play(work());
    expect(workspaces()).toEqual([workspace ?? '']);
    const fork = await ask('POST', `/sessions/${key}/fork`, { key: `${key}:fork` });
    expect([fork.status, fork.body.detail.code]).toEqual([409, 'session_holds_workspace']);
    const ended = await ask('DELETE', `/sessions/${key}`);
    expect([ended.status, ended.body.status]).toEqual([202, 'ending']);
    const cleanup = await finish(url, ended.body.run_id);
    expect(cleanup.terminal.output).toBeNull();
    await until('the session to be gone', async () => (await ask('GET', `/sessions/${key}`)).status === 404);
    expect(workspaces()).toEqual([]);
  }, 30_000);

  test('a shellctl that loses its answers does not make the row go before the workspace', async () => {
    await play(work());
    shellctl.fault(() => ({ reply: { status: 500, body: 'away' } }));
    const ended = await ask('DELETE', `/sessions/${key}`);
    expect(ended.status).toBe(202);
    await finish(url, ended.body.run_id);
    await until('the failure', async () => (await ask('GET', `/sessions/${key}`)).body.ending.failed_attempts >= 1);
    expect(workspaces()).toHaveLength(1);
    expect((await ask('GET', `/sessions/${key}`)).body.last_error.code).toBe('session_cleanup_failed');
    shellctl.fault(null);
  }, 30_000);
});
