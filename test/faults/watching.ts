// How fault tests look at runs: readers that stay on one connection, waits for what a run says, and cancels.

import { get } from '../support/runs.ts';
import { openSse, type SseFrame } from '../support/sse.ts';
import { until } from '../support/until.ts';

/** A reader that stays on its one connection. */
export interface Watch {
  readonly frames: readonly SseFrame[];
  /** Resolves when the server ended the stream or is gone. */
  readonly over: Promise<void>;
}

/** Follows a run from its beginning. */
export function watchRun(url: string, runId: string): Watch {
  const frames: SseFrame[] = [];
  const read = async (): Promise<void> => {
    const stream = await openSse(url, runId);
    for await (const frame of stream.frames) frames.push(frame);
  };
  return { frames, over: read().catch(() => {}) };
}

/** Waits until the run has published something with this text. */
export async function untilSaid({ url }: { readonly url: string }, runId: string, text: string): Promise<void> {
  await until(`${text} of ${runId}`, async () => (await get(`${url}/runs/${runId}/events`)).text.includes(text));
}

/** What `cancel` asks for. */
export const CANCEL = { reason: 'user_cancelled', message: null };

/** Asks for the end of a run. Rejects when there is no answer. */
export function cancel(url: string, runId: string, wish: object = CANCEL): Promise<Response> {
  return fetch(`${url}/runs/${runId}/cancel`, {
    method: 'POST',
    proxy: false,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(wish),
  });
}

/** A cancel that must be accepted. */
export async function mustCancel(url: string, runId: string): Promise<void> {
  const response = await cancel(url, runId);
  if (response.status !== 200) throw new Error(`the cancel: ${response.status} ${await response.text()}`);
}
