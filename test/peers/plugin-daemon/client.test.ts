import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createPluginDaemonClient, MAX_ERROR_BODY_BYTES } from '../../../src/peers/plugin-daemon/client.ts';
import { DaemonRejection, DaemonTransportError } from '../../../src/peers/plugin-daemon/errors.ts';
import { chunk, type FakeDaemon, lastItem, startFakeDaemon } from '../../fakes/plugin-daemon.ts';
import { clientFor, collect, daemonSettings, llmCall, quiet, textOf } from './kit.ts';

let daemon: FakeDaemon;
beforeAll(async () => {
  daemon = await startFakeDaemon();
});
afterAll(() => daemon.stop());

const texts = (items: readonly unknown[]): readonly unknown[] =>
  items.map((item) => (item as { delta: { message: { content: unknown } } }).delta.message.content); // the fake's chunks

describe('a call', () => {
  test('sends exactly the headers and the envelope of the protocol', async () => {
    daemon.play({ llm: [[lastItem()]] });
    const { error } = await collect(clientFor(daemon.url).streamItems(llmCall(), quiet()));
    expect(error).toBeNull();
    expect(daemon.violations).toEqual([]);
    const [request] = daemon.llmRequests;
    expect(request?.path).toBe('/plugin/tenant-1/dispatch/llm/invoke');
    const { 'content-length': length, host, connection, ...headers } = request?.headers ?? {};
    expect(headers).toEqual({
      accept: '*/*',
      'accept-encoding': 'identity',
      'content-type': 'application/json',
      'user-agent': 'dify-agent/test',
      'x-api-key': 'golden-daemon-key',
      'x-plugin-id': 'langgenius/openai',
    });
    expect(Number(length)).toBe(Buffer.byteLength(request?.bodyText ?? ''));
    expect([host, connection]).toEqual([`127.0.0.1:${daemon.port}`, 'keep-alive']);
    expect(request?.bodyText).toEndWith('"stream":true},"user_id":"user-1"}');
  });

  test('leaves out the user when there is none', async () => {
    daemon.play({ llm: [[lastItem()]] });
    await collect(clientFor(daemon.url).streamItems(llmCall({ userId: null }), quiet()));
    expect(Object.keys(daemon.llmRequests[0]?.body as object)).toEqual(['data']);
  });

  test('goes to the tool route for tools, with exact numbers in both directions', async () => {
    const text = '{"1":1.0,"0":12345678901234567890}';
    daemon.play({ tool: { t: [[{ raw: `data: {"code":0,"message":"","data":{"json":${text}}}\n\n` }]] } });
    const data = {
      provider: 'p',
      tool: 't',
      credentials: {},
      credential_type: 'unauthorized',
      tool_parameters: { big: JSON.rawJSON('12345678901234567890'), float: JSON.rawJSON('1.0') },
    };
    const call = llmCall({ kind: 'tool', data, exactNumbers: true });
    const { items, error } = await collect(clientFor(daemon.url).streamItems(call, quiet()));
    expect(error).toBeNull();
    expect(daemon.toolRequests[0]?.bodyText).toContain('"tool_parameters":{"big":12345678901234567890,"float":1.0}');
    expect(JSON.stringify(items)).toContain('12345678901234567890');
  });

  test('with a path in the URL and trailing slashes keeps the path', async () => {
    daemon.play({ llm: [[lastItem()]] });
    await collect(clientFor(`${daemon.url}/base//`).streamItems(llmCall(), quiet()));
    expect(daemon.violations[0]).toContain('/base/plugin/tenant-1/dispatch/llm/invoke');
  });

  test('with ids that may not travel is refused before it is sent', async () => {
    daemon.play({ llm: [] });
    const client = clientFor(daemon.url);
    for (const [call, field] of [
      [llmCall({ tenantId: '../admin' }), 'tenant_id'],
      [llmCall({ tenantId: '' }), 'tenant_id'],
      [llmCall({ pluginId: 'a\r\nb' }), 'plugin_id'],
    ] as const) {
      const { error } = await collect(client.streamItems(call, quiet()));
      expect(textOf(error)).toStartWith(field);
    }
    const nan = llmCall({ data: { x: Number.NaN } });
    expect(textOf((await collect(client.streamItems(nan, quiet()))).error)).toBe(
      'Out of range float values are not JSON compliant: nan',
    );
    expect(daemon.llmRequests).toHaveLength(0);
    expect(client.load()).toEqual({ active: 0, waiting: 0 });
  });

  test('uses a kept connection again', async () => {
    daemon.play({ llm: [[lastItem()], [lastItem()], [lastItem()]] });
    const client = clientFor(daemon.url);
    const before = daemon.acceptedSockets();
    const openBefore = daemon.openSockets();
    for (let i = 0; i < 3; i++) await collect(client.streamItems(llmCall(), quiet()));
    expect(daemon.acceptedSockets() - before).toBe(1);
    client.close();
    await daemon.waitUntil(() => daemon.openSockets() <= openBefore);
  });

  test('keeps no connection when none may be kept', async () => {
    daemon.play({ llm: [[lastItem()], [lastItem()]] });
    const client = clientFor(daemon.url, { maxKeepaliveConnections: 0 });
    const before = daemon.acceptedSockets();
    for (let i = 0; i < 2; i++) await collect(client.streamItems(llmCall(), quiet()));
    expect(daemon.acceptedSockets() - before).toBe(2);
  });
});

describe('an answer', () => {
  test('is read whatever its writes look like', async () => {
    const text = 'x'.repeat(100_000);
    daemon.play({ llm: [['æ€😀', { rawsplit: 'sp€it', at: [3, 5, 100] }, text, 'a\u0085b\u2028c', lastItem()]] });
    const { items, error } = await collect(clientFor(daemon.url).streamItems(llmCall(), quiet()));
    expect(error).toBeNull();
    expect(texts(items)).toEqual(['æ€😀', 'sp€it', text, 'a\u0085b\u2028c', '']);
  });

  test('split inside a character of several bytes loses nothing', async () => {
    const frame = `data: ${JSON.stringify({ code: 0, message: '', data: chunk({ content: '€' }) })}`;
    const at = Buffer.from(frame).indexOf(0xe2) + 1;
    daemon.play({ llm: [[{ rawsplit: '€', at: [at + 'success'.length] }]] });
    const { items } = await collect(clientFor(daemon.url).streamItems(llmCall(), quiet()));
    expect(texts(items)).toEqual(['€']);
  });

  test('with a redirect status is no redirect: an empty body is an empty stream', async () => {
    daemon.play({ llm: [[{ http: 302, text: '', headers: { location: `${daemon.url}/elsewhere` } }]] });
    const { items, error } = await collect(clientFor(daemon.url).streamItems(llmCall(), quiet()));
    expect([items, error]).toEqual([[], null]);
    expect(daemon.llmRequests).toHaveLength(1);
  });

  test('with an HTTP error carries its body, up to a limit', async () => {
    daemon.play({ llm: [[{ http: 500, text: 'y'.repeat(MAX_ERROR_BODY_BYTES * 3) }], [{ http: 503 }]] });
    const client = clientFor(daemon.url);
    const first = await collect(client.streamItems(llmCall(), quiet()));
    expect(first.error).toBeInstanceOf(DaemonRejection);
    expect(first.error).toMatchObject({ facts: { httpStatus: 500, pair: null } });
    expect((first.error as DaemonRejection).facts.text).toHaveLength(MAX_ERROR_BODY_BYTES);
    const second = await collect(client.streamItems(llmCall(), quiet()));
    expect(second.error).toMatchObject({ facts: { httpStatus: 503, text: '' } });
    expect(client.load().active).toBe(0);
  });

  test('that breaks off keeps what came before', async () => {
    daemon.play({ llm: [['part', { cut: true }]] });
    const { items, error } = await collect(clientFor(daemon.url).streamItems(llmCall(), quiet()));
    expect(texts(items)).toEqual(['part']);
    expect(textOf(error)).toBe(
      'peer closed connection without sending complete message body (incomplete chunked read)',
    );
  });

  test('that never begins is a disconnect, and is not asked for again', async () => {
    daemon.play({ llm: [[lastItem()], [{ cut: true }], [lastItem()]] });
    const client = clientFor(daemon.url);
    await collect(client.streamItems(llmCall(), quiet()));
    const { error } = await collect(client.streamItems(llmCall(), quiet()));
    expect(textOf(error)).toBe('Server disconnected without sending a response.');
    expect(daemon.llmRequests).toHaveLength(2);
  });

  test('with a line beyond the limit ends the stream, not the process', async () => {
    daemon.play({ llm: [['ok', { raw: `data: "${'z'.repeat(9 * 1024 * 1024)}"\n\n` }, { hang: true }]] });
    const { items, error } = await collect(clientFor(daemon.url).streamItems(llmCall(), quiet()));
    expect(texts(items)).toEqual(['ok']);
    expect(textOf(error)).toBe('Plugin daemon sent a line longer than 8388608 characters');
    await daemon.waitForAbort();
  });

  test('that is no HTTP is an error of the transport', async () => {
    const server = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data(socket) {
          socket.end('SSH-2.0-nope\r\n\r\n');
        },
      },
    });
    const { error } = await collect(clientFor(`http://127.0.0.1:${server.port}`).streamItems(llmCall(), quiet()));
    expect(error).toBeInstanceOf(DaemonTransportError);
    server.stop(true);
  });
});

describe('aborting', () => {
  test('closes the upstream socket at once, before and during the answer', async () => {
    for (const reply of [[{ hang: true }], ['x', { hang: true }]] as const) {
      daemon.play({ llm: [reply] });
      const client = clientFor(daemon.url);
      const controller = new AbortController();
      const done = collect(client.streamItems(llmCall(), controller.signal));
      await daemon.waitForRequest(1);
      controller.abort(new Error('run cancelled'));
      expect(textOf((await done).error)).toBe('run cancelled');
      await daemon.waitForAbort();
      expect(client.load().active).toBe(0);
    }
  });

  test('before the call sends nothing', async () => {
    daemon.play({ llm: [] });
    const { error } = await collect(
      clientFor(daemon.url).streamItems(llmCall(), AbortSignal.abort(new Error('too late'))),
    );
    expect(textOf(error)).toBe('too late');
    expect(daemon.llmRequests).toHaveLength(0);
  });

  test('is what leaving the loop early does to the daemon', async () => {
    daemon.play({ llm: [['x', { hang: true }]] });
    for await (const _ of clientFor(daemon.url).streamItems(llmCall(), quiet())) break;
    await daemon.waitForAbort();
  });
});

describe('a client', () => {
  test('sends an empty key when none is configured', async () => {
    daemon.play({ llm: [[lastItem()]] });
    await collect(clientFor(daemon.url, { apiKey: '' }).streamItems(llmCall(), quiet()));
    expect(daemon.llmRequests[0]?.headers['x-api-key']).toBe('');
  });

  test('sends user info of the URL as Basic authorization', async () => {
    daemon.play({ llm: [[lastItem()]] });
    const url = daemon.url.replace('//', '//us%40er:pa%20ss@');
    await collect(clientFor(url).streamItems(llmCall(), quiet()));
    expect(daemon.llmRequests[0]?.headers.authorization).toBe(`Basic ${btoa('us@er:pa ss')}`);
  });

  test('refuses a URL or a key that cannot work, without showing it', () => {
    const create = (changes: Parameters<typeof daemonSettings>[1]) => () =>
      createPluginDaemonClient(daemonSettings(daemon.url, changes), { userAgent: 'x' });
    expect(create({ url: 'ftp://user:pw@host' })).toThrow('plugin daemon URL must be an http:// or https:// URL');
    expect(create({ apiKey: 'a\nb' })).toThrow(/^plugin daemon API key must be printable ASCII/);
  });
});
