// One HTTP exchange with shellctl over Bun's fetch: sends a request, follows redirects that stay with the server, reads a bounded
// answer within a bounded time. What the answer means is answers.ts' matter.

import type { Probe } from '../../observe/probe.ts';
import type { Answer } from './answers.ts';
import { ShellctlError } from './port.ts';

/** A request. */
export interface Outgoing {
  /** What is asked, for the probe. */
  readonly operation: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text, or null. */
  readonly body: string | null;
  /** For everything: connecting, waiting, reading. */
  readonly timeoutMs: number;
  /** Most bytes of an answer. */
  readonly maxBytes: number;
}

/** Errors are read to this many bytes at least: a 422 repeats what was sent. */
const MIN_ERROR_BYTES = 64 * 1024;
const MAX_REDIRECTS = 5;
const ANY_METHOD = new Set([307, 308]);
const GET_ONLY = new Set([301, 302, 303]);

/** Sends it. Rejects with ShellctlError, or with the signal's reason. Proxy variables are ignored. */
export async function exchange(
  { session, probe }: { readonly session: Bun.FetchSession; readonly probe: Pick<Probe, 'peer'> },
  outgoing: Outgoing,
  signal: AbortSignal,
): Promise<Answer> {
  signal.throwIfAborted();
  const scope = probe.peer({ peer: 'shellctl', method: outgoing.method, operation: outgoing.operation });
  const headers = { ...outgoing.headers, ...scope.headers };
  let status: number | null = null;
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => controller.abort(timedOut(outgoing.timeoutMs)), outgoing.timeoutMs);
  try {
    const response = await scope.within(() => send(session, { ...outgoing, headers }, controller.signal));
    status = response.status;
    const answer = await readAnswer(response, outgoing.maxBytes);
    scope.end({ status, error: null });
    return answer;
  } catch (error) {
    // Ends what is under way: an answer that was given up in the middle keeps its socket otherwise.
    const reason: unknown = controller.signal.aborted ? controller.signal.reason : null;
    controller.abort();
    const thrown = reason ?? (error instanceof ShellctlError ? error : wordFailure(error));
    // The codes of this file alone: what the server calls its errors is in its answer.
    const code = thrown instanceof ShellctlError ? thrown.code : 'aborted';
    scope.end({ status: thrown instanceof ShellctlError ? (status ?? thrown.status) : status, error: code });
    throw thrown;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
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
      timeout: false, // Bun's own idle limit would come before ours for long waits
      signal,
    });
    const { status } = response;
    if (!ANY_METHOD.has(status) && !(outgoing.method === 'GET' && GET_ONLY.has(status))) {
      if (status >= 300 && status < 400) throw redirected(status, 'that would change the request');
      return response;
    }
    const target = URL.parse(response.headers.get('location') ?? '', url);
    // The token, and scripts with what is in them, go to the configured server and nowhere else.
    if (target === null || target.origin !== origin) throw redirected(status, 'to another address');
    if (hops === MAX_REDIRECTS) throw redirected(status, 'again and again');
    await response.body?.cancel();
    url = target.href;
  }
}

function redirected(status: number, how: string): ShellctlError {
  return new ShellctlError('request_failed', status, `shellctl redirects ${how}, which is not followed`);
}

async function readAnswer(response: Response, maxBytes: number): Promise<Answer> {
  const { status } = response;
  const isError = status >= 400;
  const limit = isError ? Math.max(maxBytes, MIN_ERROR_BYTES) : maxBytes;
  // The usual way, in one piece: half the memory of counting.
  if (hasKnownLength(response, limit)) return { status, body: await response.text() };
  const decoder = new TextDecoder();
  let body = '';
  let bytes = 0;
  for await (const chunk of chunksOf(response)) {
    bytes += chunk.length;
    if (bytes > limit) {
      if (isError) return { status, body };
      throw new ShellctlError('invalid_payload', status, `the answer is longer than ${limit} bytes`);
    }
    body += decoder.decode(chunk, { stream: true });
  }
  return { status, body: body + decoder.decode() };
}

/** Fetch hands out no more than the length that the head announces, unless it decompresses. */
function hasKnownLength({ headers }: Response, limit: number): boolean {
  const length = headers.get('content-length');
  return (
    length !== null && Number(length) <= limit && !headers.has('content-encoding') && !headers.has('transfer-encoding')
  );
}

/** Leaving the loop early cancels the body, which closes the socket. */
async function* chunksOf(response: Response): AsyncGenerator<Uint8Array, void, void> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  let finished = false;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      finished = done;
      if (done) return;
      yield value;
    }
  } finally {
    if (!finished) await reader.cancel().catch(() => {});
  }
}

function timedOut(timeoutMs: number): ShellctlError {
  return new ShellctlError('timeout', null, `shellctl did not answer within ${timeoutMs / 1000} s`);
}

const REFUSED = new Set(['ECONNREFUSED', 'ConnectionRefused', 'EHOSTUNREACH', 'ENETUNREACH', 'FailedToOpenSocket']);
const CLOSED = new Set(['ECONNRESET', 'ConnectionClosed', 'EPIPE', 'ECONNABORTED']);
const UNKNOWN_NAME = new Set(['ENOTFOUND', 'EAI_AGAIN', 'DNS_ENOTFOUND', 'DNSLookupFailed']);

/** What a failure of fetch is. Its own text may carry the URL: it is the cause, never the message. */
function wordFailure(error: unknown): ShellctlError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new ShellctlError('request_error', null, failureText(code), { cause: error });
}

function failureText(code: string): string {
  if (CLOSED.has(code)) return 'the connection to shellctl was lost';
  if (REFUSED.has(code)) return 'shellctl cannot be reached';
  if (UNKNOWN_NAME.has(code)) return 'the host of shellctl is unknown';
  if (/CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO/.test(code)) return 'the TLS handshake with shellctl failed';
  return 'shellctl sent an invalid HTTP answer';
}
