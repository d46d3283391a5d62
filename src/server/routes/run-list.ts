// `GET /runs?…`: runs that nobody knows the ids of, newest first. The path without one of the list's parameters is what it was
// to everybody before there were lists: 405 (spec 01 §1.1, recorded), so that a client opts in by asking for something.

import { Elysia } from 'elysia';
import type { ListedRunItem, RunStatus } from '../../protocol/runs.ts';
import { runStatus } from '../../protocol/runs.ts';
import type { ListedRun, RunLister, RunListPage, RunListQuery } from '../../runs/ports.ts';
import { type IntParameter, parseQueryInt } from '../../validation/query.ts';
import { validate } from '../../validation/walker.ts';
import { HttpError, InvalidInputError } from '../errors.ts';
import { jsonResponse } from '../responses.ts';
import { queryOf } from '../target.ts';
import { listOperation } from './run-list-operation.ts';

/** How many runs a page has. */
export const LIST_LIMIT: IntParameter = { name: 'limit', defaultValue: 50, ge: 1, le: 500 };

/** What is answered where no list is kept. */
export const NOT_LISTED =
  'runs are not listed: with DIFY_AGENT_RUN_INDEX_ENABLED=true the server keeps an index of those that it creates in Redis';

/** The plugin with the list. `lister` null: none is kept, and the route says so. */
export function runListRoutes({ lister }: { readonly lister: RunLister | null }) {
  return new Elysia({ name: 'run-list' }).get(
    '/runs',
    async ({ request }) => {
      const query = readListQuery(queryOf(request.url));
      if (lister === null) throw new HttpError(501, NOT_LISTED);
      const page = await lister.listRuns(query);
      if (page === null) throw badCursor(query.after);
      return jsonResponse(200, printPage(page));
    },
    { parse: 'none', detail: listOperation(LIST_LIMIT) },
  );
}

/** Empty texts count as absent, as forms send them. Throws InvalidInputError. */
function readListQuery(query: URLSearchParams): RunListQuery {
  const limit = parseQueryInt(query, LIST_LIMIT);
  const text = (name: string): string | null => {
    const last = query.getAll(name).at(-1) ?? '';
    return last === '' ? null : last;
  };
  const statuses = new Set<RunStatus>();
  const issues = limit.ok ? [] : [...limit.issues];
  for (const [index, status] of query.getAll('status').entries()) {
    if (status === '') continue;
    const result = validate(runStatus, status);
    if (result.ok) statuses.add(result.value);
    else issues.push(...result.issues.map((issue) => ({ ...issue, loc: ['status', index] })));
  }
  if (!limit.ok || issues.length > 0) throw new InvalidInputError('query', issues);
  const tenant = text('tenant');
  return { statuses: [...statuses], tenant, prefix: text('q'), after: text('after'), limit: limit.value };
}

function badCursor(text: string | null): InvalidInputError {
  const msg = 'Value error, invalid cursor: expected next_after of an earlier page';
  return new InvalidInputError('query', [
    { type: 'value_error', loc: ['after'], msg, input: text, ctx: { error: {} } },
  ]);
}

function printPage({ runs, nextAfter }: RunListPage): string {
  return JSON.stringify({ items: runs.map(itemOf), next_after: nextAfter });
}

function itemOf({ record, outline, facts }: ListedRun): ListedRunItem {
  const { run_id, status, created_at, updated_at, error } = record;
  const usage = facts?.usage ?? null;
  return {
    run_id,
    status,
    created_at,
    updated_at,
    error,
    error_type: facts?.errorType ?? record.error_type ?? null,
    reason: facts?.reason ?? null,
    tenant_id: outline?.tenantId ?? null,
    duration_ms: status === 'running' ? null : durationOf(created_at, updated_at),
    usage: usage && {
      prompt_tokens: usage.promptTokens,
      completion_tokens: usage.completionTokens,
      total_tokens: usage.promptTokens + usage.completionTokens,
    },
    layers: outline?.layers ?? null,
    layers_omitted: outline?.layersOmitted ?? 0,
  };
}

/** Milliseconds; never negative, though a clock may have been set back. */
function durationOf(from: string, to: string): number | null {
  const ms = Date.parse(to) - Date.parse(from);
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}
