// Probes: `/healthz` says that the process serves, `/readyz` whether it can take runs (and why not). How they look in the OpenAPI
// document is in health-operations.ts.

import { Elysia } from 'elysia';
import { errorText } from '../../base/errors.ts';
import { jsonResponse } from '../responses.ts';

export interface HealthRoutesDeps {
  /** Problems that keep the process from taking runs; empty: ready. */
  readonly readiness: () => Promise<readonly string[]>;
  readonly isStopping: () => boolean;
}

/** A probe must answer before its caller gives up, even when the store hangs. */
const READINESS_TIMEOUT_MS = 3_000;

const HEALTHY = '{"status":"ok"}';
const READY = '{"status":"ready"}';

/** The plugin with the two probes. */
export function healthRoutes({ readiness, isStopping }: HealthRoutesDeps) {
  return new Elysia({ name: 'health' })
    .get('/healthz', () => jsonResponse(200, HEALTHY), { parse: 'none' })
    .get(
      '/readyz',
      async () => {
        if (isStopping()) return notReady(['the server is shutting down']);
        const problems = await askReadiness(readiness);
        return problems.length === 0 ? jsonResponse(200, READY) : notReady(problems);
      },
      { parse: 'none' },
    );
}

function notReady(problems: readonly string[]): Response {
  return jsonResponse(503, JSON.stringify({ status: 'not ready', problems }));
}

async function askReadiness(readiness: () => Promise<readonly string[]>): Promise<readonly string[]> {
  const { promise, resolve } = Promise.withResolvers<readonly string[]>();
  const timer = setTimeout(resolve, READINESS_TIMEOUT_MS, ['the readiness check did not answer in time']);
  try {
    return await Promise.race([readiness(), promise]);
  } catch (error) {
    return [`the readiness check failed: ${errorText(error)}`];
  } finally {
    clearTimeout(timer);
  }
}
