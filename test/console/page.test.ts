// How the console is served: whole, small, cached by content, with a policy that lets nothing in, and not at all when it is off.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { startServer, type TestServer } from '../server/support.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ settings: { consoleEnabled: true } });
});
afterAll(() => server.stop());

const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(`${server.url}${path}`, { method, headers, proxy: false, decompress: false } as RequestInit);

/** Paths of the page's files, as the page names them. */
async function files(): Promise<readonly string[]> {
  const html = await (await ask('/console', { 'accept-encoding': 'identity' })).text();
  return [...html.matchAll(/(?:src|href)="(console\/[^"]+)"/g)].map(([, path]) => `/${path}`);
}

describe('the page', () => {
  test('names its script and its style by their content, relative to itself, and has nothing inline', async () => {
    const html = await (await ask('/console', { 'accept-encoding': 'identity' })).text();
    expect(await files()).toEqual([
      expect.stringMatching(/^\/console\/app\.css\?v=[0-9a-f]{16}$/),
      expect.stringMatching(/^\/console\/app\.js\?v=[0-9a-f]{16}$/),
    ]);
    expect(html).not.toMatch(/<script(?![^>]* src=)|<style| on\w+=| style=|https?:\/\/(?!www\.w3\.org)/);
  });

  test('all of it is under 250 KB gzipped', async () => {
    let bytes = 0;
    for (const path of ['/console', ...(await files())]) {
      const response = await ask(path, { 'accept-encoding': 'gzip' });
      expect(response.headers.get('content-encoding')).toBe('gzip');
      bytes += (await response.arrayBuffer()).byteLength;
    }
    expect(bytes).toBeGreaterThan(20_000);
    expect(bytes).toBeLessThan(250_000);
  });

  test('every answer has the policy: this server only, nothing inline, no frames', async () => {
    for (const path of ['/console', ...(await files())]) {
      const { headers } = await ask(path);
      expect(headers.get('content-security-policy')).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      );
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
    }
  });

  test('no file of it names another host to load from', async () => {
    for (const path of await files()) {
      const text = await (await ask(path, { 'accept-encoding': 'identity' })).text();
      const hosts = [...text.matchAll(/https?:\/\/([a-z0-9.-]+)/gi)].map(([, host]) => host);
      expect([path, hosts.filter((host) => host !== 'www.w3.org')]).toEqual([path, []]);
    }
  });
});

describe('caching', () => {
  test('a file with its content in its name is kept for ever, the page and other names are asked for again', async () => {
    for (const path of await files()) {
      expect((await ask(path)).headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
      expect((await ask(path.replace(/v=.*/, 'v=0000'))).headers.get('cache-control')).toBe('no-cache');
    }
    expect((await ask('/console')).headers.get('cache-control')).toBe('no-cache');
  });

  test('what the browser has is not sent again', async () => {
    for (const path of ['/console', ...(await files())]) {
      const etag = (await ask(path)).headers.get('etag') ?? '';
      for (const known of [etag, `"other", W/${etag}`]) {
        const again = await ask(path, { 'if-none-match': known });
        expect([path, again.status, await again.text()]).toEqual([path, 304, '']);
      }
      expect((await ask(path, { 'if-none-match': '"other"' })).status).toBe(200);
    }
  });

  test('gzip is only for those who take it', async () => {
    const [style = ''] = await files();
    for (const header of ['gzip', 'br, gzip;q=0.5', '*', 'GZIP']) {
      expect([header, (await ask(style, { 'accept-encoding': header })).headers.get('content-encoding')]).toEqual([
        header,
        'gzip',
      ]);
    }
    for (const header of ['identity', 'br', 'gzip;q=0', 'x-gzipped']) {
      const response = await ask(style, { 'accept-encoding': header });
      expect([header, response.headers.get('content-encoding')]).toEqual([header, null]);
      expect(await response.text()).toContain('--accent');
    }
  });

  test('HEAD is answered, other methods are not', async () => {
    expect((await ask('/console', {}, 'HEAD')).status).toBe(200);
    expect((await ask('/console', {}, 'POST')).status).toBe(405);
  });
});

test('anybody may load it where the API asks for a token', async () => {
  const locked = await startServer({
    settings: {
      consoleEnabled: true,
      access: { apiToken: 'a'.repeat(32), apiTokensPrevious: [], allowAnonymous: false },
    },
  });
  try {
    expect((await fetch(`${locked.url}/console`, { proxy: false })).status).toBe(200);
    expect((await fetch(`${locked.url}/runs/x`, { proxy: false })).status).toBe(401);
  } finally {
    await locked.stop();
  }
});

test('off, it is not there', async () => {
  const off = await startServer({ settings: { consoleEnabled: false } });
  try {
    for (const path of ['/console', '/console/app.js', '/console/app.css']) {
      expect((await fetch(off.url + path, { proxy: false })).status).toBe(404);
    }
  } finally {
    await off.stop();
  }
});
