// A plugin daemon for tests: HTTP/1.1 on raw TCP, so that every write, split and cut is exact. Strict about requests
// (daemon-rules.ts), plays scripts (daemon-script.ts). Several runs can be served at once: a script registered under
// a key answers the requests whose credentials carry that key as `script_id`.

import type { Socket, TCPSocketListener } from 'bun';
import { dispatchKind, isObject, type Refusal, refusal } from './daemon-rules.ts';
import {
  chunk,
  type DaemonScript,
  eventText,
  goJson,
  httpChunk,
  type Reply,
  type ReplyItem,
  splitFrame,
  success,
} from './daemon-script.ts';

export type { DaemonScript, Reply, ReplyItem } from './daemon-script.ts';
export * from './daemon-script.ts';

/** A request as it arrived. Header names in lower case. */
export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyText: string;
  /** Parsed, or undefined when it is not JSON. */
  readonly body: unknown;
}

/** Options of the fake. */
export interface FakeDaemonOptions {
  /** Default `golden-daemon-key`. */
  readonly apiKey?: string;
}

/** A running fake daemon. */
export interface FakeDaemon {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  readonly llmRequests: readonly RecordedRequest[];
  readonly toolRequests: readonly RecordedRequest[];
  /** What was wrong with requests, and requests for which no reply was scripted. */
  readonly violations: readonly string[];
  /** Replaces the script; forgets recorded requests. With a key: the script of requests with that `script_id`, and nothing is forgotten. */
  play(script: DaemonScript, key?: string): void;
  /** Open client connections. */
  openSockets(): number;
  /** Connections accepted since the start. */
  acceptedSockets(): number;
  /** Resolves when n requests (model and tool) have been recorded since the last `play`. */
  waitForRequest(n: number): Promise<void>;
  /** Resolves when a client has gone away during a reply; each call waits for one more. */
  waitForAbort(): Promise<void>;
  /** Resolves when `check` holds; looked at after every connection event. */
  waitUntil(check: () => boolean): Promise<void>;
  stop(): Promise<void>;
}

interface Script {
  readonly llm: Reply[];
  readonly tool: Map<string, Reply[]>;
}

interface Connection {
  readonly socket: Socket<Connection | undefined>;
  received: Buffer;
  outbox: Uint8Array[];
  busy: boolean;
  open: boolean;
  readonly closed: Promise<void>;
  readonly markClosed: () => void;
}

const HEAD = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n',
  'latin1',
);
/** Of a reply after which there is no other. */
const LAST_HEAD = Buffer.from(HEAD.toString('latin1').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'), 'latin1');
const CUT_PAUSE_MS = 30;
const LAST_CHUNK = Buffer.from('0\r\n\r\n', 'latin1');

/** Starts a fake daemon on 127.0.0.1 with a free port. */
export async function startFakeDaemon(options: FakeDaemonOptions = {}): Promise<FakeDaemon> {
  const apiKey = options.apiKey ?? 'golden-daemon-key';
  const llmRequests: RecordedRequest[] = [];
  const toolRequests: RecordedRequest[] = [];
  const violations: string[] = [];
  const connections = new Set<Connection>();
  const watchers = new Set<{ check: () => boolean; resolve: () => void }>();
  const keyed = new Map<string, Script>();
  let script: Script = { llm: [], tool: new Map() };
  let accepted = 0;
  let aborts = 0;
  let abortsSeen = 0;

  const notify = (): void => {
    for (const watcher of watchers) {
      if (!watcher.check()) continue;
      watchers.delete(watcher);
      watcher.resolve();
    }
  };
  const waitUntil = (check: () => boolean): Promise<void> => {
    if (check()) return Promise.resolve();
    return new Promise((resolve) => watchers.add({ check, resolve }));
  };

  const listen = (port: number): TCPSocketListener<Connection | undefined> =>
    Bun.listen<Connection | undefined>({
      hostname: '127.0.0.1',
      port,
      socket: {
        open(socket) {
          let markClosed = () => {};
          const closed = new Promise<void>((resolve) => {
            markClosed = resolve;
          });
          const connection: Connection = {
            socket,
            received: Buffer.alloc(0),
            outbox: [],
            busy: false,
            open: true,
            closed,
            markClosed,
          };
          socket.data = connection;
          socket.setNoDelay(true);
          connections.add(connection);
          accepted += 1;
          notify();
        },
        data(socket, bytes) {
          const connection = socket.data;
          if (connection === undefined) return;
          connection.received = Buffer.concat([connection.received, bytes]);
          void serve(connection);
        },
        drain(socket) {
          if (socket.data !== undefined) flushOutbox(socket.data);
        },
        close(socket) {
          const connection = socket.data;
          if (connection === undefined) return;
          if (connection.open && (connection.busy || connection.outbox.length > 0)) aborts += 1;
          connection.open = false;
          connection.markClosed();
          connections.delete(connection);
          notify();
        },
        error() {},
      },
    });

  let listener: TCPSocketListener<Connection | undefined> | null = listen(0);
  const { port } = listener;

  const goDown = (): void => {
    listener?.stop();
    listener = null;
  };

  /** Stops listening, and waits until every other connection is gone. */
  async function hangUp(but: Connection): Promise<void> {
    goDown();
    for (const connection of connections) if (connection !== but) connection.socket.end();
    await waitUntil(() => connections.size <= 1);
  }

  async function serve(connection: Connection): Promise<void> {
    if (connection.busy) return;
    connection.busy = true;
    while (connection.open) {
      const request = takeRequest(connection);
      if (request === null) break;
      await answer(connection, request);
    }
    connection.busy = false;
  }

  async function answer(connection: Connection, request: RecordedRequest): Promise<void> {
    const kind = dispatchKind(request.path);
    (kind === 'tool' ? toolRequests : llmRequests).push(request);
    const refused = refusal(request, apiKey);
    if (refused !== null) {
      violations.push(`${refused.status} ${refused.message}`);
      notify();
      writeWhole(connection, { http: refused.status, text: refusalText(refused) });
      return;
    }
    const reply = takeReply(kind === 'tool' ? 'tool' : 'llm', request.body);
    notify();
    if (reply === null) {
      violations.push(`no reply scripted for ${request.path}`);
      writeWhole(connection, { http: 500, text: 'fake daemon: no reply scripted' });
      return;
    }
    const stops = reply.some((item) => typeof item === 'object' && 'stop' in item);
    // Before the reply, so that no client tries its next request on a connection that is about to end.
    if (stops) await hangUp(connection);
    await playReply(connection, reply, stops ? LAST_HEAD : HEAD);
    if (stops) connection.socket.end();
  }

  function takeReply(kind: 'llm' | 'tool', body: unknown): Reply | null {
    const data = isObject(body) && isObject(body.data) ? body.data : {};
    const credentials = isObject(data.credentials) ? data.credentials : {};
    const chosen = keyed.get(String(credentials.script_id)) ?? script;
    if (kind === 'llm') return chosen.llm.shift() ?? null;
    const replies = chosen.tool.get(String(data.tool)) ?? [];
    return (replies.length > 1 ? replies.shift() : replies[0]) ?? null;
  }

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    llmRequests,
    toolRequests,
    violations,
    play(next, key) {
      const parsed: Script = {
        llm: [...(next.llm ?? [])],
        tool: new Map(Object.entries(next.tool ?? {}).map(([name, replies]) => [name, [...replies]])),
      };
      if (key !== undefined) {
        keyed.set(key, parsed);
        return;
      }
      script = parsed;
      llmRequests.length = 0;
      toolRequests.length = 0;
      violations.length = 0;
      if (next.down === true) {
        goDown();
        for (const connection of connections) connection.socket.end();
      } else {
        listener ??= listen(port);
      }
    },
    openSockets: () => connections.size,
    acceptedSockets: () => accepted,
    waitForRequest: (n) => waitUntil(() => llmRequests.length + toolRequests.length >= n),
    waitForAbort() {
      abortsSeen += 1;
      const wanted = abortsSeen;
      return waitUntil(() => aborts >= wanted);
    },
    waitUntil,
    async stop() {
      goDown();
      for (const connection of connections) {
        connection.open = false;
        connection.markClosed();
        connection.socket.terminate();
      }
      await waitUntil(() => connections.size === 0);
    },
  };
}

async function playReply(connection: Connection, reply: Reply, head: Uint8Array): Promise<void> {
  let headSent = false;
  const send = (payload: Uint8Array): void => {
    const framed = httpChunk(payload);
    write(connection, headSent ? framed : Buffer.concat([head, framed]));
    headSent = true;
  };
  for (const item of reply) {
    if (!connection.open) return;
    if (typeof item === 'string') send(Buffer.from(eventText(success(chunk({ content: item })))));
    else if ('data' in item) send(Buffer.from(eventText(success(item.data))));
    else if ('frame' in item) send(Buffer.from(eventText(item.frame)));
    else if ('raw' in item) send(Buffer.from(item.raw));
    else if ('bytes' in item) {
      if (item.bytes.length > 0) send(item.bytes);
      await new Promise((resolve) => setImmediate(resolve));
    } else if ('rawsplit' in item) await sendSplit(connection, splitFrame(item.rawsplit, item.at), send);
    else if ('repeat' in item) await sendRepeated(connection, item, send);
    else if ('delay' in item) await Promise.race([Bun.sleep(item.delay), connection.closed]);
    else if ('hang' in item) await connection.closed;
    else if ('cut' in item) {
      // Bun's fetch drops bytes that it reads in the same breath as the end of the socket: let them arrive first.
      if (headSent) await Promise.race([Bun.sleep(CUT_PAUSE_MS), connection.closed]);
      connection.open = false;
      connection.socket.end();
      return;
    } else if ('http' in item) {
      writeWhole(connection, item);
      return;
    } else if ('flush' in item && !headSent) {
      write(connection, head);
      headSent = true;
    }
  }
  if (connection.open) write(connection, headSent ? LAST_CHUNK : Buffer.concat([head, LAST_CHUNK]));
}

async function sendSplit(connection: Connection, pieces: readonly Uint8Array[], send: (bytes: Uint8Array) => void) {
  for (const [i, piece] of pieces.entries()) {
    if (i > 0) await Promise.race([Bun.sleep(20), connection.closed]);
    if (connection.open && piece.length > 0) send(piece);
  }
}

async function sendRepeated(
  connection: Connection,
  item: Extract<ReplyItem, { repeat: number }>,
  send: (bytes: Uint8Array) => void,
): Promise<void> {
  const one = Buffer.from(eventText(success(chunk({ content: item.text }))));
  const batch = Math.max(1, item.batch ?? 1);
  const full = Buffer.concat(Array.from({ length: batch }, () => one));
  for (let left = item.repeat; left > 0 && connection.open; left -= batch) {
    send(left >= batch ? full : full.subarray(0, left * one.length));
    if (item.gap_ms !== undefined && item.gap_ms > 0) await Promise.race([Bun.sleep(item.gap_ms), connection.closed]);
  }
}

function writeWhole(connection: Connection, item: Extract<ReplyItem, { http: number }>): void {
  const body = Buffer.from(item.text ?? '', 'utf8');
  const headers = { 'content-type': 'application/json', ...item.headers, 'content-length': String(body.length) };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  write(connection, Buffer.concat([Buffer.from(`HTTP/1.1 ${item.http} X\r\n${lines.join('')}\r\n`, 'latin1'), body]));
}

function refusalText(refused: Refusal): string {
  const message = goJson({ message: refused.message, error_type: refused.errorType, args: null });
  return goJson({ code: -refused.status, message, data: null });
}

function write(connection: Connection, bytes: Uint8Array): void {
  if (!connection.open) return;
  if (connection.outbox.length > 0) {
    connection.outbox.push(bytes);
    return;
  }
  const written = connection.socket.write(bytes);
  if (written < bytes.length) connection.outbox.push(bytes.subarray(Math.max(0, written)));
}

function flushOutbox(connection: Connection): void {
  while (connection.open) {
    const first = connection.outbox.shift();
    if (first === undefined) return;
    const written = connection.socket.write(first);
    if (written < first.length) {
      connection.outbox.unshift(first.subarray(Math.max(0, written)));
      return;
    }
  }
}

/** Cuts one complete request off the received bytes, or null. */
function takeRequest(connection: Connection): RecordedRequest | null {
  const end = connection.received.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [requestLine = '', ...headerLines] = connection.received.toString('latin1', 0, end).split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of headerLines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const length = Number(headers['content-length'] ?? 0);
  if (connection.received.length < end + 4 + length) return null;
  const bodyText = connection.received.toString('utf8', end + 4, end + 4 + length);
  connection.received = connection.received.subarray(end + 4 + length);
  const [method = '', path = ''] = requestLine.split(' ');
  return { method, path, headers, bodyText, body: parseJson(bodyText) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
