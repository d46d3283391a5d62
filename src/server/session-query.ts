// How requests name a session and say what they want of it: headers of runs, paths and queries of the session routes.

import { keyFault, prefixFault } from '../managed/key.ts';
import type { ConflictPolicy, SnapshotChoice } from '../managed/submit.ts';
import { type IntParameter, parseQueryInt } from '../validation/query.ts';
import { InvalidInputError } from './errors.ts';

/** Names the session of a run; query `session` does, too. */
export const SESSION_HEADER = 'X-Agent-Session';
/** What happens while another run of the session is active. */
export const CONFLICT_HEADER = 'X-Agent-Session-Conflict';
/** What happens when the body's snapshot does not go with the stored one. */
export const SNAPSHOT_HEADER = 'X-Agent-Session-Snapshot';
/** Of answers: the revision that the run starts from. */
export const REV_HEADER = 'X-Agent-Session-Rev';

const CONFLICTS = ['enqueue', 'reject', 'interrupt'] as const satisfies readonly ConflictPolicy[];
const CHOICES = ['reject', 'replace', 'former'] as const satisfies readonly SnapshotChoice[];

/** Sessions of one page. */
export const PAGE_LIMIT: IntParameter = { name: 'limit', defaultValue: 100, ge: 1, le: 500 };

/** What a run says of its session. */
export interface RunSession {
  readonly key: string;
  readonly conflict: ConflictPolicy;
  readonly snapshot: SnapshotChoice;
}

/** Null: the run has none, and nothing of it is read. Throws InvalidInputError. */
export function readRunSession(query: URLSearchParams, headers: Headers): RunSession | null {
  const header = headers.get(SESSION_HEADER);
  const text = query.getAll('session').at(-1) ?? null;
  const key = header ?? text;
  if (key === null) return null;
  const source = header === null ? 'query' : 'header';
  const name = header === null ? 'session' : SESSION_HEADER;
  refuse(source, name, key, keyFault(key));
  if (text !== null && text !== key) refuse('query', 'session', text, `is not the session of ${SESSION_HEADER}`);
  return { key, conflict: readConflict(headers), snapshot: readChoice(headers) };
}

/** Default `enqueue`. Throws InvalidInputError. */
export function readConflict(headers: Headers): ConflictPolicy {
  return choiceOf(headers, CONFLICT_HEADER, CONFLICTS);
}

/** Default `reject`. Throws InvalidInputError. */
export function readChoice(headers: Headers): SnapshotChoice {
  return choiceOf(headers, SNAPSHOT_HEADER, CHOICES);
}

/** Case-insensitively; the first is the default. */
function choiceOf<const C extends string>(headers: Headers, name: string, choices: readonly [C, ...C[]]): C {
  const text = headers.get(name);
  const found = text === null ? choices[0] : choices.find((choice) => choice === text.toLowerCase());
  if (found !== undefined) return found;
  const expected = choices.map((choice) => `'${choice}'`).join(', ');
  throw new InvalidInputError('header', [
    { type: 'literal_error', loc: [name], msg: `Input should be one of ${expected}`, input: text, ctx: { expected } },
  ]);
}

/** The key in `/sessions/{key}/…`; null: no session can have it. */
export function sessionKeyOf(path: string): string | null {
  const end = path.indexOf('/', PREFIX.length);
  const segment = path.slice(PREFIX.length, end === -1 ? undefined : end);
  const key = decoded(segment);
  return key !== null && keyFault(key) === null ? key : null;
}

/** Clients that escape more than they must are understood; an escape that is none stands in no key. */
function decoded(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

const PREFIX = '/sessions/';

/** Which sessions to list or to end. */
export interface SessionsQuery {
  readonly tenant: string | null;
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
}

/** Throws InvalidInputError. `needsPrefix`: the whole of the server is not meant by leaving it out. */
export function readSessionsQuery(query: URLSearchParams, needsPrefix: boolean): SessionsQuery {
  const text = (name: string): string => query.getAll(name).at(-1) ?? '';
  const limit = parseQueryInt(query, PAGE_LIMIT);
  if (!limit.ok) throw new InvalidInputError('query', limit.issues);
  const [prefix, after] = [text('prefix'), text('after')];
  if (needsPrefix && prefix === '') {
    throw new InvalidInputError('query', [{ type: 'missing', loc: ['prefix'], msg: 'Field required', input: null }]);
  }
  refuse('query', 'prefix', prefix, prefixFault(prefix));
  refuse('query', 'after', after, prefixFault(after));
  const tenant = text('tenant');
  return { tenant: tenant === '' ? null : tenant.toWellFormed(), prefix, after, limit: limit.value };
}

function refuse(source: 'query' | 'header', name: string, input: string, fault: string | null): void {
  if (fault === null) return;
  throw new InvalidInputError(source, [
    { type: 'value_error', loc: [name], msg: `Value error, ${fault}`, input, ctx: { error: {} } },
  ]);
}
