// The reference as it was recorded, as a server: a trace's run is created, looked at, listed and streamed in the very texts of
// the recording, and recorded HTTP exchanges are answered as they were. Streams stay open after their end, as the reference's
// do (spec 01 §3).

import type { Exchange, Step } from '../conformance/fixtures.ts';
import { at, compact, numberOf, textOf } from '../support/json-nodes.ts';

export interface RecordedServer {
  readonly url: string;
  /** What the next POST /runs begins; earlier runs are still there. */
  play(step: Step): void;
  /** Answers this request from now on; before anything else. */
  exchange(exchange: Exchange): void;
  stop(): Promise<void>;
}

interface RecordedEvent {
  readonly id: string;
  readonly type: string;
  readonly text: string;
}

/** Starts a server on loopback. */
export function startRecordedServer(): RecordedServer {
  const runs = new Map<string, Step>();
  const exchanges = new Map<string, Exchange>();
  let next: Step | null = null;

  function answer(request: Request): Response {
    const { pathname, searchParams, search } = new URL(request.url);
    const known = exchanges.get(`${request.method} ${pathname}${search}`);
    if (known !== undefined) {
      const { status, responseHeaders, responseBody } = known;
      const type = responseHeaders['content-type'] ?? 'text/plain';
      const body = type === 'application/json' ? compact(responseBody) : (textOf(responseBody) ?? '');
      return new Response(body, { status, headers: { 'content-type': type } });
    }
    if (request.method === 'POST' && pathname === '/runs' && next !== null) {
      return json(compact(at(next.create, 'body') ?? next.create), numberOf(at(next.create, 'status')));
    }
    const [, runId = '', tail = ''] = /^\/runs\/([^/]+)(\/events(?:\/sse)?)?$/.exec(pathname) ?? [];
    const step = runs.get(decodeURIComponent(runId));
    if (step === undefined) return json(`{"detail":"${runId === '' ? 'Not Found' : 'run not found'}"}`, 404);
    if (tail === '') return json(compact(step.status));
    const after = searchParams.get('after') ?? '0-0';
    const events = eventsOf(step);
    const rest = events.slice(events.findIndex(({ id }) => id === after) + 1);
    if (tail === '/events/sse') return streamed(rest);
    const page = rest.slice(0, Number(searchParams.get('limit') ?? 100));
    const cursor = JSON.stringify(page.at(-1)?.id ?? after);
    const texts = page.map(({ text }) => text).join(',');
    return json(`{"run_id":${JSON.stringify(runId)},"events":[${texts}],"next_cursor":${cursor}}`);
  }

  const server = Bun.serve({ port: 0, hostname: '127.0.0.1', idleTimeout: 0, fetch: answer });
  return {
    url: `http://127.0.0.1:${server.port}`,
    play(step) {
      next = step;
      runs.set(textOf(at(step.create, 'body', 'run_id')) ?? '', step);
    },
    exchange: (recorded) => void exchanges.set(`${recorded.method} ${recorded.path}`, recorded),
    stop: () => server.stop(true),
  };
}

function eventsOf(step: Step): readonly RecordedEvent[] {
  return step.events.map((event) => ({
    id: textOf(at(event, 'id')) ?? '',
    type: textOf(at(event, 'type')) ?? '',
    text: compact(event),
  }));
}

/** Frames in pieces that end anywhere, then nothing more, but no end. */
function streamed(events: readonly RecordedEvent[]): Response {
  const frames = events.map(({ id, type, text }) => `id: ${id}\nevent: ${type}\ndata: ${text}\n\n`);
  const bytes = new TextEncoder().encode(frames.join(''));
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent >= bytes.length) return new Promise<void>(() => {});
      controller.enqueue(bytes.subarray(sent, sent + 97));
      sent += 97;
      return undefined;
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } });
}

function json(text: string, status = 200): Response {
  return new Response(text, { status, headers: { 'content-type': 'application/json' } });
}
