// What `GET /internal/status` says, read with care: another version may say less. Times are lengths in ms.

import type { JsonObject, JsonValue } from '../../client/types.ts';
import { instant } from '../format.ts';
import { isObject, textOr } from '../json.ts';

export interface ServerStatus {
  /** Texts are empty and numbers null where nothing is said. */
  readonly version: string;
  readonly store: string;
  readonly wire: string;
  readonly stopping: boolean;
  readonly uptimeMs: number | null;
  readonly rssBytes: number | null;
  readonly activeRuns: number | null;
  readonly limit: number | null;
  readonly streams: number | null;
  /** The oldest of the active runs. */
  readonly oldest: readonly ActiveRun[];
  readonly peers: readonly Peer[];
  /** Null: it does not say. */
  readonly layerTypes: readonly string[] | null;
}

export interface ActiveRun {
  readonly runId: string;
  readonly phase: string;
  readonly tenant: string;
  readonly ageMs: number | null;
  readonly phaseMs: number | null;
  readonly modelRequests: number | null;
  readonly toolCalls: number | null;
}

/** `ok`, `failing` or `unknown`, and since when as ms since the epoch. */
export interface Peer {
  readonly name: string;
  readonly state: string;
  readonly answeredAt: number | null;
  readonly failure: string;
  readonly connections: string;
}

/** What is listed of it. */
const MAX_LISTED = 200;

/** @throws Error for something that is no status */
export function readStatus(value: unknown): ServerStatus {
  const status = value as JsonValue; // it was parsed from JSON
  if (!isObject(status)) throw new Error('the server answered with something else than its status');
  const runs = objectOf(status.runs);
  return {
    version: textOr(status.version, ''),
    store: textOr(objectOf(status.store).description, ''),
    wire: textOr(status.wire, ''),
    stopping: status.stopping === true,
    uptimeMs: msOf(status.uptime_seconds),
    rssBytes: numberOf(objectOf(status.process).rss_bytes),
    activeRuns: numberOf(runs.active),
    limit: numberOf(runs.limit),
    streams: numberOf(objectOf(status.streams).open),
    oldest: listOf(runs.oldest).map((run) => ({
      runId: textOr(run.run_id, ''),
      phase: textOr(run.phase, ''),
      tenant: textOr(run.tenant_id, ''),
      ageMs: msOf(run.age_seconds),
      phaseMs: msOf(run.phase_seconds),
      modelRequests: numberOf(run.model_requests),
      toolCalls: numberOf(run.tool_calls),
    })),
    peers: listOf(status.peers).map(peerOf),
    layerTypes: Array.isArray(status.layer_types)
      ? status.layer_types.slice(0, MAX_LISTED).filter((type) => typeof type === 'string')
      : null,
  };
}

function peerOf(peer: JsonObject): Peer {
  const state = textOr(peer.state, '');
  const failure = [textOr(peer.last_failure, ''), textOr(peer.last_failed_operation, '')].filter((text) => text !== '');
  const { active, limit } = objectOf(peer.connections);
  return {
    name: textOr(peer.peer, ''),
    state,
    answeredAt: instant(textOr(peer.last_answer_at, '')),
    failure: state === 'failing' ? failure.join(' at ') : '',
    connections: typeof active === 'number' && typeof limit === 'number' ? `${active} of ${limit}` : '',
  };
}

function listOf(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.slice(0, MAX_LISTED).filter(isObject) : [];
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function numberOf(value: JsonValue | undefined): number | null {
  return typeof value === 'number' ? value : null;
}

function msOf(seconds: JsonValue | undefined): number | null {
  return typeof seconds === 'number' ? seconds * 1000 : null;
}
