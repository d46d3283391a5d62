// What must hold of every accepted run, whatever died: it is over, it has exactly one end, and everybody who asks is told
// the same. And what must never be found anywhere: secrets.

import { follow, poll } from '../support/patient-client.ts';
import { type RunStatus, runStatus } from '../support/runs.ts';
import type { SseFrame } from '../support/sse.ts';
import { TERMINAL_TYPES } from '../support/strict-client.ts';

/** What stands in compositions and settings of fault tests, and nowhere else. */
export const SECRETS = {
  credential: 'sk-fault-credential-6d1f0c2b9a',
  daemonKey: 'fault-daemon-key-83be17ac55',
} as const;

/** How a run ended. */
export interface RunEnd {
  readonly runId: string;
  readonly status: RunStatus;
  readonly frames: readonly SseFrame[];
  /** `data` of the terminal event. */
  readonly terminal: Readonly<Record<string, unknown>>;
}

/**
 * The end of a run as this server tells it, by stream, pages and status. `seen`: what a client had been shown before. Throws
 * with what is wrong.
 */
export async function checkedEnd(url: string, runId: string, seen: readonly SseFrame[] = []): Promise<RunEnd> {
  const { frames } = await follow(url, runId);
  mustAscend(frames.map((frame) => frame.id));
  mustEqual(`the pages of ${runId}`, await poll(url, runId), dataOf(frames));
  mustEqual(`what was seen of ${runId} before`, dataOf(seen), dataOf(frames).slice(0, seen.length));
  const types = frames.map((frame) => frame.event);
  const ends = types.filter((type) => TERMINAL_TYPES.includes(type));
  if (ends.length !== 1 || ends[0] !== types.at(-1)) throw new Error(`the ends of ${runId}: ${types.join(', ')}`);
  mustEqual(`the starts of ${runId}`, types.slice(1).filter(isStart), []);
  const { data: terminal } = JSON.parse(frames.at(-1)?.data ?? '') as { data: Record<string, unknown> }; // checked by the reader
  const status = await runStatus(url, runId);
  mustEqual(`the status of ${runId}`, [`run_${status.status}`], ends);
  const error = ends[0] === 'run_cancelled' ? (terminal.message ?? terminal.reason) : terminal.error;
  mustEqual(`the error of ${runId}`, [String(status.error)], [String(error ?? null)]);
  return { runId, status, frames, terminal };
}

function isStart(type: string): boolean {
  return type === 'run_started';
}

/** The events' JSON texts. */
export function dataOf(frames: readonly SseFrame[]): readonly string[] {
  return frames.map((frame) => frame.data);
}

/** Throws unless each id is greater than the one before. */
export function mustAscend(ids: readonly string[]): void {
  let last: readonly [bigint, bigint] = [0n, 0n];
  for (const id of ids) {
    const [ms = 0n, sequence = 0n] = id.split('-').map(BigInt);
    if (ms < last[0] || (ms === last[0] && sequence <= last[1])) throw new Error(`${id} follows ${last.join('-')}`);
    last = [ms, sequence];
  }
}

/** Throws at the first difference between two lists. */
export function mustEqual(what: string, actual: readonly string[], expected: readonly string[]): void {
  const at = actual.findIndex((text, index) => text !== expected[index]);
  if (at < 0 && actual.length === expected.length) return;
  const index = at < 0 ? actual.length : at;
  throw new Error(
    `${what}: ${actual.length} instead of ${expected.length}, at ${index}: ${actual[index]?.slice(0, 300)} instead of ${expected[index]?.slice(0, 300)}`,
  );
}

/** Throws when a secret stands in the text. */
export function mustNotLeak(what: string, text: string): void {
  for (const [name, secret] of Object.entries(SECRETS)) {
    const at = text.indexOf(secret);
    if (at >= 0) throw new Error(`${what} has the ${name}: …${text.slice(Math.max(0, at - 200), at + 60)}…`);
  }
}
