// The client of the Dify API's inner endpoints (spec 05 §5): one per process. Sends a call with the inner key, answers with
// parsed JSON or a stream of bytes. Which calls there are, and who may make them, is stub/'s.

import type { JsonValue } from '../../base/json.ts';
import type { DifyApiSettings } from '../../config/settings.ts';
import { NO_PROBE, type Probe } from '../../observe/probe.ts';
import { parseJsonBytes, stringifyJson } from '../../wiretext/json.ts';
import { createReachability } from '../plugin-daemon/reachability.ts';
import { DifyApiError, DifyApiRejection } from './errors.ts';
import { type Channel, type Exchange, type Outgoing, openExchange } from './exchange.ts';
import { operationOf } from './operation.ts';
import { type PassedBody, passBody } from './pass.ts';
import { createPlaces } from './places.ts';

/** One call. */
export interface DifyApiCall {
  readonly method: Outgoing['method'];
  /** Percent-encoded, with a leading slash and the query. */
  readonly path: string;
  /** Sent as JSON; raw numbers keep their text. */
  readonly body?: object;
  /** Whose call it is, for fairness when connections are scarce. */
  readonly owner: unknown;
  /** Milliseconds for the whole call; null: as long as the API is not silent. */
  readonly totalMs: number | null;
}

/** A client of one Dify API. Every method rejects with DifyApiError, DifyApiRejection, or the signal's reason. */
export interface DifyApiClient {
  /** Values that must not be seen in texts from upstream: key and password. */
  readonly secrets: readonly string[];
  /** The parsed body of a successful answer. */
  json(call: DifyApiCall, signal: AbortSignal): Promise<JsonValue>;
  /** The body of a successful answer, not read yet: read it to its end or cancel it. */
  bytes(call: DifyApiCall, signal: AbortSignal): Promise<PassedBody>;
  /** How many calls hold a connection and how many wait for one. */
  load(): { readonly active: number; readonly waiting: number };
  /** Closes idle connections. */
  close(): void;
}

/** Where the API is, and the timing of its client. */
export type DifyApiTarget = Pick<
  DifyApiSettings,
  'connectTimeoutSeconds' | 'readTimeoutSeconds' | 'poolTimeoutSeconds' | 'maxConnections'
> & { readonly baseUrl: string; readonly innerApiKey: string };

/** Bounds, in bytes and milliseconds; constants but for tests. */
export interface DifyApiLimits {
  /** A JSON answer: manifests of thousands of files fit. */
  readonly jsonBytes: number;
  /** The JSON of an error. */
  readonly errorBytes: number;
  /** A body that is passed on. */
  readonly passedBytes: number;
  /** How long whoever takes a passed body may pause. */
  readonly stallMs: number;
}

const LIMITS: DifyApiLimits = {
  jsonBytes: 16 * 1024 * 1024,
  errorBytes: 64 * 1024,
  passedBytes: 512 * 1024 * 1024,
  stallMs: 60_000,
};

/** Idle connections are closed early: a POST on one that the server has just closed fails (gunicorn keeps them for 2 s). */
const IDLE_SECONDS = 1;

/** A client with its connection pool. Nothing is opened before the first call. */
export function createDifyApiClient(
  target: DifyApiTarget,
  options: {
    readonly userAgent: string;
    readonly limits?: Partial<DifyApiLimits>;
    /** Told of every call. Default: nobody. */
    readonly probe?: Pick<Probe, 'peer'>;
  },
): DifyApiClient {
  const limits = { ...LIMITS, ...options.limits };
  const base = parseBase(target.baseUrl);
  const channel: Channel = {
    session: new Bun.FetchSession({
      proxy: false,
      keepAlive: { idleTimeout: IDLE_SECONDS, maxIdleSockets: target.maxConnections },
    }),
    reachability: createReachability(base.host, base.port),
    connectTimeoutMs: timerMs(target.connectTimeoutSeconds),
    readTimeoutMs: timerMs(target.readTimeoutSeconds),
    probe: options.probe ?? NO_PROBE,
  };
  const poolTimeoutMs = timerMs(target.poolTimeoutSeconds);
  const places = createPlaces(target.maxConnections, poolTimeoutMs, () => new DifyApiError('timeout'));
  const headers: Readonly<Record<string, string>> = {
    'X-Inner-Api-Key': target.innerApiKey,
    Accept: '*/*',
    'Accept-Encoding': 'identity',
    'User-Agent': options.userAgent,
    ...(base.authorization === null ? {} : { Authorization: base.authorization }),
  };
  const outgoing = ({ method, path, body, totalMs }: DifyApiCall): Outgoing => ({
    operation: operationOf(path),
    method,
    url: base.url + path,
    headers: body === undefined ? headers : { ...headers, 'Content-Type': 'application/json' },
    body: body === undefined ? null : stringifyJson(body),
    totalMs: totalMs === null ? null : Math.min(totalMs, MAX_TIMER_MS),
  });

  /** The answer of a call that succeeded; `done` gives its connection back. */
  async function open(
    call: DifyApiCall,
    place: 'forAnswer' | 'forBody',
    signal: AbortSignal,
  ): Promise<{ exchange: Exchange; done: () => void }> {
    const release = await places[place](call.owner, signal);
    let exchange: Exchange | null = null;
    const done = (): void => {
      exchange?.close();
      release();
    };
    try {
      exchange = await openExchange(channel, outgoing(call), signal);
      const { status } = exchange;
      if (status < 400) return { exchange, done };
      if (status === 401) throw new DifyApiError('key_refused', status);
      const bytes = await readAll(exchange, limits.errorBytes, 'invalid_json');
      throw new DifyApiRejection(status, parsed(bytes, status));
    } catch (error) {
      done();
      throw error;
    }
  }

  return {
    secrets: [target.innerApiKey, ...base.secrets],
    async json(call, signal) {
      const { exchange, done } = await open(call, 'forAnswer', signal);
      try {
        return parsed(await readAll(exchange, limits.jsonBytes, 'too_large'), exchange.status);
      } finally {
        done();
      }
    },
    async bytes(call, signal) {
      const { exchange, done } = await open(call, 'forBody', signal);
      return passBody(exchange, done, { maxBytes: limits.passedBytes, stallMs: limits.stallMs });
    },
    load: () => ({ active: places.used, waiting: places.waiting }),
    close: () => channel.session.close(),
  };
}

async function readAll(
  exchange: Exchange,
  maxBytes: number,
  beyond: 'too_large' | 'invalid_json',
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const chunk = await exchange.read();
    if (chunk === null) return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
    total += chunk.length;
    if (total > maxBytes) throw new DifyApiError(beyond, exchange.status);
    chunks.push(chunk);
  }
}

function parsed(bytes: Uint8Array, status: number): JsonValue {
  const result = parseJsonBytes(bytes);
  if (result.ok) return result.value;
  throw new DifyApiError('invalid_json', status);
}

const MAX_TIMER_MS = 2 ** 31 - 1;

function timerMs(seconds: number): number {
  return Math.min(seconds * 1000, MAX_TIMER_MS);
}

interface Base {
  /** Without trailing slashes and user info. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** `Basic …` when the URL carried user info. */
  readonly authorization: string | null;
  readonly secrets: readonly string[];
}

function parseBase(text: string): Base {
  const url = new URL(text); // the settings have checked it
  const [user, password] = [unescapeText(url.username), unescapeText(url.password)];
  const userInfo = `${user}:${password}`;
  const port = url.protocol === 'https:' ? 443 : 80;
  return {
    url: `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? port : Number(url.port),
    authorization: userInfo === ':' ? null : `Basic ${Buffer.from(userInfo).toString('base64')}`,
    secrets: password === '' ? [] : [password],
  };
}

function unescapeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
