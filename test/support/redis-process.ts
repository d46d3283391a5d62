// A redis-server of the test's own: on loopback, on a free port, in a directory of its own, with nothing of the machine's
// configuration. Can be killed, started again on the same data and port, and frozen.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { until, within } from './until.ts';

/** A client of the test's own. */
export type AdminClient = Awaited<ReturnType<typeof connectAdmin>>;

/** How to start it. */
export interface RedisOptions {
  /** More of redis.conf, as command line words: `['--requirepass', 'x']`. */
  readonly config?: readonly string[];
  /** Keeps the data on disk and how eagerly. Default: not at all. */
  readonly appendfsync?: 'always' | 'everysec';
}

/** A running, stopped or frozen Redis. */
export interface RedisProcess {
  /** `redis://127.0.0.1:port/0` */
  readonly url: string;
  readonly port: number;
  /** Its data; removed at the end. */
  readonly folder: string;
  /** Sends a signal that ends it and waits for the end. SIGTERM saves, SIGKILL does not. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Starts it again on the same port and data; resolves when it answers. */
  start(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Runs `use` with a connection that is closed afterwards. */
  admin<T>(use: (client: AdminClient) => Promise<T>): Promise<T>;
  dispose(): Promise<void>;
}

/** The binary: REDIS_SERVER, else the path (as .ci/redis.mjs). */
export function redisBinary(): string {
  return process.env.REDIS_SERVER || 'redis-server';
}

/** Starts one; resolves when it answers. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'dify-agent-redis-'));
  const port = freePort();
  const durability =
    options.appendfsync === undefined ? [] : ['--appendonly', 'yes', '--appendfsync', options.appendfsync];
  const words = [
    ...['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--logfile', 'redis.log', '--save', ''],
    ...durability,
    ...(options.config ?? []),
  ];
  let child: Bun.Subprocess | null = null;

  async function start(): Promise<void> {
    const started = Bun.spawn([redisBinary(), ...words], { stdin: 'ignore', stdout: 'ignore', stderr: 'inherit' });
    child = started;
    const ended = started.exited.then((code) => {
      throw new Error(`redis-server ended at once (${code}):\n${readFileSync(join(folder, 'redis.log'), 'utf8')}`);
    });
    await Promise.race([until('redis to answer', () => answers(port)), ended]);
    ended.catch(() => {}); // It may end later.
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const ending = child;
    child = null;
    ending?.kill(signal);
    if (ending !== null) await within(`redis to end after ${signal}`, ending.exited);
  }

  const redis: RedisProcess = {
    url: `redis://127.0.0.1:${port}/0`,
    port,
    folder,
    end,
    start,
    freeze: () => child?.kill('SIGSTOP'),
    thaw: () => child?.kill('SIGCONT'),
    async admin(use) {
      const client = await connectAdmin(redis.url);
      try {
        return await use(client);
      } finally {
        client.destroy();
      }
    },
    async dispose() {
      await end('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    },
  };
  try {
    await start();
    return redis;
  } catch (error) {
    await redis.dispose();
    throw error;
  }
}

/** A Redis for the length of `use`. */
export async function withRedis<T>(options: RedisOptions, use: (redis: RedisProcess) => Promise<T>): Promise<T> {
  const redis = await startRedis(options);
  try {
    return await use(redis);
  } finally {
    await redis.dispose();
  }
}

async function connectAdmin(url: string) {
  const client = createClient({ url, socket: { reconnectStrategy: false } });
  client.on('error', () => {});
  return await client.connect();
}

/** Whether the server is past loading its data; a refusal for want of a password is an answer. */
async function answers(port: number): Promise<boolean> {
  const reply = Promise.withResolvers<string>();
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      open: (opened) => void opened.write('PING\r\n'),
      data: (_, bytes) => reply.resolve(bytes.toString('latin1')),
      close: () => reply.resolve(''),
      error: () => reply.resolve(''),
    },
  });
  const text = await reply.promise;
  socket.end();
  return /^(\+PONG|-NOAUTH)/.test(text);
}

function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}
