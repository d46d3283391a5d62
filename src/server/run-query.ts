// The query and header values of the event routes (spec 01 §2, §3): which one counts, what it means, what is wrong with it.

import { CURSOR_START, type EventId, parseCursor } from '../base/cursor.ts';
import type { Issue } from '../validation/issue.ts';
import { type IntParameter, parseQueryInt } from '../validation/query.ts';
import { InvalidInputError } from './errors.ts';

/** A page of events as it was asked for. */
export interface PageQuery {
  readonly after: EventId;
  /** As written; an empty page echoes it (spec 01 §2). */
  readonly afterText: string;
  readonly limit: number;
}

/** Spec 01 §2. */
export const LIMIT: IntParameter = { name: 'limit', defaultValue: 100, ge: 1, le: 500 };

/** Reads `after` and `limit`. Throws InvalidInputError with the issues in this order. */
export function readPageQuery(query: URLSearchParams): PageQuery {
  const afterText = lastOf(query, 'after') ?? CURSOR_START;
  const after = parseCursor(afterText);
  const limit = parseQueryInt(query, LIMIT);
  if (after !== null && limit.ok) return { after, afterText, limit: limit.value };
  throw new InvalidInputError('query', [
    ...(after === null ? [badCursor('after', afterText)] : []),
    ...(limit.ok ? [] : limit.issues),
  ]);
}

/**
 * The cursor of a stream: query `after`, else `Last-Event-ID`, else the start; empty ones fall through (spec 01 §3).
 * Throws InvalidInputError.
 */
export function readStreamCursor(query: URLSearchParams, headers: Headers): EventId {
  const after = lastOf(query, 'after');
  if (after !== null && after !== '') return cursorFrom('query', 'after', after);
  const lastEventId = headers.get('last-event-id');
  if (lastEventId !== null && lastEventId !== '') return cursorFrom('header', 'Last-Event-ID', lastEventId);
  return CURSOR_START;
}

function cursorFrom(source: 'query' | 'header', name: string, text: string): EventId {
  const cursor = parseCursor(text);
  if (cursor === null) throw new InvalidInputError(source, [badCursor(name, text)]);
  return cursor;
}

/** Spec 01 §10.4: 422 where the reference answers 500. */
function badCursor(name: string, text: string): Issue {
  const msg = 'Value error, invalid cursor: expected an event id such as 1780388130204-0';
  return { type: 'value_error', loc: [name], msg, input: text, ctx: { error: {} } };
}

/** A repeated parameter's last value wins. */
function lastOf(query: URLSearchParams, name: string): string | null {
  return query.getAll(name).at(-1) ?? null;
}
