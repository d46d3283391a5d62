// HTTPS by files: the same server over TLS, and one line that names the variable for every way in which files can be wrong.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../../src/base/errors.ts';
import type { Settings, TlsSettings } from '../../src/config/settings.ts';
import { readTlsFiles } from '../../src/server/tls.ts';
import { until } from '../support/until.ts';
import { type CertificateFolder, certificateFolder, GUARDED, startWithDoors, TOKEN } from './doors.ts';
import { connect, type TestServer } from './support.ts';

interface Files {
  readonly certFile: string;
  readonly keyFile: string;
}

const ANYBODY: Settings['access'] = { apiToken: null, apiTokensPrevious: [], allowAnonymous: false };
let folder: CertificateFolder;
let good: Files;
let other: Files;
let expired: Files;
const servers: TestServer[] = [];

beforeAll(async () => {
  folder = certificateFolder();
  [good, other, expired] = await Promise.all([folder.make('good'), folder.make('other'), folder.make('expired', -1)]);
});
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});
afterAll(() => folder.dispose());

async function secureServer(tls: TlsSettings = good, access: Settings['access'] = ANYBODY): Promise<TestServer> {
  const server = await startWithDoors({ tls, access });
  servers.push(server);
  return server;
}

/** `fetch` that trusts the certificate. */
function ask(url: string, init: RequestInit = {}, { certFile }: Files = good): Promise<Response> {
  const tls = { ca: readFileSync(certFile, 'utf8') };
  return fetch(url, { redirect: 'manual', proxy: false, tls, ...init } as RequestInit);
}

function written(name: string, text: string): string {
  const path = join(folder.path, name);
  writeFileSync(path, text);
  return path;
}

function problemOf(files: Partial<Files>): string {
  try {
    readTlsFiles({ ...good, ...files }, new Date());
  } catch (error) {
    expect(error).toBeInstanceOf(CodedError);
    return String((error as Error).message); // just checked
  }
  return '';
}

describe('over TLS', () => {
  test('the server says https, and answers as ever', async () => {
    const server = await secureServer();
    expect(server.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(await (await ask(`${server.url}/healthz`)).text()).toBe('{"status":"ok"}');
    const created = await ask(`${server.url}/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"composition":{"layers":[]},"metadata":{"long":"${'x'.repeat(500_000)}"}}`,
    });
    expect(created.status).toBe(202);
    await expect(fetch(`${server.url}/healthz`, { proxy: false } as RequestInit)).rejects.toThrow(); // nobody vouches for it
  });

  test.each(['x', 'localhost', '[::1]:8000', 'bad host<>'])(
    'paths are found behind any Host header: %s',
    async (host) => {
      const server = await secureServer();
      let received = '';
      const secured = Promise.withResolvers<void>();
      const socket = await Bun.connect({
        hostname: '127.0.0.1',
        port: server.port,
        tls: { ca: readFileSync(good.certFile, 'utf8') },
        socket: {
          handshake: () => secured.resolve(),
          data: (_, data) => {
            received += data.toString('latin1');
          },
        },
      });
      await secured.promise;
      for (const [target, end] of [
        ['/healthz', '{"status":"ok"}'],
        ['/runs/a/events?limit=abc', '"input":"abc"}]}'],
        ['http://a/healthz', '{"status":"ok"}'],
        ['https://a/healthz#/x', '{"status":"ok"}'],
      ] as const) {
        received = '';
        socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
        await until(`the answer to ${target}`, () => received.endsWith(end), { timeoutMs: 3000 });
      }
      socket.terminate();
    },
  );

  test('a redirect stays on it', async () => {
    const server = await secureServer();
    const { status, headers } = await ask(`${server.url}/runs/`);
    expect([status, headers.get('location')]).toEqual([307, `${server.url}/runs`]);
  });

  test('an event stream arrives while it happens', async () => {
    const server = await secureServer(good, GUARDED);
    const runId = await server.run();
    const response = await ask(`${server.url}/runs/${runId}/events/sse`, {
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    let text = '';
    const reading = (async () => {
      for await (const chunk of response.body ?? []) text += new TextDecoder().decode(chunk);
    })();
    await until('the greeting', () => text.includes(': keepalive'));
    await server.say(runId, 'first');
    await until('the first event', () => text.includes('"first"'));
    await server.succeed(runId);
    await reading;
    expect(text).toContain('event: run_succeeded');
  });

  test('whoever speaks plain HTTP gets nothing', async () => {
    const server = await secureServer();
    const connection = await connect(server.port);
    connection.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    await until('the end', () => connection.closed);
    expect(connection.received).not.toContain('status');
    expect((await ask(`${server.url}/healthz`)).status).toBe(200);
  });

  test('an expired certificate is served, and warned about', async () => {
    const server = await secureServer(expired);
    const warnings = server.log.filter(({ level }) => level === 'warn').map(({ message }) => message);
    expect(warnings).toEqual([
      expect.stringMatching(/^DIFY_AGENT_TLS_CERT: .*expired\.crt expired on \d{4}-\d\d-\d\d$/),
    ]);
  });
});

describe('files', () => {
  test('are described by whom and until when they serve', () => {
    const files = readTlsFiles(good, new Date());
    expect(files?.description).toMatch(/^certificate for DNS:localhost, IP Address:127\.0\.0\.1, valid until \d{4}-/);
    expect(files?.warnings).toEqual([]);
    expect(readTlsFiles({ certFile: null, keyFile: null }, new Date())).toBeNull();
  });

  test('a certificate that is not valid yet is warned about', () => {
    const [warning = ''] = readTlsFiles(good, new Date('2001-01-01'))?.warnings ?? [];
    expect(warning).toMatch(/^DIFY_AGENT_TLS_CERT: .* is not valid before /);
  });

  test('a chain and explanations around the blocks are fine', () => {
    const text = `Subject: x\n${readFileSync(good.certFile, 'utf8')}\nIssuer: y\n${readFileSync(other.certFile, 'utf8')}`;
    expect(problemOf({ certFile: written('chain.crt', text) })).toBe('');
  });

  test('that cannot be read', () => {
    mkdirSync(join(folder.path, 'folder'));
    for (const name of ['nowhere.pem', 'folder']) {
      const path = join(folder.path, name);
      expect(problemOf({ certFile: path })).toStartWith(`DIFY_AGENT_TLS_CERT: cannot read ${path}: `);
      expect(problemOf({ keyFile: path })).toStartWith(`DIFY_AGENT_TLS_KEY: cannot read ${path}: `);
    }
    const large = written('large.pem', 'x'.repeat(1_048_577));
    expect(problemOf({ certFile: large })).toBe(`DIFY_AGENT_TLS_CERT: cannot read ${large}: larger than 1048576 bytes`);
  });

  test('that hold something else', async () => {
    const der = join(folder.path, 'good.der');
    await folder.openssl('x509', '-in', good.certFile, '-outform', 'der', '-out', der);
    const text = readFileSync(good.certFile, 'utf8');
    const brokenChain = `${text}${text.replace('\nMII', '\nAAA')}`;
    for (const certFile of [
      written('empty.crt', ''),
      written('text.crt', 'hello'),
      good.keyFile,
      der,
      written('cut.crt', text.slice(0, 200)),
      written('broken.crt', brokenChain),
    ]) {
      expect(problemOf({ certFile })).toBe(
        `DIFY_AGENT_TLS_CERT: ${certFile} is not a certificate (or a chain of them) in PEM`,
      );
    }
    for (const keyFile of [written('empty.key', ''), written('text.key', 'hello'), good.certFile]) {
      expect(problemOf({ keyFile })).toBe(`DIFY_AGENT_TLS_KEY: ${keyFile} is not a private key in PEM`);
    }
  });

  test('a key with a passphrase', async () => {
    const keyFile = join(folder.path, 'locked.key');
    await folder.openssl('ec', '-in', good.keyFile, '-aes256', '-passout', 'pass:hunter2', '-out', keyFile);
    expect(problemOf({ keyFile })).toBe(
      `DIFY_AGENT_TLS_KEY: the key in ${keyFile} has a passphrase; it must have none`,
    );
    const pkcs8 = join(folder.path, 'locked8.key');
    await folder.openssl('pkcs8', '-topk8', '-in', good.keyFile, '-passout', 'pass:hunter2', '-out', pkcs8);
    expect(problemOf({ keyFile: pkcs8 })).toContain('has a passphrase');
  });

  test('that do not belong together, whatever kind they are', async () => {
    const rsa = join(folder.path, 'rsa.key');
    await folder.openssl('genrsa', '-out', rsa, '2048');
    for (const keyFile of [other.keyFile, rsa]) {
      expect(problemOf({ keyFile })).toBe(
        `DIFY_AGENT_TLS_KEY: the key in ${keyFile} does not belong to the certificate in ${good.certFile} (DIFY_AGENT_TLS_CERT)`,
      );
    }
  });

  test('no text holds anything of a key', () => {
    const secret = readFileSync(good.keyFile, 'utf8').split('\n')[1] ?? '';
    expect(secret.length).toBeGreaterThan(20);
    for (const files of [{ certFile: good.keyFile }, { keyFile: good.certFile }, { certFile: other.certFile }]) {
      expect(problemOf(files)).not.toContain(secret.slice(0, 16));
    }
  });
});
