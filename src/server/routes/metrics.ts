// `GET /metrics`: what the server measures, for Prometheus. Protected like the run API where tokens are configured; in no
// OpenAPI document, which describes the wire of the reference.

import { Elysia } from 'elysia';
import type { Exposition } from '../../observe/metrics/exposition.ts';
import { hidden } from '../openapi/operation.ts';

export interface MetricsRoutesDeps {
  readonly expose: () => Promise<Exposition>;
}

/** The plugin with the route. */
export function metricsRoutes({ expose }: MetricsRoutesDeps) {
  return new Elysia({ name: 'metrics' }).get(
    '/metrics',
    async () => {
      const { body, contentType } = await expose();
      return new Response(body, { headers: { 'content-type': contentType, 'cache-control': 'no-store' } });
    },
    { parse: 'none', detail: hidden() },
  );
}
