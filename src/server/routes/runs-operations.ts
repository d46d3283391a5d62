// The run routes in the OpenAPI document: ids, summaries, tags, parameters and component names are the reference's.

import { int, list, model, nullable, optional, required, str } from '../../protocol/dialect.ts';
import {
  cancelRunRequest,
  cancelRunResponse,
  createRunRequest,
  createRunResponse,
  newerRunStatusResponse,
  runStatusResponse,
} from '../../protocol/runs.ts';
import type { Wire } from '../../protocol/wire.ts';
import type { DescribedRoute } from '../openapi/document.ts';
import { runEventSchema } from '../openapi/events.ts';
import { commonAnswers, describe, type Parameter, type ResponseDescription } from '../openapi/operation.ts';
import { LIMIT, SNAPSHOT_POLICY_HEADER } from '../run-query.ts';
import { RUN_SESSION_DESCRIPTION } from './sessions-operations.ts';

const tags = ['runs'];

/** The header is told here and not as a parameter: the reference's document, which generated clients compare, has none. */
const CREATE_DESCRIPTION = `A repeated \`idempotency_key\` with the same request answers with the run that it created before, and its present status.

Header \`${SNAPSHOT_POLICY_HEADER}\`: what happens when the layers of \`session_snapshot\` are not those of the composition. \`reject\` (default): the run fails. \`rebase\`: what fits is kept, the rest is deleted.

${RUN_SESSION_DESCRIPTION}`;

/** What runs.ts serves; `newerKeys`: whether answers have the keys that came after the seed. */
export function describedRuns({ newerKeys }: Pick<Wire, 'newerKeys'>): readonly DescribedRoute[] {
  const operations = runOperations(newerKeys);
  return [
    { method: 'POST', path: '/runs', detail: operations.createRun },
    { method: 'GET', path: '/runs/:run_id', detail: operations.getRunStatus },
    { method: 'POST', path: '/runs/:run_id/cancel', detail: operations.cancelRun },
    { method: 'GET', path: '/runs/:run_id/events', detail: operations.getRunEvents },
    { method: 'GET', path: '/runs/:run_id/events/sse', detail: operations.streamRunEvents },
  ];
}

/** The five operations, by the reference's function names. */
function runOperations(newerKeys: boolean) {
  const { error, invalid, unavailable } = commonAnswers();
  const runEvent = runEventSchema(newerKeys);
  const runId: Parameter = { name: 'run_id', in: 'path', required: true, schema: str() };
  const unknownRun = error('The run is unknown or expired');
  const bodyAnswers: Readonly<Record<number, ResponseDescription>> = {
    400: error('The body cannot be read'),
    413: error('The body is over the limit'),
    422: invalid,
  };
  const eventsPage = model(
    'RunEventsResponse',
    {
      run_id: required(str()),
      events: required(list(runEvent)),
      next_cursor: optional(nullable(str()), null),
    },
    { description: 'A page of events; `next_cursor` is where the next one starts.' },
  );

  return {
    createRun: describe({
      operationId: 'create_run_runs_post',
      summary: 'Create Run',
      tags,
      description: CREATE_DESCRIPTION,
      body: createRunRequest,
      responses: {
        202: { description: 'The run is accepted and starts in the background', schema: createRunResponse },
        ...bodyAnswers,
        409: error(
          'Strict mode: the idempotency key was used for another request. Of a session: it does not allow the run',
        ),
        503: error('The store does not answer, the process stops, or too many runs are active (`Retry-After`)'),
      },
    }),
    getRunStatus: describe({
      operationId: 'get_run_status_runs__run_id__get',
      summary: 'Get Run Status',
      tags,
      parameters: [runId],
      responses: {
        200: { description: 'The run', schema: newerKeys ? newerRunStatusResponse : runStatusResponse },
        404: unknownRun,
        422: invalid,
        503: unavailable,
      },
    }),
    cancelRun: describe({
      operationId: 'cancel_run_runs__run_id__cancel_post',
      summary: 'Cancel Run',
      tags,
      description:
        'Asks for the end of a run, in whichever process it is executed. The answer says that the wish is kept; the run is over with its `run_cancelled` event, after its layers have exited. May be repeated: the first reason and message stay.',
      parameters: [runId],
      body: cancelRunRequest,
      responses: {
        200: { description: 'The run will be cancelled, or is', schema: cancelRunResponse },
        ...bodyAnswers,
        404: unknownRun,
        409: error('The run has succeeded or failed'),
        503: unavailable,
      },
    }),
    getRunEvents: describe({
      operationId: 'get_run_events_runs__run_id__events_get',
      summary: 'Get Run Events',
      tags,
      description:
        "One page of events. The response header `x-agent-events-trimmed: true` says that events in its midst, or between it and the cursor, were dropped to keep the run's stream bounded.",
      parameters: [
        runId,
        { name: 'after', in: 'query', required: false, schema: withDefault(str(), '0-0') },
        {
          name: 'limit',
          in: 'query',
          required: false,
          schema: withDefault(int({ ge: LIMIT.ge, le: LIMIT.le }), LIMIT.defaultValue),
        },
      ],
      responses: {
        200: { description: 'Events after the cursor, oldest first', schema: eventsPage },
        404: unknownRun,
        422: invalid,
        503: unavailable,
      },
    }),
    streamRunEvents: describe({
      operationId: 'stream_run_events_runs__run_id__events_sse_get',
      summary: 'Stream Run Events',
      tags,
      description:
        'Server-sent events: stored ones after the cursor, then live ones. `id` is the cursor, `event` the type, `data` one RunEvent. A comment says where events were dropped to keep the stream bounded. Ends after the terminal event.',
      parameters: [
        runId,
        { name: 'after', in: 'query', required: false, schema: nullable(str()) },
        { name: 'Last-Event-ID', in: 'header', required: false, schema: nullable(str()) },
      ],
      responses: {
        200: { description: 'The stream', schema: str(), mediaType: 'text/event-stream' },
        404: unknownRun,
        422: invalid,
        503: unavailable,
      },
    }),
  };
}

function withDefault<S extends object>(schema: S, value: string | number): S {
  return { ...schema, default: value };
}
