// The bytes of files: streamed, put in their place in one step, and what a hostile or broken other side can do.

import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { StubClient } from '../../src/sandbox/client.ts';
import { downloadInto, downloadTo, saveAnswer } from '../../src/sandbox/download.ts';
import { SandboxError } from '../../src/sandbox/errors.ts';
import { moveToFree, writeWhole } from '../../src/sandbox/place.ts';
import type { ProgressLine } from '../../src/sandbox/progress.ts';
import type { TransferOptions } from '../../src/sandbox/transfer.ts';
import { isCanonicalReference, uploadFile } from '../../src/sandbox/upload.ts';
import { until } from '../support/until.ts';
import { newFolder, serve } from './kit.ts';

const folder = newFolder();
afterAll(folder.remove);
let root: string;
let round = 0;
beforeEach(() => {
  round += 1;
  root = join(folder.path, String(round));
  mkdirSync(root);
});

const REFERENCE = 'dify-file-ref:eyJyZWNvcmRfaWQiOiJ4In0=';

function quiet(changes: Partial<TransferOptions> = {}): TransferOptions {
  return { progress: null, signal: new AbortController().signal, ...changes };
}

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof SandboxError) return error.message;
    throw error;
  }
  return 'nothing was wrong';
}

/** A stub that hands out this URL for uploads. */
function clientFor(url: string): { readonly client: StubClient; readonly asked: unknown[] } {
  const asked: unknown[] = [];
  const never = () => Promise.reject(new Error('not asked here'));
  const client: StubClient = {
    connect: never,
    async uploadUrl(filename, mimetype) {
      asked.push([filename, mimetype]);
      return url;
    },
    download: never,
    json: never,
    bytes: never,
    close() {},
  };
  return { client, asked };
}

/** A server that sees bytes as they come and answers what it is told. */
async function rawServer(
  onData: (received: Buffer, write: (text: string) => void, close: () => void) => void,
): Promise<{ readonly url: string; readonly received: () => Buffer; stop(): void }> {
  const chunks: Buffer[] = [];
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      chunks.push(Buffer.from(data));
      onData(
        Buffer.concat(chunks),
        (text) => void socket.write(text),
        () => void socket.destroy(),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    received: () => Buffer.concat(chunks),
    stop: () => void server.close(),
  };
}

const files = () => readdirSync(root).sort();

describe('uploading', () => {
  test('one field of a form, with its length, nothing of ours beside it', async () => {
    writeFileSync(join(root, 'a "b"\n.csv'), 'x,y\n');
    const server = await rawServer((received, write) => {
      if (!received.includes('--\r\n')) return;
      const body = JSON.stringify({ id: 'x', reference: REFERENCE });
      write(`HTTP/1.1 201 Created\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
    const { client, asked } = clientFor(`${server.url}/up?sign=1`);
    expect(await uploadFile(client, join(root, 'a "b"\n.csv'), quiet())).toEqual({ reference: REFERENCE, id: 'x' });
    const [head = '', part = '', body = ''] = server.received().toString().split('\r\n\r\n');
    expect(head).toStartWith('POST /up?sign=1 HTTP/1.1');
    expect(head.toLowerCase()).not.toContain('authorization');
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
    expect(length).toBe(server.received().length - head.length - 4);
    expect(part).toContain('name="file"; filename="a %22b%22%0A.csv"\r\nContent-Type: text/csv');
    expect(body).toStartWith('x,y\n\r\n--');
    expect(asked).toEqual([['a "b"\n.csv', 'text/csv']]);
    server.stop();
  });

  test('an empty file, and one without an ending', async () => {
    writeFileSync(join(root, 'Makefile'), '');
    const server = serve(() => Response.json({ id: 'x', reference: REFERENCE }, { status: 201 }));
    const { client, asked } = clientFor(server.url);
    await uploadFile(client, join(root, 'Makefile'), quiet());
    expect(asked).toEqual([['Makefile', 'application/octet-stream']]);
    await server.stop();
  });

  test('what is not uploaded', async () => {
    const { client, asked } = clientFor('http://127.0.0.1:9');
    Bun.spawnSync(['mkfifo', join(root, 'pipe')]);
    expect(await failure(uploadFile(client, join(root, 'nothing'), quiet()))).toBe(`file not found: ${root}/nothing`);
    expect(await failure(uploadFile(client, root, quiet()))).toBe(`not a regular file: ${root}`);
    expect(await failure(uploadFile(client, join(root, 'pipe'), quiet()))).toBe(`not a regular file: ${root}/pipe`);
    expect(asked).toEqual([]);
  });

  test('answers that are none', async () => {
    writeFileSync(join(root, 'f'), 'x');
    let answer: Response;
    const server = serve(() => answer);
    const of = async (response: Response) => {
      answer = response;
      return await failure(uploadFile(clientFor(server.url).client, join(root, 'f'), quiet()));
    };
    const failed = 'signed file upload failed';
    expect(await of(new Response('<html>', { status: 413 }))).toBe(`${failed}: HTTP 413`);
    expect(await of(Response.json({ id: 'x', reference: REFERENCE }, { status: 500 }))).toBe(`${failed}: HTTP 500`);
    expect(await of(new Response('<html>'))).toBe(`${failed}: the answer is not a JSON object`);
    expect(await of(Response.json([]))).toBe(`${failed}: the answer is not a JSON object`);
    expect(await of(Response.json({ id: 'x' }))).toBe('signed file upload response is missing reference');
    expect(await of(Response.json({ id: 'x', reference: 7 }))).toBe('signed file upload response is missing reference');
    expect(await of(Response.json({ reference: REFERENCE }))).toBe('signed file upload response is missing id');
    expect(await of(Response.json({ reference: REFERENCE, id: '' }))).toBe('signed file upload response is missing id');
    expect(await of(Response.json({ reference: 'c0ffee', id: 'x' }))).toBe(
      'signed file upload response has invalid canonical reference',
    );
    expect(await of(new Response('x'.repeat(100_000)))).toBe('the answer is larger than 65536 bytes');
    expect(await of(Response.redirect('http://127.0.0.1:9/', 307))).toBe(`${failed}: HTTP 307`);
    await server.stop();
  });

  test('a refusal that comes before the file has gone is told at once', async () => {
    writeFileSync(join(root, 'large'), '');
    truncateSync(join(root, 'large'), 512 * 1024 * 1024);
    let answered = false;
    const server = await rawServer((_received, write, close) => {
      if (answered) return;
      answered = true;
      write('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      setImmediate(close);
    });
    const told = await failure(uploadFile(clientFor(server.url).client, join(root, 'large'), quiet()));
    expect(told).toStartWith('signed file upload failed: ');
    expect(server.received().length).toBeLessThan(64 * 1024 * 1024);
    server.stop();
  });

  test('a server that stops reading, or never answers, is waited for as long as it is allowed to', async () => {
    writeFileSync(join(root, 'large'), '');
    truncateSync(join(root, 'large'), 256 * 1024 * 1024);
    writeFileSync(join(root, 'small'), 'x');
    const deaf = createServer((socket) => socket.pause().on('error', () => {}));
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
    const address = deaf.address();
    const { client } = clientFor(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
    for (const name of ['large', 'small']) {
      expect(await failure(uploadFile(client, join(root, name), quiet({ idleMs: 200 })))).toBe(
        'signed file upload timed out',
      );
    }
    deaf.close();
  });

  test('only what was announced is sent of a file that grows; one that shrinks is told', async () => {
    const path = join(root, 'log');
    writeFileSync(path, 'x'.repeat(1000));
    const server = serve(async (request) => {
      const form = await request.formData();
      const file = form.get('file');
      return Response.json({ id: String(file instanceof Blob ? file.size : 0), reference: REFERENCE });
    });
    // Between the look at its size and its bytes.
    const growing = clientFor(server.url).client;
    const grow: StubClient = {
      ...growing,
      async uploadUrl(...words) {
        writeFileSync(path, 'x'.repeat(5000));
        return growing.uploadUrl(...words);
      },
    };
    expect((await uploadFile(grow, path, quiet())).id).toBe('1000');
    const shrink: StubClient = {
      ...growing,
      async uploadUrl(...words) {
        truncateSync(path, 10);
        return growing.uploadUrl(...words);
      },
    };
    expect(await failure(uploadFile(shrink, path, quiet()))).toStartWith(
      'the file became shorter while it was uploaded',
    );
    await server.stop();
  });

  test('to http and https only', async () => {
    writeFileSync(join(root, 'f'), 'x');
    for (const url of ['file:///etc/passwd', 'ftp://h/x', 's3://b/k', 'data:,x', 'nonsense', 'http://', '']) {
      expect(await failure(uploadFile(clientFor(url).client, join(root, 'f'), quiet()))).toBe(
        'signed file upload failed: not an http or https URL',
      );
    }
  });
});

describe('downloading', () => {
  const source = (url: string, filename = 'a.tar.gz', size = 5) => ({ url, filename, size });

  test('under the name that is given, or a free one like it; no header of ours', async () => {
    const server = serve(() => new Response('hello'));
    expect(await downloadInto(join(root, 'new/dir'), source(server.url), quiet())).toBe(join(root, 'new/dir/a.tar.gz'));
    expect(await downloadInto(join(root, 'new/dir'), source(server.url), quiet())).toBe(
      join(root, 'new/dir/a (1).tar.gz'),
    );
    expect(readdirSync(join(root, 'new/dir')).sort()).toEqual(['a (1).tar.gz', 'a.tar.gz']);
    expect(readFileSync(join(root, 'new/dir/a (1).tar.gz'), 'utf8')).toBe('hello');
    expect(server.seen[0]?.has('authorization')).toBe(false);
    expect(server.seen[0]?.get('accept-encoding')).toBe('identity');
    await server.stop();
  });

  test('many at once into one directory take different names', async () => {
    const server = serve(() => new Response('x'));
    const paths = await Promise.all(Array.from({ length: 20 }, () => downloadInto(root, source(server.url), quiet())));
    expect(new Set(paths).size).toBe(20);
    expect(files()).toHaveLength(20);
    await server.stop();
  });

  test('never through a link, never outside', async () => {
    const server = serve(() => new Response('new'));
    mkdirSync(join(root, 'out'));
    writeFileSync(join(root, 'victim'), 'old');
    symlinkSync('../victim', join(root, 'out/x'));
    expect(await downloadInto(join(root, 'out'), source(server.url, '../../x'), quiet())).toBe(join(root, 'out/x (1)'));
    await downloadTo(join(root, 'out/x'), server.url, 3, quiet());
    expect(readFileSync(join(root, 'victim'), 'utf8')).toBe('old');
    expect(readFileSync(join(root, 'out/x'), 'utf8')).toBe('new');
    await server.stop();
  });

  test('redirects are followed', async () => {
    const server = serve((request) =>
      request.url.endsWith('/moved') ? new Response('x') : Response.redirect('/moved', 302),
    );
    expect(existsSync(await downloadInto(root, source(server.url), quiet()))).toBe(true);
    await server.stop();
  });

  test('what comes broken or not at all leaves nothing behind', async () => {
    const broken = await rawServer((_received, write, close) => {
      write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbeginning');
      setTimeout(close, 20);
    });
    expect(await failure(downloadInto(root, source(broken.url), quiet()))).toStartWith('signed file download failed: ');
    const chunked = await rawServer((_received, write, close) => {
      write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nbeginning\r\n');
      setTimeout(close, 20);
    });
    expect(await failure(downloadTo(join(root, 'f'), chunked.url, null, quiet()))).toStartWith(
      'signed file download failed: ',
    );
    const html = serve(() => new Response('<html>no</html>', { status: 404 }));
    expect(await failure(downloadInto(root, source(html.url), quiet()))).toBe('signed file download failed: HTTP 404');
    expect(await failure(downloadInto(root, source('http://127.0.0.1:9'), quiet()))).toStartWith(
      'signed file download failed: ',
    );
    expect(files()).toEqual([]);
    broken.stop();
    chunked.stop();
    await html.stop();
  });

  test('silence ends it, a slow sender does not', async () => {
    const silent = await rawServer((_received, write) =>
      write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbeginning'),
    );
    expect(await failure(downloadInto(root, source(silent.url), quiet({ idleMs: 150 })))).toBe(
      'signed file download timed out',
    );
    const mute = await rawServer(() => {});
    expect(await failure(downloadInto(root, source(mute.url), quiet({ idleMs: 150 })))).toBe(
      'signed file download timed out',
    );
    expect(files()).toEqual([]);
    const slow = serve(
      () =>
        new Response(
          new ReadableStream({
            async start(controller) {
              // Five times the patience in all, a fifth of it at a time.
              for (let i = 0; i < 25; i += 1) {
                controller.enqueue(new TextEncoder().encode('x'));
                await Bun.sleep(100);
              }
              controller.close();
            },
          }),
        ),
    );
    await downloadTo(join(root, 'slow'), slow.url, 25, quiet({ idleMs: 500 }));
    expect(readFileSync(join(root, 'slow'), 'utf8')).toBe('x'.repeat(25));
    silent.stop();
    mute.stop();
    await slow.stop();
  });

  test('an abort ends it and leaves nothing behind', async () => {
    const silent = await rawServer((_received, write) =>
      write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbeginning'),
    );
    const abort = new AbortController();
    const downloading = failure(downloadInto(root, source(silent.url), quiet({ signal: abort.signal })));
    await until('the download to have begun', () => files().length === 1);
    expect(files()[0]).toMatch(/^\.[0-9a-f-]{36}\.part$/);
    abort.abort(new SandboxError('interrupted', 'interrupted'));
    expect(await downloading).toBe('interrupted');
    expect(files()).toEqual([]);
    silent.stop();
  });

  test('a size that is known must come, no more, no less; the old file stays until then', async () => {
    const server = serve(() => new Response('hello'));
    const path = join(root, 'f');
    writeFileSync(path, 'old');
    expect(await failure(downloadTo(path, server.url, 6, quiet()))).toBe(
      `downloaded file size mismatch for ${path}: 5 instead of 6 bytes`,
    );
    expect(await failure(downloadTo(path, server.url, 4, quiet()))).toBe(
      `downloaded file size mismatch for ${path}: more instead of 4 bytes`,
    );
    expect(readFileSync(path, 'utf8')).toBe('old');
    await downloadTo(path, server.url, 5, quiet());
    expect(readFileSync(path, 'utf8')).toBe('hello');
    expect(files()).toEqual(['f']);
    await server.stop();
  });

  test('an answer that unpacks to more than was said is not taken to its end', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const server = serve(() => new Response(bomb, { headers: { 'content-encoding': 'gzip' } }));
    expect(await failure(downloadTo(join(root, 'f'), server.url, 1_000_000, quiet()))).toContain('size mismatch');
    expect(files()).toEqual([]);
    await server.stop();
  });

  test('from http and https only', async () => {
    writeFileSync(join(root, 'secret'), 'x');
    for (const url of [`file://${root}/secret`, 'data:,x', 'blob:x', 's3://b/k', 'HTTPS:/x']) {
      expect(await failure(downloadInto(join(root, 'out'), source(url), quiet()))).toBe(
        'signed file download failed: not an http or https URL',
      );
    }
  });

  test('a place that cannot be written', async () => {
    const server = serve(() => new Response('x'));
    writeFileSync(join(root, 'file'), '');
    await expect(downloadInto(join(root, 'file'), source(server.url), quiet())).rejects.toThrow();
    await expect(downloadTo(join(root, 'file/x'), server.url, null, quiet())).rejects.toThrow();
    mkdirSync(join(root, 'dir'));
    await expect(downloadTo(join(root, 'dir'), server.url, null, quiet())).rejects.toThrow();
    expect(files()).toEqual(['dir', 'file']);
    await server.stop();
  });

  test('an answer that is there already is saved the same way', async () => {
    const server = serve(() => new Response('hello'));
    await saveAnswer(join(root, 'f'), (signal) => fetch(server.url, { signal }), quiet());
    expect(readFileSync(join(root, 'f'), 'utf8')).toBe('hello');
    const silent = await rawServer((_received, write) => write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nb'));
    const saving = saveAnswer(join(root, 'g'), (signal) => fetch(silent.url, { signal }), quiet({ idleMs: 150 }));
    expect(await failure(saving)).toBe('signed file download timed out');
    expect(files()).toEqual(['f']);
    await server.stop();
    silent.stop();
  });
});

describe('placing', () => {
  test('where there are no hard links', () => {
    writeFileSync(join(root, 'a.txt'), 'old');
    writeFileSync(join(root, 'temporary'), 'new');
    const refuse = (): never => {
      throw Object.assign(new Error('not permitted'), { code: 'EPERM' });
    };
    expect(moveToFree(join(root, 'temporary'), root, 'a.txt', refuse)).toBe(join(root, 'a (1).txt'));
    expect(readFileSync(join(root, 'a (1).txt'), 'utf8')).toBe('new');
    expect(readFileSync(join(root, 'a.txt'), 'utf8')).toBe('old');
  });

  test('when another process takes the name first', () => {
    writeFileSync(join(root, 'temporary'), 'new');
    let tries = 0;
    const late = (from: string, to: string): void => {
      tries += 1;
      if (tries === 1) writeFileSync(to, 'theirs');
      linkSync(from, to);
    };
    expect(moveToFree(join(root, 'temporary'), root, 'x', late)).toBe(join(root, 'x (1)'));
    expect(readFileSync(join(root, 'x'), 'utf8')).toBe('theirs');
  });

  test('text is written whole', () => {
    writeWhole(join(root, 'deep/er/note.md'), 'ü'.repeat(100_000));
    writeWhole(join(root, 'deep/er/note.md'), 'short');
    expect(readdirSync(join(root, 'deep/er'))).toEqual(['note.md']);
    expect(readFileSync(join(root, 'deep/er/note.md'), 'utf8')).toBe('short');
  });
});

describe('progress', () => {
  function recording(): { readonly line: ProgressLine; readonly shown: string[]; cleared: number } {
    const record = {
      shown: [] as string[],
      cleared: 0,
      line: {
        show: (text: string) => void record.shown.push(text),
        clear: () => {
          record.cleared += 1;
        },
      },
    };
    return record;
  }

  test('of transfers over 1 MB alone, and it goes away', async () => {
    const server = serve((request) => new Response(new Uint8Array(Number(new URL(request.url).searchParams.get('n')))));
    const small = recording();
    await downloadTo(join(root, 'a'), `${server.url}/?n=1000000`, 1_000_000, quiet({ progress: small.line }));
    expect([small.shown, small.cleared]).toEqual([[], 0]);
    const large = recording();
    await downloadTo(join(root, 'b'), `${server.url}/?n=3000000`, 3_000_000, quiet({ progress: large.line }));
    expect(large.shown[0]).toMatch(/^downloading b \d+ % of 3\.0 MB$/);
    expect(large.cleared).toBe(1);
    const unknown = recording();
    await downloadInto(
      root,
      { url: `${server.url}/?n=3000000`, filename: 'c', size: -1 },
      quiet({ progress: unknown.line }),
    );
    expect(unknown.shown[0]).toMatch(/^downloading c \d+\.\d MB$/);
    await server.stop();
  });

  test('names cannot move the cursor, and long ones are cut', async () => {
    writeFileSync(join(root, `evil\x1b[2J\u009b\u202e${'x'.repeat(100)}`), '');
    const path = join(root, readdirSync(root)[0] ?? '');
    truncateSync(path, 2_000_000);
    const server = serve(async (request) => {
      await request.bytes();
      return Response.json({ id: 'x', reference: REFERENCE });
    });
    const seen = recording();
    await uploadFile(clientFor(server.url).client, path, quiet({ progress: seen.line }));
    expect(seen.shown[0]).toMatch(/^uploading evil\?\[2J\?\?x+… \d+ % of 2\.0 MB$/);
    await server.stop();
  });
});

test('references that are canonical', () => {
  const of = (value: unknown) =>
    isCanonicalReference(`dify-file-ref:${Buffer.from(JSON.stringify(value)).toString('base64')}`);
  expect(isCanonicalReference(REFERENCE)).toBe(true);
  expect(of({ record_id: 'x', more: 1 })).toBe(true);
  for (const value of [{ record_id: '' }, { record_id: 1 }, {}, [], 'x', 1, null]) expect(of(value)).toBe(false);
  for (const text of ['', 'dify-file-ref:', 'dify-file-ref:???', 'x', REFERENCE.slice(14)])
    expect(isCanonicalReference(text)).toBe(false);
});
