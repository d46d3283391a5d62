// One HTTP exchange over Bun's fetch: sends a request, hands out the body read by read, words every failure as a
// DaemonTransportError. Knows time-outs and sockets; framing and meaning are others'.

import type { PeerScope, Probe } from '../../observe/probe.ts';
import { DaemonTransportError, type TransportFault } from './errors.ts';
import type { Reachability } from './reachability.ts';
import { type SilenceWatch, watchSilence } from './silence.ts';

/** What all exchanges with one daemon share. Durations in milliseconds. */
export interface Channel {
  readonly session: Bun.FetchSession;
  readonly reachability: Reachability;
  readonly connectTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly probe: Pick<Probe, 'peer'>;
}

/** A POST. */
export interface Outgoing {
  /** What is asked, for the probe. */
  readonly operation: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An answer whose head has arrived. Close it, whatever happened. */
export interface Exchange {
  readonly status: number;
  /** The next bytes, or null at the end of the body. Only one call at a time. */
  read(): Promise<Uint8Array | null>;
  /** Ends the exchange; a body that is not finished is aborted, which closes the socket. */
  close(): void;
}

const nothing = (): void => {};

/**
 * Sends a request and waits for the head of the answer. Rejects with DaemonTransportError, or with the signal's reason.
 * Redirects are not followed, proxy variables are ignored, nothing is retried (spec 03 §2.1).
 */
export async function openExchange(channel: Channel, outgoing: Outgoing, signal: AbortSignal): Promise<Exchange> {
  signal.throwIfAborted();
  const controller = new AbortController();
  const fail = (fault: TransportFault): void => controller.abort(new DaemonTransportError(fault));
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const watch = watchSilence(channel.readTimeoutMs, () => fail('read_timeout'));
  const release = (): void => {
    watch.stop();
    signal.removeEventListener('abort', onAbort);
  };
  const endConnectWatch = watchConnect(channel, () => fail('connect_timeout'));
  watch.begin();
  const scope = channel.probe.peer({ peer: 'plugin_daemon', method: 'POST', operation: outgoing.operation });
  try {
    const response = await scope.within(() =>
      channel.session.fetch(outgoing.url, {
        method: 'POST',
        headers: { ...outgoing.headers, ...scope.headers },
        body: outgoing.body,
        redirect: 'manual',
        proxy: false,
        timeout: false, // Bun's own idle limit of 300 s would come before our read time-out
        signal: controller.signal,
      }),
    );
    watch.end();
    return openBody(response, controller, watch, release, scope);
  } catch (error) {
    release();
    const reason: unknown = controller.signal.aborted ? controller.signal.reason : wordFailure(error, false);
    scope.end({ status: null, error: codeOf(reason) });
    throw reason;
  } finally {
    endConnectWatch();
  }
}

function openBody(
  response: Response,
  controller: AbortController,
  watch: SilenceWatch,
  release: () => void,
  scope: PeerScope,
): Exchange {
  const reader = response.body?.getReader() ?? null;
  let finished = reader === null;
  let fault: string | null = null;
  let next: ReturnType<NonNullable<typeof reader>['read']> | null = null;
  return {
    status: response.status,
    async read() {
      if (finished || reader === null) return null;
      watch.begin();
      try {
        const { value, done } = await (next ?? reader.read());
        if (done) {
          finished = true;
          return null;
        }
        // Asked for early: what arrives before a failure would be dropped with the stream's queue otherwise.
        next = reader.read();
        next.catch(nothing); // reported by the read that awaits it
        return value;
      } catch (error) {
        finished = true;
        const reason: unknown = controller.signal.aborted ? controller.signal.reason : wordFailure(error, true);
        fault = codeOf(reason);
        throw reason;
      } finally {
        watch.end();
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

const REFUSED = new Set(['ECONNREFUSED', 'ConnectionRefused', 'EHOSTUNREACH', 'ENETUNREACH', 'FailedToOpenSocket']);
const CLOSED = new Set(['ECONNRESET', 'ConnectionClosed', 'EPIPE', 'ECONNABORTED']);
const UNKNOWN_NAME = new Set(['ENOTFOUND', 'EAI_AGAIN', 'DNS_ENOTFOUND', 'DNSLookupFailed']);

/** For the probe: our own faults by their names; anything else is the wish of whoever asked. */
function codeOf(reason: unknown): string {
  return reason instanceof DaemonTransportError ? reason.fault : 'aborted';
}

/** What a failure of fetch is in the reference's words. */
function wordFailure(error: unknown, hasHead: boolean): DaemonTransportError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new DaemonTransportError(faultOf(code, hasHead), { cause: error });
}

function faultOf(code: string, hasHead: boolean): TransportFault {
  if (CLOSED.has(code)) return hasHead ? 'cut_off' : 'disconnected';
  if (hasHead) return 'bad_response';
  if (REFUSED.has(code)) return 'connect_failed';
  if (UNKNOWN_NAME.has(code)) return 'name_resolution';
  if (/CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(code)) return 'tls';
  return /HTTP|Malformed|Invalid|TooLarge|Header/i.test(code) ? 'bad_response' : 'connect_failed';
}
