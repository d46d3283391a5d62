// The page of examples/browser-page without a browser: what its server hands out, that its script bundles, and that it streams and
// stops against the binary, in a document of a few elements. In a real browser: browser.ts.

import { afterAll, beforeAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { servePage } from '../../examples/browser-page/serve.ts';
import { ROOT } from '../support/binary.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

let page: Awaited<ReturnType<typeof servePage>>;
let server: TestServer;

beforeAll(async () => {
  page = await servePage(0);
  server = await startServer({ env: { DIFY_AGENT_CORS_ORIGINS: page.url } });
}, 180_000);
afterAll(async () => {
  await page?.stop();
  await server?.dispose();
});

test('the server hands out the page, its script and the library, and nothing else', async () => {
  const get = async (path: string) => {
    const response = await fetch(page.url + path, { proxy: false } as RequestInit); // `proxy` is Bun's own
    return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
  };
  const index = await get('/');
  expect(index).toMatchObject({ status: 200, type: 'text/html; charset=utf-8' });
  // Whatever the page loads is there.
  for (const [, path = ''] of index.text.matchAll(/(?:src="|: ")\.(\/[\w.]+)"/g)) {
    expect(await get(path)).toMatchObject({ status: 200, type: 'text/javascript' });
  }
  for (const path of ['/serve.ts', '/../README.md', '/__proto__', '/constructor']) {
    expect((await get(path)).status).toBe(404);
  }
  expect((await get('/client.js')).text.length).toBeLessThan(60_000);
});

test('the server lets the page in, and no other', async () => {
  const ask = async (origin: string) => {
    const headers = {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type',
    };
    const answer = await fetch(`${server.url}/runs`, { method: 'OPTIONS', headers, proxy: false } as RequestInit); // as above
    return answer.headers.get('access-control-allow-origin');
  };
  expect(await ask(page.url)).toBe(page.url);
  expect(await ask('http://evil.example')).not.toBe('http://evil.example');
});

/** As much of an element as the script uses. */
class FakeElement extends EventTarget {
  textContent = '';
  value = '';
  className = '';
  disabled = false;
  children: readonly FakeElement[] = [];
  /** The last line of each drawing. */
  readonly drawn: string[] = [];

  replaceChildren(...children: readonly FakeElement[]): void {
    this.children = children;
    this.drawn.push(this.lines().at(-1) ?? '');
  }

  lines(): readonly string[] {
    return this.children.map(({ textContent }) => textContent);
  }
}

/** Runs the page's script, bundled with the library as a build tool would, in a document of its own. */
async function openPage(): Promise<(id: string) => FakeElement> {
  const elements = new Map<string, FakeElement>();
  const element = (id: string): FakeElement => {
    const found = elements.get(id) ?? new FakeElement();
    elements.set(id, found);
    return found;
  };
  const alias: Bun.BunPlugin = {
    name: 'dify-agent/client',
    setup: (build) =>
      void build.onResolve({ filter: /^dify-agent\/client$/ }, () => ({ path: join(ROOT, 'src/client/index.ts') })),
  };
  const script = join(ROOT, 'examples/browser-page/page.js');
  const built = await Bun.build({ entrypoints: [script], target: 'browser', plugins: [alias] });
  const code = (await built.outputs[0]?.text()) ?? '';
  const document = { getElementById: element, createElement: () => new FakeElement() };
  element('question').value = 'How long is the Danube?';
  // A bundle has no imports left; these two are all that it wants of a page.
  new Function('document', 'location', code)(document, { search: `?server=${encodeURIComponent(server.url)}` });
  return element;
}

test('a question is asked, tools and text are drawn as they come', async () => {
  const element = await openPage();
  expect(element('server').value).toBe(server.url);
  element('form').dispatchEvent(new Event('submit', { cancelable: true }));
  expect(element('send').disabled).toBe(true);
  await until('the end', () => element('status').textContent === 'succeeded');
  expect(element('answer').drawn).toContain('The Danube ');
  expect(element('answer').lines()).toEqual([
    'length_of {"river":"Danube"} → {"km":2850}',
    'The Danube is 2,850 km long.',
  ]);
  await until('the button', () => !element('send').disabled && element('stop').disabled);
});

test('Stop ends the run, and the page can ask again', async () => {
  const element = await openPage();
  element('form').dispatchEvent(new Event('submit', { cancelable: true }));
  await until('the tool call', () => element('answer').lines().length > 0);
  element('stop').dispatchEvent(new Event('click'));
  await until('the end', () => element('status').textContent === 'stopped');
  await until('the button', () => !element('send').disabled);
  element('form').dispatchEvent(new Event('submit', { cancelable: true }));
  await until('the end', () => element('status').textContent === 'succeeded');
});

test('a server that is away is a line on the page', async () => {
  const element = await openPage();
  element('server').value = 'http://127.0.0.1:9';
  element('form').dispatchEvent(new Event('submit', { cancelable: true }));
  await until('the line', () => element('status').textContent.startsWith('createRun request failed'));
});
