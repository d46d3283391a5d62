// `GET /internal/status`: what this process is doing. It names runs and tenants, so that without a token it answers only who
// calls from this machine, directly.

import { Elysia } from 'elysia';
import type { StatusReport } from '../../observe/status.ts';
import { HttpError } from '../errors.ts';
import { hidden } from '../openapi/operation.ts';
import { jsonResponse } from '../responses.ts';

export interface StatusRoutesDeps {
  readonly report: () => StatusReport;
  /** Callers have shown a token before they come here. */
  readonly tokenRequired: boolean;
  /** The address at the other end of the connection; null: it is gone. */
  readonly addressOf: (request: Request) => string | null;
}

const NOT_HERE = 'without DIFY_AGENT_API_TOKEN the status is only told to callers on this machine';

/** The plugin with the route. */
export function statusRoutes({ report, tokenRequired, addressOf }: StatusRoutesDeps) {
  return new Elysia({ name: 'status' }).get(
    '/internal/status',
    ({ request }) => {
      if (!tokenRequired && !isLocal(request, addressOf(request))) throw new HttpError(403, NOT_HERE);
      return jsonResponse(200, JSON.stringify(report()), { 'cache-control': 'no-store' });
    },
    { parse: 'none', detail: hidden() },
  );
}

/** Headers of proxies: the connection is from this machine, the caller may be from anywhere. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'];
/** A page that had its name resolved to this machine still sends its own name. */
const LOCAL_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/** Whether somebody on this machine asks, and not a page or a proxy for somebody else. */
export function isLocal({ headers }: Request, address: string | null): boolean {
  if (address === null || !isLoopback(address)) return false;
  return LOCAL_HOST.test(headers.get('host') ?? '') && FORWARDED.every((name) => !headers.has(name));
}

function isLoopback(address: string): boolean {
  return address === '::1' || /^(?:::ffff:)?127\./i.test(address);
}
