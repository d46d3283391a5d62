// The client of the plugin daemon: one per process, shared by all runs. Sends a dispatch call and yields the items of
// its answer. Model and tool calls both go through `streamItems`; what items and errors mean to them is theirs.

import { limitSignal } from '../../base/waiting.ts';
import type { PluginDaemonSettings } from '../../config/settings.ts';
import { NO_PROBE, type Probe } from '../../observe/probe.ts';
import { stringifyJson } from '../../wiretext/json.ts';
import { createSlots } from '../slots.ts';
import { DaemonProtocolError, DaemonRequestTimeoutError, DaemonTransportError, httpRejection } from './errors.ts';
import { type Channel, type Exchange, openExchange } from './exchange.ts';
import { createItemReader } from './items.ts';
import { createLineReader } from './lines.ts';
import { headerValue, pluginIdHeader, tenantSegment } from './names.ts';
import { createReachability } from './reachability.ts';

/** One call. */
export interface DaemonCall {
  readonly kind: 'llm' | 'tool';
  readonly tenantId: string;
  readonly pluginId: string;
  /** Left out of the body when null. */
  readonly userId: string | null;
  /** The `data` object, keys in wire order (spec 03 §3.1, §5.3). Raw numbers keep their text; NaN is refused. */
  readonly data: object;
  /** Whose call it is, for fairness between runs when connections are scarce. Calls of one run share one value. */
  readonly owner: unknown;
  /** See ItemReaderOptions. Default false. */
  readonly exactNumbers?: boolean;
}

/** A client of one daemon. */
export interface PluginDaemonClient {
  /** Secret values of the client itself; callers mask them in texts from upstream. */
  readonly apiKey: string;
  /**
   * The `data` of each item, in batches: everything that one read of the socket completed (never empty). Ends with the
   * body. Throws DaemonTransportError, DaemonProtocolError or DaemonRejection after the items before the fault, or the
   * signal's reason. Leaving the loop early, or aborting, closes the upstream socket: that is the daemon's cancel.
   */
  streamItems(call: DaemonCall, signal: AbortSignal): AsyncGenerator<readonly unknown[], void, void>;
  /** How many calls hold a connection and how many wait for one. */
  load(): { readonly active: number; readonly waiting: number };
  /** Closes idle connections. */
  close(): void;
}

/** Options beside the settings. */
export interface PluginDaemonClientOptions {
  /** `User-Agent`, e.g. `dify-agent/0.1.0`. */
  readonly userAgent: string;
  /** Told of every call. Default: nobody. */
  readonly probe?: Pick<Probe, 'peer'>;
}

/** Most bytes of an HTTP error's body that are read (the rest is dropped). */
export const MAX_ERROR_BODY_BYTES = 64 * 1024;

/** Most decoded bytes of one stream. Far above any answer: tool files stop at 30 MiB (spec 03 §5.4). */
export const MAX_STREAM_BYTES = 256 * 1024 * 1024;

/**
 * Times the read time-out: a line, or the body of an error, in all. The read time-out ends a silence; without this a daemon
 * that sends a byte now and then would never be silent.
 */
const LINE_READ_TIMES = 5;
/** Of eight connections one run leaves one to the others, however many tools it calls at once (spec 03 §10.11). */
const OTHERS_SHARE = 8;

/**
 * A client with its connection pool. Throws DaemonProtocolError when the URL or the API key cannot be used.
 * Bun shows neither its write phase nor its pool: a peer that does not read is noticed by the read time-out, and the
 * write time-out has no effect of its own (design §4). The request time-out begins when the call has its connection:
 * waiting for one has a time-out of its own.
 */
export function createPluginDaemonClient(
  settings: PluginDaemonSettings,
  options: PluginDaemonClientOptions,
): PluginDaemonClient {
  const base = parseBase(settings.url);
  const keepAlive = settings.maxKeepaliveConnections > 0 && settings.keepaliveExpirySeconds > 0;
  const channel: Channel = {
    session: new Bun.FetchSession({
      proxy: false,
      keepAlive: keepAlive && {
        idleTimeout: settings.keepaliveExpirySeconds,
        maxIdleSockets: settings.maxKeepaliveConnections,
      },
    }),
    reachability: createReachability(base.host, base.port),
    connectTimeoutMs: timerMs(settings.connectTimeoutSeconds),
    readTimeoutMs: timerMs(settings.readTimeoutSeconds),
    probe: options.probe ?? NO_PROBE,
  };
  const poolTimeoutMs = timerMs(settings.poolTimeoutSeconds);
  const lineTimeoutMs = LINE_READ_TIMES * channel.readTimeoutMs;
  const { maxConnections } = settings;
  const slots = createSlots(
    maxConnections,
    () => new DaemonTransportError('pool_timeout'),
    maxConnections - Math.floor(maxConnections / OTHERS_SHARE),
  );
  const headers: Readonly<Record<string, string>> = {
    'X-Api-Key': settings.apiKey === '' ? '' : headerValue('plugin daemon API key', settings.apiKey),
    'Content-Type': 'application/json',
    Accept: '*/*',
    'Accept-Encoding': 'identity',
    'User-Agent': options.userAgent,
    ...(base.authorization === null ? {} : { Authorization: base.authorization }),
  };

  return {
    apiKey: settings.apiKey,
    async *streamItems(call, signal) {
      const outgoing = {
        operation: `${call.kind}/invoke`,
        url: `${base.url}/plugin/${tenantSegment(call.tenantId)}/dispatch/${call.kind}/invoke`,
        headers: { ...headers, 'X-Plugin-ID': pluginIdHeader(call.pluginId) },
        body: bodyText(call),
      };
      const release = await slots.acquire(call.owner, poolTimeoutMs, signal);
      const { requestTimeoutSeconds } = settings;
      const limit = limitSignal(signal, requestTimeoutSeconds, (seconds) => new DaemonRequestTimeoutError(seconds));
      let exchange: Exchange | null = null;
      try {
        exchange = await openExchange(channel, outgoing, limit.signal);
        if (exchange.status >= 400) throw httpRejection(exchange.status, await readErrorBody(exchange, lineTimeoutMs));
        yield* readItems(exchange, lineTimeoutMs, call.exactNumbers === true);
      } finally {
        exchange?.close();
        limit.end();
        release();
      }
    },
    load: () => ({ active: slots.used, waiting: slots.waiting }),
    close: () => channel.session.close(),
  };
}

async function* readItems(
  exchange: Exchange,
  lineTimeoutMs: number,
  exactNumbers: boolean,
): AsyncGenerator<readonly unknown[], void, void> {
  const lineReader = createLineReader();
  const itemReader = createItemReader({ exactNumbers });
  let bytes = 0;
  let lineSince = performance.now();
  for (;;) {
    const chunk = await exchange.read();
    const lines: string[] = [];
    const items: unknown[] = [];
    let fault: unknown = null;
    try {
      if (chunk === null) lineReader.end(lines);
      else {
        bytes += chunk.length;
        if (bytes > MAX_STREAM_BYTES) throw tooLarge();
        lineReader.push(chunk, lines);
        if (lines.length === 0 && performance.now() - lineSince > lineTimeoutMs) throw tooSlow();
      }
    } catch (error) {
      fault = error;
    }
    try {
      for (const line of lines) itemReader.line(line, items);
      if (chunk === null) itemReader.end(items);
    } catch (error) {
      fault = error;
    }
    if (items.length > 0) yield items;
    if (fault !== null) throw fault;
    if (chunk === null) return;
    if (lines.length > 0) lineSince = performance.now();
  }
}

async function readErrorBody(exchange: Exchange, timeoutMs: number): Promise<string> {
  const decoder = new TextDecoder();
  const since = performance.now();
  let text = '';
  let left = MAX_ERROR_BODY_BYTES;
  while (left > 0) {
    const chunk = await exchange.read();
    if (chunk === null) break;
    if (performance.now() - since > timeoutMs) throw tooSlow();
    text += decoder.decode(chunk.subarray(0, left), { stream: true });
    left -= chunk.length;
  }
  return text + decoder.decode();
}

function bodyText(call: DaemonCall): string {
  const envelope = call.userId === null ? { data: call.data } : { data: call.data, user_id: call.userId };
  try {
    return stringifyJson(envelope, { nonFinite: 'throw', floats: 'repr' });
  } catch (error) {
    throw new DaemonProtocolError('bad_request', error instanceof Error ? error.message : String(error));
  }
}

function tooLarge(): DaemonProtocolError {
  return new DaemonProtocolError('stream_too_large', `Plugin daemon sent more than ${MAX_STREAM_BYTES} bytes`);
}

function tooSlow(): DaemonTransportError {
  return new DaemonTransportError('read_timeout');
}

/** Seconds → milliseconds that a timer can hold: beyond 2^31 it would fire at once. */
function timerMs(seconds: number): number {
  return Math.min(seconds * 1000, 2 ** 31 - 1);
}

interface Base {
  /** Without trailing slashes, user info, query and fragment. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** `Basic …` when the URL carried user info. */
  readonly authorization: string | null;
}

function parseBase(text: string): Base {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new DaemonProtocolError('bad_request', 'plugin daemon URL must be an http:// or https:// URL');
  }
  const userInfo = `${unescapeText(url.username)}:${unescapeText(url.password)}`;
  const authorization = userInfo === ':' ? null : `Basic ${Buffer.from(userInfo).toString('base64')}`;
  return {
    url: `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port),
    authorization,
  };
}

function unescapeText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
