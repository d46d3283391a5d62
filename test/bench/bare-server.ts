// The least that a server of this wire can do on Bun, in a process of its own: Elysia takes a POST and answers 202, Bun streams
// prepared SSE frames. No validation, no store, no run: the machine's limit for everything that goes through HTTP. Argument: how
// many frames a stream of `/runs/many/events/sse` has; all others have five.

import { Elysia } from 'elysia';

const RUN_FRAMES = 5;
/** Frames that are handed to Bun at once. */
const BATCH = 200;

/** A frame as the server sends it, of one character of text. */
function frame(index: number, last: boolean): string {
  const id = `1780388130204-${index}`;
  const type = last ? 'run_succeeded' : 'pydantic_ai_event';
  const delta = { content_delta: 'x', provider_name: null, provider_details: null, part_delta_kind: 'text' };
  const data = { index: 0, delta, event_kind: 'part_delta' };
  const created_at = '2026-06-02T08:15:30.209551Z';
  const event = { id, run_id: '4d1f3c0e-8a54-4c6b-9a53-0d6f5f1f7a10', created_at, type, data };
  return `id: ${id}\nevent: ${type}\ndata: ${JSON.stringify(event)}\n\n`;
}

function batches(count: number): readonly Uint8Array[] {
  const frames = Array.from({ length: count }, (_, index) => frame(index, index === count - 1));
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < count; at += BATCH) pieces.push(Buffer.from(frames.slice(at, at + BATCH).join('')));
  return pieces;
}

function stream(pieces: readonly Uint8Array[]): Response {
  let next = 0;
  const body = new ReadableStream({
    pull(controller) {
      const piece = pieces[next++];
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

function serve(many: number): void {
  const short = batches(RUN_FRAMES);
  const long = batches(many);
  const app = new Elysia()
    .post(
      '/runs',
      async ({ request }) => {
        await request.text();
        return Response.json({ run_id: crypto.randomUUID(), status: 'running' }, { status: 202 });
      },
      { parse: 'none' },
    )
    .get('/runs/:run_id/events/sse', () => stream(short));
  const elysia = app.listen({ hostname: '127.0.0.1', port: 0 });
  const bun = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => stream(long) });
  console.log(`http://127.0.0.1:${elysia.server?.port} http://127.0.0.1:${bun.port}`);
}

if (import.meta.main) serve(Number(process.argv[2] ?? RUN_FRAMES));
