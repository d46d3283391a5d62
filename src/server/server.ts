// The HTTP server: Bun listens, route-table.ts says what exists, Elysia hands the request to a plugin, errors.ts words
// what went wrong. Here is only what every request has in common, and the life of the listener.

import { NotFoundError } from 'elysia';
import { CodedError, errorText } from '../base/errors.ts';
import { NO_PROBE } from '../observe/probe.ts';
import { storedEventReader } from '../protocol/stored-event.ts';
import { createWire } from '../protocol/wire.ts';
import { StoreUnavailableError } from '../runs/errors.ts';
import { createAccess } from './access.ts';
import { BODY_TIMEOUT_MS, createBodyBudget } from './body.ts';
import { createCors } from './cors.ts';
import { answerFor } from './errors.ts';
import { createEventStreams, DRAIN_MS, HEARTBEAT_MS } from './event-streams.ts';
import type { HttpServer, ServerDeps, ServerTimings } from './ports.ts';
import { REQUEST_ID_HEADER, requestIdOf } from './request-id.ts';
import { internalServerError } from './responses.ts';
import type { RouteApp } from './route-app.ts';
import { createRouteGroups } from './route-groups.ts';
import { createRouteTable, methodNotAllowed, notFound, redirect, type Verdict as VerdictTo } from './route-table.ts';
import { asksForRuns } from './run-query.ts';
import { parseTarget } from './target.ts';
import { badTls, readTlsFiles } from './tls.ts';

type BunServer = ReturnType<typeof Bun.serve>;
type Verdict = VerdictTo<RouteApp>;
type KnownRoute = Extract<Verdict, { readonly kind: 'route' }>;

/** Connections that say nothing are closed; streams lift it for theirs. */
const IDLE_TIMEOUT_SECONDS = 60;
/** Bun answers 413 without a body above this. body.ts counts and answers properly long before; bodies are never buffered here. */
const BACKSTOP_BYTES = 2 ** 40;
/** When everything is answered, connections that still do not close are cut after this. */
const CLOSE_MS = 2_000;

const TIMINGS: ServerTimings = { heartbeatMs: HEARTBEAT_MS, bodyTimeoutMs: BODY_TIMEOUT_MS, drainMs: DRAIN_MS };

/** Where Elysia begins to look for a path: without `standardHostname`, and with it. */
const PATH_FROM = { http: 7, https: 11 } as const;

/** Builds the server; nothing listens before `start`. */
export function createServer(deps: ServerDeps): HttpServer {
  const { settings, runs, logger, clock, probe = NO_PROBE } = deps;
  const { heartbeatMs, bodyTimeoutMs, drainMs } = { ...TIMINGS, ...deps.timings };
  const access = createAccess(settings.access, bodyTimeoutMs);
  const cors = createCors(settings.corsOrigins);
  const scheme = settings.tls.certFile === null ? 'http' : 'https';

  const wire = createWire(settings.wireVintage);
  const readerOf = (runId: string) => storedEventReader(runId, wire);
  const streams = createEventStreams({ runs, logger, readerOf, heartbeatMs, drainMs });
  let listener: BunServer | null = null;
  let stopping = false;
  let stopped: Promise<void> | null = null;
  /** Requests that were rebuilt, and what Bun knows them as. */
  const originals = new WeakMap<Request, Request>();

  const limits = {
    maxBytes: settings.maxRequestBytes,
    timeoutMs: bodyTimeoutMs,
    budget: createBodyBudget(settings.maxPendingRequestBytes),
  };
  const keepOpen = (request: Request): (() => void) => {
    const known = originals.get(request) ?? request;
    listener?.timeout(known, 0);
    return () => listener?.timeout(known, IDLE_TIMEOUT_SECONDS);
  };

  const addressOf = (request: Request) => listener?.requestIP(originals.get(request) ?? request)?.address ?? null;

  const { groups, runList } = createRouteGroups(deps, {
    streams,
    readerOf,
    wire,
    limits,
    keepOpen,
    addressOf,
    isStopping: () => stopping,
    secured: access.required,
    standardHostname: scheme === 'https',
  });
  const table = createRouteTable(groups);
  /** What the table would say of a request that asks for a list of runs, if it knew of them. */
  const listVerdict: Verdict | null =
    runList === null ? null : { kind: 'route', pattern: '/runs', open: false, to: runList };

  async function handle(request: Request): Promise<Response> {
    const started = clock.nowMicros();
    const requestId = requestIdOf(request);
    const { path, query } = parseTarget(request.url);
    const lists = listVerdict !== null && asksForRuns(request.method, path, query);
    const verdict: Verdict = lists ? listVerdict : table.check(request.method, path);
    const scope = beginRequest(request, verdict, requestId);
    let route: string | null = null;
    let response: Response;
    switch (verdict.kind) {
      case 'route':
        route = verdict.pattern;
        response = await scope.within(() => answer(routable(request, path + query), verdict, requestId));
        break;
      case 'method_not_allowed':
        route = verdict.pattern;
        response = cors?.preflight(request, verdict.allow) ?? methodNotAllowed(request.method, verdict.allow);
        break;
      case 'redirect':
        response = redirect(verdict.path, query, request.headers.get('host'), scheme);
        break;
      case 'not_found':
        response = notFound();
    }
    response.headers.set(REQUEST_ID_HEADER, requestId);
    cors?.mark(request, response);
    scope.end({ status: response.status });
    logger.debug('request', {
      method: request.method,
      route,
      status: response.status,
      ms: Math.round((clock.nowMicros() - started) / 10) / 100,
      request_id: requestId,
    });
    return response;
  }

  function beginRequest({ method, headers }: Request, verdict: Verdict, requestId: string) {
    const route = 'pattern' in verdict ? verdict.pattern : null;
    const [traceparent, tracestate] = [headers.get('traceparent'), headers.get('tracestate')];
    return probe.request({ method, route, traceparent, tracestate, requestId });
  }

  async function answer(request: Request, verdict: KnownRoute, requestId: string): Promise<Response> {
    const route = verdict.pattern;
    try {
      const refusal = verdict.open || !access.required ? null : await access.refusal(request);
      if (refusal !== null) throw refusal;
      return await verdict.to.fetch(request);
    } catch (error) {
      if (error instanceof NotFoundError) return notFound(); // Elysia reads a URL in a way that the table does not
      const expected = answerFor(error);
      if (expected !== null) {
        if (error instanceof StoreUnavailableError) {
          logger.warn(error.message, { route, request_id: requestId, cause: causeOf(error) });
        }
        return expected;
      }
      logger.error('unhandled error', { method: request.method, route, request_id: requestId, error });
      return internalServerError();
    }
  }

  /**
   * Elysia takes what follows the first `/` from some index on for the path. That fails where Bun gives the bare target (the
   * Host header is missing or malformed), where a host is short, the scheme is not ours, or a fragment follows.
   */
  function routable(request: Request, target: string): Request {
    const { url } = request;
    const start = url.indexOf('/', PATH_FROM[scheme]);
    if (url.length - start === target.length && url.endsWith(target)) return request;
    const rebuilt = new Request(`${scheme}://localhost${target}`, request);
    originals.set(rebuilt, request);
    return rebuilt;
  }

  function listen(): BunServer {
    const tls = readTlsFiles(settings.tls, new Date(clock.nowMicros() / 1000));
    for (const warning of tls?.warnings ?? []) logger.warn(warning);
    try {
      return Bun.serve({
        ...(tls === null ? {} : { tls: { cert: tls.cert, key: tls.key } }),
        hostname: settings.host,
        port: settings.port,
        reusePort: false, // or a second server would silently share the port
        idleTimeout: IDLE_TIMEOUT_SECONDS,
        maxRequestBodySize: BACKSTOP_BYTES,
        development: false,
        fetch: handle,
        error: internalServerError,
      });
    } catch (error) {
      throw listenError(error, settings.host, settings.port);
    }
  }

  async function close(): Promise<void> {
    await streams.drain();
    if (listener === null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const deadline = setTimeout(resolve, CLOSE_MS);
    await Promise.race([listener.stop(false), promise]);
    clearTimeout(deadline);
    await listener.stop(true);
  }

  return {
    async start() {
      listener ??= listen();
      const { port, hostname } = listener;
      if (port === undefined) throw new CodedError('listen_failed', 'the server has no TCP port');
      const host = hostname?.includes(':') ? `[${hostname}]` : hostname;
      return { url: `${scheme}://${host}:${port}`, port };
    },
    beginShutdown() {
      stopping = true;
    },
    streams: () => streams.figures(),
    stop() {
      stopping = true;
      stopped ??= close();
      return stopped;
    },
  };
}

function causeOf(error: Error): string | undefined {
  return error.cause === undefined ? undefined : errorText(error.cause);
}

/** One line that names the variable to change. */
function listenError(error: unknown, host: string, port: number): CodedError {
  const code = (error as { readonly code?: unknown }).code; // Bun's system errors carry one
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const cause = { cause: error };
  if (typeof code === 'string' && code.startsWith('ERR_OSSL_')) return badTls(error);
  if (code === 'EADDRINUSE') {
    return new CodedError('port_in_use', `DIFY_AGENT_PORT: ${address} is already in use`, cause);
  }
  if (code === 'EACCES') {
    return new CodedError('listen_failed', `DIFY_AGENT_PORT: not allowed to listen on ${address}`, cause);
  }
  return new CodedError('listen_failed', `DIFY_AGENT_HOST: cannot listen on ${address}: ${errorText(error)}`, cause);
}
