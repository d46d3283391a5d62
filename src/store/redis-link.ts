// A connection that comes back: dials again with growing, jittered delays whenever the current one has ended, resolving the
// host name anew each time (failover). It repeats no command: whose command was on its way must find out what became of it.

import { errorText } from '../base/errors.ts';
import { type Logger, noopLogger } from '../observe/logger.ts';
import type { Connection } from './redis-connection.ts';
import { LinkDownError } from './redis-errors.ts';

/** Delay before the first attempt after a loss; it doubles up to RECONNECT_MAX_MS. Half of each delay is random. */
export const RECONNECT_MIN_MS = 50;
export const RECONNECT_MAX_MS = 2_000;

export interface LinkOptions {
  readonly dial: () => Promise<Connection>;
  /** A connection that was dialled already; it is there at once and announced by no `onUp`. */
  readonly first?: Connection;
  readonly logger: Logger;
  /** Each time a connection is there. */
  readonly onUp?: () => void;
  /** Each time one was lost; `since` as in ConnectionEnd. */
  readonly onDown?: (reason: Error, since: number) => void;
}

export interface RedisLink {
  /** The connection of this moment. */
  readonly connection: Connection | null;
  /** `performance.now()` when the server was last heard of; null while there is a connection. */
  readonly downSince: number | null;
  /** Sends at once or rejects with LinkDownError; otherwise as Connection.send. */
  send(args: readonly string[]): Promise<unknown>;
  /** True as soon as there is a connection, false after `ms` or when the link is closed. */
  whenUp(ms: number): Promise<boolean>;
  /** Drops the connection, so that the next one may reach another server. */
  reset(reason: Error): void;
  /** Ends everything. */
  close(): void;
}

/** Keeps a connection until it is closed. */
export function createLink(options: LinkOptions): RedisLink {
  const { logger } = options;
  let current: Connection | null = null;
  let downSince: number | null = performance.now();
  let reason: Error = new Error('not connected yet');
  let closed = false;
  /** Ends the pause between two attempts. */
  let hurry: (() => void) | null = null;
  const waiting = new Set<(up: boolean) => void>();
  /** Reasons that were logged since the link went down. */
  const said = new Set<string>();

  function tell(up: boolean): void {
    for (const resolve of waiting) resolve(up);
    waiting.clear();
  }

  function say(error: Error): void {
    reason = error;
    const text = errorText(error);
    if (closed || said.has(text)) return;
    said.add(text);
    logger.warn('no connection to Redis', { reason: text });
  }

  async function connect(): Promise<Connection | null> {
    try {
      return await options.dial();
    } catch (error) {
      say(error instanceof Error ? error : new Error(errorText(error)));
      return null;
    }
  }

  async function serve(connection: Connection): Promise<void> {
    const since = performance.now();
    current = connection;
    if (said.size > 0) {
      logger.info('connected to Redis again', { seconds: Math.round((since - (downSince ?? since)) / 100) / 10 });
      said.clear();
    }
    downSince = null;
    tell(true);
    if (connection !== options.first) options.onUp?.();
    const end = await connection.ended;
    current = null;
    downSince = end.since;
    say(end.reason);
    if (!closed) options.onDown?.(end.reason, end.since);
  }

  async function keep(first: Connection | null): Promise<void> {
    let connection = first;
    for (let attempt = 0; ; attempt += 1) {
      connection ??= await connect();
      if (closed) {
        connection?.destroy(new Error('closed'));
        return;
      }
      if (connection !== null) {
        await serve(connection);
        connection = null;
        attempt = 0;
      }
      if (!closed) await pause(attempt);
      if (closed) return;
    }
  }

  function pause(attempt: number): Promise<void> {
    const delay = Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(attempt, 10));
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delay * (0.5 + Math.random() / 2));
      hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  void keep(options.first ?? null);

  return {
    get connection() {
      return current;
    },
    get downSince() {
      return downSince;
    },
    send: (args) => current?.send(args) ?? Promise.reject(new LinkDownError(reason)),
    whenUp(ms) {
      if (current !== null || closed || ms <= 0) return Promise.resolve(current !== null);
      return new Promise((resolve) => {
        const done = (up: boolean) => {
          clearTimeout(timer);
          waiting.delete(done);
          resolve(up);
        };
        const timer = setTimeout(() => done(false), ms);
        waiting.add(done);
      });
    },
    reset: (error) => current?.destroy(error),
    close() {
      closed = true;
      tell(false);
      hurry?.();
      current?.destroy(new Error('closed'));
      current = null;
    },
  };
}

/** The logger of a link beside `main`: when Redis is away the main link says so, and once is enough. */
export function besides(main: RedisLink, logger: Logger, message: string): Logger {
  return {
    ...noopLogger,
    warn: (_, fields) => {
      if (main.connection !== null) logger.warn(message, fields);
    },
  };
}
