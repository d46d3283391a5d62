// The session routes in the OpenAPI document, and the bodies that are theirs alone.

import { int, json, list, literal, model, nullable, optional, required, str } from '../../protocol/dialect.ts';
import { createRunRequest, createRunResponse, sessionSnapshot } from '../../protocol/runs.ts';
import { commonAnswers, describe, type Parameter, type ResponseDescription } from '../openapi/operation.ts';
import { SNAPSHOT_POLICY_HEADER } from '../run-query.ts';
import { CONFLICT_HEADER, PAGE_LIMIT, SESSION_HEADER, SNAPSHOT_HEADER } from '../session-query.ts';

/** `workspaces`: what a fork of a session with workspaces does; null: it is refused. */
export const forkRequest = model('ForkSessionRequest', {
  key: required(str()),
  workspaces: optional(nullable(literal('new')), null),
});

const tags = ['sessions'];

/** What `POST /runs` says of its headers, which the reference's document does not have as parameters. */
export const RUN_SESSION_DESCRIPTION = `Header \`${SESSION_HEADER}\` (or the query parameter \`session\`): a key under which the server keeps the session. The run goes on from what the last one left, and what it leaves is kept; the answer has the header \`X-Agent-Session-Rev\`. \`${CONFLICT_HEADER}\` says what happens while another run of the session is active: \`enqueue\` (default), \`reject\` (409) or \`interrupt\`. \`${SNAPSHOT_HEADER}: replace\` lets \`session_snapshot\` take the place of what is stored, which is refused otherwise; \`former\` goes on after a snapshot that was too large.`;

/** The six operations. */
export function sessionOperations() {
  const { invalid, unavailable } = commonAnswers();
  const faultSchema = model('SessionFault', {
    detail: required(model('SessionFaultDetail', { code: required(str()), message: required(str()) })),
  });
  const fault = (description: string): ResponseDescription => ({ description, schema: faultSchema });
  const error = commonAnswers().error;
  const unknown = fault('`session_not_found`');
  const lastError = model('SessionLastError', {
    code: required(str()),
    message: required(str()),
    run_id: required(nullable(str())),
  });
  const ending = model('SessionEnding', {
    reason: required(literal('deleted', 'expired', 'orphaned')),
    failed_attempts: required(int()),
    retry_at: required(str()),
  });
  const fields = {
    key: required(str()),
    status: required(literal('idle', 'running', 'awaiting', 'ending')),
    rev: required(int()),
    tenant_id: required(nullable(str())),
    active_run_id: required(nullable(str())),
    waiting_run_ids: required(list(str())),
    last_run_id: required(nullable(str())),
    last_run_status: required(nullable(literal('succeeded', 'failed', 'cancelled', 'unknown'))),
    last_error: required(nullable(lastError)),
    ending: required(nullable(ending)),
    created_at: required(str()),
    used_at: required(str()),
    expires_at: required(str()),
  };
  const listed = model('ListedSession', fields);
  const call = model('SessionDeferredToolCall', {
    tool_call_id: required(str()),
    tool_name: required(str()),
    args: required(json()),
    metadata: required(json()),
  });
  const session = model('ManagedSession', {
    ...fields,
    layer_names: required(nullable(list(str()))),
    deferred_tool_call: required(nullable(call)),
    session_snapshot: optional(nullable(sessionSnapshot), null),
  });
  const ended = model('EndedSession', {
    key: required(str()),
    status: required(literal('ended', 'ending')),
    run_id: required(nullable(str())),
  });
  const sessionPage = model('SessionListResponse', {
    items: required(list(listed)),
    next_after: required(nullable(str())),
  });
  const endedPage = model('SessionsEndedResponse', {
    items: required(list(ended)),
    next_after: required(nullable(str())),
  });

  const key: Parameter = { name: 'key', in: 'path', required: true, schema: str() };
  const query = (name: string, needed = false): Parameter => ({
    name,
    in: 'query',
    required: needed,
    schema: needed ? str() : nullable(str()),
  });
  const limit: Parameter = {
    name: 'limit',
    in: 'query',
    required: false,
    schema: Object.assign(int({ ge: PAGE_LIMIT.ge, le: PAGE_LIMIT.le }), { default: PAGE_LIMIT.defaultValue }),
  };
  const header = (name: string): Parameter => ({ name, in: 'header', required: false, schema: nullable(str()) });
  const bodyAnswers = { 400: error('The body cannot be read'), 413: error('The body is over the limit'), 422: invalid };

  return {
    list: describe({
      operationId: 'list_sessions_sessions_get',
      summary: 'List Sessions',
      tags,
      description: 'Sessions in the order of their keys. `next_after` is the `after` of the next page.',
      parameters: [query('tenant'), query('prefix'), query('after'), limit],
      responses: { 200: { description: 'A page of sessions', schema: sessionPage }, 422: invalid, 503: unavailable },
    }),
    endAll: describe({
      operationId: 'end_sessions_sessions_delete',
      summary: 'End Sessions',
      tags,
      description:
        'Ends one page of the sessions whose keys begin with `prefix`, each as if it were deleted by itself.',
      parameters: [query('prefix', true), query('tenant'), query('after'), limit],
      responses: { 202: { description: 'What became of them', schema: endedPage }, 422: invalid, 503: unavailable },
    }),
    get: describe({
      operationId: 'get_session_sessions__key__get',
      summary: 'Get Session',
      tags,
      description: '`include=snapshot`: with the stored snapshot.',
      parameters: [key, query('include')],
      responses: { 200: { description: 'The session', schema: session }, 404: unknown, 422: invalid, 503: unavailable },
    }),
    end: describe({
      operationId: 'end_session_sessions__key__delete',
      summary: 'End Session',
      tags,
      description:
        'Cancels its runs, deletes what its layers hold (workspaces) with a run of its own, then the session. May be repeated.',
      parameters: [key],
      responses: {
        200: { description: 'Nothing is left of it', schema: ended },
        202: { description: 'It is being cleaned up', schema: ended },
        404: unknown,
        503: unavailable,
      },
    }),
    resume: describe({
      operationId: 'resume_session_sessions__key__resume_post',
      summary: 'Resume Session',
      tags,
      description:
        'Answers the question that the session waits with: a run whose `deferred_tool_results.calls` has it. Refused while another run is active.',
      parameters: [key, header(SNAPSHOT_POLICY_HEADER), header(SNAPSHOT_HEADER)],
      body: createRunRequest,
      responses: {
        202: { description: 'The run is accepted', schema: createRunResponse },
        ...bodyAnswers,
        404: unknown,
        409: fault('`session_not_awaiting`, `session_busy`, `session_ending`'),
        503: unavailable,
      },
    }),
    fork: describe({
      operationId: 'fork_session_sessions__key__fork_post',
      summary: 'Fork Session',
      tags,
      description: 'Makes a session that starts where this one is now.',
      parameters: [key],
      body: forkRequest,
      responses: {
        201: { description: 'The new session', schema: session },
        ...bodyAnswers,
        404: unknown,
        409: fault('`session_exists`, `session_empty`, `session_holds_workspace`, `session_ending`'),
        503: unavailable,
      },
    }),
  };
}
