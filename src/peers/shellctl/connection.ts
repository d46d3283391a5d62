// The way to one shellctl: its address, its token, its connections and who may use them, and the time a call may take.
// Which calls there are is client.ts' matter.

import type { ShellctlSettings } from '../../config/settings.ts';
import { NO_PROBE, type Probe } from '../../observe/probe.ts';
import { maskSecrets, secretValues } from '../../observe/secrets.ts';
import type { Answer } from './answers.ts';
import { exchange, type Outgoing } from './exchange.ts';
import { createPlaces } from './places.ts';
import { type CallOptions, ShellctlError } from './port.ts';

/** Where shellctl is. */
export type ShellctlAddress = Pick<ShellctlSettings, 'authToken' | 'maxConnections'> & {
  /** `http://…` or `https://…`; may carry a path and user info. */
  readonly entrypoint: string;
};

/** Durations in seconds (spec 04 §1.10). */
export interface ShellctlTiming {
  /** A plain call in all. Default 30. */
  readonly plain: number;
  /** What a call may take beyond the wait or the grace that it asks for. Default 10. */
  readonly slack: number;
  /** For a place among the connections. Default 30. */
  readonly pool: number;
  /** How long an idle connection is kept: shorter than uvicorn's 5 s, since a POST on a closed one fails. Default 4. */
  readonly idle: number;
}

/** One call. */
export interface ShellctlRequest {
  /** What is asked, from a fixed list, e.g. `jobs/run`. */
  readonly operation: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With a leading slash, and the query. */
  readonly path: string;
  readonly body?: object;
  /** How long the server may take by agreement, seconds; null: a plain call. */
  readonly agreedSeconds: number | null;
  /** It waits for a job, or for the end of one, perhaps long. Default false. */
  readonly patient?: boolean;
  /** Bytes of output that may come. Default 0. */
  readonly outputLimit?: number;
  /** Its secrets are masked in errors, like the token. */
  readonly env?: Readonly<Record<string, string>> | null;
}

/** Sends calls. */
export interface Connection {
  /** Sends a call and returns what `read` makes of its answer. Rejects with ShellctlError, or with the signal's reason. */
  ask<T>(request: ShellctlRequest, call: CallOptions, read: (answer: Answer) => T): Promise<T>;
  /** How many calls hold a connection and how many wait for one. */
  load(): { readonly active: number; readonly waiting: number };
  close(): void;
}

const TIMING: ShellctlTiming = { plain: 30, slack: 10, pool: 30, idle: 4 };
const IDLE_SOCKETS = 16;
/** An answer without its output. */
const ANSWER_BYTES = 64 * 1024;
/** A byte of output takes six at most, as `\u0001` or a replaced character. */
const BYTES_PER_OUTPUT_BYTE = 6;
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A connection. Throws ShellctlError `invalid_request` when the address or the token cannot be used. */
export function createConnection(
  address: ShellctlAddress,
  options: {
    readonly userAgent: string;
    readonly timing?: Partial<ShellctlTiming>;
    /** Told of every call. Default: nobody. */
    readonly probe?: Pick<Probe, 'peer'>;
  },
): Connection {
  const timing = { ...TIMING, ...options.timing };
  const token = address.authToken ?? '';
  const base = parseBase(address.entrypoint);
  const authorization = token === '' ? base.authorization : `Bearer ${checkedToken(token)}`;
  const session = new Bun.FetchSession({
    proxy: false,
    keepAlive: timing.idle > 0 && { idleTimeout: timing.idle, maxIdleSockets: IDLE_SOCKETS },
  });
  const channel = { session, probe: options.probe ?? NO_PROBE };
  const places = createPlaces(
    address.maxConnections,
    timing.pool * 1000,
    () => new ShellctlError('pool_timeout', null, `no connection to shellctl became free within ${timing.pool} s`),
  );
  const headers: Readonly<Record<string, string>> = {
    Accept: '*/*',
    'Accept-Encoding': 'identity',
    'User-Agent': options.userAgent,
    ...(authorization === null ? {} : { Authorization: authorization }),
  };
  const outgoing = (request: ShellctlRequest): Outgoing => {
    const seconds = request.agreedSeconds === null ? timing.plain : request.agreedSeconds + timing.slack;
    return {
      operation: request.operation,
      method: request.method,
      url: base.url + request.path,
      headers: request.body === undefined ? headers : { ...headers, 'Content-Type': 'application/json' },
      body: request.body === undefined ? null : JSON.stringify(request.body),
      timeoutMs: Math.min(seconds * 1000, MAX_TIMER_MS),
      maxBytes: ANSWER_BYTES + BYTES_PER_OUTPUT_BYTE * (request.outputLimit ?? 0),
    };
  };

  return {
    async ask(request, call, read) {
      const release = await places[request.patient === true ? 'patient' : 'prompt'](call.owner, call.signal);
      try {
        return read(await exchange(channel, outgoing(request), call.signal));
      } catch (error) {
        if (!(error instanceof ShellctlError)) throw error;
        throw masked(error, secretValues(request.env ?? {}, token));
      } finally {
        release();
      }
    },
    load: places.load,
    close: () => session.close(),
  };
}

function masked(error: ShellctlError, secrets: readonly string[]): ShellctlError {
  const code = maskSecrets(error.code, secrets);
  const detail = maskSecrets(error.detail, secrets);
  if (code === error.code && detail === error.detail) return error;
  return new ShellctlError(code, error.status, detail, { cause: error.cause });
}

function checkedToken(token: string): string {
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(token)) return token;
  throw new ShellctlError(
    'invalid_request',
    null,
    'the shellctl token must be printable ASCII without blanks around it',
  );
}

interface Base {
  /** Without trailing slashes, user info, query and fragment. */
  readonly url: string;
  /** `Basic …` when the URL carried user info. */
  readonly authorization: string | null;
}

function parseBase(text: string): Base {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new ShellctlError('invalid_request', null, 'the shellctl entrypoint must be an http:// or https:// URL');
  }
  const userInfo = `${unescapeText(url.username)}:${unescapeText(url.password)}`;
  return {
    url: `${url.origin}${url.pathname.replace(/\/+$/, '')}`,
    authorization: userInfo === ':' ? null : `Basic ${Buffer.from(userInfo).toString('base64')}`,
  };
}

function unescapeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
