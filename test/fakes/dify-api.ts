// A Dify API for tests: the inner endpoints that the Agent Stub calls (spec 05 §5), strict about key, method, query and body, and
// the signed URLs behind them, which move real bytes. It can be told to misbehave. State is dify-api-state.ts', the endpoints
// are dify-api-inner.ts' and dify-api-files.ts'.

import { fileRoutes } from './dify-api-files.ts';
import { innerRoutes } from './dify-api-inner.ts';
import { type Answer, type Asked, json } from './dify-api-route.ts';
import { createDifyState, type DifyState } from './dify-api-state.ts';

export { type AgentConfig, type DriveItem, referenceOf, type StoredFile } from './dify-api-state.ts';

/** How a request is answered instead of properly. */
export type Mood =
  /** Nothing ever comes. */
  | { readonly kind: 'hang' }
  /** A status with a body. */
  | { readonly kind: 'answer'; readonly status: number; readonly body: string; readonly type?: string }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: string }
  /** 200 and bytes without end. */
  | { readonly kind: 'endless'; readonly type: string }
  /** 200, some bytes of an announced body, then the connection is closed. */
  | { readonly kind: 'cut'; readonly type: string };

/** What a proxy in front of the API says. */
export function htmlPage(status: number): Mood {
  const body = `<html><head><title>${status}</title></head><body>nginx/1.27 at api-7f9c</body></html>`;
  return { kind: 'answer', status, body, type: 'text/html' };
}

/** An error in JSON. */
export function jsonError(status: number, body: unknown): Mood {
  return { kind: 'answer', status, body: JSON.stringify(body) };
}

/** A request as it came. Header names in lower case. */
export interface RecordedRequest {
  readonly method: string;
  /** Percent-encoded. */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed JSON; undefined when there was none. */
  readonly body: unknown;
}

/** A running fake. */
export interface FakeDifyApi {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly innerKey: string;
  /** Calls of inner endpoints, in order. */
  readonly requests: readonly RecordedRequest[];
  /** What was wrong with them. */
  readonly violations: readonly string[];
  readonly state: DifyState;
  /** The next inner calls are answered like this, one each. */
  misbehave(...moods: readonly Mood[]): void;
  /** Inner calls that hang, and whose caller is still there. */
  hanging(): number;
  /** Bytes that endless answers have handed out. */
  endlessBytes(): number;
  stop(): Promise<void>;
}

/** Starts one on 127.0.0.1. */
export function startFakeDifyApi(options: { readonly innerKey?: string } = {}): FakeDifyApi {
  const innerKey = options.innerKey ?? 'inner-api-key-of-tests';
  const requests: RecordedRequest[] = [];
  const violations: string[] = [];
  const moods: Mood[] = [];
  let hanging = 0;
  let endlessBytes = 0;
  const count = (change: number): void => {
    hanging += change;
  };
  const flow = (bytes: number): void => {
    endlessBytes += bytes;
  };

  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 0,
    maxRequestBodySize: 2 ** 32,
    development: false,
    async fetch(request) {
      const url = new URL(request.url);
      const asked: Asked = { request, url, method: request.method, segments: url.pathname.split('/').slice(1) };
      if (!url.pathname.startsWith('/inner/')) return fileRoutes(state, asked);
      const text = await request.text();
      const body = parse(text);
      requests.push({
        method: request.method,
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: Object.fromEntries(request.headers),
        body,
      });
      const mood = moods.shift();
      if (mood !== undefined) return moody(mood, request, count, flow);
      if (request.headers.get('x-inner-api-key') !== innerKey) {
        violations.push('wrong inner key');
        return json(401, {
          code: 'unauthorized',
          message: `key ${request.headers.get('x-inner-api-key')} unknown`,
          status: 401,
        });
      }
      return innerRoutes(state, { ...asked, body }, (what) => void violations.push(what));
    },
  });
  const state = createDifyState(`http://127.0.0.1:${server.port}`);
  return {
    url: `http://127.0.0.1:${server.port}`,
    innerKey,
    requests,
    violations,
    state,
    misbehave: (...more) => void moods.push(...more),
    hanging: () => hanging,
    endlessBytes: () => endlessBytes,
    stop: () => server.stop(true),
  };
}

function parse(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return text;
  }
}

async function moody(
  mood: Mood,
  request: Request,
  count: (change: number) => void,
  flow: (bytes: number) => void,
): Promise<Answer> {
  switch (mood.kind) {
    case 'hang': {
      count(1);
      await new Promise<void>((resolve) => request.signal.addEventListener('abort', () => resolve(), { once: true }));
      count(-1);
      return new Response(null);
    }
    case 'answer':
      return new Response(mood.body, {
        status: mood.status,
        headers: { 'content-type': mood.type ?? 'application/json' },
      });
    case 'redirect':
      return new Response(null, { status: mood.status, headers: { location: mood.location } });
    case 'endless': {
      count(1);
      const piece = new Uint8Array(16_384).fill(0x20);
      const stream = new ReadableStream<Uint8Array>({
        pull(controller) {
          flow(piece.length);
          controller.enqueue(piece);
        },
        cancel: () => count(-1),
      });
      return new Response(stream, { headers: { 'content-type': mood.type } });
    }
    case 'cut': {
      const stream = new ReadableStream<Uint8Array>({
        async pull(controller) {
          controller.enqueue(new Uint8Array(4096));
          await Bun.sleep(20); // the first bytes go out by themselves
          controller.error(new Error('cut'));
        },
      });
      return new Response(stream, { headers: { 'content-type': mood.type } });
    }
  }
}
