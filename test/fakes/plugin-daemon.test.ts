import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chunk, type FakeDaemon, goJson, lastItem, startFakeDaemon } from './plugin-daemon.ts';

let daemon: FakeDaemon;
beforeAll(async () => {
  daemon = await startFakeDaemon();
});
afterAll(() => daemon.stop());

const data = {
  provider: 'p',
  model_type: 'llm',
  model: 'm',
  credentials: {},
  prompt_messages: [{ role: 'user', content: 'x', name: null }],
  model_parameters: {},
  tools: null,
  stop: null,
  stream: true,
};
const good = { 'X-Api-Key': 'golden-daemon-key', 'X-Plugin-ID': 'a/b', 'Content-Type': 'application/json' };
const ROUTE = '/plugin/t/dispatch/llm/invoke';

async function send(body: unknown, headers: Record<string, string> = good, path = ROUTE): Promise<Response> {
  return await fetch(daemon.url + path, { method: 'POST', headers, body: JSON.stringify(body) });
}

describe('the fake daemon refuses', () => {
  test.each([
    ['another key', { data }, { ...good, 'X-Api-Key': 'x' }, ROUTE, 401],
    ['no plugin id', { data }, { ...good, 'X-Plugin-ID': '' }, ROUTE, 400],
    ['a charset', { data }, { ...good, 'Content-Type': 'application/json; charset=utf-8' }, ROUTE, 400],
    ['another path', { data }, good, '/plugin/t/x/dispatch/llm/invoke', 404],
    ['another envelope key', { data, tenant_id: 't' }, good, ROUTE, 400],
    ['a null user', { data, user_id: null }, good, ROUTE, 400],
    ['another model type', { data: { ...data, model_type: 'x' } }, good, ROUTE, 400],
    ['a missing key', { data: { ...data, stop: undefined } }, good, ROUTE, 400],
    ['another key order', { data: Object.fromEntries(Object.entries(data).toReversed()) }, good, ROUTE, 400],
    [
      'null content',
      { data: { ...data, prompt_messages: [{ role: 'user', content: null, name: null }] } },
      good,
      ROUTE,
      400,
    ],
    ['an empty tool list', { data: { ...data, tools: [] } }, good, ROUTE, 400],
  ] as const)('%s', async (_, body, headers, path, status) => {
    daemon.play({ llm: [[lastItem()]] });
    expect((await send(body, headers, path)).status).toBe(status);
    expect(daemon.violations).toHaveLength(1);
  });

  test('a call for which nothing is scripted', async () => {
    daemon.play({});
    expect((await send({ data })).status).toBe(500);
    expect(daemon.violations).toEqual([`no reply scripted for ${ROUTE}`]);
  });
});

describe('the fake daemon refuses a tool call with', () => {
  const tool = { provider: 'p', tool: 'get', credentials: {}, credential_type: 'api-key', tool_parameters: {} };
  test.each([
    ['no tool', { ...tool, tool: '' }],
    ['another credential type', { ...tool, credential_type: 'password' }],
    ['a nested credential', { ...tool, credentials: { a: [] } }],
    ['parameters that are no object', { ...tool, tool_parameters: [] }],
    ['another key order', Object.fromEntries(Object.entries(tool).toReversed())],
  ])('%s', async (_, body) => {
    daemon.play({ tool: { get: [[]] } });
    const route = '/plugin/t/dispatch/tool/invoke';
    expect((await send({ data: body }, good, route)).status).toBe(400);
    expect((await send({ data: tool }, good, route)).status).toBe(200);
    expect(daemon.violations).toHaveLength(1);
  });
});

describe('the fake daemon', () => {
  test('writes JSON as Go does', async () => {
    expect(goJson('<a>&\u2028\u2029\u0085é')).toBe('"\\u003ca\\u003e\\u0026\\u2028\\u2029\u0085é"');
    daemon.play({ llm: [['<think>']] });
    const response = await send({ data });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(await response.text()).toBe(
      `data: ${goJson({ code: 0, message: 'success', data: chunk({ content: '<think>' }) })}\n\n`,
    );
  });

  test('repeats the last reply of a tool', async () => {
    const tool = { provider: 'p', tool: 'get', credentials: {}, credential_type: 'api-key', tool_parameters: {} };
    daemon.play({ tool: { get: [['one'], ['two']] } });
    const ask = async () => await (await send({ data: tool }, good, '/plugin/t/dispatch/tool/invoke')).text();
    expect([await ask(), await ask(), await ask()].map((text) => /one|two/.exec(text)?.[0])).toEqual([
      'one',
      'two',
      'two',
    ]);
  });

  test('plays several scripts at once, chosen by a credential', async () => {
    daemon.play({});
    daemon.play({ llm: [['one']] }, 'k1');
    daemon.play({ llm: [['two']] }, 'k2');
    const ask = async (script_id: string) =>
      await (await send({ data: { ...data, credentials: { script_id } } })).text();
    const [two, one] = await Promise.all([ask('k2'), ask('k1')]);
    expect(one).toContain('"one"');
    expect(two).toContain('"two"');
  });

  test('is gone after a stop item and back with the next script', async () => {
    daemon.play({ llm: [[lastItem(), { stop: true }]] });
    await (await send({ data })).text();
    daemon.play({ down: true });
    await expect(fetch(daemon.url, { keepalive: false })).rejects.toThrow();
    daemon.play({ llm: [['back']] });
    expect(await (await send({ data })).text()).toContain('back');
  });
});
