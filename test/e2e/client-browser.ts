// `npm run test:browser`: the client library in a real Chromium, from a page of another origin, straight and through a proxy
// that breaks connections. Not a part of `npm test`, which must not depend on a browser; the name without `.test` keeps it out.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { Client } from '../../src/client/client.ts';
import { startUnrulyProxy } from '../client/unruly-proxy.ts';
import { ROOT } from '../support/binary.ts';
import { type Browser, startChromium, type WatchedPage } from '../support/chromium.ts';
import { startServer, type TestServer } from '../support/server.ts';

const TOKEN = 'browser-token';

let site: Bun.Server<undefined>;
/** Authorisations that came to an origin that redirects and to the one that it leads to. */
const redirects: { readonly at: string; readonly authorization: string | null }[] = [];
let server: TestServer;
let browser: Browser;
let watched: WatchedPage;

beforeAll(async () => {
  const built = await Bun.build({
    entrypoints: [join(ROOT, 'src/client/index.ts')],
    target: 'browser',
    format: 'esm',
    minify: true,
    throw: true,
  });
  const script = (await built.outputs[0]?.text()) ?? '';
  site = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === '/client.js') return new Response(script, { headers: { 'content-type': 'text/javascript' } });
      if (pathname !== '/') return new Response('', { status: 204 });
      return new Response('<!doctype html><title>client</title>', { headers: { 'content-type': 'text/html' } });
    },
  });
  server = await startServer({
    env: {
      DIFY_AGENT_CORS_ORIGINS: `http://127.0.0.1:${site.port}`,
      DIFY_AGENT_API_TOKEN: TOKEN,
      DIFY_AGENT_STREAM_TEXT_DELTA_COALESCING_ENABLED: 'false',
    },
  });
  browser = await startChromium();
  watched = await browser.open(`http://127.0.0.1:${site.port}/`);
  // What every page of these tests uses.
  await watched.page.evaluate(`(async () => {
    globalThis.unhandled = [];
    addEventListener('unhandledrejection', ({ reason }) => unhandled.push(String(reason)));
    globalThis.dify = await import('/client.js');
    globalThis.clientOf = (baseUrl) => new dify.Client({ baseUrl, token: ${JSON.stringify(TOKEN)} });
    globalThis.request = (pieces, delay_ms) => ({
      composition: dify.composition([
        dify.plainPrompt({ user: 'Hi' }),
        dify.scriptedLlm({ turns: [{ items: pieces.map((text) => ({ text, delay_ms })) }] }),
      ]),
    });
  })()`);
}, 180_000);

afterAll(async () => {
  await browser?.close();
  await server?.dispose();
  await site?.stop(true);
});

/** What an async function's body returns, in the page. */
const inPage = (body: string): Promise<unknown> => watched.page.evaluate(`(async () => { ${body} })()`);

test('a page creates a run, streams it and folds it', async () => {
  const shown = await inPage(`
    let view = dify.EMPTY_VIEW;
    const texts = [];
    const end = await clientOf('${server.url}').runToCompletion(request(['Hel', 'lo ', '𝄞'], 20), {
      onEvent: (event) => {
        view = dify.foldEvent(view, event);
        texts.push(dify.textOf(view));
      },
    });
    return [end.type, view.output, view.status, texts.at(-1), texts.includes('Hel'), texts.includes('Hello ')];
  `);
  expect(shown).toEqual(['run_succeeded', 'Hello 𝄞', 'succeeded', 'Hello 𝄞', true, true]);
}, 60_000);

test('errors have their classes and texts', async () => {
  const shown = await inPage(`
    const told = async (call) => {
      try {
        return await call();
      } catch (error) {
        return [error.name, error instanceof dify.DifyAgentClientError, error.message];
      }
    };
    const client = clientOf('${server.url}');
    return [
      await told(() => client.getRun('nobody')),
      await told(() => new dify.Client({ baseUrl: '${server.url}', token: 'wrong' }).getRun('x')),
      await told(() => client.createRun({ composition: { layers: 1 } })),
    ];
  `);
  expect(shown).toEqual([
    ['DifyAgentNotFoundError', true, 'Dify Agent HTTP 404: run not found'],
    ['DifyAgentHTTPError', true, 'Dify Agent HTTP 401: invalid bearer token'],
    ['DifyAgentValidationError', true, expect.stringContaining('Dify Agent HTTP 422: body.composition.layers')],
  ]);
}, 60_000);

test('streams through a proxy that breaks connections hand out every event once, in order', async () => {
  // A browser keeps six connections to a host.
  const streams = 5;
  const direct = new Client({ baseUrl: server.url, token: TOKEN });
  const met: Record<string, number> = {};
  for (const seed of [1, 2]) {
    const proxy = await startUnrulyProxy({ targetPort: server.port, seed, maxDelayMs: 50, maxBytes: 4_000 });
    try {
      const seen = (await inPage(`
        const client = clientOf('${proxy.url}');
        return Promise.all(Array.from({ length: ${streams} }, async () => {
          const { run_id } = await client.createRun(request(Array.from({ length: 40 }, (_, i) => i + ' é𝄞 '), 25));
          const ids = [];
          const options = { idleTimeoutMs: 1000, reconnectDelayMs: 10, maxReconnects: 50 };
          for await (const { id } of client.streamEvents(run_id, options)) ids.push(id);
          return [run_id, ids];
        }));
      `)) as readonly (readonly [string, readonly string[]])[]; // what the page returned
      expect(seen).toHaveLength(streams);
      for (const [runId, ids] of seen) {
        const { events } = await direct.getEvents(runId, { limit: 500 });
        expect(ids).toEqual(events.map(({ id }) => id));
        expect(ids.length).toBeGreaterThan(40);
      }
      for (const [fate, count] of Object.entries(proxy.fates)) met[fate] = (met[fate] ?? 0) + count;
    } finally {
      await proxy.close();
    }
  }
  expect(Object.values(met).filter((count) => count > 0).length).toBeGreaterThan(7);
}, 120_000);

test('a redirect takes the token nowhere', async () => {
  const cors = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*, authorization' };
  const serve = (at: string, location?: string) =>
    Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch(request) {
        if (request.method === 'OPTIONS') return new Response(null, { status: 204, headers: cors });
        redirects.push({ at, authorization: request.headers.get('authorization') });
        if (location === undefined) return new Response('{}', { headers: cors });
        return new Response('', { status: 307, headers: { ...cors, location } });
      },
    });
  const elsewhere = serve('elsewhere');
  const here = serve('here', `http://127.0.0.1:${elsewhere.port}/`);
  try {
    const shown = await inPage(`
      const client = clientOf('http://127.0.0.1:${here.port}');
      const told = [];
      for (const call of [
        () => client.getRun('r'),
        () => client.createRun(request(['x'], 0)),
        async () => { for await (const _ of client.streamEvents('r', { maxReconnects: 0 })); },
      ]) {
        try { await call(); } catch (error) { told.push([error.name, error.message.includes('redirects are not followed')]); }
      }
      return told;
    `);
    expect(shown).toEqual([
      ['DifyAgentValidationError', true],
      ['DifyAgentValidationError', true],
      ['DifyAgentHTTPError', true],
    ]);
    expect(redirects).toEqual(Array(3).fill({ at: 'here', authorization: `Bearer ${TOKEN}` }));
  } finally {
    await here.stop(true);
    await elsewhere.stop(true);
  }
}, 60_000);

test('an abort, a deadline and leaving end a stream, and nothing is left unhandled', async () => {
  const shown = await inPage(`
    const client = clientOf('${server.url}');
    const { run_id } = await client.createRun(request(['a', 'b'], 600_000));
    const told = [];
    const abort = new AbortController();
    setTimeout(() => abort.abort('enough'), 50);
    try { for await (const _ of client.streamEvents(run_id, { signal: abort.signal })); } catch (error) { told.push(error); }
    try { for await (const _ of client.streamEvents(run_id, { deadlineMs: 50 })); } catch (error) { told.push(error.name); }
    const events = client.streamEvents(run_id);
    await events.next();
    const pending = events.next();
    await events.return();
    told.push((await pending).done);
    told.push((await client.cancelRunAndWait(run_id, { reason: 'test' })).type);
    return [told, unhandled];
  `);
  expect(shown).toEqual([['enough', 'DifyAgentTimeoutError', true, 'run_cancelled'], []]);
  // Chromium itself logs every connection that breaks and every answer from 400 on.
  expect(watched.errors.filter((error) => !/^(?:Failed to load resource|Access to fetch)/.test(error))).toEqual([]);
}, 60_000);
