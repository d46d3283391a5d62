// Sessions that the server keeps (spec 07 §4.4): look, list, answer, fork, end. A run names its session where it is posted
// (routes/runs.ts). What a session allows is managed/'s; how a route looks in the OpenAPI document is in sessions-operations.ts.

import { Elysia } from 'elysia';
import { sessionNotFound } from '../../managed/errors.ts';
import { keyFault } from '../../managed/key.ts';
import type { ManagedSessions } from '../../managed/sessions.ts';
import { createRunRequest } from '../../protocol/runs.ts';
import { stringifyJson } from '../../wiretext/json.ts';
import type { BodyLimits } from '../body.ts';
import { InvalidInputError } from '../errors.ts';
import { bodyReader } from '../input.ts';
import { jsonResponse } from '../responses.ts';
import { readSnapshotPolicy } from '../run-query.ts';
import { REV_HEADER, readChoice, readSessionsQuery, sessionKeyOf } from '../session-query.ts';
import { queryOf } from '../target.ts';
import { acceptedRun, sessionAnswer } from './sessions-answers.ts';
import { forkRequest, sessionOperations } from './sessions-operations.ts';

/** What the session routes need. */
export interface SessionRoutesDeps {
  readonly sessions: ManagedSessions;
  readonly limits: BodyLimits;
}

/** The plugin with the six session routes. */
export function sessionRoutes({ sessions, limits }: SessionRoutesDeps) {
  const readRun = bodyReader(createRunRequest, limits);
  const readFork = bodyReader(forkRequest, limits);
  const operations = sessionOperations();

  return new Elysia({ name: 'sessions' })
    .get(
      '/sessions',
      ({ request }) =>
        sessionAnswer(async () => {
          const query = readSessionsQuery(queryOf(request.url), false);
          const items = await sessions.list(query);
          const next = items.length < query.limit ? null : (items.at(-1)?.key ?? null);
          return jsonResponse(200, JSON.stringify({ items, next_after: next }));
        }),
      { parse: 'none', detail: operations.list },
    )
    .delete(
      '/sessions',
      ({ request }) =>
        sessionAnswer(async () => {
          const ended = await sessions.endAll(readSessionsQuery(queryOf(request.url), true));
          return jsonResponse(202, JSON.stringify({ items: ended.sessions, next_after: ended.nextAfter }));
        }),
      { parse: 'none', detail: operations.endAll },
    )
    .get(
      '/sessions/:key',
      ({ request, path }) =>
        sessionAnswer(async () => {
          const session = await sessions.describe(knownKey(path), { snapshot: includesSnapshot(request.url) });
          return jsonResponse(200, stringifyJson(session), { [REV_HEADER]: String(session.rev) });
        }),
      { parse: 'none', detail: operations.get },
    )
    .delete(
      '/sessions/:key',
      ({ path }) =>
        sessionAnswer(async () => {
          const ended = await sessions.end(knownKey(path));
          return jsonResponse(ended.status === 'ended' ? 200 : 202, JSON.stringify(ended));
        }),
      { parse: 'none', detail: operations.end },
    )
    .post(
      '/sessions/:key/resume',
      async ({ request, path }) => {
        const body = await readRun(request);
        if (body.deferred_tool_results === null) throw missingField('deferred_tool_results');
        const snapshotPolicy = readSnapshotPolicy(request.headers);
        const snapshot = readChoice(request.headers);
        return acceptedRun(() =>
          sessions.submit({
            key: knownKey(path),
            request: body,
            snapshotPolicy,
            // An answer is to the question that was asked: it neither waits for another run nor ends one.
            conflict: 'reject',
            snapshot,
            resume: true,
          }),
        );
      },
      { parse: 'none', detail: operations.resume },
    )
    .post(
      '/sessions/:key/fork',
      async ({ request, path }) => {
        const { key, workspaces } = await readFork(request);
        const fault = keyFault(key);
        if (fault !== null) {
          const issue = {
            type: 'value_error',
            loc: ['key'],
            msg: `Value error, ${fault}`,
            input: key,
            ctx: { error: {} },
          };
          throw new InvalidInputError('body', [issue]);
        }
        return sessionAnswer(async () => {
          const session = await sessions.fork(knownKey(path), key, workspaces);
          return jsonResponse(201, stringifyJson(session), { [REV_HEADER]: String(session.rev) });
        });
      },
      { parse: 'none', detail: operations.fork },
    );
}

/** What cannot be a key names no session. */
function knownKey(path: string): string {
  const key = sessionKeyOf(path);
  if (key === null) throw sessionNotFound();
  return key;
}

/** Throws InvalidInputError. */
function includesSnapshot(url: string): boolean {
  const include = queryOf(url).getAll('include').at(-1);
  if (include === undefined || include === 'snapshot') return include === 'snapshot';
  const expected = "'snapshot'";
  throw new InvalidInputError('query', [
    { type: 'literal_error', loc: ['include'], msg: `Input should be ${expected}`, input: include, ctx: { expected } },
  ]);
}

function missingField(name: string): InvalidInputError {
  return new InvalidInputError('body', [{ type: 'missing', loc: [name], msg: 'Field required', input: null }]);
}
