// The run API: create, status, events, stream, cancel (spec 01 §1–§3). Handlers read their input, ask the ports and
// name the answer; how a route looks in the OpenAPI document is in runs-operations.ts.

import { Elysia } from 'elysia';
import type { ManagedSessions } from '../../managed/sessions.ts';
import type { Logger } from '../../observe/logger.ts';
import { cancelRunRequest, createRunRequest, type RunRecord, type RunStatus } from '../../protocol/runs.ts';
import type { StoredEventReader } from '../../protocol/stored-event.ts';
import type { Wire } from '../../protocol/wire.ts';
import type { RunReader } from '../../runs/ports.ts';
import type { BodyLimits } from '../body.ts';
import { HttpError, runNotFound } from '../errors.ts';
import { eventPage, pageHeaders } from '../event-page.ts';
import type { EventStreams } from '../event-streams.ts';
import { bodyReader } from '../input.ts';
import type { RunSubmitter } from '../ports.ts';
import { jsonResponse } from '../responses.ts';
import { badCursor, readPageQuery, readSnapshotPolicy, readStreamCursor } from '../run-query.ts';
import { readRunSession } from '../session-query.ts';
import { queryOf, runIdOf } from '../target.ts';
import { acceptedRun } from './sessions-answers.ts';

/** What the run routes need. */
export interface RunRoutesDeps {
  readonly runs: RunReader;
  readonly submitter: RunSubmitter;
  /** Where runs go that name a session. Null: none are kept, and what names one is not read. */
  readonly sessions: Pick<ManagedSessions, 'submit'> | null;
  readonly streams: EventStreams;
  readonly readerOf: (runId: string) => StoredEventReader;
  /** Whose clients ask: those of the seed refuse keys that came later. */
  readonly wire: Pick<Wire, 'newerKeys'>;
  readonly limits: BodyLimits;
  readonly logger: Logger;
  /** Lifts the idle time-out of a request's connection. */
  readonly keepOpen: (request: Request) => void;
}

/** `x-accel-buffering: no` keeps nginx from collecting the stream (spec 01 §10.1). */
const STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
};

/** The plugin with the five run routes. */
export function runRoutes(deps: RunRoutesDeps) {
  const { runs, submitter, sessions, streams, readerOf, wire, limits, logger, keepOpen } = deps;
  const readCreate = bodyReader(createRunRequest, limits);
  const readCancel = bodyReader(cancelRunRequest, limits);

  return new Elysia({ name: 'runs' })
    .post(
      '/runs',
      async ({ request }) => {
        const body = await readCreate(request);
        const snapshotPolicy = readSnapshotPolicy(request.headers);
        const session = sessions === null ? null : readRunSession(queryOf(request.url), request.headers);
        if (sessions !== null && session !== null) {
          return acceptedRun(() => sessions.submit({ ...session, request: body, snapshotPolicy, resume: false }));
        }
        const record = await submitter.submit({ request: body, snapshotPolicy });
        return jsonResponse(202, printAnswer(record.run_id, record.status));
      },
      { parse: 'none' },
    )
    .get(
      '/runs/:run_id',
      async ({ path }) => {
        const record = await runs.getRecord(knownId(path));
        if (record === null) throw runNotFound();
        return jsonResponse(200, printRecord(record, wire.newerKeys));
      },
      { parse: 'none' },
    )
    .post(
      '/runs/:run_id/cancel',
      async ({ request, path }) => {
        const body = await readCancel(request);
        const runId = knownId(path);
        const { accepted, status } = await submitter.cancel(runId, body);
        if (accepted) return jsonResponse(200, printAnswer(runId, 'cancelled'));
        throw status === null ? runNotFound() : new HttpError(409, `run already finished with status '${status}'`);
      },
      { parse: 'none' },
    )
    .get(
      '/runs/:run_id/events',
      async ({ request, path }) => {
        const { after, limit } = readPageQuery(queryOf(request.url));
        const runId = knownId(path);
        if ((await runs.getRecord(runId)) === null) throw runNotFound();
        if (after.id === null) throw badCursor(after);
        const events = await runs.readEvents(runId, after.id, limit);
        const body = eventPage(runId, after.text, events, { reader: readerOf(runId), logger });
        return jsonResponse(200, body, pageHeaders(events));
      },
      { parse: 'none' },
    )
    .get(
      '/runs/:run_id/events/sse',
      async ({ request, path }) => {
        const runId = knownId(path);
        const after = readStreamCursor(queryOf(request.url), request.headers);
        if (after.id === null) throw (await runs.getRecord(runId)) === null ? runNotFound() : badCursor(after);
        const subscription = await runs.subscribe(runId, after.id);
        if (subscription === null) throw runNotFound();
        const body = streams.open(runId, subscription);
        if (body instanceof ReadableStream) keepOpen(request);
        return new Response(body, { headers: STREAM_HEADERS });
      },
      { parse: 'none' },
    );
}

function knownId(path: string): string {
  const runId = runIdOf(path);
  if (runId === null) throw runNotFound();
  return runId;
}

/** The answer to a creation or a cancel (spec 01 §1.5). */
function printAnswer(runId: string, status: RunStatus): string {
  return JSON.stringify({ run_id: runId, status });
}

/** Keys in the wire's order, nothing else, whatever the store kept (spec 01 §1.5). */
function printRecord(record: RunRecord, newerKeys: boolean): string {
  const { run_id, status, created_at, updated_at, error, error_type = null } = record;
  const known = { run_id, status, created_at, updated_at, error };
  return JSON.stringify(newerKeys ? { ...known, error_type } : known);
}
