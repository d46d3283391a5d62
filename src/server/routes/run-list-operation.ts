// The list of runs in the OpenAPI document. The reference has no such operation; its id follows the reference's pattern.

import { int, list, nullable, type Schema, str } from '../../protocol/dialect.ts';
import { type ListedRunItem, runListResponse, runStatus } from '../../protocol/runs.ts';
import type { IntParameter } from '../../validation/query.ts';
import { commonAnswers, describe, type Parameter } from '../openapi/operation.ts';

const DESCRIPTION = `Runs, newest first, with an outline of what they were made of. At least one of the parameters has to be given, if only \`limit\`: the path alone answers 405, as it did before there was a list.

A page goes on with \`after\` = \`next_after\` of the one before; runs that are created meanwhile are not met. It may be shorter than \`limit\`, even empty, while there is a \`next_after\`: a search through many runs takes several pages.

SQLite lists by itself; on Redis \`DIFY_AGENT_RUN_INDEX_ENABLED=true\` makes a server keep an index of the runs that it creates (501 without). \`error\` is cut at 2,000 characters, other texts at 128; \`layers\` has at most 64 layers and 8 KiB, \`layers_omitted\` says how many are left out. What is not known is null.`;

const EXAMPLE: ListedRunItem = {
  run_id: '4d1f1a0e-9c0f-4b0e-9a54-0b3a8f6a2c11',
  status: 'succeeded',
  created_at: '2026-06-02T08:15:30.204117Z',
  updated_at: '2026-06-02T08:15:42.870113Z',
  error: null,
  error_type: null,
  reason: null,
  tenant_id: 'tenant-1',
  duration_ms: 12_665,
  usage: { prompt_tokens: 13, completion_tokens: 8, total_tokens: 21 },
  layers: [
    { name: 'prompt', type: 'plain.prompt' },
    { name: 'execution_context', type: 'dify.execution_context' },
    { name: 'llm', type: 'dify.plugin.llm', deps: { execution_context: 'execution_context' } },
  ],
  layers_omitted: 0,
};

/** The operation; `limit`: its bounds. */
export function listOperation(limit: IntParameter) {
  const { invalid, unavailable, error } = commonAnswers();
  const parameter = (name: string, schema: Schema, example: unknown): Parameter => ({
    name,
    in: 'query',
    required: false,
    schema: withKeywords(schema, { examples: [example] }),
  });
  return describe({
    operationId: 'list_runs_runs_get',
    summary: 'List Runs',
    tags: ['runs'],
    description: DESCRIPTION,
    parameters: [
      parameter('status', list(runStatus), ['failed', 'cancelled']),
      parameter('tenant', nullable(str()), 'tenant-1'),
      parameter('q', nullable(str({ description: 'What the run id begins with' })), '4d1f1a0e'),
      parameter('after', nullable(str({ description: '`next_after` of an earlier page' })), 's2s'),
      parameter('limit', withKeywords(int({ ge: limit.ge, le: limit.le }), { default: limit.defaultValue }), 20),
    ],
    responses: {
      200: {
        description: 'A page of runs',
        schema: withKeywords(runListResponse, { examples: [{ items: [EXAMPLE], next_after: null }] }),
      },
      405: error('None of the parameters was given'),
      422: invalid,
      501: error('No list is kept'),
      503: unavailable,
    },
  });
}

/** The schema with keywords of JSON Schema that mean nothing to a validator. */
function withKeywords<S extends Schema>(schema: S, keywords: Readonly<Record<string, unknown>>): S {
  return { ...schema, ...keywords };
}
