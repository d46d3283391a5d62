// One HTTP exchange with the Dify API over Bun's fetch: sends a request, follows redirects that stay with the server, hands out
// the body read by read. Knows time-outs and sockets; what an answer means is client.ts'.

import type { PeerScope, Probe } from '../../observe/probe.ts';
import type { Reachability } from '../plugin-daemon/reachability.ts';
import { watchSilence } from '../plugin-daemon/silence.ts';
import { DifyApiError, transportError } from './errors.ts';

/** What all exchanges share. Durations in milliseconds. */
export interface Channel {
  readonly session: Bun.FetchSession;
  readonly reachability: Reachability;
  readonly connectTimeoutMs: number;
  /** The longest silence. */
  readonly readTimeoutMs: number;
  readonly probe: Pick<Probe, 'peer'>;
}

/** A request. */
export interface Outgoing {
  /** What is asked, for the probe. */
  readonly operation: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text, or null. */
  readonly body: string | null;
  /** For everything, in milliseconds; null: only silence is limited. */
  readonly totalMs: number | null;
}

/** An answer whose head has arrived. Close it, whatever happened. */
export interface Exchange {
  readonly status: number;
  readonly headers: Headers;
  /** The next bytes, or null at the end of the body. Only one call at a time. */
  read(): Promise<Uint8Array | null>;
  /** Ends the exchange; a body that is not finished is aborted, which closes the socket. */
  close(): void;
}

const MAX_REDIRECTS = 5;
const ANY_METHOD = new Set([307, 308]);
const GET_ONLY = new Set([301, 302, 303]);

/** Sends a request and waits for the head of the answer. Rejects with DifyApiError, or with the signal's reason. */
export async function openExchange(channel: Channel, outgoing: Outgoing, signal: AbortSignal): Promise<Exchange> {
  signal.throwIfAborted();
  const controller = new AbortController();
  const timeOut = (): void => controller.abort(new DifyApiError('timeout'));
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const silence = watchSilence(channel.readTimeoutMs, timeOut);
  const total = outgoing.totalMs === null ? undefined : setTimeout(timeOut, outgoing.totalMs);
  const release = (): void => {
    silence.stop();
    clearTimeout(total);
    signal.removeEventListener('abort', onAbort);
  };
  const endConnectWatch = watchConnect(channel, timeOut);
  silence.begin();
  const scope = channel.probe.peer({ peer: 'dify_api', method: outgoing.method, operation: outgoing.operation });
  const headers = { ...outgoing.headers, ...scope.headers };
  try {
    const response = await scope.within(() => send(channel.session, { ...outgoing, headers }, controller.signal));
    silence.end();
    return openBody(response, controller, silence, release, scope);
  } catch (error) {
    release();
    const reason: unknown = controller.signal.aborted ? controller.signal.reason : null;
    controller.abort(); // an answer that was given up in the middle keeps its socket otherwise
    const thrown = reason ?? (error instanceof DifyApiError ? error : transportError(error, null));
    scope.end({ status: thrown instanceof DifyApiError ? thrown.status : null, error: codeOf(thrown) });
    throw thrown;
  } finally {
    endConnectWatch();
  }
}

async function send(session: Bun.FetchSession, outgoing: Outgoing, signal: AbortSignal): Promise<Response> {
  const { origin } = new URL(outgoing.url);
  let { url } = outgoing;
  for (let hops = 0; ; hops++) {
    const response = await session.fetch(url, {
      method: outgoing.method,
      headers: outgoing.headers,
      ...(outgoing.body === null ? {} : { body: outgoing.body }),
      redirect: 'manual',
      proxy: false,
      timeout: false, // Bun's own idle limit would come before ours
      signal,
    });
    const { status } = response;
    if (status < 300 || status >= 400) return response;
    const follows = ANY_METHOD.has(status) || (outgoing.method === 'GET' && GET_ONLY.has(status));
    const target = URL.parse(response.headers.get('location') ?? '', url);
    // The key goes to the configured server and nowhere else (spec 05 §12.8).
    if (!follows || target === null || target.origin !== origin || hops === MAX_REDIRECTS) {
      throw new DifyApiError('redirected', status);
    }
    await response.body?.cancel();
    // User info would become an `Authorization` of somebody else's making.
    target.username = '';
    target.password = '';
    url = target.href;
  }
}

type Silence = ReturnType<typeof watchSilence>;

/** For the probe: our own faults by their names; anything else is the wish of whoever asked. */
function codeOf(reason: unknown): string {
  return reason instanceof DifyApiError ? reason.fault : 'aborted';
}

function openBody(
  response: Response,
  controller: AbortController,
  silence: Silence,
  release: () => void,
  scope: PeerScope,
): Exchange {
  const reader = response.body?.getReader() ?? null;
  let finished = reader === null;
  let fault: string | null = null;
  return {
    status: response.status,
    headers: response.headers,
    async read() {
      if (finished || reader === null) return null;
      silence.begin();
      try {
        const { value, done } = await reader.read();
        if (!done) return value;
        finished = true;
        return null;
      } catch (error) {
        finished = true;
        const reason: unknown = controller.signal.aborted
          ? controller.signal.reason
          : transportError(error, response.status);
        fault = codeOf(reason);
        throw reason;
      } finally {
        silence.end();
      }
    },
    close() {
      release();
      if (!finished && controller.signal.aborted) fault = codeOf(controller.signal.reason);
      scope.end({ status: response.status, error: fault });
      if (!finished) controller.abort();
      finished = true;
    },
  };
}

/** Half of the connect time-out passes in silence, then a probe has the other half. Returns the function that ends it. */
function watchConnect(channel: Channel, onTimeout: () => void): () => void {
  let over = false;
  const half = channel.connectTimeoutMs / 2;
  const timer = setTimeout(() => {
    void channel.reachability.check(half).then((answer) => {
      if (!over && answer === 'silent') onTimeout();
    });
  }, half);
  return () => {
    over = true;
    clearTimeout(timer);
  };
}
