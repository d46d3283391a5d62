// Events and frames as the reference prints them, for scripted servers.

const RUN_ID = 'run-1';
const SNAPSHOT = { schema_version: 1, layers: [] };

/** An event's JSON. `id` null: without one. */
export function event(id: string | null, type: string, data: unknown = {}, extra: object = {}): string {
  const created_at = '2026-06-02T08:15:30.209551Z';
  return JSON.stringify({ ...(id === null ? {} : { id }), run_id: RUN_ID, created_at, type, data, ...extra });
}

/** One frame, as the server's formatter writes it. */
export function frame(id: string, type: string, data: unknown = {}): string {
  return `id: ${id}\nevent: ${type}\ndata: ${event(id, type, data)}\n\n`;
}

export const started = (id: string): string => frame(id, 'run_started');

/** A piece of text. */
export const delta = (id: string, content: string): string =>
  frame(id, 'pydantic_ai_event', {
    index: 0,
    delta: { content_delta: content, provider_name: null, provider_details: null, part_delta_kind: 'text' },
    event_kind: 'part_delta',
  });

export const succeeded = (id: string, output: unknown = 'done'): string =>
  frame(id, 'run_succeeded', { session_snapshot: SNAPSHOT, output });
export const failed = (id: string): string => frame(id, 'run_failed', { error: 'it broke', reason: null });
export const cancelled = (id: string): string =>
  frame(id, 'run_cancelled', { reason: 'user_cancelled', message: null, session_snapshot: null, usage: null });

/** What `GET /runs/{id}` says. */
export const record = (status: string) => ({
  run_id: RUN_ID,
  status,
  created_at: '2026-06-02T08:15:30.204117Z',
  updated_at: '2026-06-02T08:15:30.204131Z',
  error: null,
});

/** All of a stream. */
export async function all<T>(iterable: AsyncIterable<T>): Promise<readonly T[]> {
  const items: T[] = [];
  for await (const item of iterable) items.push(item);
  return items;
}

export const ids = (events: readonly { readonly id: string }[]): readonly string[] => events.map(({ id }) => id);

/** What a promise rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not reject');
}
