// What pages of other origins may do: nothing, unless the settings name them.

import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { basic, GUARDED, startWithDoors, TOKEN } from './doors.ts';
import { ask, startServer, type TestServer } from './support.ts';

const PAGE = 'https://app.example.com';
const OTHER = 'https://evil.example.com';
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };

let server: TestServer;
let anywhere: TestServer;
let off: TestServer;

beforeAll(async () => {
  const origins = [PAGE, 'http://localhost:3000'];
  server = await startWithDoors({ access: GUARDED, corsOrigins: origins });
  anywhere = await startWithDoors({ corsOrigins: ['*'] });
  off = await startServer();
});
afterAll(async () => {
  for (const each of [server, anywhere, off]) await each.stop();
});

function preflight(url: string, origin: string, method = 'POST', asked?: string) {
  const headers: Record<string, string> = { origin, 'access-control-request-method': method };
  if (asked !== undefined) headers['access-control-request-headers'] = asked;
  return ask(url, { method: 'OPTIONS', headers });
}

const corsOf = (headers: Headers) => [...headers].filter(([name]) => name.startsWith('access-control-'));

describe('a preflight', () => {
  test('of an allowed page is answered without a token', async () => {
    const { status, text, headers } = await preflight(
      `${server.url}/runs`,
      PAGE,
      'POST',
      'authorization,content-type, X-Agent-Snapshot-Policy ,x-other,x-agent-\u00e9',
    );
    expect([status, text]).toEqual([204, '']);
    expect(headers.get('access-control-allow-origin')).toBe(PAGE);
    expect(headers.get('access-control-allow-methods')).toBe('POST');
    expect(headers.get('access-control-allow-headers')).toBe(
      'authorization, content-type, last-event-id, x-request-id, x-agent-snapshot-policy',
    );
    expect(headers.get('access-control-max-age')).toBe('600');
    expect(headers.get('access-control-allow-credentials')).toBeNull();
    expect(headers.get('vary')).toBe('origin');
  });

  test('names the methods of the path', async () => {
    const { headers } = await preflight(`${server.url}/runs/x/events/sse`, PAGE, 'GET', 'authorization,last-event-id');
    expect(headers.get('access-control-allow-methods')).toBe('GET');
  });

  test('of another page, or about a path that does not exist, gets the answer that everybody gets', async () => {
    for (const origin of [
      OTHER,
      'null',
      `${PAGE}.evil.com`,
      PAGE.toUpperCase(),
      `${PAGE}/`,
      'http://app.example.com',
    ]) {
      const { status, headers } = await preflight(`${server.url}/runs`, origin);
      expect([origin, status, headers.get('allow'), corsOf(headers)]).toEqual([origin, 405, 'POST', []]);
      expect(headers.get('vary')).toBe('origin');
    }
    expect((await preflight(`${server.url}/nope`, PAGE)).status).toBe(404);
  });

  test('needs both of its headers', async () => {
    const options = (headers: Record<string, string>) => ask(`${server.url}/runs`, { method: 'OPTIONS', headers });
    expect((await options({ origin: PAGE })).status).toBe(405);
    expect((await options({ 'access-control-request-method': 'POST' })).status).toBe(405);
  });
});

describe('an answer', () => {
  test('can be read by an allowed page, whatever it is', async () => {
    const headers = { origin: PAGE };
    const body = { method: 'POST', headers: { ...headers, ...AUTHORIZED, 'content-type': 'application/json' } };
    const runId = await server.run();
    await server.succeed(runId);
    const answers = await Promise.all([
      ask(`${server.url}/healthz`, { headers }),
      ask(`${server.url}/runs/x`, { headers }),
      ask(`${server.url}/runs/x`, { headers: { ...headers, authorization: basic(`:${TOKEN}`) } }),
      ask(`${server.url}/nope`, { headers }),
      ask(`${server.url}/runs`, { headers }),
      ask(`${server.url}/runs`, { ...body, body: '{"composition":{"layers":[]}}' }),
      ask(`${server.url}/runs`, { ...body, body: '{' }),
      ask(`${server.url}/runs/${runId}/events/sse`, { headers: { ...headers, ...AUTHORIZED } }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 404, 404, 405, 202, 422, 200]);
    for (const answer of answers) {
      expect(answer.headers.get('access-control-allow-origin')).toBe(PAGE);
      expect(answer.headers.get('access-control-expose-headers')).toStartWith('x-request-id, retry-after');
      expect(answer.headers.get('vary')).toBe('origin');
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    }
    expect(answers.at(-1)?.text).toContain('event: run_succeeded');
  });

  test('cannot be read by another page, and caches are told why', async () => {
    for (const origin of [OTHER, 'null']) {
      const { status, headers } = await ask(`${server.url}/healthz`, { headers: { origin } });
      expect([status, corsOf(headers), headers.get('vary')]).toEqual([200, [], 'origin']);
    }
    const plain = await ask(`${server.url}/healthz`);
    expect([corsOf(plain.headers), plain.headers.get('vary')]).toEqual([[], 'origin']);
  });

  test('can be read by any page where any is allowed, without cookies', async () => {
    for (const origin of [OTHER, 'null']) {
      const { headers } = await ask(`${anywhere.url}/healthz`, { headers: { origin } });
      expect(headers.get('access-control-allow-origin')).toBe('*');
      expect(headers.get('access-control-allow-credentials')).toBeNull();
      expect(headers.get('vary')).toBeNull();
      const before = await preflight(`${anywhere.url}/runs`, origin);
      expect([before.status, before.headers.get('access-control-allow-origin')]).toEqual([204, '*']);
    }
    expect(corsOf((await ask(`${anywhere.url}/healthz`)).headers)).toEqual([]);
  });
});

test('by default nothing of this is on the wire', async () => {
  const asked = await preflight(`${off.url}/runs`, PAGE);
  expect([asked.status, asked.text, asked.headers.get('allow')]).toEqual([
    405,
    '{"detail":"Method Not Allowed"}',
    'POST',
  ]);
  for (const { headers } of [asked, await ask(`${off.url}/healthz`, { headers: { origin: PAGE } })]) {
    expect([corsOf(headers), headers.get('vary')]).toEqual([[], null]);
  }
});

test('own headers of an answer are exposed by their names', async () => {
  const { createCors } = await import('../../src/server/cors.ts');
  const response = new Response('', { headers: { 'x-agent-events-trimmed': 'true', 'x-other': '1' } });
  createCors([PAGE])?.mark(new Request('http://x', { headers: { origin: PAGE } }), response);
  expect(response.headers.get('access-control-expose-headers')).toBe(
    'x-request-id, retry-after, www-authenticate, x-agent-events-trimmed',
  );
});
