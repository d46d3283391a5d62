import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import type { Socket } from 'bun';
import { MAX_STREAM_BYTES } from '../../../src/peers/plugin-daemon/client.ts';
import { DaemonTransportError } from '../../../src/peers/plugin-daemon/errors.ts';
import { createReachability } from '../../../src/peers/plugin-daemon/reachability.ts';
import { type FakeDaemon, lastItem, startFakeDaemon } from '../../fakes/plugin-daemon.ts';
import { clientFor, collect, llmCall, quiet, textOf } from './kit.ts';

let daemon: FakeDaemon;
beforeAll(async () => {
  daemon = await startFakeDaemon();
});
afterAll(() => daemon.stop());

describe('a silent daemon', () => {
  test('before its head is a read time-out, not a connect time-out: the port answers', async () => {
    daemon.play({ llm: [[{ hang: true }]] });
    const client = clientFor(daemon.url, { connectTimeoutSeconds: 0.05, readTimeoutSeconds: 0.3 });
    const { error } = await collect(client.streamItems(llmCall(), quiet()));
    expect(textOf(error)).toBe('ReadTimeout');
    await daemon.waitForAbort();
    expect(client.load().active).toBe(0);
  });

  test('in the middle of an answer is a read time-out', async () => {
    daemon.play({ llm: [['x', { hang: true }]] });
    const { items, error } = await collect(
      clientFor(daemon.url, { readTimeoutSeconds: 0.1 }).streamItems(llmCall(), quiet()),
    );
    expect(items).toHaveLength(1);
    expect(textOf(error)).toBe('ReadTimeout');
  });

  test('that speaks now and then may take longer than the read time-out in all', async () => {
    const slow = Array.from({ length: 8 }, () => [{ delay: 50 }, 'x'] as const).flat();
    daemon.play({ llm: [[...slow, lastItem()]] });
    const { items, error } = await collect(
      clientFor(daemon.url, { readTimeoutSeconds: 0.25 }).streamItems(llmCall(), quiet()),
    );
    expect(error).toBeNull();
    expect(items).toHaveLength(9);
  });

  test('is not blamed for the time that the reader takes', async () => {
    daemon.play({ llm: [['x', { delay: 20 }, 'y', lastItem()]] });
    const items: unknown[] = [];
    for await (const batch of clientFor(daemon.url, { readTimeoutSeconds: 0.1 }).streamItems(llmCall(), quiet())) {
      if (items.length === 0) await Bun.sleep(250); // the point: a consumer slower than the time-out
      items.push(...batch);
    }
    expect(items).toHaveLength(3);
  });
});

describe('a daemon that speaks, but comes to no end', () => {
  test('has five read time-outs for a line: a byte now and then is no sign of life', async () => {
    const bytes = Array.from({ length: 3000 }, () => [{ raw: 'd' }, { delay: 10 }] as const).flat();
    daemon.play({ llm: [['x', ...bytes]] });
    const client = clientFor(daemon.url, { readTimeoutSeconds: 0.1 });
    const { items, error } = await collect(client.streamItems(llmCall(), quiet()));
    expect(items).toHaveLength(1);
    expect(textOf(error)).toBe('ReadTimeout');
    await daemon.waitForAbort();
    expect(client.load().active).toBe(0);
  });

  test('the same for the body of an error', async () => {
    const trickle = await startTrickle('HTTP/1.1 500 X\r\ncontent-length: 5000\r\n\r\n');
    const client = clientFor(`http://127.0.0.1:${trickle.port}`, { readTimeoutSeconds: 0.1 });
    expect(textOf((await collect(client.streamItems(llmCall(), quiet()))).error)).toBe('ReadTimeout');
    await trickle.closed;
    trickle.stop();
  });

  test('may send so many bytes and no more', async () => {
    const flood = await startFlood();
    const client = clientFor(`http://127.0.0.1:${flood.port}`);
    const { items, error } = await collect(client.streamItems(llmCall(), quiet()));
    expect(items).toEqual([]);
    expect(error).toMatchObject({ fault: 'stream_too_large' });
    await flood.closed;
    flood.stop();
    expect(flood.sent()).toBeLessThan(2 * MAX_STREAM_BYTES);
  }, 30_000);

  test('ends with the time that a call may take in all', async () => {
    const slow = Array.from({ length: 3000 }, () => ['x', { delay: 10 }] as const).flat();
    daemon.play({ llm: [slow] });
    const client = clientFor(daemon.url, { requestTimeoutSeconds: 0.1 });
    const { items, error } = await collect(client.streamItems(llmCall(), quiet()));
    expect(items.length).toBeGreaterThan(0);
    expect(error).toBeInstanceOf(DaemonTransportError);
    expect(error).toMatchObject({ fault: 'request_timeout', code: 'daemon_request_timeout' });
    expect(textOf(error)).toBe('The plugin daemon took longer to answer than a call may take: 0.1 seconds');
    await daemon.waitForAbort();
    expect(client.load().active).toBe(0);
  });

  test('which does not count the wait for a connection', async () => {
    daemon.play({
      llm: [
        [{ delay: 500 }, lastItem()],
        [{ delay: 300 }, lastItem()],
      ],
    });
    const client = clientFor(daemon.url, { maxConnections: 1, requestTimeoutSeconds: 0.75 });
    const calls = [1, 2].map(() => collect(client.streamItems(llmCall(), quiet())));
    expect((await Promise.all(calls)).map(({ error }) => textOf(error))).toEqual(['no error', 'no error']);
  });

  test('and aborting comes before it', async () => {
    daemon.play({ llm: [['x', { hang: true }]] });
    const controller = new AbortController();
    const call = collect(
      clientFor(daemon.url, { requestTimeoutSeconds: 60 }).streamItems(llmCall(), controller.signal),
    );
    await daemon.waitForRequest(1);
    controller.abort(new Error('cancelled'));
    expect(textOf((await call).error)).toBe('cancelled');
    await daemon.waitForAbort();
  });
});

describe('a daemon that is not there', () => {
  test('refuses connections', async () => {
    daemon.play({ down: true });
    const { error } = await collect(clientFor(daemon.url).streamItems(llmCall(), quiet()));
    expect(textOf(error)).toBe('All connection attempts failed');
    daemon.play({ llm: [[lastItem()]] });
    expect((await collect(clientFor(daemon.url).streamItems(llmCall(), quiet()))).error).toBeNull();
  });

  test('has a name that nobody knows', async () => {
    const { error } = await collect(clientFor('http://daemon.invalid:5002').streamItems(llmCall(), quiet()));
    expect(textOf(error)).toMatch(/^(?:\[Errno -2\] Name or service not known|All connection attempts failed)$/);
  });

  test('and does not even accept connections is a connect time-out', async () => {
    const stuck = await startStuckListener();
    try {
      expect(await createReachability('127.0.0.1', stuck.port).check(50)).toBe('silent');
      const client = clientFor(`http://127.0.0.1:${stuck.port}`, {
        connectTimeoutSeconds: 0.2,
        readTimeoutSeconds: 30,
      });
      const { error } = await collect(client.streamItems(llmCall(), quiet()));
      expect(textOf(error)).toBe('ConnectTimeout');
      expect(client.load().active).toBe(0);
    } finally {
      stuck.stop();
    }
  });
});

describe('the pool', () => {
  test('makes calls beyond its size wait, and fails them after its time-out', async () => {
    daemon.play({ llm: [['x', { hang: true }], [lastItem()]] });
    const client = clientFor(daemon.url, { maxConnections: 1, poolTimeoutSeconds: 0.05 });
    const controller = new AbortController();
    const first = collect(client.streamItems(llmCall(), controller.signal));
    await daemon.waitForRequest(1);
    expect(textOf((await collect(client.streamItems(llmCall(), quiet()))).error)).toBe('PoolTimeout');
    controller.abort(new Error('enough'));
    await first;
    expect((await collect(client.streamItems(llmCall(), quiet()))).error).toBeNull();
    expect(daemon.llmRequests).toHaveLength(2);
  });

  test('of eight connections one run leaves one to the others', async () => {
    daemon.play({ llm: [...Array.from({ length: 7 }, () => ['x', { hang: true }] as const), [lastItem()]] });
    const client = clientFor(daemon.url, { maxConnections: 8 });
    const controller = new AbortController();
    const busy = Array.from({ length: 20 }, () => collect(client.streamItems(llmCall(), controller.signal)));
    await daemon.waitForRequest(7);
    expect(client.load()).toEqual({ active: 7, waiting: 13 });
    expect((await collect(client.streamItems(llmCall({ owner: 'another run' }), quiet()))).error).toBeNull();
    controller.abort(new Error('enough'));
    await Promise.all(busy);
    expect(client.load()).toEqual({ active: 0, waiting: 0 });
  });

  test('serves runs in turn', async () => {
    daemon.play({ llm: Array.from({ length: 5 }, () => [{ delay: 10 }, lastItem()]) });
    const client = clientFor(daemon.url, { maxConnections: 1 });
    const calls = ['a', 'a', 'a', 'a', 'b'].map((owner) =>
      collect(client.streamItems(llmCall({ owner, userId: owner }), quiet())),
    );
    await Promise.all(calls);
    const users = daemon.llmRequests.map((request) => (request.body as { user_id: string }).user_id);
    expect(users).toEqual(['a', 'a', 'b', 'a', 'a']);
  });
});

/** Answers with comments of a kilobyte as long as anybody reads. */
async function startFlood() {
  const closed = Promise.withResolvers<void>();
  const lines = Buffer.alloc(1024 * 1024, `:${'x'.repeat(1022)}\n`);
  let sent = 0;
  const pour = (socket: Socket): void => {
    for (;;) {
      // Where the last write ended does not matter: a line may begin anew inside another.
      const written = socket.write(lines);
      if (written <= 0) return;
      sent += written;
      if (written < lines.length) return;
    }
  };
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket) {
        socket.write('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n');
        pour(socket);
      },
      drain: pour,
      close: () => closed.resolve(),
      error() {},
    },
  });
  return { port: listener.port, closed: closed.promise, sent: () => sent, stop: () => listener.stop(true) };
}

/** Answers with this head, then with a byte every 5 ms. */
async function startTrickle(
  head: string,
): Promise<{ readonly port: number; readonly closed: Promise<void>; stop(): void }> {
  const closed = Promise.withResolvers<void>();
  let timer: Timer | undefined;
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket) {
        socket.write(head);
        timer ??= setInterval(() => socket.write('x'), 5);
      },
      close() {
        clearInterval(timer);
        closed.resolve();
      },
      error() {},
    },
  });
  return { port: listener.port, closed: closed.promise, stop: () => listener.stop(true) };
}

/** A listener whose queue is full: its process is stopped, so nobody accepts, and further connections hang. */
async function startStuckListener(): Promise<{ readonly port: number; stop(): void }> {
  const code =
    'const s = Bun.listen({hostname:"127.0.0.1",port:0,socket:{data(){}}}); console.log(s.port); setInterval(()=>{},1e6)';
  const child = Bun.spawn([process.execPath, '-e', code], { stdout: 'pipe' });
  const { value } = await child.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value));
  process.kill(child.pid, 'SIGSTOP');
  const sockets: Socket[] = [];
  const full = 5000; // more than any backlog here
  while (sockets.length < full) {
    const attempt = Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } }).catch(() => null);
    const socket = await Promise.race([attempt, Bun.sleep(100).then(() => null)]);
    if (socket === null) break;
    sockets.push(socket);
  }
  return {
    port,
    stop() {
      for (const socket of sockets) socket.terminate();
      child.kill('SIGKILL');
    },
  };
}
