// What can go wrong between this process and Redis, in three kinds: the server refused, the connection broke with commands on
// their way, or there was no connection. Who calls the store sees StoreUnavailableError instead (errors.ts).

import type { Logger } from '../observe/logger.ts';

/**
 * What the server says when it cannot serve anybody for the moment, or this user at all: the same command may succeed later.
 * Everything else is about one command or one key.
 */
const TRANSIENT: ReadonlySet<string> = new Set([
  'BUSY',
  'CLUSTERDOWN',
  'LOADING',
  'MASTERDOWN',
  'MISCONF',
  'NOAUTH',
  'NOPERM',
  'NOREPLICAS',
  'OOM',
  'READONLY',
  'TRYAGAIN',
  'UNKILLABLE',
  'WRONGPASS',
]);

/** Refusals after which another server may be found at the same address (failover), or this one in another state. */
const RECONNECT: ReadonlySet<string> = new Set(['LOADING', 'MASTERDOWN', 'NOAUTH', 'READONLY', 'UNBLOCKED']);

/** Codes looked for inside a text: before Redis 7 an error raised in a script reads `ERR Error running script … -OOM …`. */
const INNER_CODE = /[-\s](OOM|READONLY|NOPERM|MISCONF|NOREPLICAS|MASTERDOWN|LOADING|WRONGTYPE)\b/;

/** How a missing permission of a script's user is worded, without a code, up to Redis 7.0 and since. */
const SCRIPT_DENIED = /user executing the script can't|ACL failure in script/;

/** The server answered a command with an error. */
export class RedisRefusal extends Error {
  /** `OOM`, `READONLY`, `WRONGTYPE`, …; `ERR` for the rest. */
  readonly code: string;

  constructor(message: string) {
    super(message);
    this.name = 'RedisRefusal';
    const first = /^[A-Z]+/.exec(message)?.[0] ?? 'ERR';
    this.code = first === 'ERR' ? innerCode(message) : first;
  }

  /** The same command may succeed later. */
  get transient(): boolean {
    return TRANSIENT.has(this.code);
  }

  /** A new connection may reach a server that accepts it. */
  get wantsReconnect(): boolean {
    return RECONNECT.has(this.code);
  }
}

function innerCode(message: string): string {
  return SCRIPT_DENIED.test(message) ? 'NOPERM' : (INNER_CODE.exec(message)?.[1] ?? 'ERR');
}

/** The connection ended with commands on their way: whether the server applied them is not known. */
export class LinkLostError extends Error {
  constructor(cause: unknown) {
    super('connection to Redis lost', { cause });
    this.name = 'LinkLostError';
  }
}

/** There is no connection: the command was not sent. */
export class LinkDownError extends Error {
  constructor(cause: unknown) {
    super('no connection to Redis', { cause });
    this.name = 'LinkDownError';
  }
}

/** How often the same refusal is logged, in ms: an outage refuses every command. */
const COMPLAIN_AGAIN_MS = 60_000;

/** Logs refusals, each kind once a minute at most. */
export interface Complaints {
  about(refusal: RedisRefusal, command: string): void;
}

export function createComplaints(logger: Logger): Complaints {
  const last = new Map<string, number>();
  return {
    about(refusal, command) {
      const now = performance.now();
      const kind = `${refusal.code} ${command}`;
      if (now - (last.get(kind) ?? Number.NEGATIVE_INFINITY) < COMPLAIN_AGAIN_MS) return;
      last.set(kind, now);
      logger.error('Redis refuses a command', { command, code: refusal.code, reason: refusal.message });
    },
  };
}
