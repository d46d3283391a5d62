// The probes in the OpenAPI document.

import { list, literal, model, required, str } from '../../protocol/dialect.ts';
import type { DescribedRoute } from '../openapi/document.ts';
import { describe } from '../openapi/operation.ts';

const tags = ['health'];

/** What health.ts serves. */
export function describedProbes(): readonly DescribedRoute[] {
  const live = describe({
    operationId: 'healthz_get',
    summary: 'Liveness',
    tags,
    open: true,
    responses: {
      200: {
        description: 'The process serves',
        schema: model('HealthResponse', { status: required(literal('ok')) }),
      },
    },
  });
  const ready = describe({
    operationId: 'readyz_get',
    summary: 'Readiness',
    tags,
    open: true,
    responses: {
      200: {
        description: 'The process takes runs',
        schema: model('ReadyResponse', { status: required(literal('ready')) }),
      },
      503: {
        description: 'It does not, and why',
        schema: model('NotReadyResponse', {
          status: required(literal('not ready')),
          problems: required(list(str())),
        }),
      },
    },
  });
  return [
    { method: 'GET', path: '/healthz', detail: live },
    { method: 'GET', path: '/readyz', detail: ready },
  ];
}
