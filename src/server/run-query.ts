// The query and header values of the run routes (spec 01 §2, §3): which one counts, what it means, what is wrong with it.

import { CURSOR_START, type EventId, parseCursor } from '../base/cursor.ts';
import type { SnapshotPolicy } from '../runs/submission.ts';
import { type IntParameter, parseQueryInt } from '../validation/query.ts';
import { InvalidInputError } from './errors.ts';

/** Where reading begins, as it was asked for. */
export interface Cursor {
  /** Null: the text is no cursor. */
  readonly id: EventId | null;
  readonly source: 'query' | 'header';
  readonly name: string;
  /** As written; an empty page echoes it (spec 01 §2). */
  readonly text: string;
}

/** A page of events as it was asked for. */
export interface PageQuery {
  readonly after: Cursor;
  readonly limit: number;
}

/** Spec 01 §2. */
export const LIMIT: IntParameter = { name: 'limit', defaultValue: 100, ge: 1, le: 500 };

const queryCursor = (text: string): Cursor => ({ id: parseCursor(text), source: 'query', name: 'after', text });

/**
 * Reads `after` and `limit`. Throws InvalidInputError about `limit` alone: a cursor is looked at when the run is known,
 * as in the reference (where it reaches Redis).
 */
export function readPageQuery(query: URLSearchParams): PageQuery {
  const limit = parseQueryInt(query, LIMIT);
  if (!limit.ok) throw new InvalidInputError('query', limit.issues);
  return { after: queryCursor(lastOf(query, 'after') ?? CURSOR_START), limit: limit.value };
}

/** The cursor of a stream: query `after`, else `Last-Event-ID`, else the start; empty ones fall through (spec 01 §3). */
export function readStreamCursor(query: URLSearchParams, headers: Headers): Cursor {
  const after = lastOf(query, 'after');
  if (after !== null && after !== '') return queryCursor(after);
  const text = headers.get('last-event-id');
  if (text === null || text === '') return queryCursor(CURSOR_START);
  return { id: parseCursor(text), source: 'header', name: 'Last-Event-ID', text };
}

/** Spec 01 §10.4: 422 where the reference answers 500. */
export function badCursor({ source, name, text }: Cursor): InvalidInputError {
  const msg = 'Value error, invalid cursor: expected an event id such as 1780388130204-0';
  return new InvalidInputError(source, [{ type: 'value_error', loc: [name], msg, input: text, ctx: { error: {} } }]);
}

/** Header of `POST /runs`: what happens when a snapshot's layers are not the composition's. */
export const SNAPSHOT_POLICY_HEADER = 'X-Agent-Snapshot-Policy';

/** Reads the snapshot policy, case-insensitively; default `reject`, as the reference. Throws InvalidInputError. */
export function readSnapshotPolicy(headers: Headers): SnapshotPolicy {
  const text = headers.get(SNAPSHOT_POLICY_HEADER);
  const policy = text?.toLowerCase() ?? 'reject';
  if (policy === 'reject' || policy === 'rebase') return policy;
  const expected = "'reject' or 'rebase'";
  throw new InvalidInputError('header', [
    {
      type: 'literal_error',
      loc: [SNAPSHOT_POLICY_HEADER],
      msg: `Input should be ${expected}`,
      input: text,
      ctx: { expected },
    },
  ]);
}

/** A repeated parameter's last value wins. */
function lastOf(query: URLSearchParams, name: string): string | null {
  return query.getAll(name).at(-1) ?? null;
}

/** One of these makes `GET /runs` a question for the list; without any it is what it was before there were lists (405). */
const LIST_PARAMETERS = ['status', 'tenant', 'q', 'after', 'limit'] as const;

/** Whether a request asks for a list of runs. `query`: with its `?`. */
export function asksForRuns(method: string, path: string, query: string): boolean {
  if (method !== 'GET' || path !== '/runs' || query === '') return false;
  const given = new URLSearchParams(query);
  return LIST_PARAMETERS.some((name) => given.has(name));
}
