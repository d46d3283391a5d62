// One connection to Redis through node-redis, from dialling to its end, without a second life: reconnecting is redis-link.ts's.
// Answers become values, RedisRefusal or LinkLostError; a server that stops answering ends the connection.

import { LinkLostError, RedisRefusal } from './redis-errors.ts';
import { ensureTracingCanBeOff } from './redis-tracing.ts';

/** How long connecting, logging in and the first answers may take, ms. */
export const CONNECT_DEADLINE_MS = 3_000;
/** An idle connection is pinged this often, ms. */
export const PING_INTERVAL_MS = 2_000;
/** No byte in either direction for this long, in spite of pings: the server is frozen or out of reach (node-redis' socketTimeout), ms. */
export const SILENCE_MS = 5_000;
/** No answer for this long while commands wait, whatever else is written meanwhile: likewise. A large page may take its time, ms. */
export const REPLY_DEADLINE_MS = 10_000;

/** The oldest Redis that has what the scripts use: exclusive ranges, HELLO without side effects. */
export const MIN_VERSION = '6.2';

/** What the server says of itself (HELLO). */
export interface ServerInfo {
  /** E.g. `7.0.15`. */
  readonly version: string;
  /** The server's number for this connection, for CLIENT UNBLOCK. */
  readonly clientId: string;
}

/** The server is not one that this store can use; the message continues “Redis at host:port …”. */
export class UnsuitableServerError extends Error {}

/** Why a connection ended. */
export interface ConnectionEnd {
  readonly reason: Error;
  /** `performance.now()` when the server last answered, if it owed an answer; otherwise when the connection ended. */
  readonly since: number;
}

/** A live connection. */
export interface Connection {
  readonly info: ServerInfo;
  /** Sends a command. What one turn of the event loop sends shares a write. Rejects with RedisRefusal or LinkLostError. */
  send(args: readonly string[]): Promise<unknown>;
  /** Resolves when the connection has ended. Never rejects. */
  readonly ended: Promise<ConnectionEnd>;
  /** Ends it; commands on their way are rejected, though the server may still apply them. */
  destroy(reason: Error): void;
}

export interface DialOptions {
  /** `redis://` or `rediss://`, with credentials and database. Host names are resolved by each call. */
  readonly url: string;
  /** Shown by CLIENT LIST. */
  readonly name: string;
  /** How long a command of this connection may block on purpose, ms; added to SILENCE_MS and REPLY_DEADLINE_MS. */
  readonly blockMs?: number;
  /** Default CONNECT_DEADLINE_MS. */
  readonly deadlineMs?: number;
}

/** Connects, logs in, and makes sure that the server can serve. Rejects with UnsuitableServerError, RedisRefusal or what the socket said. */
export async function dial(options: DialOptions): Promise<Connection> {
  const { deadlineMs = CONNECT_DEADLINE_MS, blockMs = 0 } = options;
  ensureTracingCanBeOff();
  const { createClient, ErrorReply } = await import('redis');
  const client = createClient({
    url: options.url,
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    // A timer per command costs more than the command; the watch below has one for all.
    commandOptions: { timeout: 0 },
    pingInterval: PING_INTERVAL_MS,
    socket: { connectTimeout: deadlineMs, reconnectStrategy: false, socketTimeout: SILENCE_MS + blockMs },
  });
  const ended = Promise.withResolvers<ConnectionEnd>();
  let end: Error | null = null;
  let pending = 0;
  let quietSince = performance.now();

  function destroy(reason: Error): void {
    if (end !== null) return;
    end = reason;
    ended.resolve({ reason, since: pending > 0 ? quietSince : performance.now() });
    clearInterval(watch);
    client.destroy();
  }

  // Any error event means that replies can no longer be trusted to arrive, or to belong to their commands.
  client.on('error', (error: unknown) => destroy(toError(error)));
  client.on('end', () => destroy(new Error('connection closed')));
  // node-redis cannot abandon a socket that is still connecting; it would come up behind our back.
  client.on('ready', () => end !== null && client.destroy());

  function send(args: readonly string[]): Promise<unknown> {
    if (pending++ === 0) quietSince = performance.now();
    return client.sendCommand(args).then(
      (reply: unknown) => {
        pending -= 1;
        quietSince = performance.now();
        return reply;
      },
      (error: unknown) => {
        pending -= 1;
        quietSince = performance.now();
        throw error instanceof ErrorReply ? new RedisRefusal(error.message) : new LinkLostError(end ?? error);
      },
    );
  }

  let lastTick = performance.now();
  const watch = setInterval(() => {
    const now = performance.now();
    // This process itself was stopped or busy: what the server sent meanwhile has not been read yet.
    if (now - lastTick > 2 * WATCH_MS) quietSince = now;
    lastTick = now;
    if (pending > 0 && now - quietSince > REPLY_DEADLINE_MS + blockMs) {
      destroy(new Error(`no answer for ${Math.round((now - quietSince) / 1000)} s`));
    }
  }, WATCH_MS);
  watch.unref();

  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs);
  });
  try {
    const connecting = client.connect().then(() => greet(send, options.name));
    connecting.catch(() => {});
    const info = await Promise.race([connecting, late]);
    return { info, send, ended: ended.promise, destroy };
  } catch (cause) {
    const error = cause instanceof ErrorReply ? new RedisRefusal(cause.message) : toError(cause);
    destroy(error);
    // A lost link says less than why it was lost.
    throw error instanceof LinkLostError ? toError(error.cause) : error;
  } finally {
    clearTimeout(timer);
  }
}

/** How often the watch looks, ms. */
const WATCH_MS = 500;

/** Who is there, and may we write? */
async function greet(send: Connection['send'], name: string): Promise<ServerInfo> {
  const hello = await send(['HELLO', '2']).catch((error: unknown) => {
    // Before Redis 6 there was no HELLO.
    if (error instanceof RedisRefusal && /unknown command/i.test(error.message)) return ['version', '5'];
    throw error;
  });
  const said = pairs(hello);
  const version = said.get('version') ?? '';
  if (!isAtLeast(version, MIN_VERSION)) {
    const which = version === '' ? 'does not say its version' : version === '5' ? 'is older than 6' : `is ${version}`;
    throw new UnsuitableServerError(`${which}; ${MIN_VERSION} or newer is needed`);
  }
  if (said.get('mode') === 'cluster') {
    throw new UnsuitableServerError(
      'runs in cluster mode, whose keys cannot be written together; a single one is needed',
    );
  }
  if (said.get('role') !== 'master') {
    throw new UnsuitableServerError('is a read-only replica; the URL must lead to the primary');
  }
  await send(['PING']); // answered with LOADING while the data set is being read
  // A courtesy to operators, which a user without that permission need not pay.
  await send(['CLIENT', 'SETNAME', name]).catch((error: unknown) => {
    if (!(error instanceof RedisRefusal)) throw error;
  });
  return { version, clientId: said.get('id') ?? '' };
}

function pairs(reply: unknown): ReadonlyMap<string, string> {
  const map = new Map<string, string>();
  if (Array.isArray(reply))
    for (let i = 0; i + 1 < reply.length; i += 2) map.set(String(reply[i]), String(reply[i + 1]));
  return map;
}

function isAtLeast(version: string, floor: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [floorMajor = 0, floorMinor = 0] = floor.split('.').map(Number);
  return major > floorMajor || (major === floorMajor && minor >= floorMinor);
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
