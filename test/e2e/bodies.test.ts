// Bad and hostile bodies through the binary: the documented answer, before they cost memory, and the server goes on.

import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { post, runToEnd, scripted } from '../support/runs.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { within } from '../support/until.ts';

const LIMIT = 4_000_000;
let server: TestServer;

beforeAll(async () => {
  server = await startServer({ env: { DIFY_AGENT_MAX_REQUEST_BYTES: String(LIMIT) } });
}, 180_000);

afterAll(() => server.dispose());

afterEach(async () => {
  expect((await runToEnd(server.url, scripted([[{ text: 'still here' }]]))).terminal.output).toBe('still here');
});

/** Resident memory of the server in MB. */
function residentMegabytes(): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'));
  return Number(match?.[1]) / 1024;
}

test('a body over the limit is 413, declared or not', async () => {
  const answer = `{"detail":"request body too large: limit is ${LIMIT} bytes"}`;
  const declared = await post(server.url, 'x'.repeat(LIMIT + 1));
  expect([declared.status, await declared.text()]).toEqual([413, answer]);
  const piece = new Uint8Array(64 * 1024).fill(0x20);
  let sent = 0;
  const chunked = await fetch(`${server.url}/runs`, {
    method: 'POST',
    proxy: false,
    headers: { 'content-type': 'application/json' },
    body: new ReadableStream({
      pull(controller) {
        sent += piece.length;
        if (sent > 2 * LIMIT) controller.close();
        else controller.enqueue(piece);
      },
    }),
  } as RequestInit);
  expect([chunked.status, await chunked.text()]).toEqual([413, answer]);
});

test('a body that claims to be huge is refused before it is sent', async () => {
  const received = Promise.withResolvers<string>();
  let text = '';
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port: server.port,
    socket: {
      data(_, bytes) {
        text += Buffer.from(bytes).toString('latin1');
        if (text.includes('bytes"}')) received.resolve(text);
      },
      close: () => received.resolve(text),
    },
  });
  const before = residentMegabytes();
  socket.write(
    `POST /runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${2 ** 33}\r\n\r\n{"a":`,
  );
  expect(await within('the answer', received.promise)).toContain('413');
  expect(residentMegabytes() - before).toBeLessThan(30);
  socket.terminate();
});

test('deep nesting is refused, however deep', async () => {
  const nested = (depth: number) =>
    `{"composition":{"layers":[]},"metadata":{"x":${'['.repeat(depth)}${']'.repeat(depth)}}}`;
  expect((await post(server.url, nested(200))).status).toBe(202);
  const bodies = await Promise.all(
    [400, 20_000, 100_000, 1_000_000].map(async (depth) => {
      const response = await post(server.url, nested(depth));
      return [depth, response.status, (await response.text()).length < 20_000];
    }),
  );
  expect(bodies.slice(0, 1)).toEqual([[400, 422, true]]);
  for (const [depth, status, short] of bodies) {
    expect([depth, [400, 422].includes(Number(status)), short]).toEqual([depth, true, true]);
  }
  expect((await post(server.url, nested(100_000))).status).toBe(400);
});

test('bytes that are not JSON, not UTF-8 or not an object get the documented answers', async () => {
  const detail = async (body: string | Uint8Array, type = 'application/json') => {
    const response = await fetch(`${server.url}/runs`, {
      method: 'POST',
      proxy: false,
      headers: { 'content-type': type },
      body,
    } as RequestInit);
    return [response.status, await response.text()];
  };
  const invalid = (offset: number, error: string) =>
    `{"detail":[{"type":"json_invalid","loc":["body",${offset}],"msg":"JSON decode error","input":{},"ctx":{"error":"${error}"}}]}`;
  expect(await detail('{"a":}')).toEqual([422, invalid(5, 'Expecting value')]);
  expect(await detail('{"a" 1}')).toEqual([422, invalid(5, "Expecting ':' delimiter")]);
  expect(await detail('{} {}')).toEqual([422, invalid(3, 'Extra data')]);
  expect(await detail('{"a":"x')).toEqual([422, invalid(5, 'Unterminated string starting at')]);
  expect(await detail(new Uint8Array([0x7b, 0xff, 0x7d]))).toEqual([
    400,
    '{"detail":"There was an error parsing the body"}',
  ]);
  expect(await detail('')).toEqual([
    422,
    '{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}',
  ]);
  expect(await detail('[]')).toEqual([
    422,
    '{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[]}]}',
  ]);
  expect(await detail('{}', 'text/plain')).toEqual([
    422,
    '{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":"{}"}]}',
  ]);
});

test('unknown keys and wrong types are listed with their places', async () => {
  const response = await post(server.url, {
    composition: { schema_version: 1, layers: [{ name: 'prompt' }] },
    user_prompt: 'hi',
  });
  expect(response.status).toBe(422);
  expect(await response.text()).toBe(
    '{"detail":[{"type":"missing","loc":["body","composition","layers",0,"type"],"msg":"Field required","input":{"name":"prompt"}},{"type":"extra_forbidden","loc":["body","user_prompt"],"msg":"Extra inputs are not permitted","input":"hi"}]}',
  );
});

test('numbers of any size in free-form values are accepted', async () => {
  const run = await post(
    server.url,
    '{"composition":{"layers":[]},"metadata":{"big":123456789012345678901234567890,"tiny":1e-400,"nan":NaN,"inf":-Infinity}}',
  );
  expect(run.status).toBe(202);
});
